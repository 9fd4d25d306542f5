"""Functions over all features, spelled out in sums, maxima and what works element by element.

A kernel adds up over the features of a sequence while it does the rest: it needs to see where.

softmax(a)      ->  e / total(e)  with  e = exp(a - max(a))
log_softmax(a)  ->  (a - max(a)) - log(total(exp(a - max(a))))
norm2(a)        ->  sqrt(total(a * a))
dot(a, b)       ->  total(a * b)
inv_rms(a)      ->  inv_sqrt(weighted_total(a * a, 1 / rows))
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value

FEW = 512  # ids: up to here one matrix product is faster than looking for each of them


def spell_out(program: Program) -> Program:
    """The same program without functions over all features but sums, the largest and the smallest element."""
    graph = Rewrite(program)

    def over(number: int, like: int) -> int:
        """One number for all rows of another value."""
        return graph.emit("spread", number, attr=(1, graph[like].shape))

    def shifted(arg: int) -> int:
        """A value less its largest element, so that exp cannot overflow."""
        return graph.emit("sub", arg, over(arg if graph[arg].shape == (1,) else graph.emit("max", arg), arg))

    def softmax(value: Value, arg: int) -> int:
        power = graph.emit("exp", shifted(arg))
        return graph.emit("div", power, over(graph.emit("total", power, attr=1), power), name=value.name)

    def log_softmax(value: Value, arg: int) -> int:
        low = shifted(arg)
        log = graph.emit("log", graph.emit("total", graph.emit("exp", low), attr=1))
        return graph.emit("sub", low, over(log, low), name=value.name)

    def norm2(value: Value, arg: int) -> int:
        return graph.emit("sqrt", graph.emit("total", graph.emit("square", arg), attr=1), name=value.name)

    def dot(value: Value, left: int, right: int) -> int:
        return graph.emit("total", graph.emit("mul", left, right), attr=value.attr, name=value.name)

    def inv_rms(value: Value, arg: int) -> int:
        groups, eps = value.attr
        share = groups / math.prod(graph[arg].shape)
        mean = graph.emit("weighted_total", graph.emit("square", arg), attr=(groups, share))
        return graph.emit("inv_sqrt", mean, attr=eps, name=value.name)

    def total(value: Value, arg: int) -> int:
        single = graph[arg].shape == value.shape
        return graph.emit("scale", arg, attr=1.0) if single else graph.rebuild(value)

    def weighted_total(value: Value, arg: int) -> int:
        groups, factor = value.attr
        single = graph[arg].shape == (groups,)
        return graph.emit("scale", arg, attr=factor, name=value.name) if single else graph.rebuild(value)

    def extreme(value: Value, arg: int) -> int:
        return arg if graph[arg].shape == (1,) else graph.rebuild(value)

    def lookup_sum(value: Value, arg: int, ids: int) -> int:
        if value.attr > FEW:
            return graph.rebuild(value)
        return graph.emit("outer_sum", arg, graph.emit("one_hot", ids, attr=value.attr, name=f"{graph[ids].name}_one_hot"))

    rules: dict[str, Callable[..., int]] = {
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
    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        made = rules[value.op](value, *map(graph.new, value.args)) if value.op in rules else graph.rebuild(value)
        graph.replace(value.id, made)
    return graph.done()
