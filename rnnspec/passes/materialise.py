"""What is repeated by a view gets storage of its own where an operation needs every element of it.

Elementwise operations repeat on the way, for nothing; products, reductions and what crosses time need the whole array.
"""

from __future__ import annotations

from functools import cache

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import ELEMENTWISE, LEAVES, OPS, VIEWS
from rnnspec.ir.program import Program, Value

TOLERANT = ELEMENTWISE | LEAVES | (VIEWS - {"transpose"}) | {"copy"}


def materialise(program: Program) -> Program:
    """The same program with copies where a repeated value is read as a whole."""
    graph, values = Rewrite(program), program.values

    @cache
    def is_repeated(item: int) -> bool:
        value = values[item]
        if value.op in ELEMENTWISE:  # nothing in it has the full shape
            return all(map(is_repeated, value.args))
        return OPS[value.op].repeated or (value.op in VIEWS - {"shift"} and is_repeated(value.args[0]))

    def whole(arg: int, reader: Value) -> int:
        share = reader.id == program.roots.loss and values[arg].op == "share"
        if share or not is_repeated(arg):
            return graph.new(arg)
        return graph.emit("copy", graph.new(arg), name=f"{values[arg].name}_all")

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        if value.op in TOLERANT:
            graph.replace(value.id, graph.rebuild(value))
            continue
        args = [whole(a, value) for a in value.args]
        graph.replace(value.id, graph.emit(value.op, *args, attr=value.attr, name=value.name))
    return graph.done()
