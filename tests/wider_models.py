"""Random models with what those of `tests/models.py` lack: cells with sizes of their own, ties, mean absolute differences.

They are made from random models by another choice here and there, so that no random model becomes another one.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Callable
from dataclasses import replace

from rnnspec.frontend.typed import Call, Equation, Expr, Read, walk
from tests.models import random_sketch
from tests.sketch import CellCall, Sketch

Other = Callable[[CellCall, int], CellCall]

CELLS: dict[str, Other] = {
    "jordan": lambda line, size: replace(line, units=size, more=f"outputs={line.units}"),
    "lstm_projection": lambda line, size: replace(line, units=size, more=f"projection={line.units}"),
    "scrn": lambda line, size: replace(line, units=line.units - 1, more="context=1"),
    "clockwork": lambda line, size: replace(line, units=line.units // 4),
}
"""How each is called where a vector of a given size is needed."""


def wider_sketch(random: python_random.Random) -> Sketch:
    """One random model with a cell of this file, or with a tie."""
    while True:
        sketch = random_sketch(random)
        made = with_ties(with_other_cells(with_other_loss(sketch, random), random), random)
        if made.ties or made.lines != sketch.lines:
            return made


def with_other_loss(sketch: Sketch, random: python_random.Random) -> Sketch:
    """Now and then `mae` instead of `mse`."""
    loss = sketch.loss
    if isinstance(loss, Call) and loss.function == "mse" and random.random() < 0.5:
        return replace(sketch, loss=replace(loss, function="mae"))
    return sketch


def with_other_cells(sketch: Sketch, random: python_random.Random) -> Sketch:
    """Each call of a cell becomes one of those of this file, unless another of its states is read."""
    read = {node.name for tree in trees(sketch) for node in walk(tree) if isinstance(node, Read)}
    lines: list[Equation | CellCall] = []
    for line in sketch.lines:
        if isinstance(line, CellCall) and f"{line.name}.c" not in read:
            cell = random.choice([name for name in CELLS if name != "clockwork" or line.units % 4 == 0])
            line = CELLS[cell](replace(line, cell=cell), random.choice([3, 5]))
        lines.append(line)
    return replace(sketch, lines=tuple(lines))


def with_ties(sketch: Sketch, random: python_random.Random) -> Sketch:
    """Some parameters become the same array as one before them, or as its transpose."""
    ties: dict[str, str] = {}
    free = [info for info in sketch.parameters if info.trainable and not info.weight_drop]
    for place, info in enumerate(free):
        before = [other for other in free[:place] if other.name not in ties]
        same = [other.name for other in before if other.shape == info.shape]
        same += [f"{other.name}.T" for other in before if len(info.shape) == 2 and other.shape == info.shape[::-1]]
        if same and random.random() < 0.5:
            ties[info.name] = random.choice(same)
    return replace(sketch, ties=tuple(ties.items()))


def trees(sketch: Sketch) -> list[Expr]:
    """All expressions of a sketch."""
    lines = [line.vector if isinstance(line, CellCall) else line.expr for line in sketch.lines]
    return [*lines, *(start.expr for start in sketch.starts), sketch.loss]


def words_of(sketch: Sketch) -> set[str]:
    """Functions, losses and cells of a sketch, and `tie`."""
    found = {node.function for tree in trees(sketch) for node in walk(tree) if isinstance(node, Call)}
    return found | {line.cell for line in sketch.lines if isinstance(line, CellCall)} | ({"tie"} if sketch.ties else set())
