"""What data can offer to a model: columns, or a reason why it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.typed import PackageFile, Setting

SEQUENCES = 1000
"""So many sequences are looked at together: their arrays may be larger than memory."""


class Extent(NamedTuple):
    """The smallest and the largest of some numbers."""

    low: float
    high: float

    def with_number(self, number: float) -> Extent:
        """The extent when another number has been seen."""
        return Extent(min(self.low, number), max(self.high, number))

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Column:
    """One column.  `axes`: its shape for one sequence, or for one step of a stream.

    `classes`: how many different whole numbers there are, from 0; None where they are no whole numbers, where some are below
    0, or where only `numbers`, which reads all of them, can tell.  `known`: the extent, if it was seen already.
    """

    axes: tuple[int, ...]
    whole: bool
    classes: int | None = None
    numbers: Callable[[], NDArray[Any]] | None = None
    known: Extent | None = None

    def largest(self) -> int | None:
        """The largest number, -1 if there are some below 0; None where that is not known.  SpecError for a damaged file."""
        if self.classes is not None:
            return self.classes - 1
        found = self.extent()
        return None if found is None else -1 if found.low < 0 else int(found.high)

    def extent(self, lengths: NDArray[Any] | None = None) -> Extent | None:
        """The smallest and the largest number, only of steps that count if `lengths` says how many of each sequence do.

        None where that is not known.  SpecError for a damaged file.
        """
        if self.known is not None or self.numbers is None:
            return self.known
        numbers, low, high = self.numbers(), math.inf, -math.inf
        for first in range(0, len(numbers), SEQUENCES):
            some = numbers[first : first + SEQUENCES]
            if lengths is not None and some.ndim > 1:
                some = some[np.arange(some.shape[1]) < lengths[first : first + SEQUENCES, None]]
            if some.size:
                low, high = float(np.minimum(low, some.min())), float(np.maximum(high, some.max()))
        return Extent(low, high)


@dataclass(frozen=True)
class Offer:
    """The columns of a source; a stream is one endless sequence, everything else a set of sequences."""

    columns: Mapping[str, Column]
    stream: bool = False
    vocabulary: tuple[str, ...] = ()
    files: tuple[Path | PackageFile, ...] = ()
    labels: tuple[str, ...] = ()  # of classes, in order of their ids
    count: int = 0  # sequences, or steps of a stream; 0 where nobody has counted
    held_out: int = 0  # the last sequences are the part `test`


class Unusable(Exception):
    """Data that cannot be used: a message, and a note or None."""

    def __init__(self, message: str, note: str | None = None) -> None:
        super().__init__(message, note)

    def about(self, source: Setting) -> Diagnostic:
        """The same as a problem of the source that names the data."""
        message, note = self.args
        assert source.span is not None
        return problem("E0703", message, source.span, note=note)
