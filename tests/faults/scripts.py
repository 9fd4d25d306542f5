"""Wrong lines in a script: indices, ends of sequences and windows, random draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rnnspec.frontend import model
from rnnspec.ir.storage import Region
from rnnspec.passes.functions import FUNCTIONS
from rnnspec.passes.lower import Lowering
from rnnspec.passes.operands import Rule
from rnnspec.script import expressions, neighbours, render
from rnnspec.script.calls import CALLS
from rnnspec.script.draws import DRAWS, Draw
from rnnspec.script.fast import FastPrinter
from rnnspec.script.operands import Operands
from rnnspec.script.shares import OF_STEPS
from rnnspec.script.steps import SPECIAL, Steps
from rnnspec.script.textbook import TextbookPrinter
from rnnspec.verify.probe import longest_lag
from rnnspec.verify.truncation import Truncated
from tests import test_draws, test_fast_scripts, test_models, test_reach, test_resets, test_script_frame, test_truncation_cost
from tests.faults.planting import Check, Fault, Plant, attribute, instead, lines, models, row, text, windows
from tests.faults.sketches import powers, steps_apart
from tests.test_truncation import truncated


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


def swapped(right: Rule) -> Rule:
    """The first two arguments in the other order."""
    return lambda low, call: right(low, replace(call, args=(call.args[1], call.args[0])))


def never_kept(right: Draw) -> Draw:
    """Zero in evaluation instead of the rate."""
    return replace(right, mean="0")


def not_cleared(found: list[str]) -> list[str]:
    """A loop that goes on with what was left behind."""
    loop = any(line.startswith("for ") for line in found)
    return [line for line in found if not (loop and line.endswith("[...] = 0"))]


def nothing_carried(self: Any) -> str:
    """A carry that forgets."""
    return "def carry(old, new):\n    pass"


def carried_from(new: str) -> Callable[[Any], Any]:
    """Overlapping windows that go on from another step of the window before."""
    return lambda right: lambda self: right(self).replace("T = old.T - new.seen", f"T = {new}")


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


def sums_without_brackets(right: Any) -> Any:
    """A sum that is multiplied loses its brackets."""
    sums = {expressions.SUM}
    return lambda self, binding: self.text if self.binding in sums and binding < expressions.ATOM else right(self, binding)


def without_fresh(right: Any) -> Any:
    """A start receives its gradient in every window."""
    return lambda self, value: replace(right(self, value), text=right(self, value).text.replace(" * w.fresh", ""))


def not_from_zero(right: Any) -> Any:
    """A sequence that begins keeps the states of the one before."""
    return lambda self, found: right(self, found).replace("[:1] = 0", "[:0] = 0")


# ------------------------------------------------------------------ checks


def reach() -> None:
    """A whole training run in overlapping windows, newly compiled."""
    test_reach.compiled.cache_clear()
    try:
        for level in (0, 1):
            test_reach.test_training_equals_a_loop_in_torch(2, 5, level)
    finally:
        test_reach.compiled.cache_clear()


def first_lag(self: Lowering, name: str, lag: int, shape: Any) -> int:
    """Only what the step before left is set back."""
    value = self.graph.shift(self._operand(name), lag, shape, self._starts(name, lag, shape))
    begins = self.graph.emit("greater", self.values["begins"], self.at_time(self.graph.constant(0.0), "step"))
    start = self.at_time(self._start(name, 1 - lag, shape), "step")
    return self.graph.emit("select", self.spread(begins, value), start, value)


def apart(first: Region, second: Region) -> bool:
    """No rows are in both."""
    return False


def rows_alone(first: Region, second: Region) -> bool:
    """Neighbours, whatever the step."""
    return (first.buffer, first.high) == (second.buffer, second.low)


def never(self: Lowering, name: str, lag: int, shape: Any) -> int:
    """As if there was no symbol that sets states back."""
    return self.graph.shift(self._operand(name), lag, shape, self._starts(name, lag, shape))


def set_back() -> None:
    """The first random models that read a state more than one step back."""
    lagged = (s for s in count(500) if (made := truncated(s)) and (tree := made.model()) and longest_lag(tree) > 1)
    for seed in islice(lagged, 5):
        test_resets.check_resets(seed)


def alike(right: Any) -> Any:
    """Each window counts as much as the others, whatever its steps."""
    return lambda self, k1, k2: ((window, k1 / self.steps) for window, _ in right(self, k1, k2))


def cost_of_lengths() -> None:
    """The gradient in windows of sequences of unequal length."""
    with TemporaryDirectory() as folder:
        test_truncation_cost.test_short_sequences_weigh_as_they_do_in_the_whole_batch(Path(folder))


REACH = [reach]
PIECES = [partial(test_resets.test_pieces_of_a_text_are_those_of_a_loop_in_torch, "windows", 1)]
SEEN, MASK = "w.share[: w.seen] = 0", "w.mask / w.mask.sum()"
WEIGHTS = [partial(test_draws.weights_agree, 1)]
FORMULA = [partial(test_draws.formula_agrees, 1)]
NUMBERS = [test_draws.numbers_are_right]
DRAWN = [test_script_frame.test_draws_depend_on_the_step_alone]


def in_other_order(right: Any) -> Any:
    """The groups of rows of a matrix, backwards."""
    return lambda self, item, groups: f"{right(self, item, groups)}[::-1]"


def not_from_nothing(found: list[str]) -> list[str]:
    """The lines of parts without those that clear the sums."""
    return [line for line in found if not line.endswith(" = 0")]


def in_groups() -> None:
    """A model whose products are in groups of rows."""
    with pytest.MonkeyPatch.context() as patch:
        test_models.test_what_is_faster_for_large_models_is_right_too(0, patch)


def weighed_in_a_loop() -> None:
    """A model whose loop reads what steps weigh."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        test_fast_scripts.weighed_in_a_loop(Path(folder), patch)


def added_up(cell: str) -> Check:
    """A gradient in parts."""

    def check() -> None:
        with TemporaryDirectory() as folder:
            test_fast_scripts.parts_add_up(cell, Path(folder))

    return check


SUMS = [added_up("lstm(x[t], units=5)"), added_up("gru(x[t], units=5)")]

STEPS = [
    Fault("the last part of a gradient is all of it", row(CALLS, "gram", replaced("+=", "[...] =")), SUMS),
    Fault("the last part of a bias is all of it", row(CALLS, "row_sum", replaced("+=", "[...] =")), SUMS),
    Fault("gradients begin where the last ones ended", attribute(FastPrinter, "_parts", lines(not_from_nothing)), SUMS),
    Fault("the loss forgets its factor", row(CALLS, "mean_dot", other_attr(lambda factor: 1)), models(0)),
    Fault("groups of rows in another order", attribute(Operands, "matrix", in_other_order), [in_groups]),
    Fault("a start reads another step", row(CALLS, "step_at", other_attr(next_step)), models(1), (AssertionError, IndexError)),
    Fault("v[T] of short sequences", row(CALLS, "last", last_of_all), models(6)),
    Fault("v[T] of short sequences in the textbook", row(SPECIAL, "last", instead(textbook_last)), models(6)),
    Fault("the gradient of v[T] is not cleared", row(CALLS, "at_last", lines(lambda found: found[1:])), models(8)),
    Fault("the gradient of v[T] at every step of the textbook", row(SPECIAL, "at_last", instead(whenever)), models(1)),
    Fault("equal ids count once", row(CALLS, "lookup_sum", ids_once), models(11)),
    Fault("a choice takes the other one", row(CALLS, "select", replaced("where=", "where=~")), models(0)),
    Fault("a call reads rows before they are written", attribute(neighbours, "_overlap", instead(apart)), [powers()]),
    Fault("rows of different steps are neighbours", attribute(neighbours, "_beside", instead(rows_alone)), [steps_apart()]),
    Fault("brackets are left out", attribute(expressions.Text, "within", sums_without_brackets), models(0)),
    Fault(
        "padding weighs in the loss",
        row(OF_STEPS, ("cpu", True, False), text(MASK, "np.ones_like(w.mask) / w.mask.size")),
        models(0),
    ),
    Fault(
        "loops weigh steps as in no batch",
        row(OF_STEPS, ("cpu", True, False), text("w.share[...]", "w.share")),
        [weighed_in_a_loop],
    ),
    Fault("carried adjoints are not cleared", attribute(FastPrinter, "_block", lines(not_cleared)), models(0)),
]
WINDOWS = [
    Fault("windows forget their state", attribute(FastPrinter, "_carry", instead(nothing_carried)), windows(5)),
    Fault("windows clear their input", attribute(FastPrinter, "_rows_of_states", instead(lambda *_: "")), windows(24)),
    Fault("windows of the textbook forget", attribute(TextbookPrinter, "_carry", instead(nothing_carried)), windows(5)),
    Fault("starts learn in later windows", row(CALLS, "step_at", replaced(" * w.fresh", "")), windows(12)),
    Fault("starts learn in later windows of the textbook", row(SPECIAL, "step_at", without_fresh), windows(12)),
    Fault("later windows start anew", attribute(FastPrinter, "_fill", replaced("if w.fresh: ", "")), windows(12)),
    Fault("textbook windows start anew", attribute(TextbookPrinter, "_starts", replaced("if w.fresh: ", "")), windows(12)),
    Fault("overlapping windows go on from the end", attribute(FastPrinter, "_carry", carried_from("old.T")), windows(5)),
    Fault(
        "overlapping windows go on too late", attribute(FastPrinter, "_carry", carried_from("old.T - new.seen + 1")), windows(5)
    ),
    Fault("textbook windows go on from the end", attribute(TextbookPrinter, "_carry", carried_from("old.T")), windows(5)),
    Fault("steps that were seen weigh again", row(OF_STEPS, ("cpu", False, True), text(SEEN, "pass")), REACH),
    Fault("the gradient is cut a step too late", in_script("max(0, new - back)", "max(0, new - back - 1)"), REACH),
    Fault("the gradient is cut a step too early", in_script("max(0, new - back)", "max(0, new - back + 1)"), REACH),
    Fault("windows weigh alike in the cost of truncation", attribute(Truncated, "_windows", alike), [cost_of_lengths]),
    Fault("states are set back a step early", in_script("[t - 1] == ", "[t] == "), PIECES),
    Fault("states are set back by one lag only", attribute(Lowering, "_in_piece", instead(first_lag)), [set_back]),
    Fault("states are never set back", attribute(Lowering, "_in_piece", instead(never)), PIECES),
    Fault("new sequences go on", attribute(FastPrinter, "_function_forward", not_from_zero), windows(5)),
]
DRAWING = [
    Fault(
        "weights are not dropped", attribute(model, "dropped", instead(lambda *_: {})), WEIGHTS, (AssertionError, IndexError)
    ),
    Fault("zoneout keeps the new value", row(FUNCTIONS, "zoneout", swapped), FORMULA),
    Fault("evaluation never keeps the old value", row(DRAWS, "zoneout", never_kept), FORMULA),
    Fault("noise is twice as large", in_script("return std * generator", "return 2 * std * generator"), NUMBERS),
    Fault("dropout is not scaled", in_script(" / (1 - p)", ""), DRAWN),
    Fault(
        "the same dropout at every step",
        in_script('"draws", step, place).random(shape, np.float32) >=', '"draws", 0, place).random(shape, np.float32) >='),
        DRAWN,
    ),
]
FAULTS = [*STEPS, *WINDOWS, *DRAWING]
