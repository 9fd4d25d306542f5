"""Running a script: its events, its folder, its progress, and what is said when it fails.

The scripts here are small stand-ins that print the events of a real one.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rnnspec.diagnostics import Source, render
from rnnspec.run import failures, folder, manifest
from rnnspec.run.events import Event, parse
from rnnspec.run.execute import execute, isolation
from rnnspec.run.progress import Board, Plain, choose, line, measures, short
from rnnspec.run.summary import failure, summary
from rnnspec.run.train import Job, Outcome, train

SPEC = Source("model.rnn", "model: |\n  h[t] = tanh(W @ x[t])   # the state\n  y[t] = V @ h[t]\n")

GOOD = """
import json
def say(**values): print(json.dumps(values), flush=True)
say(event="start", parameters=7, steps=4, epochs=2, train=10, valid=2)
for step in range(1, 5):
    say(**{"event": "step", "step": step, "epoch": (step + 1) // 2, "train/loss": 1 / step, "lr": 0.1})
    if step % 2 == 0:
        say(**{"event": "valid", "step": step, "epoch": step // 2, "valid/loss": 2 / step, "valid/accuracy": step / 8})
say(event="sample", text="hello\\x1b[31m\\nworld")
say(**{"event": "end", "step": 4, "seconds": 0.1, "best": {"step": 4, "valid/loss": 0.5}, "test/loss": 0.75})
"""

FAILING = """
def forward(p, w):
    # h[t] = tanh(W @ x[t])   [model.rnn:2]
    a = [0.0]
    b = a[3]

forward(None, None)
"""

UNTIL_INTERRUPTED = """
import json, time
try:
    print(json.dumps({"event": "step", "step": 1, "train/loss": 1.0}), flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    print(json.dumps({"event": "stopped", "reason": "interrupted"}), flush=True)
    raise SystemExit(130)
"""


DEAF = """
import json, time
for step in range(60):
    try:
        print(json.dumps({"event": "step", "step": step, "train/loss": 1.0}), flush=True)
        time.sleep(1)
    except KeyboardInterrupt:
        pass
"""


def interrupt_behind(events: int, tmp_path: Path) -> None:
    """Send Ctrl-C to this process as soon as a run has reported so many events; a job in the background ignores it at first."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    metrics = tmp_path / "run" / "metrics.jsonl"

    def wait() -> None:
        while not metrics.exists() or metrics.read_text().count("\n") < events:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def job(script: str) -> Job:
    return Job("model.rnn", "d1935t", script, 3, ["rnnspec", "run"], [SPEC], {"spec.rnn": SPEC.text.encode()})


def run(script: str, tmp_path: Path) -> Outcome:
    return train(job(script), folder.create("model", tmp_path / "run"))


# ------------------------------------------------------------------ events


def test_an_event_is_a_json_object_with_a_kind() -> None:
    event = parse('{"event": "valid", "step": 3, "valid/loss": 1.5, "valid/accuracy": 0.5, "note": "x"}\n')
    assert event is not None
    assert (event.kind, event.whole("step"), event.text("note")) == ("valid", 3, "x")
    assert event.measures("valid") == {"loss": 1.5, "accuracy": 0.5}
    assert event.number("note") is None


@pytest.mark.parametrize("text", ["", "hello", "[1]", "{}", '{"event": 3}', '{"step": 3}', "1", "{"])
def test_other_lines_are_no_events(text: str) -> None:
    assert parse(text) is None


def test_numbers_that_are_not_finite_are_no_steps() -> None:
    event = parse('{"event": "step", "step": NaN}')
    assert event is not None
    assert event.whole("step") is None


# ------------------------------------------------------------------ folder


def test_runs_are_numbered(tmp_path: Path) -> None:
    made = [folder.create("elman", root=tmp_path) for _ in range(3)]
    assert [path.name for path in made] == ["elman-1", "elman-2", "elman-3"]


@pytest.mark.parametrize("name", ["../../outside", "/outside", ".hidden", "a b"])
def test_the_name_of_a_spec_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    path = folder.create(name, root=tmp_path)
    assert path.parent == tmp_path
    assert not path.name.startswith(".")


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(folder.FolderError, match="is not empty, and a run never writes over another one"):
        folder.create("elman", tmp_path)
    with pytest.raises(folder.FolderError, match="is a file"):
        folder.create("elman", tmp_path / "notes.txt")


def test_a_new_or_empty_folder_is_taken(tmp_path: Path) -> None:
    assert folder.create("elman", tmp_path) == tmp_path
    assert folder.create("elman", tmp_path / "a" / "b").is_dir()


def test_the_lock_names_the_process_and_is_removed(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        assert folder.running(tmp_path) == os.getpid()
        with pytest.raises(folder.FolderError, match=f"process {os.getpid()} is training there"):
            folder.create("elman", tmp_path)
        with pytest.raises(folder.FolderError, match="in use"), folder.locked(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_process_that_is_gone_does_not_count(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / folder.LOCK).write_text(f"{gone.pid}\n")
    assert folder.running(tmp_path) is None


# ------------------------------------------------------------------ a run


def test_a_run_fills_its_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = run(GOOD, tmp_path)
    assert outcome.code == 0
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(text)["event"] for text in lines][:3] == ["start", "step", "step"]
    assert len(lines) == 9
    facts = json.loads((outcome.folder / "manifest.json").read_text())
    assert facts["seed"] == 3
    assert facts["spec_sha256"] == "d1935t"
    assert facts["exit_code"] == 0
    assert facts["last_reported_step"] == 4
    assert facts["device"] == {"name": "cpu"}
    assert facts["started"] <= facts["ended"]
    names = {path.name for path in outcome.folder.iterdir()}
    assert names == {"spec.rnn", "train.py", "metrics.jsonl", "manifest.json"}
    assert "step 2 of 4  epoch 1 of 2  loss 0.5000  validation loss 1.000 (accuracy 0.2500)" in capfd.readouterr().err


def test_the_summary_tells_the_results(tmp_path: Path) -> None:
    text = summary(run(GOOD, tmp_path))
    assert "best validation  loss 0.5000 (accuracy 0.5000) at step 4" in text
    assert "test             loss 0.7500" in text
    assert "    world" in text
    assert "\x1b" not in text


def test_a_run_without_validation_tells_its_training_loss(tmp_path: Path) -> None:
    event = '{"event": "step", "step": 2000, "train/loss": 0.125}'
    assert "training         loss 0.1250 at step 2,000" in summary(run(f"print('{event}')", tmp_path))


def test_an_early_stop_is_explained(tmp_path: Path) -> None:
    event = '{"event": "stopped", "reason": "patience"}'
    assert "stopped early    the validation has not become better" in summary(run(f"print('{event}')", tmp_path))


def test_other_output_of_the_script_is_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("print('by the way')\n" + GOOD, tmp_path)
    assert "by the way" in capfd.readouterr().out


def test_the_script_knows_where_the_data_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("import os; print(os.environ['RNNSPEC_DATA'])", tmp_path)
    assert capfd.readouterr().out == f"{Path.cwd()}\n"


def test_complaints_are_kept(tmp_path: Path) -> None:
    outcome = run("import sys; print('careful', file=sys.stderr)", tmp_path)
    assert (outcome.folder / "stderr.txt").read_text() == "careful\n"


def test_a_failure_is_shown_at_the_equation(tmp_path: Path) -> None:
    outcome = run(FAILING, tmp_path)
    assert outcome.code == 1
    assert outcome.failure is not None
    text = render(outcome.failure)
    assert "error[E0901]" in text
    assert "model.rnn:2:3" in text
    assert "h[t] = tanh(W @ x[t])" in text
    assert "IndexError: list index out of range" in text
    assert failure(outcome).startswith(text)


def test_a_failure_outside_the_equations_shows_what_the_script_said(tmp_path: Path) -> None:
    text = failure(run("raise ValueError('no such column')", tmp_path))
    assert text.startswith("error: the script failed: ValueError: no such column\n  at line 1 of train.py")
    assert "Traceback" not in text
    assert "run folder" in text


def test_a_script_that_explains_itself_is_quoted(tmp_path: Path) -> None:
    text = failure(run("raise SystemExit('error: data.csv is missing')", tmp_path))
    assert text.startswith("error: the script stopped: data.csv is missing\n")


def test_the_nearest_tag_is_looked_for_inside_the_function_only() -> None:
    script = ["def forward():", "    # a = b   [model.rnn:2]", "    a = b", "def data():", "    c = d"]
    assert failures.tag_above(script, 3) == ("model.rnn", 2)
    assert failures.tag_above(script, 5) is None


@pytest.mark.parametrize("behind", ["", "   for all t at once", ", and so f[t], o[t]"])
def test_a_tag_is_found_whatever_stands_behind_it(behind: str) -> None:
    lines = ["# h[t] = x[t]   [model.rnn:2]", "a()", f"# y[t] = h[t]   [model.rnn:3]{behind}", "b()"]
    assert failures.tag_above(["def forward(p, w):", *(f"    {line}" for line in lines)], 5) == ("model.rnn", 3)


def test_divergence_is_explained(tmp_path: Path) -> None:
    event = '{"event": "diverged", "step": 12, "what": "W_hh"}'
    text = failure(run(f"print('{event}')\nraise SystemExit(1)", tmp_path))
    assert "training diverged: `W_hh` is no longer a finite number at step 12" in text
    assert "smaller learning rate" in text


def test_ctrl_c_is_passed_on(tmp_path: Path) -> None:
    interrupt_behind(1, tmp_path)
    outcome = run(UNTIL_INTERRUPTED, tmp_path)
    assert outcome.code == 130
    assert outcome.events["stopped"].text("reason") == "interrupted"
    assert "interrupted" in summary(outcome)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_a_script_that_does_not_listen(tmp_path: Path) -> None:
    interrupt_behind(1, tmp_path)
    interrupt_behind(2, tmp_path)
    began = time.monotonic()
    assert run(DEAF, tmp_path).code == 130
    assert time.monotonic() - began < 30


def test_the_process_is_isolated(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    script = tmp_path / "train.py"
    script.write_text(GOOD)
    assert execute(tmp_path, script, [], tmp_path, lambda event: None) == 0


def test_a_package_in_a_folder_of_the_user_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy may be installed for one user only: then the process of a script for a GPU must see that user's folders."""
    (tmp_path / "cupy.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert isolation(["numpy"]) == ["-I"] and isolation(["numpy", "cupy"]) == []
    facts = {"name": "gpu", "gpu": "a GPU"}
    outcome = train(replace(job("import cupy\n" + GOOD), device=facts), folder.create("model", tmp_path / "run"))
    assert outcome.code == 0
    assert json.loads((outcome.folder / "manifest.json").read_text())["device"] == facts
    assert train(job("import cupy\n" + GOOD), folder.create("model", tmp_path / "other")).code == 1


# ------------------------------------------------------------------ progress


def test_plain_lines_without_validation() -> None:
    stream = io.StringIO()
    plain = Plain(stream)
    plain.show(Event("start", {"steps": 200, "valid": 0}))
    for step in range(1, 201):
        plain.show(Event("step", {"step": step, "train/loss": 1.0}))
    assert 10 <= len(stream.getvalue().splitlines()) <= 11


def test_a_step_that_is_validated_at_once_has_one_line() -> None:
    stream = io.StringIO()
    plain = Plain(stream)
    plain.show(Event("start", {"steps": 15, "valid": 4}))
    for step in (1, 2):
        plain.show(Event("step", {"step": step, "train/loss": 1.0}))
        plain.show(Event("valid", {"step": step, "valid/loss": 2.0}))
    assert stream.getvalue() == "".join(f"step {n} of 15  loss 1.000  validation loss 2.000\n" for n in (1, 2))


def test_the_first_step_is_shown_long_before_the_first_validation() -> None:
    stream = io.StringIO()
    plain = Plain(stream)
    plain.show(Event("start", {"steps": 100, "valid": 4}))
    plain.show(Event("step", {"step": 1, "train/loss": 1.0}))
    plain.show(Event("step", {"step": 2, "train/loss": 0.5}))
    assert stream.getvalue() == "step 1 of 100  loss 1.000\n"
    plain.close()
    assert stream.getvalue().count("\n") == 1


def test_a_loss_of_an_earlier_step_says_so() -> None:
    board = Board()
    for event in (Event("start", {"steps": 15}), Event("step", {"step": 5, "train/loss": 3.177})):
        board.take(event)
    assert line(board) == "step 5 of 15  loss 3.177"
    board.take(Event("valid", {"step": 8, "valid/loss": 2.0}))
    assert line(board) == "step 8 of 15  loss 3.177 at step 5  validation loss 2.000"


def test_the_speed_is_that_of_the_script() -> None:
    board = Board()
    board.take(Event("start", {"steps": 10}))
    board.take(Event("step", {"step": 5, "train/loss": 0.25, "time/step_ms": 400.0}))
    assert line(board) == "step 5 of 10  loss 0.2500  2.5 steps/s"


@pytest.mark.parametrize("what", ["clipped", "skipped"])
def test_clipped_steps_are_shown(what: str, tmp_path: Path) -> None:
    event = {"step": 5, "train/loss": 0.25, "grad/norm": 2.0, "grad/clipped_norm": 1.0, f"grad/{what}": 0.4}
    board = Board()
    board.take(Event("start", {"steps": 10}))
    board.take(Event("step", event))
    assert line(board) == f"step 5 of 10  loss 0.2500  {what} 40%"
    said = summary(run(f"print('{json.dumps({'event': 'step', **event})}')", tmp_path))
    assert f"gradient         {what} 40% of the steps" in said


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (1.43217, "1.432"), (0.5, "0.5000"), (12345.678, "1.235e+04"), (2e-7, "2e-07")]
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text


def test_metrics_stand_in_brackets() -> None:
    assert measures({"loss": 1.5, "accuracy": 0.25}) == "1.500 (accuracy 0.2500)"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_bar_needs_a_terminal_that_can_draw() -> None:
    assert isinstance(choose(io.StringIO(), {}), Plain)
    assert isinstance(choose(Terminal(), {"TERM": "dumb"}), Plain)
    bar = choose(Terminal(), {"TERM": "xterm"})
    assert not isinstance(bar, Plain)
    bar.close()


def test_the_bar_shows_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    bar = choose(stream, {"TERM": "xterm"})
    bar.show(Event("start", {"steps": 10}))
    bar.show(Event("step", {"step": 5, "train/loss": 0.25}))
    bar.show(Event("valid", {"step": 5, "valid/loss": 0.125, "valid/accuracy": 0.75}))
    bar.close()
    for words in ("loss 0.2500", "valid 0.1250", "accuracy 0.7500"):
        assert words in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()


def test_the_manifest_knows_the_versions() -> None:
    facts = manifest.opening("model.rnn", "0" * 64, 0, ["rnnspec"], {"name": "cpu"})
    assert textwrap.dedent(str(facts["versions"]))
    assert isinstance(facts["versions"], dict)
    assert facts["versions"]["numpy"][0].isdigit()
