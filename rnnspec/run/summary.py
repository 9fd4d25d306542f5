"""The words at the end of a run: what it wrote, how good it became, where it is."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.diagnostics import render
from rnnspec.run.events import Event
from rnnspec.run.execute import INTERRUPTED
from rnnspec.run.failures import traceback_lines
from rnnspec.run.folder import COMPLAINTS, LAST, SCRIPT
from rnnspec.run.progress import limited, measures
from rnnspec.run.train import Outcome

LAST_COMPLAINTS = 12
REASONS = {"patience": "the validation has not become better for a while"}


def summary(outcome: Outcome) -> str:
    """All there is to say about a run that has ended well, or that was stopped."""
    return "\n".join(["", *sample(outcome), *results(outcome), field("run folder", str(outcome.folder))])


def sample(outcome: Outcome) -> Iterator[str]:
    """The text that the model wrote at the end, indented."""
    if "sample" in outcome.events:
        yield "a sample of what it writes now:"
        yield from (f"    {line}" for line in printable(outcome.events["sample"].text("text")).splitlines())
        yield ""


def printable(text: str) -> str:
    """Text that a model made up, without characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def results(outcome: Outcome) -> Iterator[str]:
    """How the run ended, its best validation, its test loss."""
    events = outcome.events
    if outcome.code == INTERRUPTED:
        saved = (outcome.folder / LAST).exists()
        yield field("interrupted", "the last finished step is saved" if saved else "before anything was saved")
        if saved:
            yield field("go on with", outcome.resume)
    elif "stopped" in events:
        reason = events["stopped"].text("reason")
        yield field("stopped early", REASONS.get(reason, reason))
    if "best" in events:
        best = events["best"]
        yield field("best validation", f"loss {measures(best.measures('valid'))} at step {best.whole('step'):,}")
    elif "step" in events:
        step = events["step"]
        yield field("training", f"loss {measures(step.measures('train'))} at step {step.whole('step'):,}")
    if "step" in events and (share := limited(events["step"].measures("grad"))):
        yield field("gradient", f"{share[0]} of the steps")
    if "end" in events and (test := events["end"].measures("test")):
        yield field("test", f"loss {measures(test)}")


def field(name: str, text: str) -> str:
    """One row of a summary."""
    return f"{name:<16} {text}"


def failure(outcome: Outcome) -> str:
    """Why a run failed, as an error in the spec where that is possible."""
    if "diverged" in outcome.events:
        return "\n".join([*diverged(outcome.events["diverged"]), *saved(outcome)])
    if outcome.failure is not None:
        return "\n".join([render(outcome.failure), *saved(outcome)])
    return "\n".join([*complaint(outcome), *saved(outcome)])


def complaint(outcome: Outcome) -> Iterator[str]:
    """What the script itself said: the reason and place of a failure, else its last words."""
    frames = traceback_lines(outcome.complaints, SCRIPT)
    if frames:
        yield f"error: the script failed: {frames[0].reason}"
        yield f"  at line {frames[0].line} of {SCRIPT}; the whole traceback is in {outcome.folder / COMPLAINTS}"
        return
    said = outcome.complaints.strip().splitlines()[-LAST_COMPLAINTS:] or ["it did not say why"]
    yield f"error: the script stopped: {said[0].removeprefix('error: ')}"
    yield from (f"  {line}" for line in said[1:])


def diverged(event: Event) -> list[str]:
    """What a run says whose numbers have left the finite ones."""
    what = event.text("what")
    name = "the loss" if what == "loss" else f"`{what}`"
    return [
        f"error: training diverged: {name} is no longer a finite number at step {event.whole('step') or 0:,}",
        "  help: try a smaller learning rate (`train.optimizer.lr=...`) or a clip (`train: {clip: global_norm(1.0)}`)",
    ]


def saved(outcome: Outcome) -> list[str]:
    """Where everything about a failed run can be read."""
    if outcome.refused:
        return ["", field("run folder", "none is kept: nothing was trained")]
    return ["", field("run folder", str(outcome.folder))]
