"""sigmoid(a) = tanh(a / 2) / 2 + 1 / 2: where a is a sum of products, the halves are taken of the matrices, once in front of
the loop, and not of a at every step.  A factor of 1/2 is exact, so no digit changes.
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value


def halve(program: Program) -> Program:
    """The same program with halved matrices and biases in front of its sigmoids."""
    graph, values = Rewrite(program), program.values

    def linear(item: int, reader: int) -> bool:
        """Is it linear in parameters that can be halved?"""
        value = values[item]
        if not graph.only_for(item, reader):
            return False
        if value.op == "add":
            return all(linear(a, item) for a in value.args) and len(set(value.args)) == len(value.args)
        if value.op in ("matmul", "lookup", "expand"):
            return values[value.args[0]].op in ("param", "stacked", "beside") and len(value.shape) == 1
        return False

    def halved(item: int, kinds: tuple[tuple[str, int], ...]) -> int:
        """The same value, with the rows of the sigmoids halved."""
        value = values[item]
        graph.origin, graph.hint = value.origin, value.name
        if value.op == "add":
            return graph.emit("add", *(halved(a, kinds) for a in value.args), name=value.name)
        matrix = graph.emit("halved", graph.new(value.args[0]), attr=kinds, name=f"{values[value.args[0]].name}_half")
        return graph.emit(value.op, matrix, *map(graph.new, value.args[1:]), attr=value.attr, name=value.name)

    def squashed(value: Value) -> int:
        kinds = tuple((f"half_{kind}" if kind == "sigmoid" else kind, rows) for kind, rows in value.attr)
        if value.time != "step" or kinds == value.attr or not linear(value.args[0], value.id):
            return graph.rebuild(value)
        return graph.emit("squash", halved(value.args[0], value.attr), attr=kinds, name=value.name)

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        graph.replace(value.id, squashed(value) if value.op == "squash" else graph.rebuild(value))
    return graph.done()
