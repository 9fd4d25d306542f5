"""Sums over features as products with a row of weights: a factor in front of or behind a sum costs nothing there.

dot(a, b)      ->  total(a * b)
k total(a)     ->  weighted_total(a, k)       and total(k a)
inv_rms(a)     ->  inv_sqrt(weighted_total(a * a, 1 / rows))
"""

from __future__ import annotations

import math

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value


def reductions(program: Program) -> Program:
    """The same program with its sums over features in the form that is fastest."""
    graph, values, users = Rewrite(program), program.values, program.users()

    def scaled(value: Value) -> int:
        """A number times a sum that nothing else reads."""
        inner = graph[graph.new(value.args[0])]
        if inner.op in ("total", "weighted_total") and len(users[value.args[0]]) == 1:
            groups, factor = inner.attr if inner.op == "weighted_total" else (inner.attr, 1.0)
            return graph.emit("weighted_total", inner.args[0], attr=(groups, factor * value.attr), name=value.name)
        return graph.rebuild(value)

    def summed(value: Value) -> int:
        """The sum of something times a number."""
        inner = graph[graph.new(value.args[0])]
        if inner.op == "scale":
            return graph.emit("weighted_total", inner.args[0], attr=(value.attr, inner.attr), name=value.name)
        return graph.rebuild(value)

    def dotted(value: Value) -> int:
        """A sum of products."""
        product = graph.emit("mul", *map(graph.new, value.args))
        return graph.emit("total", product, attr=value.attr, name=value.name)

    def normed(value: Value) -> int:
        """The inverse root of a mean square."""
        (groups, eps), (arg,) = value.attr, value.args
        square = graph.emit("square", graph.new(arg))
        share = groups / math.prod(values[arg].shape)
        mean = graph.emit("weighted_total", square, attr=(groups, share))
        return graph.emit("inv_sqrt", mean, attr=eps, name=value.name)

    rules = {"scale": scaled, "total": summed, "dot": dotted, "inv_rms": normed}
    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        timed = value.time in ("step", "sequence")
        graph.replace(value.id, rules.get(value.op, graph.rebuild)(value) if timed else graph.rebuild(value))
    return graph.done()
