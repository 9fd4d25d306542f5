"""`--device gpu` on the command line, as a person meets it on a machine without a GPU, and with the stand-in for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

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


@pytest.mark.parametrize(
    ("dtype", "numbers", "products"),
    [("float32", "float32", "float32"), ("float64", "float64", "float32"), ("tf32", "float32", "tf32"),
     ("bfloat16", "float32", "bfloat16")],
)  # fmt: skip
def test_every_precision_is_for_the_gpu(run: Run, dtype: str, numbers: str, products: str) -> None:
    code, out, _ = run("compile", "tiny.rnn", "--device", "gpu", f"train.dtype={dtype}")
    assert code == 0 and f"\nDTYPE = np.{numbers}\nMATH = '{products}'" in out.replace('"', "'")


def test_tensor_cores_are_refused_on_a_cpu(run: Run) -> None:
    for command in (["compile"], ["run"], ["verify"], ["show", "--stage", "script"]):
        code, _, err = run(*command, "tiny.rnn", "train.dtype=tf32")
        assert code == 2 and "error[E0606]: `tf32` is for the tensor cores of a GPU" in err and "--device gpu" in err


@pytest.mark.parametrize("command", [["compile"], ["verify"], ["show", "--stage", "script"]])
def test_the_textbook_is_for_the_cpu(run: Run, command: list[str]) -> None:
    code, _, err = run(*command, "tiny.rnn", "-O0", "--device", "gpu")
    assert code == 2 and "Error: the textbook, -O0, is for the CPU: leave out `-O0`, or `--device gpu`" in err
    with pytest.raises(ValueError, match="the textbook, level 0, is for the CPU"):
        compile_spec(SPEC, device="gpu", level=0)


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
