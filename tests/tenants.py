"""A placed program run with tags instead of numbers: does every read find the value that it means?

A cell is a row of a buffer, in one slice of it.  Whoever writes a cell leaves a tag: which value, which row, which step, which
run.  Values that come from nowhere but a start or zero have the tag of that.  What the numbers of a test may hide, because two
values happen to be equal or an overwritten one weighs nothing, a tag shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.ops import COMPUTED, DATA, ELEMENTWISE, VIEWS
from rnnspec.ir.program import Block, Value
from rnnspec.ir.storage import Copy, Placement

Cell = tuple[int, int, int]  # buffer, row, slice; 0 for what has no slices
Tag = tuple[int, int, int, int]  # value, row, step (0: all), run
ZERO: Tag = (0, 0, 0, 0)


class WrongTenant(AssertionError):
    """A read finds another value than it means."""


def audit(placement: Placement, steps: int = 5, runs: int = 2) -> None:
    """Run a placed program some times in the same storage; WrongTenant says which read goes wrong first."""
    tenants = Tenants(placement, steps)
    for number in range(1, runs + 1):
        tenants.run(number)


class Tenants:
    """Who lives in which cell, while a program runs."""

    def __init__(self, placement: Placement, steps: int) -> None:
        self.placement, self.program, self.values = placement, placement.program, placement.program.values
        self.cells: dict[Cell, Tag] = {}
        self.steps, self.number = range(1, steps + 1), 0
        self.begun: set[int] = set()  # shifts whose starts are in their places

    def run(self, number: int) -> None:
        """One batch, forward and backward."""
        self.number, self.begun = number, set()
        for value in self.values.values():
            if value.op in DATA:
                self._write(value)
        for k, block in enumerate(self.program.blocks):
            self._block(k, block)
        for item in self.program.roots.ids():
            self._read(self.values[item], item, self._times(self.values[item]))

    # ---- what happens
    def _block(self, number: int, block: Block) -> None:
        before, behind = self.placement.spans[number]
        for item in block.ids:
            if block.kind == "loop":
                self._begin(self.values[item])
            if item in self.placement.carried:
                self._clear(self.placement.carried[item])
        self._copies(before, tuple(self.steps))
        for times in [(t,) for t in self.steps][:: block.direction] if block.kind == "loop" else [tuple(self.steps)]:
            for item in block.ids:
                self._begin(self.values[item])
                self._copies(self.placement.ticks[item], times)
                self._compute(self.values[item], times if self.values[item].time == "step" else (0,))
            self._copies(behind, times)

    def _begin(self, reader: Value) -> None:
        """What a value reads in front of the first step, or behind the last one, is put there before it is first read."""
        for shift in filter(lambda v: v.op == "shift" and len(v.args) > 1, self._views(reader)):
            if shift.id not in self.begun:
                self.begun.add(shift.id)
                region = self.placement.resolve(shift.args[0])
                for k, start in enumerate(shift.args[1:]):
                    step = -k if shift.attr > 0 else len(self.steps) + 1 + k
                    for row in range(region.high - region.low):
                        tag = self._meant(start, row, 0)
                        self.cells[region.buffer, region.low + row, step - region.lag] = tag or ZERO

    def _views(self, reader: Value) -> Iterator[Value]:
        """The views through which a value reads."""
        for arg in reader.args:
            if self.values[arg].op in VIEWS:
                yield self.values[arg]
                yield from self._views(self.values[arg])

    def _clear(self, shift: int) -> None:
        region = self.placement.regions[shift]
        self.cells |= {(region.buffer, row, 0): ZERO for row in range(region.low, region.high)}

    def _copies(self, tick: int, times: tuple[int, ...]) -> None:
        for copy in self.placement.copies:
            if copy.tick == tick:
                self._copy(copy, times)

    def _copy(self, copy: Copy, times: tuple[int, ...]) -> None:
        value, sliced = self.values[copy.value], self.placement.buffers[copy.region.buffer].storage == "history"
        self._read(value, copy.value, times if value.time == "step" else (0,))
        for t in times if sliced else times[-1:]:
            for row in range(copy.region.high - copy.region.low):
                tag = self._meant(copy.value, row, t if value.time == "step" else 0)
                cell = copy.region.buffer, copy.region.low + row, t - copy.region.lag if sliced else 0
                self.cells[cell] = tag or (copy.value, row, 0, self.number)

    def _compute(self, value: Value, times: tuple[int, ...]) -> None:
        """Read the operands, then write."""
        if value.op == "concat":
            return
        for arg in value.args:
            self._read(value, arg, times if value.time == "step" else self._times(self.values[arg]))
        self._overwrites(value, times)
        self._write(value, times)

    def _times(self, value: Value) -> tuple[int, ...]:
        return tuple(self.steps) if value.time == "step" else (0,)

    # ---- cells and tags
    def _shown(self, item: int) -> Value | None:
        """What is read behind views that repeat or transpose; None for parameters and numbers, which are not stored here."""
        value = base = self.values[item]
        if value.op in VIEWS - {"rows", "shift"}:
            return self._shown(value.args[0])
        while base.op in VIEWS and base.id not in self.placement.regions:
            base = self.values[base.args[0]]
        return value if base.id in self.placement.regions else None

    def _cell(self, item: int, row: int, step: int) -> Cell:
        """Where a row of a value is at a step."""
        region = self.placement.resolve(item)
        sliced = self.placement.buffers[region.buffer].storage == "history"
        return region.buffer, region.low + row, step - region.lag if sliced else 0

    def _meant(self, item: int, row: int, step: int) -> Tag | None:
        """The tag that a read should find; None for parameters and numbers, which nobody can overwrite."""
        value = self.values[item]
        if value.op == "rows":
            return self._meant(value.args[0], row + value.attr[0], step)
        if value.op == "shift":
            other = step - value.attr
            if other in self.steps:
                return self._meant(value.args[0], row, other)
            distance = -other if value.attr > 0 else other - len(self.steps) - 1
            return (self._meant(value.args[1 + distance], row, 0) or ZERO) if len(value.args) > 1 else ZERO
        if value.op == "concat":
            for arg in value.args:
                if row < self.values[arg].shape[0]:
                    return self._meant(arg, row, step) or (arg, row, 0, self.number)
                row -= self.values[arg].shape[0]
        if value.op in VIEWS:  # repeated or transposed: read as a whole
            return self._meant(value.args[0], min(row, self.values[value.args[0]].shape[0] - 1), step)
        return (item, row, step if value.time == "step" else 0, self.number) if value.op in COMPUTED | DATA else None

    def _read(self, reader: Value, item: int, times: tuple[int, ...]) -> None:
        """Compare what is there with what is meant."""
        value = self._shown(item)
        if value is None:
            return
        for step in times if value.time == "step" else (0,):
            for row in range(rows(value)):
                found, meant = self.cells.get(self._cell(value.id, row, step), ZERO), self._meant(value.id, row, step)
                if found != meant:
                    raise WrongTenant(f"{reader.name} reads {value.name}[{row}] at step {step}: {meant}, but there is {found}")

    def _write(self, value: Value, times: tuple[int, ...] | None = None) -> None:
        for step in times or self._times(value):
            for row in range(rows(value)):
                self.cells[self._cell(value.id, row, step)] = value.id, row, step, self.number

    def _overwrites(self, value: Value, times: tuple[int, ...]) -> None:
        """Only an elementwise operation may write where it reads, and only the very element that it has read."""
        written = {self._cell(value.id, row, t): (row, t) for t in times for row in range(rows(value))}
        for arg in value.args:
            shown = self._shown(arg)
            if shown is None:
                continue
            for t in times if shown.time == "step" and value.time == "step" else self._times(shown):
                for row in range(rows(shown)):
                    place = written.get(self._cell(shown.id, row, t), (row, t))
                    alike = value.op in ELEMENTWISE and place == (row, t)
                    if self._cell(shown.id, row, t) in written and not alike:
                        raise WrongTenant(f"{value.name} is written over {shown.name}[{row}], which it is made of")


def rows(value: Value) -> int:
    """How many rows a value has; a whole number of the data has none, and nobody else lives with it."""
    return value.shape[0] if value.shape else 0
