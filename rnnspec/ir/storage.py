"""Where the values of a scheduled program live: what the pass `place` decides and the fast printer prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from rnnspec.ir.program import Program, Shape, Value

Storage = Literal["history", "step", "sequence", "flat", "lines", "fixed"]
"""One slice a step; scratch of one step; one array for all sequences; some steps as columns, as lines; no time and no batch."""


@dataclass(frozen=True)
class Region:
    """Rows `low` to `high` of a buffer, `lag` steps back."""

    buffer: int
    low: int
    high: int
    lag: int = 0

    def rows(self, low: int, high: int) -> Region:
        """A range of these rows."""
        return replace(self, low=self.low + low, high=self.low + high)


@dataclass(frozen=True)
class Life:
    """A value keeps a region from one tick to another."""

    region: Region
    start: int
    end: int
    value: int


@dataclass
class Buffer:
    """An array: `front` and `back` count the slices in front of the first step and behind the last."""

    id: int  # of the value that it was made for
    name: str
    storage: Storage
    shape: Shape
    condition: bool = False
    block: int = -1  # scratch serves one block, so that it can be called after what it holds
    front: int = 0
    back: int = 0
    lives: list[Life] = field(default_factory=list)


@dataclass(frozen=True)
class Copy:
    """A value to be copied to a region: into a concatenation, or into the place that survives the step."""

    value: int
    region: Region
    tick: int


@dataclass(frozen=True)
class Placement:
    """Buffers, the region of every computed value, and the copies that are left; `windows`: states outlive a window."""

    program: Program
    windows: bool
    buffers: dict[int, Buffer]
    regions: dict[int, Region]
    copies: tuple[Copy, ...]
    carried: dict[int, int]  # value -> the shift that owns the place it is carried in
    ticks: dict[int, int]  # when each value is computed
    spans: tuple[tuple[int, int], ...]  # the ticks in front of each block and behind it

    def resolve(self, item: int) -> Region:
        """Where a value or view lives."""
        return resolve(item, self.program.values, self.regions)


def resolve(item: int, values: Mapping[int, Value], regions: Mapping[int, Region]) -> Region:
    """Where a value or view lives, given where what is computed lives."""
    value = values[item]
    if value.op == "rows":
        return resolve(value.args[0], values, regions).rows(*value.attr)
    if value.op == "shift" and item not in regions:
        base = resolve(value.args[0], values, regions)
        return replace(base, lag=base.lag + value.attr)
    return regions[item]
