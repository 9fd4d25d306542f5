"""Sizes by name: `4 * H` reads better than 512, where it is what the spec means."""

from __future__ import annotations

from collections.abc import Iterable

from rnnspec.frontend.typed import Model
from rnnspec.ir.program import Shape, Value
from rnnspec.script.names import is_constant

MOST = 8  # gates, at most

Sizes = tuple[tuple[str, int], ...]


def sizes_of(model: Model) -> Sizes:
    """The sizes of everything in a model, those without a name as ("", size)."""
    parts = [p.shape for p in model.parameters] + [e.expr.shape for e in model.equations]
    shapes = [*parts, *(i.shape for i in model.inputs), *(t.shape for t in model.targets)]
    used = dict.fromkeys(n for shape in shapes for n in shape)
    named = tuple((n, v) for n, v in model.sizes if is_constant(n) and v in used)
    return (*named, *(("", n) for n in used if n not in dict(named).values()))


def size_text(size: int, sizes: Sizes) -> str:
    """The size of an array by the one name that it has, or as a small multiple of one where no other size divides it."""
    exact = [n for n, v in sizes if v == size and v > 1]
    if exact:
        return exact[0] if len(exact) == 1 and exact[0] else str(size)
    return row_text(size, sizes)


def row_text(row: int, sizes: Sizes) -> str:
    """A row of stacked arrays as a small multiple of a size, where only one size divides it."""
    found = [(n, row // v) for n, v in sizes if v > 1 and row % v == 0 and row // v <= MOST]
    if len(found) != 1 or not found[0][0]:
        return str(row)
    name, times = found[0]
    return name if times == 1 else f"{times} * {name}"


def shape_text(shape: Shape, sizes: Iterable[tuple[str, int]]) -> list[str]:
    """Each size of a shape."""
    sizes = tuple(sizes)
    return [size_text(n, sizes) for n in shape]


def matrix(value: Value) -> str:
    """The array of a matrix of numbers that the spec gives."""
    return f"np.array({[list(row) for row in value.attr]!r}, dtype)"
