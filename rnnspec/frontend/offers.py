"""What data can offer to a model: columns, or a reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.typed import PackageFile, Setting


@dataclass(frozen=True)
class Column:
    """One column.  `axes`: its shape for one sequence, or for one step of a stream.

    `classes`: how many different whole numbers there are, from 0; None where only `numbers`, which reads all of them, can
    tell, or where they are no whole numbers.
    """

    axes: tuple[int, ...]
    whole: bool
    classes: int | None = None
    numbers: Callable[[], NDArray[Any]] | None = None

    def largest(self) -> int | None:
        """The largest number, -1 if there are some below 0; None where that is not known.  SpecError for a damaged file."""
        if self.classes is not None or self.numbers is None:
            return None if self.classes is None else self.classes - 1
        numbers = self.numbers()
        return -1 if numbers.min() < 0 else int(numbers.max())


@dataclass(frozen=True)
class Offer:
    """The columns of a source; a stream is one endless sequence, everything else a set of sequences."""

    columns: Mapping[str, Column]
    stream: bool = False
    vocabulary: tuple[str, ...] = ()
    files: tuple[Path | PackageFile, ...] = ()
    labels: tuple[str, ...] = ()  # of classes, in order of their ids
    count: int = 0  # sequences, where some are held out
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
