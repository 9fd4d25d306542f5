"""`--device gpu` on the command line, as a person meets it on a machine without a GPU, and with the stand-in for one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import cli
from rnnspec.compiler import compile_spec, passes
from rnnspec.passes import vjps
from rnnspec.run import gpu
from rnnspec.run.driver import Driver, Gpu
from rnnspec.run.gpu import Cupy, Device
from rnnspec.script.devices import DEVICES
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler

ROOT = Path(__file__).parent.parent.parent

SPEC = """\
rnnspec: 1
name: tiny
data:
  source: adding(length=6, sequences=40)
  split: {train: 0.8, valid: 0.1, test: 0.1}
inputs:
  x: vectors(x, size=2)
targets:
  y: values(y, size=1)
dims: {H: 4}
states: {h: H}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  z = W_z @ h[T] + b_z
loss: mse(z, y)
metrics:
  - mae(z, y)
train:
  optimizer: adam(lr=1e-2)
  batch: 8
  epochs: 2
  seed: 0
"""

H100 = Gpu("NVIDIA H100 80GB HBM3", 85_000_000_000, (9, 0))
DEVICE = Device(H100, Driver((13, 0), (H100,)), Cupy((("cupy-cuda13x", "14.2.0"),), "14.2.0", 13, (("cuBLAS", "13.0"),)))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder that has `tiny.rnn` in it: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.rnn").write_text(SPEC)

    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        printed = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out, printed.err

    return command


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that seems to have a GPU, and CuPy on the host."""
    monkeypatch.setattr(gpu, "require", lambda: DEVICE)
    with cupy_on_host():
        yield


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither a driver nor CuPy."""
    monkeypatch.setattr(gpu, "driver", lambda: None)
    monkeypatch.setattr(gpu, "cupy", lambda: None)


def test_the_devices_of_the_command_line_are_those_of_the_script() -> None:
    (option,) = [parameter for parameter in cli.commands.commands["run"].params if parameter.name == "device"]
    assert list(option.type.choices) == list(DEVICES)  # type: ignore[attr-defined]


# ------------------------------------------------------------------ without a GPU


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("command", ["run", "verify"])
def test_what_needs_a_gpu_says_so_once_and_clearly(run: Run, command: str) -> None:
    code, out, err = run(command, "tiny.rnn", "--device", "gpu")
    assert (code, out) == (2, "") and not Path("runs").exists()
    assert err.startswith("error: the GPU cannot be used: there is neither an NVIDIA driver nor CuPy\n  help: ")
    assert '`pip install "rnnspec[cuda13]"`' in err and '`pip install "rnnspec[cuda12]"`' in err
    assert len(err.splitlines()) == 3 and "Traceback" not in err


@pytest.mark.usefixtures("nothing")
def test_compile_needs_nothing(run: Run) -> None:
    code, out, err = run("compile", "tiny.rnn", "--device", "gpu", "-o", "train_gpu.py")
    assert (code, err) == (0, "") and "wrote train_gpu.py" in out
    text = Path("train_gpu.py").read_text()
    compile(text, "train_gpu.py", "exec")
    assert "import cupy as cp" in text and text == run("show", "tiny.rnn", "--stage", "script", "--device", "gpu")[1]
    assert "cupy" not in run("compile", "tiny.rnn")[1]


@pytest.mark.parametrize("way", [["train_gpu.py", "train"], ["-c", "import train_gpu"]], ids=["run", "imported"])
def test_a_script_without_cupy_says_so(run: Run, way: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("compile", "tiny.rnn", "--device", "gpu", "-o", "train_gpu.py")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    done = subprocess.run([sys.executable, *way], capture_output=True, text=True, check=False)
    *before, said = done.stderr.splitlines()
    kind, _, text = said.partition(": ")
    assert text.startswith('this script needs CuPy: python -m pip install "cupy-cuda13x[ctk]"')
    assert (kind, done.returncode, bool(before)) == (("error", 2, False) if "train" in way else ("ImportError", 1, True))


@pytest.mark.parametrize(
    ("dtype", "numbers", "products"),
    [("float32", "float32", "float32"), ("float64", "float64", "float32"), ("tf32", "float32", "tf32"),
     ("bfloat16", "float32", "bfloat16")],
)  # fmt: skip
def test_every_precision_is_for_the_gpu(run: Run, dtype: str, numbers: str, products: str) -> None:
    code, out, _ = run("compile", "tiny.rnn", "--device", "gpu", f"train.dtype={dtype}")
    assert code == 0 and f'\nDTYPE = np.dtype(np.{numbers})\nMATH = "{products}"' in out


def test_tensor_cores_are_refused_on_a_cpu(run: Run) -> None:
    for command in (["compile"], ["run"], ["verify"], ["show", "--stage", "script"]):
        code, _, err = run(*command, "tiny.rnn", "train.dtype=tf32")
        assert code == 2 and "error[E0606]: `tf32` is for the tensor cores of a GPU" in err and "--device gpu" in err


@pytest.mark.parametrize("command", [["compile"], ["verify"], ["run"], ["show", "--stage", "script"]])
def test_the_textbook_is_for_the_cpu(run: Run, command: list[str]) -> None:
    code, _, err = run(*command, "tiny.rnn", "-O0", "--device", "gpu")
    assert code == 2 and "Error: the textbook, -O0, is for the CPU: leave out `-O0`, or `--device gpu`" in err
    with pytest.raises(ValueError, match="there is no optimisation level 0 for the gpu; choose 1 or 2"):
        compile_spec(SPEC, device="gpu", level=0)


@pytest.mark.parametrize("command", [["compile"], ["verify"], ["run"], ["show", "--stage", "script"]])
def test_the_second_level_is_for_the_gpu(run: Run, command: list[str]) -> None:
    code, _, err = run(*command, "tiny.rnn", "-O2")
    assert code == 2 and "Error: -O2 is for the GPU: leave it out, or add `--device gpu`" in err
    with pytest.raises(ValueError, match="there is no optimisation level 2 for the cpu; choose 0 or 1"):
        compile_spec(SPEC, level=2)


def test_the_second_level_has_one_launch_for_a_recurrence(run: Run) -> None:
    first, second = (run("compile", "tiny.rnn", "--device", "gpu", level)[1] for level in ("-O1", "-O2"))
    assert "launch_together(" in second and "launch_together(" not in first


def test_a_device_that_nobody_knows(run: Run) -> None:
    assert run("run", "tiny.rnn", "--device", "tpu")[0] == 2
    with pytest.raises(ValueError, match="there is no device `tpu`; choose cpu or gpu"):
        compile_spec(SPEC, device="tpu")  # type: ignore[arg-type]


def test_show_stops_behind_every_pass_of_the_device(run: Run) -> None:
    names = [name for name, _ in passes(1, 1, "gpu")]
    assert names != [name for name, _ in passes(1, 1, "cpu")]
    for name in names:
        assert run("show", "tiny.rnn", "--stage", name, "--device", "gpu")[0] == 0
    code, _, err = run("show", "tiny.rnn", "--stage", "halve", "--device", "gpu")
    assert code == 2 and "there is no stage `halve` for a GPU" in err


# ------------------------------------------------------------------ with the stand-in


@needs_compiler
@pytest.mark.usefixtures("stand_in")
def test_verify_computes_on_the_gpu_in_float64(run: Run) -> None:
    code, out, _ = run("verify", "tiny.rnn", "--device", "gpu", "--against", "complex-step,torch")
    assert code == 0 and "the gradient of tiny on the GPU agrees with complex-step derivatives and PyTorch" in out
    rounded = "computed in float64 (training in bfloat16 rounds the factors of products)"
    assert rounded not in out
    assert rounded in run("verify", "tiny.rnn", "--device", "gpu", "train.dtype=bfloat16")[1]
    certificate = json.loads(run("verify", "tiny.rnn", "--device", "gpu", "train.dtype=tf32", "--format", "json")[1])
    assert (certificate["passed"], certificate["device"], certificate["trains_in"]) == (True, "gpu", "tf32")
    assert [name for name, _ in certificate["versions"]] == ["python", "numpy", "cupy"]


@needs_compiler
@pytest.mark.usefixtures("stand_in")
def test_a_wrong_gradient_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vjps.VJPS, "squash", lambda graph, y, dy: [(y.args[0], dy)])
    code, out, _ = run("verify", "tiny.rnn", "--device", "gpu")
    assert code == 3 and "the gradient of tiny on the GPU is WRONG" in out


# ------------------------------------------------------------------ training, in a process of its own

ON_HOST = f"""\
import sys
sys.path.append({str(ROOT)!r})
from tests.gpu import cupy_stand_in
cupy_stand_in.host = cupy_stand_in.cupy_on_host()  # kept, or it would end here
cupy_stand_in.host.__enter__()  # from here on it is the module of this name
"""


@pytest.fixture
def trains(run: Run, stand_in: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command where the process of a script finds the stand-in under the name of CuPy, too."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "cupy.py").write_text(ON_HOST)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    return run


@needs_compiler
def test_run_trains_on_the_gpu_and_says_so(trains: Run) -> None:
    code, out, err = trains("run", "tiny.rnn", "--device", "gpu", "--seed", "5")
    assert code == 0, err
    assert f"\nGPU              {H100.name}\n" in out and "agrees with complex-step derivatives" in out
    assert "best validation  loss" in out and "epoch 2 of 2" in err
    folder = Path("runs/tiny-1")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["device"] == gpu.facts(DEVICE) and manifest["exit_code"] == 0
    assert json.loads((folder / "certificate.json").read_text())["device"] == "gpu"
    assert "import cupy as cp" in (folder / "train.py").read_text()
    names = {path.name for path in folder.iterdir()}
    assert {"spec.rnn", "spec.resolved.yaml", "metrics.jsonl", "last.npz", "best.npz"} <= names


@needs_compiler
def test_both_devices_learn_the_same(trains: Run) -> None:
    for device in DEVICES:
        code, _, err = trains("run", "tiny.rnn", "--device", device, "--out", device, "--no-verify", "train.dtype=float64")
        assert code == 0, err
    events = (Path(device, "metrics.jsonl").read_text().splitlines() for device in DEVICES)
    here, there = (measured(list(map(json.loads, lines))) for lines in events)
    assert here and here == pytest.approx(there, rel=1e-9)


def measured(events: list[dict[str, Any]]) -> dict[str, float]:
    """All numbers of a run but its times, by the number of the event and their name."""
    flat = [event | event.get("best", {}) for event in events]
    values = {
        f"{number} {name}": value
        for number, row in enumerate(flat)
        for name, value in row.items()
        if name.partition("/")[0] not in ("seconds", "time")
    }
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


@needs_compiler
def test_an_interrupted_run_goes_on(trains: Run) -> None:
    assert trains("run", "tiny.rnn", "--device", "gpu", "--out", "out", "--no-verify", "train.epochs=1")[0] == 0
    words = [sys.executable, "out/train.py", "train", "--resume", "--out", "out", "--epochs", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert trains("run", "tiny.rnn", "--device", "gpu", "--out", "whole", "--no-verify")[0] == 0
    resumed, whole = (np.load(f"{name}/last.npz") for name in ("out", "whole"))
    assert all(np.array_equal(resumed[name], whole[name]) for name in ("W_x", "W_h", "b_h", "W_z", "b_z"))
