"""Wrong lines in a script: indices, ends of sequences and windows, the training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnspec.script import expressions, optimizers, render, view_border, view_update
from rnnspec.script.calls import CALLS
from rnnspec.script.fast import FastPrinter
from rnnspec.script.optimizers import CLIPS, OPTIMIZERS, SCHEDULES
from rnnspec.script.steps import Steps
from rnnspec.script.textbook import TextbookPrinter
from tests import test_optimizers, test_script_frame, test_training_step
from tests.faults.planting import Check, Fault, Plant, attribute, instead, lines, models, row, text, windows


def in_script(old: str, new: str) -> Plant:
    """Another text in the finished script."""
    return attribute(render, "layout", lambda right: lambda made: text(old, new)(right(made)))


def other_attr(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The lines of an operation that holds something else."""
    return lambda right: lambda o, value, out, args: right(o, replace(value, attr=change(value.attr)), out, args)


def replaced(old: str, new: str) -> Callable[[Any], Any]:
    """Lines with another text, where it occurs."""
    return lines(lambda found: [line.replace(old, new) for line in found])


def next_step(attr: int) -> int:
    """One step further from the start."""
    return attr + (1 if attr > 0 else -1)


def not_cleared(found: list[str]) -> list[str]:
    """A loop that goes on with what was left behind."""
    loop = any(line.startswith("for ") for line in found)
    return [line for line in found if not (loop and line.endswith("[...] = 0"))]


def nothing_carried(self: Any) -> str:
    """A carry that forgets."""
    return "def carry(old, new):\n    pass"


def ids_once(right: Any) -> Any:
    """Columns are set, not added up: an id that occurs twice counts once."""
    return lambda o, value, out, args: [
        f"{out}[...] = 0",
        f"{out}[:, {args[1]}] = {args[0]}" + (".transpose(1, 0, 2)" if o.values[value.args[0]].time == "step" else ""),
    ]


def last_of_all(right: Any) -> Any:
    """The last step, of short sequences as well."""
    return lambda o, value, out, args: [f"copyto({out}, {args[0]}[-1])"]


def textbook_last(self: Steps, value: Any) -> Any:
    """The last step, of short sequences as well."""
    return self._at("w.T - 1", value.args[0])


def whenever(self: Steps, value: Any) -> Any:
    """The gradient of v[T] at every step."""
    return self.text(value.args[0])


# ------------------------------------------------------------------ checks


def step_by_hand() -> None:
    """Steps of training against the equations and torch's optimizer."""
    with TemporaryDirectory() as folder:
        test_training_step.steps_agree(Path(folder))


def optimizer(case: str) -> list[Check]:
    return [partial(test_optimizers.test_optimizer_equals_torch, case)]


ADAM_END = "change *= lr * root / (1 - {beta1}**step)"

FAULTS = [
    # views and steps
    Fault("a start reads another step", row(CALLS, "step_at", other_attr(next_step)), models(0), (AssertionError, IndexError)),
    Fault("v[T] of short sequences", row(CALLS, "last", last_of_all), models(0)),
    Fault("v[T] of short sequences in the textbook", attribute(Steps, "_last", instead(textbook_last)), models(0)),
    Fault("the gradient of v[T] is not cleared", row(CALLS, "at_last", lines(lambda found: found[1:])), models(0)),
    Fault("the gradient of v[T] at every step of the textbook", attribute(Steps, "_at_last", instead(whenever)), models(0)),
    Fault("equal ids count once", row(CALLS, "lookup_sum", ids_once), models(0)),
    Fault("a choice takes the other one", row(CALLS, "select", replaced("where=", "where=~")), models(0)),
    Fault("brackets are left out", attribute(expressions.Text, "within", instead(lambda self, binding: self.text)), models(0)),
    Fault("sequences of unequal length weigh their padding", attribute(view_border, "_share", instead(lambda spec: view_border.Code("1 / (w.T * w.B)"))), models(0)),
    Fault("carried adjoints are not cleared", attribute(FastPrinter, "_block", lines(not_cleared)), models(0)),
    # windows
    Fault("the fast script forgets between windows", attribute(FastPrinter, "_carry", instead(nothing_carried)), windows(0)),
    Fault("the textbook forgets between windows", attribute(TextbookPrinter, "_carry", instead(nothing_carried)), windows(0)),
    Fault("starts learn in later windows", row(CALLS, "step_at", replaced(" * w.fresh", "")), windows(0)),
    Fault("starts learn in later windows of the textbook", attribute(Steps, "_step_at", lambda right: lambda self, value: replace(right(self, value), text=right(self, value).text.replace(" * w.fresh", ""))), windows(0)),
    Fault("later windows start anew", attribute(FastPrinter, "_fill", replaced("if w.fresh: ", "")), windows(0)),
    Fault("later windows of the textbook start anew", attribute(TextbookPrinter, "_starts", replaced("if w.fresh: ", "")), windows(0)),
    Fault("new sequences go on", attribute(FastPrinter, "_function_forward", lambda right: lambda self, found: right(self, found).replace("[:1] = 0", "[:0] = 0")), windows(0)),
    # the training step
    Fault("the gradient is not clipped", row(CLIPS, "global_norm", instead("")), [step_by_hand]),
    Fault("another norm", in_script("norm = math.sqrt(np.dot(dw, dw))", "norm = float(np.abs(dw).sum())"), [step_by_hand]),
    Fault("no correction of Adam's start", row(OPTIMIZERS, "adam", lambda right: replace(right, code=text(ADAM_END, "change *= lr * root")(right.code))), optimizer("adam")),
    Fault("no correction in a step", row(OPTIMIZERS, "adam", lambda right: replace(right, code=text(ADAM_END, "change *= lr * root")(right.code))), [step_by_hand]),
    Fault("momentum of the wrong gradient", row(OPTIMIZERS, "sgd nesterov", lambda right: OPTIMIZERS["sgd momentum"]), optimizer("sgd nesterov")),
    Fault("weight decay without the learning rate", attribute(optimizers, "DECAY", text("lr * {decay}", "{decay}")), optimizer("adam with decay")),
    Fault("the warm-up is one step late", row(SCHEDULES, "cosine", text("LR * step / {warmup}", "LR * (step - 1) / {warmup}")), [partial(test_optimizers.test_schedule, "cosine")]),
    Fault("the learning rate is one step late", row(SCHEDULES, "exponential", text("(step - 1)", "step")), [step_by_hand]),
    Fault("half the gradient of l2", row(view_update.PENALTIES, "l2", lambda right: (right[0], text("    scratch *= 2\n", "")(right[1]))), models(0)),
    Fault("the gradient of l1 is not added", row(view_update.PENALTIES, "l1", lambda right: (right[0], text("g.vector += scratch", "pass")(right[1]))), [step_by_hand]),
    Fault("dropout is not scaled", in_script(" / (1 - rate)", ""), [test_script_frame.test_dropout_masks_depend_on_the_step_alone]),
    Fault("the same mask at every step", in_script('"dropout", step, place', '"dropout", 0, place'), [step_by_hand]),
]
