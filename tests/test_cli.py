"""Every command, as a stranger types it: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import cli, compiler
from rnnspec.commands import launch
from rnnspec.commands.reference import PAGES
from rnnspec.compiler import passes

ROOT = Path(__file__).parent.parent

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

Run = Callable[..., "Result"]


class Result:
    """How a command ended and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder that has `tiny.rnn` in it."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.rnn").write_text(SPEC)

    def command(*words: str) -> Result:
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        printed = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Result(end.value.code, printed.out, printed.err)

    return command


def broken(before: str, after: str) -> None:
    """Write `broken.rnn`: the spec with one thing in it replaced."""
    assert before in SPEC
    Path("broken.rnn").write_text(SPEC.replace(before, after))


# ------------------------------------------------------------------ help


COMMANDS = sorted(cli.commands.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert "Example" in result.out
    assert f"rnnspec {name}" in result.out.partition("Example")[2]


def test_the_list_of_commands_is_complete_and_not_cut(run: Run) -> None:
    result = run("--help")
    for name in COMMANDS:
        assert f"\n  {name}" in result.out
    assert "..." not in result.out.partition("Commands:")[2]


def test_version(run: Run) -> None:
    assert run("--version").out == "rnnspec 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "tiny.rn"], "there is no file `tiny.rn`; did you mean `tiny.rnn`?"),
        (["check", "."], "`.` is a folder; name a .rnn file in it"),
        (["verify", "tiny.rnn", "--against", "jax"], "there is no reference `jax`"),
        (["explain", "E9999"], "there is no error code `E9999`"),
        (["cells", "lstn"], "there is no cell `lstn`; did you mean `lstm`?"),
        (["chekc"], "No such command 'chekc'"),
        (["show", "tiny.rnn"], "Missing option '--stage'"),
        (["show", "tiny.rnn", "--stage", "stak"], "there is no stage `stak` at -O1; did you mean `stack`?"),
        (["show", "tiny.rnn", "--stage", "stack", "-O0"], "there is no stage `stack` at -O0; there are ast, types,"),
    ],
)
def test_a_wrong_command_line(run: Run, words: Sequence[str], message: str) -> None:
    result = run(*words)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


# ------------------------------------------------------------------ check


def test_check_says_that_a_spec_is_right(run: Run) -> None:
    result = run("check", "tiny.rnn")
    assert (result.code, result.out, result.err) == (0, "tiny.rnn: no errors\n", "")


def test_check_verbose_shows_what_was_understood(run: Run) -> None:
    result = run("check", "tiny.rnn", "-v")
    assert result.code == 0
    assert "W_h  [H=4, H=4]" in result.out
    assert "declared by use" in result.out
    assert "33 numbers in 5 arrays" in result.out


def test_check_shows_an_error_in_the_spec(run: Run) -> None:
    broken("h[t-1]", "hh[t-1]")
    result = run("check", "broken.rnn")
    assert result.code == 1
    assert "error[E0201]: `hh` is not defined" in result.err
    assert "broken.rnn:13:" in result.err
    assert result.err.endswith("\n\nbroken.rnn: 1 error\n")


def test_check_as_json(run: Run) -> None:
    broken("h[t-1]", "hh[t-1]")
    result = run("check", "broken.rnn", "--format", "json")
    found = json.loads(result.out)
    assert result.code == 1
    assert (found["valid"], found["error_count"]) == (False, 1)
    assert found["diagnostics"][0]["code"] == "E0201"
    assert json.loads(run("check", "tiny.rnn", "--format", "json").out)["valid"] is True


def test_settings_from_the_command_line(run: Run) -> None:
    assert "H  6" in run("check", "tiny.rnn", "-v", "dims.H=6").out
    wrong = run("check", "tiny.rnn", "train.bacth=3")
    assert wrong.code == 1
    assert "command line" in wrong.err


def test_the_table_of_values_has_words_for_numbers_and_for_what_never_changes(run: Run) -> None:
    broken("  z = W_z @ h[T] + b_z", "  c = sum(b_c)\n  z = c * W_z @ h[T] + b_z")
    Path("broken.rnn").write_text(Path("broken.rnn").read_text() + "params: {b_c: {shape: [3]}}\n")
    assert "c  number  once" in run("check", "broken.rnn", "-v").out


def test_new_writes_a_spec_that_is_right(run: Run) -> None:
    assert run("new", "example.rnn").code == 0
    assert run("check", "example.rnn").out == "example.rnn: no errors\n"
    again = run("new", "example.rnn")
    assert again.code == 2
    assert "`example.rnn` exists already" in again.err


@pytest.mark.parametrize(
    ("name", "experiment"), [("a b.rnn", "a-b"), ("9-ä.rnn", "9"), ("ä.rnn", "example"), ("x_y.rnn", "x-y")]
)
def test_new_writes_a_spec_that_is_right_whatever_it_is_called(run: Run, name: str, experiment: str) -> None:
    shown = f"'{name}'" if " " in name or "ä" in name else name
    assert f"`rnnspec run {shown}`" in run("new", name).out
    assert run("check", name).out == f"{name}: no errors\n"
    text = Path(name).read_text(encoding="utf-8")
    assert f"\nname: {experiment}\n" in text and f"rnnspec run {shown} " in text


# ------------------------------------------------------------------ compile, show, verify


def test_compile_writes_a_script_that_runs(run: Run) -> None:
    result = run("compile", "tiny.rnn", "-o", "train.py")
    assert result.code == 0
    assert "python train.py train" in result.out
    words = [sys.executable, "-I", "train.py", "train", "--out", "results", "--steps", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("results/last.npz").exists()


def test_compile_without_output_prints_the_script(run: Run) -> None:
    first, second = run("compile", "tiny.rnn"), run("compile", "tiny.rnn", "-o", "-")
    assert first.out == second.out
    compile(first.out, "train.py", "exec")


def test_compile_refuses_a_wrong_spec(run: Run) -> None:
    broken("h[t-1]", "hh[t-1]")
    result = run("compile", "broken.rnn", "-o", "train.py")
    assert result.code == 2
    assert "error[E0201]" in result.err
    assert not Path("train.py").exists()


def test_compile_into_a_folder_that_is_not_there(run: Run) -> None:
    result = run("compile", "tiny.rnn", "-o", "nowhere/train.py")
    assert (result.code, result.err) == (1, "error: `nowhere/train.py`: No such file or directory\n")


@pytest.mark.parametrize("output", ["tiny.rnn", "here/../tiny.rnn", "link.rnn", "hard.rnn"])
def test_compile_never_writes_over_the_spec(run: Run, output: str) -> None:
    Path("here").mkdir()
    Path("link.rnn").symlink_to("tiny.rnn")
    Path("hard.rnn").hardlink_to("tiny.rnn")
    result = run("compile", "tiny.rnn", "-o", output)
    assert (result.code, Path("tiny.rnn").read_text()) == (2, SPEC)
    assert f"`{output}` is the spec itself, which the script would overwrite; choose another name" in result.err


def test_compile_writes_over_an_older_script_and_over_nothing_else(run: Run) -> None:
    Path("notes.py").write_text("mine = 1\n")
    result = run("compile", "tiny.rnn", "-o", "notes.py")
    assert (result.code, Path("notes.py").read_text()) == (2, "mine = 1\n")
    assert "`notes.py` is no script of rnnspec, and would be lost; choose another name, or remove it" in result.err
    Path("my script.py").touch()
    first = run("compile", "tiny.rnn", "-o", "my script.py")
    assert (first.code, "`python 'my script.py' train --out results`" in first.out) == (0, True)
    assert run("compile", "tiny.rnn", "-o", "my script.py", "-O0").code == 0
    assert run("compile", "tiny.rnn", "-o", "/dev/null").code == 0


@pytest.mark.parametrize("level", [0, 1])
def test_show_stops_behind_every_pass(run: Run, level: int) -> None:
    """Each pass by its name, the last one as `optimised`."""
    names = ["lower", *(name for name, _ in passes(level, batch=1))]
    shown = {name: run("show", "tiny.rnn", "--stage", name, f"-O{level}").out for name in (*names, "optimised", "ir")}
    assert shown[names[-1]] == shown["optimised"] and shown["simplify"] == shown["ir"]
    assert "dh" not in shown["simplify"] and "dh" in shown["differentiate"]


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("ast", "call tanh"),
        ("types", "h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)"),
        ("ir", "shift("),
        ("gradient", "dh"),
        ("optimised", "for t = T .. 1:"),
        ("script", "def forward("),
    ],
)
@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_show(run: Run, stage: str, words: str, level: str) -> None:
    result = run("show", "tiny.rnn", "--stage", stage, level)
    assert result.code == 0
    assert words in result.out


def test_show_refuses_a_wrong_spec(run: Run) -> None:
    broken("tanh(", "tanh((")
    for stage in ("ast", "types", "script", "hoist"):
        result = run("show", "broken.rnn", "--stage", stage)
        assert result.code == 2
        assert "error[E01" in result.err


def test_verify(run: Run) -> None:
    result = run("verify", "tiny.rnn", "--against", "complex-step,torch")
    assert result.code == 0
    assert "torch" in result.out
    assert "DIFFERS" not in result.out
    certificate = json.loads(run("verify", "tiny.rnn", "--format", "json").out)
    assert certificate["passed"] is True


def test_padding_of_equal_lengths_is_refused_in_a_sentence(run: Run) -> None:
    result = run("verify", "tiny.rnn", "--padding")
    assert result.code == 2 and result.err.startswith("error: all sequences") and "Usage" not in result.err


def test_a_wrong_gradient_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_the_gradient(monkeypatch)
    result = run("verify", "tiny.rnn")
    assert result.code == 3
    assert "DIFFERS" in result.out


@pytest.mark.parametrize("formula", ["exp(1000 * h[T] + 2000)", "log(-1 + 0 * h[T])", "1 / (0 * h[T])"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_equation_that_is_not_finite_is_no_wrong_gradient(run: Run, formula: str) -> None:
    Path("tiny.rnn").write_text(SPEC.replace("W_z @ h[T] + b_z", f"W_z @ v + b_z\n  v = {formula}"))
    for command in ("verify", "run"):
        result = run(command, "tiny.rnn")
        assert result.code == 1 and "WRONG" not in result.out
        assert result.err.startswith("error: the equation of `v` (tiny.rnn:15) is not finite") and "help:" in result.err


def test_a_division_by_a_written_zero_is_refused(run: Run) -> None:
    Path("tiny.rnn").write_text(SPEC.replace("W_z @ h[T]", "W_z @ h[T] / 0"))
    result = run("check", "tiny.rnn")
    assert result.code == 1 and "this divides by zero" in result.err
    Path("tiny.rnn").write_text(SPEC.replace("W_z @ h[T]", "W_z @ h[T] / 2"))
    assert run("check", "tiny.rnn").code == 0


def spoil_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the compiler forget the derivative of tanh."""
    from rnnspec.passes import vjps

    monkeypatch.setitem(vjps.VJPS, "squash", lambda graph, y, dy: [(y.args[0], dy)])


# ------------------------------------------------------------------ run


def test_run_trains_and_keeps_everything(run: Run) -> None:
    result = run("run", "tiny.rnn", "train.batch=4", "--seed", "5")
    assert result.code == 0, result.err
    for words in ("33 numbers", "agrees with complex-step", "script           runs/tiny-1/train.py"):
        assert words in result.out
    for words in ("best validation  loss", "test             loss", "run folder       runs/tiny-1"):
        assert words in result.out
    assert "epoch 2 of 2" in result.err
    folder = Path("runs/tiny-1")
    assert (folder / "spec.rnn").read_text() == SPEC
    assert (folder / "overrides.txt").read_text() == "train.batch=4\n"
    assert json.loads((folder / "certificate.json").read_text())["passed"] is True
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["seed"], manifest["exit_code"]) == (5, 0)
    names = {path.name for path in folder.iterdir()}
    assert {"train.py", "metrics.jsonl", "last.npz", "best.npz", "spec.resolved.yaml"} <= names
    assert not names & {"lock", "stderr.txt"}


def test_the_resolved_spec_is_a_spec_that_means_the_same(run: Run) -> None:
    assert run("run", "tiny.rnn", "dims.H=3", "train.optimizer.lr=5e-3").code == 0
    resolved = Path("runs/tiny-1/spec.resolved.yaml")
    text = resolved.read_text()
    assert "adam(lr=0.005, beta1=0.9" in text
    given = run("show", "tiny.rnn", "--stage", "types", "dims.H=3").out.split()
    again = run("show", str(resolved), "--stage", "types").out.split()
    assert [word for word in given if word not in ("declared", "by", "use")] == again


def test_the_resolved_spec_keeps_ties(run: Run) -> None:
    text = SPEC.replace("z = W_z @ h[T] + b_z", "v[t] = V @ h[t]\n  z = W_z @ v[T] + b_z").replace("V @", "W_x.T @ U @")
    Path("tied.rnn").write_text(text.replace("W_x.T @ U", "B @ U") + "params: {B: {tie: W_x.T}}\n")
    assert run("run", "tied.rnn", "--out", "out").code == 0
    given, again = (run("show", name, "--stage", "types").out for name in ("tied.rnn", "out/spec.resolved.yaml"))
    assert "v[t] = W_x.T @ U @ h[t]" in given
    assert given.partition("equations")[2] == again.partition("equations")[2]


def test_the_resolved_spec_names_files_and_parameters(run: Run) -> None:
    np.savez("start.npz", b_h=np.ones(4), b_z=np.ones(1))
    Path("from.rnn").write_text(SPEC + 'params: {b_h: {init: from_file("start.npz")}, W_x: {init: negative(V_x)}}\n')
    text = Path("from.rnn").read_text().replace("W_h @ h", "V_x @ x[t] + W_h @ h")
    Path("from.rnn").write_text(text)
    assert run("run", "from.rnn", "--out", "out").code == 0
    given, again = (run("show", name, "--stage", "types").out for name in ("from.rnn", "out/spec.resolved.yaml"))
    assert "negative(of=V_x)" in again
    assert [word for word in given.split() if word not in ("declared", "by", "use")] == again.split()


def test_a_run_is_never_written_over(run: Run) -> None:
    assert run("run", "tiny.rnn", "--out", "mine").code == 0
    before = Path("mine/metrics.jsonl").read_bytes()
    result = run("run", "tiny.rnn", "--out", "mine")
    assert result.code == 1
    assert "`mine` is not empty, and a run never writes over another one" in result.err
    assert result.out == "", "it is refused before the gradient is checked"
    assert Path("mine/metrics.jsonl").read_bytes() == before


def test_run_refuses_a_wrong_spec_and_a_wrong_gradient(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    broken("h[t-1]", "hh[t-1]")
    assert run("run", "broken.rnn").code == 2
    spoil_the_gradient(monkeypatch)
    result = run("run", "tiny.rnn")
    assert result.code == 3
    assert "nothing was trained" in result.err
    assert not Path("runs").exists()
    assert run("run", "tiny.rnn", "--no-verify").code == 0


def test_divergence_is_said_plainly(run: Run) -> None:
    result = run("run", "tiny.rnn", "train.optimizer.lr=1e30")
    assert result.code == 1
    assert "training diverged" in result.err
    assert "Traceback" not in result.err


def test_a_failure_of_the_script_is_shown_in_the_spec(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    render, tag = compiler.render, "    # z = W_z @ h[T] + b_z   [tiny.rnn:14]\n"

    def failing(*arguments: Any) -> str:
        before, found, behind = render(*arguments).partition(tag)
        return f"{before}{found}    raise MemoryError('no room')\n{behind}"

    monkeypatch.setattr(compiler, "render", failing)
    result = run("run", "tiny.rnn", "--no-verify")
    assert result.code == 1
    assert "error[E0901]: the script failed while it computed this equation\n  --> tiny.rnn:14:3" in result.err
    assert "MemoryError: no room" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("words", [[], ["--out", "here"]])
def test_a_run_that_cannot_begin_leaves_no_folder(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    render = compiler.render

    def refusing(*arguments: Any) -> str:
        return render(*arguments).replace("    columns, parts = source(), {}\n", "    raise SystemExit('no data')\n")

    monkeypatch.setattr(compiler, "render", refusing)
    result = run("run", "tiny.rnn", "--no-verify", *words)
    assert result.code == 1
    assert "error: the script stopped: no data\n\nrun folder       none is kept: nothing was trained\n" in result.err
    assert not Path("here").exists() and not list(Path().glob("runs/*"))


def test_ctrl_c_keeps_what_was_learned(run: Run) -> None:
    threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    result = run("run", "tiny.rnn", "train.steps=10000000", "--out", "my run")
    assert result.code == 130
    assert "interrupted      the last finished step is saved" in result.out
    words = shlex.split(result.out.partition("go on with       python ")[2].split("\n")[0])
    done = subprocess.run([sys.executable, *words, "--steps", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (f"{10**42}", "this has more than 40 characters"),
        (f"{2**63}", "`seed` must be at least 0 and below 9223372036854775808"),
        ("-1", "`seed` must be at least 0 and below 9223372036854775808"),
        ("one", "`seed` must be a whole number"),
    ],
)
def test_the_option_seed_has_the_limits_of_the_setting(run: Run, seed: str, message: str) -> None:
    option, setting = run("run", "tiny.rnn", "--seed", seed), run("run", "tiny.rnn", f"train.seed={seed}")
    assert (option.code, setting.code, Path("runs").exists()) == (2, 2, False)
    assert message in option.err and message in setting.err
    assert f"1 | --seed={seed}" in option.err


# ------------------------------------------------------------------ pages, troubles


def test_functions_and_cells(run: Run) -> None:
    assert "layer_norm(v, [g], [b], eps=1e-05)" in run("functions").out
    assert "lstm" in run("cells").out
    assert "c[t] = f[t] * c[t-1] + i[t] * z[t]" in run("cells", "lstm").out


def test_every_code_is_explained(run: Run) -> None:
    for code in sorted(PAGES):
        result = run("explain", code.lower())
        assert result.code == 0
        assert result.out.startswith(code)


def test_an_internal_error_is_reported_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise KeyError("surprise")

    monkeypatch.setattr(launch, "launch", fail)
    result = run("run", "tiny.rnn")
    assert result.code == 70
    assert "internal error: KeyError: 'surprise'" in result.err
    assert "please report it" in result.err
    assert "Traceback" not in result.err
    saved = Path(result.err.split()[-1])
    assert "Traceback" in saved.read_text()
    saved.unlink()


def test_an_interrupt_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "launch", interrupt)
    assert run("run", "tiny.rnn").code == 130


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "tiny.rnn").write_text(SPEC)
    line = f"{sys.executable} -m rnnspec compile {tmp_path / 'tiny.rnn'} | head -n 1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith('"""')
