"""Operations of a step that one call can do: the same, one behind the other, on rows that lie side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rnnspec.ir.ops import VIEWS
from rnnspec.ir.program import Value
from rnnspec.ir.storage import Placement, Region
from rnnspec.script.elementwise import UFUNCS
from rnnspec.script.operands import number_of

JOINED = frozenset(UFUNCS) | {"scale", "offset", "from_constant", "relu"}
"""Operations that do with each element what they do with all others, in one call."""

Run = tuple[Value, ...]


def runs(ids: Iterable[int], placement: Placement) -> Iterator[Run]:
    """Values in order, those together that one call can compute; a copy that must come before one begins a new run."""
    values = placement.program.values
    late = {copy.tick for copy in placement.copies}
    current: list[Value] = []
    for item in ids:
        value = values[item]
        if current and placement.ticks[item] not in late and continues(current, value, placement):
            current.append(value)
            continue
        if current:
            yield tuple(current)
        current = [value]
    if current:
        yield tuple(current)


def continues(run: list[Value], value: Value, placement: Placement) -> bool:
    """Whether the call of a run can compute this value, too."""
    last, values = run[-1], placement.program.values
    if value.op not in JOINED or (value.op, value.attr, value.origin) != (last.op, last.attr, last.origin):
        return False
    if len(value.args) > 2 or len(value.args) != len(last.args):
        return False
    if not all(_plain(v, placement) for v in (last, value)) or not _beside(
        placement.resolve(last.id), placement.resolve(value.id)
    ):
        return False
    written = [placement.resolve(v.id) for v in run]
    return all(_follows(a, b, placement) for a, b in zip(last.args, value.args, strict=True)) and not any(
        _overlap(placement.resolve(arg), region) for arg in value.args if not _constant(values, arg) for region in written
    )


def spanned(run: Run, placement: Placement) -> tuple[Region, list[Region | int]]:
    """Where a run writes, and what it reads: rows, or the number of a constant."""
    values = placement.program.values
    args = [[v.args[k] for v in run] for k in range(len(run[0].args))]
    read = [column[0] if _constant(values, column[0]) else _span(column, placement) for column in args]
    return _span([v.id for v in run], placement), read


def _span(items: list[int], placement: Placement) -> Region:
    first, last = placement.resolve(items[0]), placement.resolve(items[-1])
    return Region(first.buffer, first.low, last.high, first.lag)


def _plain(value: Value, placement: Placement) -> bool:
    """Whether a value and what it reads are rows of buffers, or constants."""
    values = placement.program.values
    return len(value.shape) == 1 and all(
        _constant(values, arg) or (values[arg].shape == value.shape and _stored(values, arg, placement)) for arg in value.args
    )


def _stored(values: Mapping[int, Value], item: int, placement: Placement) -> bool:
    """Whether it has a region: views that change more than rows and steps have none."""
    value = values[item]
    if value.op in ("rows", "shift") and item not in placement.regions:
        return _stored(values, value.args[0], placement)
    return value.op not in VIEWS and item in placement.regions


def _constant(values: Mapping[int, Value], item: int) -> bool:
    return number_of(values, item) is not None


def _follows(first: int, second: int, placement: Placement) -> bool:
    values = placement.program.values
    if _constant(values, first) or _constant(values, second):
        return first == second
    return _beside(placement.resolve(first), placement.resolve(second))


def _beside(first: Region, second: Region) -> bool:
    return (first.buffer, first.lag, first.high) == (second.buffer, second.lag, second.low)


def _overlap(first: Region, second: Region) -> bool:
    return (first.buffer, first.lag) == (second.buffer, second.lag) and first.low < second.high and second.low < first.high
