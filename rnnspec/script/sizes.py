"""Sizes by name: `4 * H` reads better than 512."""

from __future__ import annotations

from collections.abc import Iterable

from rnnspec.ir.program import Shape
from rnnspec.script.names import is_constant

MOST = 8  # gates, at most


def size_text(size: int, sizes: Iterable[tuple[str, int]]) -> str:
    """A number as the name of a size, or a small multiple of one, where only one name fits."""
    named = [(n, v) for n, v in sizes if v > 1 and is_constant(n)]
    exact = [n for n, v in named if v == size]
    if len(exact) == 1:
        return exact[0]
    multiples = [(n, size // v) for n, v in named if size % v == 0 and 1 < size // v <= MOST and v > MOST]
    if not exact and len(multiples) == 1:
        name, factor = multiples[0]
        return f"{factor} * {name}"
    return str(size)


def shape_text(shape: Shape, sizes: Iterable[tuple[str, int]]) -> list[str]:
    """Each size of a shape."""
    sizes = tuple(sizes)
    return [size_text(n, sizes) for n in shape]
