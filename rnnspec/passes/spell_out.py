"""Functions over all features, spelled out in sums, maxima and what works element by element.

A kernel adds up over the features of a sequence while it does the rest: it needs to see where.
"""

from __future__ import annotations

from collections.abc import Callable

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value
from rnnspec.passes.reductions import dot, inv_rms

FEW = 512  # ids: up to here one matrix product is faster than looking for each of them


def spell_out(program: Program) -> Program:
    """The same program without functions over all features but sums, the largest and the smallest element."""
    graph = Rewrite(program)
    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        rule = RULES.get(value.op)
        graph.replace(value.id, rule(graph, value, *map(graph.new, value.args)) if rule else graph.rebuild(value))
    return graph.done()


def over(graph: Rewrite, number: int, like: int) -> int:
    """One number for all rows of another value."""
    return graph.emit("spread", number, attr=(1, graph[like].shape))


def shifted(graph: Rewrite, arg: int) -> int:
    """A value less its largest element, so that exp cannot overflow."""
    return graph.emit("sub", arg, over(graph, arg if graph[arg].shape == (1,) else graph.emit("max", arg), arg))


def softmax(graph: Rewrite, value: Value, arg: int) -> int:
    """e / total(e) with e = exp(a - max(a))."""
    power = graph.emit("exp", shifted(graph, arg))
    return graph.emit("div", power, over(graph, graph.emit("total", power, attr=1), power), name=value.name)


def log_softmax(graph: Rewrite, value: Value, arg: int) -> int:
    """(a - max(a)) - log(total(exp(a - max(a))))."""
    low = shifted(graph, arg)
    log = graph.emit("log", graph.emit("total", graph.emit("exp", low), attr=1))
    return graph.emit("sub", low, over(graph, log, low), name=value.name)


def norm2(graph: Rewrite, value: Value, arg: int) -> int:
    """sqrt(total(a * a))."""
    return graph.emit("sqrt", graph.emit("total", graph.emit("square", arg), attr=1), name=value.name)


def total(graph: Rewrite, value: Value, arg: int) -> int:
    """The sum of a single row is that row."""
    single = graph[arg].shape == value.shape
    return graph.emit("scale", arg, attr=1.0) if single else graph.rebuild(value)


def weighted_total(graph: Rewrite, value: Value, arg: int) -> int:
    """The sum of a single row for each group is a number times it."""
    groups, factor = value.attr
    single = graph[arg].shape == (groups,)
    return graph.emit("scale", arg, attr=factor, name=value.name) if single else graph.rebuild(value)


def extreme(graph: Rewrite, value: Value, arg: int) -> int:
    """The largest or smallest of a single row is that row."""
    return arg if graph[arg].shape == (1,) else graph.rebuild(value)


def lookup_sum(graph: Rewrite, value: Value, arg: int, ids: int) -> int:
    """A product with one-hot columns where there are few."""
    if value.attr > FEW:
        return graph.rebuild(value)
    return graph.emit("outer_sum", arg, graph.emit("one_hot", ids, attr=value.attr, name=f"{graph[ids].name}_one_hot"))


RULES: dict[str, Callable[..., int]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "norm2": norm2,
    "dot": dot,
    "inv_rms": inv_rms,
    "total": total,
    "weighted_total": weighted_total,
    "max": extreme,
    "min": extreme,
    "lookup_sum": lookup_sum,
}
"""The rule of each operation: it is given the graph, the old value and its new operands."""
