"""Sizes and shapes that are found out bit by bit, by making them equal to one another (union-find).

Each size remembers its name and where it was fixed, so that a clash can show both places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.diagnostics import Span


@dataclass(frozen=True)
class Origin:
    """Where a size was fixed, and what to say about that place (`` `H` is 128 here ``)."""

    span: Span
    text: str


class Size:
    """One size of a vector or a matrix: a number, if it is known."""

    def __init__(self, value: int | None = None, name: str | None = None, origin: Origin | None = None) -> None:
        self.value, self.name, self.origin = value, name, origin
        self._same: Size | None = None

    def find(self) -> Size:
        """The one that stands for all that are equal to this one."""
        size = self
        while size._same is not None:
            size = size._same
        return size

    def unify(self, other: Size) -> None:
        """Make two sizes equal; Clash where they are different numbers."""
        a, b = self.find(), other.find()
        if a is b:
            return
        if a.value is not None and b.value is not None and a.value != b.value:
            raise Clash(a, b)
        if a.value is None and (b.value is not None or (b.name and not a.name)):
            a, b = b, a
        b._same = a
        a.name = a.name or b.name
        a.origin = a.origin or b.origin

    def __str__(self) -> str:
        size = self.find()
        if size.value is None:
            return size.name or "?"
        return f"{size.name}={size.value}" if size.name else str(size.value)


class Form:
    """The shape of a value: its sizes, if their number is known.

    `broken` marks what was already reported: it agrees with everything.
    """

    def __init__(self, sizes: Sequence[Size] | None = None, broken: bool = False) -> None:
        self._sizes = None if sizes is None else tuple(sizes)
        self._broken = broken
        self._same: Form | None = None

    def find(self) -> Form:
        """The one that stands for all that are equal to this one."""
        form = self
        while form._same is not None:
            form = form._same
        return form

    @property
    def sizes(self) -> tuple[Size, ...] | None:
        """The sizes; None while their number is unknown."""
        return self.find()._sizes

    @property
    def broken(self) -> bool:
        """Whether something was wrong with this value and has been reported."""
        return self.find()._broken

    def break_(self) -> None:
        """Say nothing more about this value."""
        self.find()._broken = True

    @property
    def rank(self) -> int | None:
        """0 for a number, 1 for a vector, 2 for a matrix, None while unknown."""
        return None if self.sizes is None else len(self.sizes)

    @property
    def known(self) -> tuple[int, ...] | None:
        """The shape in numbers, once all of it is known."""
        if self.sizes is None:
            return None
        values = [size.find().value for size in self.sizes]
        numbers = tuple(value for value in values if value is not None)
        return numbers if len(numbers) == len(values) else None

    def unify(self, other: Form) -> None:
        """Make two shapes equal; Clash where they cannot be."""
        a, b = self.find(), other.find()
        if a is b:
            return
        if a._broken or b._broken:
            a._broken = b._broken = True
        elif a._sizes is None:
            a._same = b
        elif b._sizes is None:
            b._same = a
        elif len(a._sizes) != len(b._sizes):
            raise Clash(a, b)
        else:
            for x, y in zip(a._sizes, b._sizes, strict=True):
                x.unify(y)

    def __str__(self) -> str:
        sizes = self.sizes
        if sizes is None:
            return "of unknown size"
        if not sizes:
            return "a single number"
        if all(str(size) == "?" for size in sizes):
            return ("a vector", "a matrix")[len(sizes) - 1]
        return f"[{', '.join(map(str, sizes))}]"


def vector(size: Size | None = None) -> Form:
    """A vector, of unknown size if none is given."""
    return Form([size or Size()])


def matrix() -> Form:
    """A matrix of unknown size."""
    return Form([Size(), Size()])


def number() -> Form:
    """A plain number."""
    return Form([])


class Clash(Exception):
    """Two sizes, or the number of sizes of two shapes, that should be equal and are not."""

    def __init__(self, a: Size | Form, b: Size | Form) -> None:
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b

    @property
    def origins(self) -> list[Origin]:
        """Where the two sizes were fixed, as far as that is known."""
        sizes = [side for side in (self.a, self.b) if isinstance(side, Size)]
        return [size.origin for size in sizes if size.origin is not None]
