"""Where parameters live: one flat vector, stacks first come, first stored; trained ones in front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rnnspec.frontend.typed import Model
from rnnspec.ir.ops import DATA
from rnnspec.ir.program import Program, Shape, Value
from rnnspec.script.names import VIEWS, attributes, identifier

ALIGN = 16  # numbers: a multiple of a cache line


@dataclass(frozen=True)
class Layout:
    """Where every parameter lies in one vector of `size` numbers, the first `trainable` of which are trained."""

    attribute: dict[int, str]  # param or stacked value -> attribute
    parameters: tuple[tuple[str, str], ...]  # name in the spec, attribute
    places: tuple[tuple[str, int, Shape], ...]  # attributes that own storage: start, shape
    rows: tuple[tuple[str, str, int, int], ...]  # attributes that are rows of a stack: stack, first row, last row + 1
    trainable: int
    size: int


def layout(program: Program, model: Model) -> Layout:
    """The layout of a program's parameters, those included that it never reads."""
    names = attributes([p.name for p in model.parameters], VIEWS)
    stacks = list(program.leaves("stacked"))
    taken = {*names.values(), *VIEWS}
    attribute = {v.id: names[v.name] for v in program.leaves("param")}
    for stack in stacks:
        own = attributes([stack.name], taken)[stack.name]
        taken.add(own)
        attribute[stack.id] = own
    members = {m for s in stacks for m in s.args}
    owners: list[tuple[str, Shape, bool]] = [(attribute[s.id], s.shape, bool(program.values[s.args[0]].attr)) for s in stacks]
    stacked_names = {program.values[m].name for m in members}
    owners += [(names[p.name], p.shape or (1,), p.trainable) for p in model.parameters if p.name not in stacked_names]
    places, start, trainable = [], 0, 0
    for name, shape, trained in sorted(owners, key=lambda o: not o[2]):
        places.append((name, start, shape))
        start += -(-math.prod(shape) // ALIGN) * ALIGN
        trainable = start if trained else trainable
    rows = []
    for stack in stacks:
        low = 0
        for member in stack.args:
            high = low + program.values[member].shape[0]
            rows.append((attribute[member], attribute[stack.id], low, high))
            low = high
    return Layout(attribute, tuple(names.items()), tuple(places), tuple(rows), trainable, start)


def unread(program: Program, model: Model) -> list[str]:
    """The trained parameters that the loss does not depend on: their gradient is zero."""
    reached = {member for param, _ in program.roots.gradients for member in (param, *program.values[param].args)}
    names = {program.values[i].name for i in reached}
    return [info.name for info in model.parameters if info.trainable and info.name not in names]


FILLED = DATA - {"numbers", "valid"}
"""Data that a batch brings; the rest the body makes by itself."""


def filled(program: Program, attribute: Mapping[int, str]) -> frozenset[str]:
    """The attributes of w that the frame fills before the program runs."""
    return frozenset(attribute[v.id] for v in program.values.values() if v.op in FILLED)


def data_attributes(program: Program, taken: frozenset[str]) -> dict[int, str]:
    """Attributes of w for what the data provides; ids that are read as one-hot vectors are called `x_ids`."""
    users = program.users()

    def wish(value: Value) -> str:
        one_hot = any(u.op in ("one_hot", "lookup") for u in users[value.id])
        return f"{value.name}_ids" if value.op == "ids" and one_hot else value.name

    data = [v for v in program.values.values() if v.op in DATA]
    names = {v.id: v.name for v in data if v.op in ("mask", "share", "drawn", "weight", "training")}
    for value in data:
        if value.id not in names:
            names[value.id] = identifier(wish(value), {*names.values(), *taken})
    return names
