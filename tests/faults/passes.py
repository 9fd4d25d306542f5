"""Wrong passes: what is lost, moved or shared that must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnspec import compiler
from rnnspec.ir.ops import ELEMENTWISE
from rnnspec.ir.program import Block, Program
from rnnspec.passes import hoist, lower, stack
from rnnspec.passes.lower import Lowering
from rnnspec.passes.place import Placer
from rnnspec.passes.schedule import Scheduler
from tests import test_held, test_place, test_starts
from tests.faults.planting import Fault, SketchCheck, attribute, instead, models
from tests.faults.sketches import crossed, dropped, lagged, remembered, turned
from tests.test_random_models import FOUND

Pass = Callable[[Program], Program]
BROKEN = (AssertionError, ValueError, RuntimeWarning)
"""A wrong script may not even run, or divide by zero."""


# ------------------------------------------------------------------ lower


def plain_lead(self: Lowering, name: str, steps: int, shape: Any) -> int:
    """A later step as if all sequences were equally long."""
    return self.graph.shift(self._operand(name), -steps, shape, self._starts(name, -steps, shape))


# ------------------------------------------------------------------ stack


def gaps_ignored(right: Any) -> Any:
    """Rows that do not follow each other count as neighbours."""

    def wrong(made: stack.Values, items: list[int], like: Any) -> int | None:
        parts = [made[i] for i in items]
        if {v.op for v in parts} != {"rows"} or len({v.args for v in parts}) > 1:
            return right(made, items, like)  # type: ignore[no-any-return]
        low, count = min(v.attr[0] for v in parts), sum(v.shape[0] for v in parts)
        low = min(low, made[parts[0].args[0]].shape[0] - count)
        return stack.add(made, "rows", [parts[0].args[0]], (low, low + count), parts)

    return wrong


def in_other_order(right: Any) -> Any:
    """The members of a stack from the last to the first."""
    return lambda made, items: right(made, items[::-1])


def drawn_in_other_order(right: Any) -> Any:
    """The random numbers of a stack from the last matrix to the first."""

    def wrong(made: stack.Values, items: list[int]) -> int | None:
        whole = right(made, items)
        for item in made[whole].args if whole is not None else ():
            if made[item].op == "concat":
                made[item] = replace(made[item], args=made[item].args[::-1])
        return whole  # type: ignore[no-any-return]

    return wrong


def backwards(right: Any) -> Any:
    """From the last one to the first."""
    return lambda kinds: right(kinds[::-1])


# ------------------------------------------------------------------ weight gradients, hoist


def swapped(right: Callable[..., Program]) -> Callable[..., Program]:
    """a b^T becomes b a^T."""

    def wrong(program: Program, batch: int) -> Program:
        made = right(program, batch=batch)
        values = {i: replace(v, args=v.args[::-1]) if v.op == "gram" else v for i, v in made.values.items()}
        return replace(made, values=values)

    return wrong


def first_column(right: Pass) -> Pass:
    """The gradient of a joined bias is the wrong column."""

    def wrong(program: Program) -> Program:
        made = right(program)
        vectors = {i for i, v in made.values.items() if v.op == "columns" and len(v.shape) == 1}
        values = {i: replace(v, attr=(0, v.shape)) if i in vectors else v for i, v in made.values.items()}
        return replace(made, values=values)

    return wrong


def one_free_operand_twice(right: Pass) -> Pass:
    """What is split off loses an operand."""

    def wrong(program: Program) -> Program:
        made = right(program)
        free = {i for i, v in made.values.items() if v.name.endswith("_free") and len(v.args) > 1}
        values = {i: replace(v, args=(v.args[0],) * len(v.args)) if i in free else v for i, v in made.values.items()}
        return replace(made, values=values)

    return wrong


def forwards(right: Any) -> Any:
    """All loops run forwards."""
    return lambda *arguments: tuple(Block(b.kind, b.ids, abs(b.direction)) for b in right(*arguments))


# ------------------------------------------------------------------ place


def without_the_loop(right: Any) -> Any:
    """A value that a later step reads is not kept to the end of the loop."""

    def wrong(self: Placer, item: int) -> int:
        ends = {end for _, end in self.span}
        reads = [tick for tick, _ in self._reads(item) if tick not in ends]
        return max(reads, default=self.at[item])

    return wrong


def even_if_occupied(right: Any) -> Any:
    """A carried value is put where the old one is, needed or not."""
    return lambda self, region, start, end, item: item in self.carried or right(self, region, start, end, item)


def without_copies(right: Any) -> Any:
    """What a concatenation holds and was not computed in it is missing."""

    def wrong(self: Placer, item: int, storage: Any) -> None:
        known = len(self.copies)
        right(self, item, storage)
        del self.copies[known:]

    return wrong


def given_up_early(right: Any) -> Any:
    """A concatenation inside another one leaves its place before its parts are in it."""

    def wrong(self: Placer, item: int, storage: Any) -> None:
        right(self, item, storage)
        for arg in self.values[item].args:
            if self.values[arg].op == "concat" and arg in self.regions:
                self._leave(arg)

    return wrong


def without_lag(right: Any) -> Any:
    """A concatenation is read at the step at which its parts are computed."""

    def wrong(self: Placer, item: int) -> None:
        right(self, item)
        if item in self.regions:
            self.regions[item] = replace(self.regions[item], lag=0)

    return wrong


def any_rows(right: Any) -> Any:
    """In place, although the rows are others."""
    return lambda self, old, new, old_region, new_region: right(self, old, new, new_region, new_region)


def in_place_at_will(self: Placer, old: int, new: int, old_region: Any, new_region: Any) -> bool:
    """Any elementwise operation, whatever it reads twice."""
    return self.values[new].op in ELEMENTWISE and old_region == new_region


def in_place(case: str) -> Callable[[], None]:
    """The direct test of one case."""
    return partial(test_place.test_what_may_not_run_in_place, case)


def in_place_rows() -> None:
    """The direct test of the same rows and of others."""
    for new, old in test_place.MAY:
        test_place.test_an_elementwise_operation_may_run_in_place(new, old)


def padded() -> None:
    """A state that grows, in sequences with much padding."""
    with TemporaryDirectory() as folder:
        test_held.states_are_held(1, Path(folder))


NESTED = [SketchCheck(FOUND["concat_in_a_concat"])]
TWICE = [in_place(case) for case in test_place.MAY_NOT if "twice" in case]
CHOICE = [in_place(case) for case in test_place.MAY_NOT if "choice" in case]


# ------------------------------------------------------------------ schedule


def at_the_same_step(right: Any) -> Any:
    """A step that the loop has not reached counts as computed."""
    return lambda self, item, number, direction, whole, lag: right(self, item, number, direction, whole, 0)


STARTS = [partial(test_starts.every_start_counts, level) for level in (0, 1)]

FAULTS = [
    Fault("states are not held behind the end", attribute(lower, "recurrent_names", instead(lambda model: set())), [padded]),
    Fault("later steps ignore the lengths", attribute(Lowering, "_lead", instead(plain_lead)), models(0)),
    Fault("nothing stands behind the end", attribute(Lowering, "_or_start", instead(lambda self, v, s: v)), models(0)),
    Fault("starts are forgotten", attribute(Lowering, "_starts", instead(lambda self, *_: [])), models(1)),
    Fault("rows with gaps are neighbours", attribute(stack, "line_up", gaps_ignored), [crossed()], BROKEN),
    Fault("every parameter is stacked", attribute(stack, "own_storage", instead(lambda *_: True)), models(15), BROKEN),
    Fault("stacks in another order", attribute(stack, "stacked", in_other_order), models(1)),
    Fault("random numbers of a stack in another order", attribute(stack, "stacked_matrix", drawn_in_other_order), [dropped()]),
    Fault("the kinds of a stack in another order", attribute(stack, "merge_kinds", backwards), models(8)),
    Fault("operands of weight gradients swapped", attribute(compiler, "weight_gradients", swapped), models(0), BROKEN),
    Fault("a joined bias has a wrong gradient", attribute(compiler, "join", first_column), models(0)),
    Fault("what is repeated stays a view", attribute(compiler, "materialise", instead(lambda made: made)), models(0), BROKEN),
    Fault("a free operand is lost", attribute(hoist, "split", one_free_operand_twice), models(0)),
    Fault("all fast loops run forwards", attribute(hoist, "arrange", forwards), models(0)),
    Fault("every place is free", attribute(Placer, "free", instead(lambda self, *_: True)), models(0), BROKEN),
    Fault("lagged reads end with their step", attribute(Placer, "last", without_the_loop), [lagged()]),
    Fault("old and new value share a place", attribute(Placer, "free", even_if_occupied), models(4)),
    Fault("parts of a concatenation are not copied", attribute(Placer, "_place_concat", without_copies), models(2)),
    Fault("a concatenation in another one has no place", attribute(Placer, "_place_concat", given_up_early), NESTED),
    Fault("a joined operand is read a step late", attribute(Placer, "_reserve_joined", without_lag), models(0), BROKEN),
    Fault("in place on other rows", attribute(Placer, "in_place", any_rows), [in_place_rows]),
    Fault("in place with an operand read twice", attribute(Placer, "in_place", instead(in_place_at_will)), TWICE),
    Fault("in place over what a choice reads", attribute(Placer, "in_place", instead(in_place_at_will)), CHOICE),
    Fault("one start for all names of a value", attribute(compiler, "starts", instead(lambda made: made)), STARTS),
    Fault("starts are not kept", attribute(Placer, "_pinned", instead(lambda self, item: False)), [remembered()]),
    Fault("later steps in the same loop", attribute(Scheduler, "_readable", at_the_same_step), models(14)),
    Fault("a settled loop is turned", attribute(Scheduler, "_looks_aside", instead(lambda self, *_: False)), [turned()]),
]
