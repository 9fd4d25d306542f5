"""Classify: how each recurrence depends on its own past, which decides how fast it can run.

    linear        every element of a state by itself, and affine in it: a[t] * s[t-1] + b[t]
    elementwise   every element by itself, but bent: tanh(... + u * s[t-1])
    mixed         elements of a state reach each other within one sequence, by sums or by products with matrices of its own
    dense         by products with matrices that all sequences share: what costs most, and what a step cannot do without

A recurrence that is not dense needs no other launch between its steps.  The degree of a value says how it depends on the
states: 0 not at all, 1 affinely, 2 in any other way (Martin and Cundy 2018 call the linear ones surrogates).
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.ir.ops import CONDITIONS, ELEMENTWISE, VIEWS
from rnnspec.ir.order import now_args, sort_values
from rnnspec.ir.program import Block, Program, Recurrence, Value

KEEPS = frozenset(["scale", "offset", "from_constant", "copy", "concat", "stop_gradient", "clip_gradient", "add", "sub"])
"""Operations that are affine in all of their operands."""

MIXES = frozenset(["total", "weighted_total", "dot", "outer", "matmul", "cumsum", "transpose"])
"""Operations whose elements depend on other elements of an operand."""


def classify(program: Program) -> Program:
    """The program whose loops say what kind of recurrence they are."""
    found = (replace(b, recurrence=kind(program, b)) if b.kind == "loop" else b for b in program.blocks)
    return replace(program, blocks=tuple(found))


def kind(program: Program, block: Block) -> Recurrence:
    """The kind of one recurrence."""
    values, members = program.values, set(block.ids)
    degree: dict[int, int] = {}
    mixed = False
    needed = {i: values[i] for i in sort_values(values, block.ids)}
    for item, value in needed.items():
        operands = [degree.get(a, 0) for a in now_args(value)]
        if value.op == "shift":
            degree[item] = int(reaches(values, value.args[0], members))
        elif item in members or value.op in VIEWS:
            degree[item] = degree_of(value, operands)
        if degree.get(item) and item in members and value.op not in ELEMENTWISE | {"copy", "concat"}:
            if value.op == "matmul" and values[value.args[0]].time == "fixed":
                return "dense"
            mixed = True
    if mixed or crosses(program, block):
        return "mixed"
    return "linear" if max((degree.get(i, 0) for i in members), default=0) < 2 else "elementwise"


def degree_of(value: Value, operands: list[int]) -> int:
    """How a value depends on the states, from how its operands do."""
    highest = max(operands, default=0)
    if highest == 0:
        return 0
    if value.op in KEEPS | VIEWS | {"total", "weighted_total", "cumsum"}:
        return highest
    if value.op in ("mul", "outer", "matmul", "dot"):
        return min(2, sum(operands))
    if value.op == "div" and operands[1] == 0:
        return highest
    if value.op == "select" and operands[0] == 0:
        return highest
    return 0 if value.op in CONDITIONS and highest == 0 else 2


def reaches(values: dict[int, Value], item: int, members: set[int]) -> bool:
    """Whether a view shows something that is computed in the loop."""
    while values[item].op in VIEWS:
        item = values[item].args[0]
    return item in members


def crosses(program: Program, block: Block) -> bool:
    """Whether rows of a state are read as other rows: then elements do reach each other."""
    values, members = program.values, set(block.ids)
    for value in (values[i] for i in block.ids):
        for arg in value.args:
            low, item, lagged = 0, arg, False
            while values[item].op in VIEWS:
                low += values[item].attr[0] if values[item].op == "rows" else 0
                lagged |= values[item].op == "shift"
                item = values[item].args[0]
            if lagged and low and item in members:
                return True
    return False
