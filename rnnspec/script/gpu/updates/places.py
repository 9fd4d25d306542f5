"""Where parameters are in their vector on a GPU, and how sums over all of them are divided."""

from __future__ import annotations

import math

from rnnspec.frontend.typed import Spec
from rnnspec.script.body import Body

Place = tuple[int, int, int]
"""First number, rows (the weights into one unit), numbers in a row; a vector is one row."""

BLOCKS = 1024
"""Blocks that add up a sum, at most."""


def places(spec: Spec, body: Body) -> dict[str, Place]:
    """The place of each parameter, by its name in the spec."""
    starts = {name: (start, shape) for name, start, shape in body.layout.places}
    for name, stack, low, _ in body.layout.rows:
        start, shape = starts[stack]
        starts[name] = start + low * math.prod(shape[1:]), ()
    found = {}
    for name, here in body.layout.parameters:
        shape = spec.model.shape_of(name)
        rows = shape[0] if len(shape) == 2 else 1
        found[name] = starts[here][0], rows, math.prod(shape) // rows
    return found


def parts(spec: Spec, body: Body, by_row: bool) -> int:
    """How many parts a sum over all parameters has: one for each row, or for each block of threads."""
    if by_row:
        found = places(spec, body)
        return sum(found[info.name][1] for info in spec.model.parameters if info.trainable)
    return min(BLOCKS, -(-body.layout.trainable // 256))
