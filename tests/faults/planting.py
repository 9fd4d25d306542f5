"""What a fault is, how it is planted, and the checks that may catch it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import pytest

from rnnspec.frontend.typed import Call, walk
from tests.fuzz_models import IllConditioned, check_sketch
from tests.models import random_sketch
from tests.sketch import CellCall, Sketch
from tests.test_truncation import check_in_windows, truncated

Plant = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[], None]
TRIES = 60
"""Random models that may be tried: the first one catches a fault, unless the generator has changed since it was chosen."""


@dataclass(frozen=True)
class Fault:
    """A mistake, how to make it, and checks of which the first ones should fail; `shows` is what they raise."""

    name: str
    plant: Plant
    checks: Iterable[Check]
    shows: type[Exception] | tuple[type[Exception], ...] = AssertionError

    def caught_by(self) -> Check | None:
        """The check that fails; None if the fault, which must be planted, is seen by none of them."""
        for check in self.checks:
            try:
                check()
            except self.shows:
                return check
            except IllConditioned:
                continue
        return None


# ------------------------------------------------------------------ planting


def attribute(owner: Any, name: str, wrong: Callable[[Any], Any]) -> Plant:
    """Replace a function of a module or class; `wrong` is given the right one."""
    return lambda patch: patch.setattr(owner, name, wrong(getattr(owner, name)))


def row(table: dict[str, Any], key: str, wrong: Callable[[Any], Any]) -> Plant:
    """Replace a row of a table; `wrong` is given the right one."""
    return lambda patch: patch.setitem(table, key, wrong(table[key]))


def instead(value: Any) -> Callable[[Any], Any]:
    """Something else altogether."""
    return lambda right: value


def text(old: str, new: str) -> Callable[[str], str]:
    """The same text but for one place in it."""

    def wrong(right: str) -> str:
        assert right.count(old) == 1, f"{old!r} is not there once"
        return right.replace(old, new)

    return wrong


def lines(wrong: Callable[[list[str]], list[str]]) -> Callable[[Any], Any]:
    """A function that writes lines, with other lines."""
    return lambda right: lambda *arguments: wrong(right(*arguments))


# ------------------------------------------------------------------ checks


@dataclass(frozen=True)
class RandomModel:
    """A random model through the whole compiler, at both levels, against complex steps."""

    seed: int

    def __call__(self) -> None:
        check_sketch(random_sketch(random.Random(self.seed)), self.seed)


@dataclass(frozen=True)
class SketchCheck:
    """One model through the whole compiler, as a random one."""

    sketch: Sketch

    def __call__(self) -> None:
        check_sketch(self.sketch, seed=0)


@dataclass(frozen=True)
class SketchWindows:
    """One model learned in windows."""

    sketch: Sketch

    def __call__(self) -> None:
        check_in_windows(self.sketch, seed=0)


@dataclass(frozen=True)
class RandomWindows:
    """A random model learned in windows; nothing to see if it looks ahead."""

    seed: int

    def __call__(self) -> None:
        sketch = truncated(self.seed)
        if sketch is not None:
            check_in_windows(sketch, self.seed)


def models(first: int) -> list[Check]:
    """Random models, beginning with one that is known to catch the fault."""
    return [RandomModel(seed) for seed in range(first, first + TRIES)]


@dataclass(frozen=True)
class Calling:
    """Random models that call one of these functions, whichever they are today."""

    functions: tuple[str, ...]

    def __iter__(self) -> Iterator[Check]:
        calling = (seed for seed in count() if self._calls(random_sketch(random.Random(seed))))
        return (RandomModel(seed) for seed in islice(calling, TRIES))

    def _calls(self, sketch: Sketch) -> bool:
        trees = [line.vector if isinstance(line, CellCall) else line.expr for line in sketch.lines]
        nodes = (node for tree in (*trees, sketch.loss) for node in walk(tree))
        return any(isinstance(node, Call) and node.function in self.functions for node in nodes)


def windows(first: int) -> list[Check]:
    """Random models in windows, beginning with one that is known to catch the fault."""
    return [RandomWindows(seed) for seed in range(first, first + TRIES)]
