"""Sizes by name: `4 * H` reads better than 512, where it is what the spec means."""

from __future__ import annotations

from collections.abc import Iterable

from rnnspec.frontend.typed import Model
from rnnspec.ir.program import Shape, Value
from rnnspec.script.names import is_constant

MOST = 8  # gates, at most

Sizes = tuple[tuple[str, int], ...]


def sizes_of(model: Model) -> Sizes:
    """All sizes of a model, those without a name as ("", size)."""
    named = tuple((n, v) for n, v in model.sizes if is_constant(n))
    shapes = [p.shape for p in model.parameters] + [e.expr.shape for e in model.equations]
    used = dict.fromkeys(n for shape in shapes for n in shape)
    return (*named, *(("", n) for n in used if n not in dict(named).values()))


def size_text(size: int, sizes: Sizes) -> str:
    """A number as the name of a size, or a small multiple of one, where it can be nothing else."""
    exact = [n for n, v in sizes if v == size and v > 1]
    if exact:
        return exact[0] if len(exact) == 1 and exact[0] else str(size)
    multiples = [(n, size // v) for n, v in sizes if v > MOST and size % v == 0 and size // v <= MOST]
    if len(multiples) == 1 and multiples[0][0]:
        return f"{multiples[0][1]} * {multiples[0][0]}"
    return str(size)


def shape_text(shape: Shape, sizes: Iterable[tuple[str, int]]) -> list[str]:
    """Each size of a shape."""
    sizes = tuple(sizes)
    return [size_text(n, sizes) for n in shape]


def matrix(value: Value) -> str:
    """The array of a matrix of numbers that the spec gives."""
    return f"np.array({[list(row) for row in value.attr]!r}, dtype)"
