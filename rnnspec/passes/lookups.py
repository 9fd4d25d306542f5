"""A product with a one-hot vector is a look-up of a column; differentiation then gives a sum by id, not a product."""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program


def lookups(program: Program) -> Program:
    """The same program with `W @ one_hot(ids)` read from the matrix."""
    graph, values = Rewrite(program), program.values
    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        if value.op == "matmul" and values[value.args[0]].time == "fixed" and values[value.args[1]].op == "one_hot":
            matrix, one_hot = value.args
            made = graph.emit("lookup", graph.new(matrix), graph.new(values[one_hot].args[0]), name=value.name)
        else:
            made = graph.rebuild(value)
        graph.replace(value.id, made)
    return graph.done()
