"""Starts: a value whose readers begin with different starts is stored once for each of them.

Two variables can turn out to be one value, as in `h[t] = c[t]`, and yet `h[0]` may be learned where `c[0]` is zero.  What
stands in front of the first step is stored beside the value, so each start needs a copy of its own.
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value


def starts(program: Program) -> Program:
    """The same program with copies of values that begin in several ways."""
    graph = Rewrite(program)
    number, count = _ways(program)
    promises = {(operand, way): graph.promise() for operand, ways in count.items() for way in range(1, ways)}
    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        way = number.get(value.id, 0)
        if way:
            begin = map(graph.new, value.args[1:])
            made = graph.shift(promises[value.args[0], way], value.attr, value.shape, begin, value.name)
        else:
            made = graph.rebuild(value)
        graph.replace(value.id, made)
        for way in range(1, count.get(value.id, 1)):
            made = graph.emit("copy", made, name=value.name)
            graph.keep_promise(promises[value.id, way], made)
    return graph.done()


def _ways(program: Program) -> tuple[dict[int, int], dict[int, int]]:
    """For each shift the number of the way in which what it reads begins; and how many ways each value has."""
    number: dict[int, int] = {}
    ways: dict[int, list[dict[tuple[bool, int], int]]] = {}
    for value in program.values.values():
        if value.op == "shift":
            begin, known = _begin(program, value), ways.setdefault(value.args[0], [])
            way = next((k for k, other in enumerate(known) if all(other.get(s, v) == v for s, v in begin.items())), len(known))
            if way == len(known):
                known.append({})
            known[way].update(begin)
            number[value.id] = way
    return number, {operand: len(known) for operand, known in ways.items()}


def _begin(program: Program, shift: Value) -> dict[tuple[bool, int], int]:
    """What stands at each step outside of the sequence, zero as -1: by direction and distance."""
    found = {}
    for k in range(abs(shift.attr)):
        start = program.values[shift.args[1 + k]] if len(shift.args) > 1 else None
        base = start
        while base is not None and base.op in ("expand", "spread"):
            base = program.values[base.args[0]]
        zero = base is None or (base.op == "constant" and base.attr == 0)
        found[shift.attr > 0, k] = -1 if zero or start is None else start.id
    return found
