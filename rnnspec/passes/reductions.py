"""Sums over features as products with a row of weights: a factor in front of or behind a sum costs nothing there.

dot(a, b)      ->  total(a * b)
k total(a)     ->  weighted_total(a, k)       and total(k a)
inv_rms(a)     ->  inv_sqrt(weighted_total(a * a, 1 / rows))
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value


def reductions(program: Program) -> Program:
    """The same program with its sums over features in the form that is fastest."""
    graph, values = Rewrite(program), program.values

    def scaled(value: Value) -> int:
        """A number times a sum that nothing else reads."""
        inner = graph[graph.new(value.args[0])]
        if inner.op in ("total", "weighted_total") and len(graph.users[value.args[0]]) == 1:
            groups, factor = inner.attr if inner.op == "weighted_total" else (inner.attr, 1.0)
            return graph.emit("weighted_total", inner.args[0], attr=(groups, factor * value.attr), name=value.name)
        return graph.rebuild(value)

    def summed(value: Value) -> int:
        """The sum of something times a number."""
        inner = graph[graph.new(value.args[0])]
        if inner.op == "scale":
            return graph.emit("weighted_total", inner.args[0], attr=(value.attr, inner.attr), name=value.name)
        return graph.rebuild(value)

    def spelled(rule: Callable[..., int]) -> Callable[[Value], int]:
        return lambda value: rule(graph, value, *map(graph.new, value.args))

    rules = {"scale": scaled, "total": summed, "dot": spelled(dot), "inv_rms": spelled(inv_rms)}
    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        timed = value.time in ("step", "sequence")
        graph.replace(value.id, rules.get(value.op, graph.rebuild)(value) if timed else graph.rebuild(value))
    return graph.done()


def dot(graph: Rewrite, value: Value, left: int, right: int) -> int:
    """total(a * b)."""
    return graph.emit("total", graph.emit("mul", left, right), attr=value.attr, name=value.name)


def inv_rms(graph: Rewrite, value: Value, arg: int) -> int:
    """inv_sqrt(weighted_total(a * a, 1 / rows)), for each group of rows."""
    groups, eps = value.attr
    share = groups / math.prod(graph[arg].shape)
    mean = graph.emit("weighted_total", graph.emit("square", arg), attr=(groups, share))
    return graph.emit("inv_sqrt", mean, attr=eps, name=value.name)
