"""What each function and operator of the language is in operations: one row each."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from rnnspec.frontend import typed
from rnnspec.ir.ops import ELEMENTWISE
from rnnspec.passes.batch_norm import batch_norm
from rnnspec.passes.curves import gelu, hard_sigmoid, hard_tanh, leaky_relu, log_sigmoid, selu, silu, softsign
from rnnspec.passes.losses import LOSSES
from rnnspec.passes.operands import Operands, Rule
from rnnspec.passes.sums import mean_of, size, total


def elementwise(op: str) -> Rule:
    """The operation of this name on operands of one shape."""
    return lambda low, call: low.graph.emit(op, *low.matched(*low.arguments(call)))


def curve(kind: str) -> Rule:
    """sigmoid and tanh are one operation with a kind for each block of rows, so that one call can serve several gates."""

    def rule(low: Operands, call: typed.Call) -> int:
        (value,) = low.arguments(call)
        return low.graph.emit("squash", value, attr=((kind, low.graph[value].shape[0]),))

    return rule


ARITHMETIC: dict[str, Callable[..., float]] = {
    "neg": operator.neg,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


def constant_of(expr: typed.Expr) -> float | None:
    """The number that an expression is, if it is one (`2`, `-0.5`, `1 - 1/4`) that is finite."""
    if isinstance(expr, typed.Number):
        return expr.value
    if not isinstance(expr, typed.Call) or expr.function not in ARITHMETIC:
        return None
    numbers = [n for n in map(constant_of, expr.args) if n is not None]
    if len(numbers) < len(expr.args) or (expr.function == "div" and numbers[1] == 0):
        return None
    value = ARITHMETIC[expr.function](*numbers)
    return value if math.isfinite(value) else None


def add(low: Operands, call: typed.Call) -> int:
    """a + b; a plain number becomes part of the operation."""
    a, b = map(constant_of, call.args)
    if a is None and b is None:
        return low.graph.emit("add", *low.matched(*low.arguments(call)))
    value, number = (call.args[0], b) if b is not None else (call.args[1], a)
    return low.graph.emit("offset", low.expression(value), attr=number) if number else low.expression(value)


def sub(low: Operands, call: typed.Call) -> int:
    """a - b; a plain number becomes part of the operation."""
    a, b = map(constant_of, call.args)
    if b is not None:
        return low.graph.emit("offset", low.expression(call.args[0]), attr=-b) if b else low.expression(call.args[0])
    if a is not None:
        return low.graph.emit("from_constant", low.expression(call.args[1]), attr=a)
    return low.graph.emit("sub", *low.matched(*low.arguments(call)))


def mul(low: Operands, call: typed.Call) -> int:
    """a * b; a plain number becomes part of the operation."""
    a, b = map(constant_of, call.args)
    if a is None and b is None:
        return low.graph.emit("mul", *low.matched(*low.arguments(call)))
    value, number = (call.args[0], b) if b is not None else (call.args[1], a)
    return low.expression(value) if number == 1 else low.graph.emit("scale", low.expression(value), attr=number)


def div(low: Operands, call: typed.Call) -> int:
    """a / b; division by a plain number is a scale."""
    b = constant_of(call.args[1])
    if b is not None and b != 0:
        return low.expression(call.args[0]) if b == 1 else low.graph.emit("scale", low.expression(call.args[0]), attr=1 / b)
    return low.graph.emit("div", *low.matched(*low.arguments(call)))


def matmul(low: Operands, call: typed.Call) -> int:
    """A @ b; a vector on the left is multiplied by the transpose."""
    a, b = low.arguments(call)
    graph = low.graph
    if len(call.args[0].shape) == 1:
        a, b = graph.emit("transpose", b), a
    name = f"{graph[a].name}_{graph[b].name}"
    if graph[a].time != "fixed":
        a, b = low.together(a, b)
    return graph.emit("matmul", a, b, name=name)


def outer(low: Operands, call: typed.Call) -> int:
    """A matrix for each step."""
    return low.graph.emit("outer", *low.together(*low.arguments(call)))


def dot(low: Operands, call: typed.Call) -> int:
    """The sum of products."""
    return total(low, low.graph.emit("mul", *low.matched(*low.arguments(call))))


def chunk(low: Operands, call: typed.Call) -> int:
    """The i-th of n equal parts."""
    (value,) = low.arguments(call)
    part, parts = int(str(call.option("part"))), int(str(call.option("parts")))
    rows = low.graph[value].shape[0] // parts
    return low.graph.emit("rows", value, attr=((part - 1) * rows, part * rows))


def concat(low: Operands, call: typed.Call) -> int:
    """Vectors one after another."""
    return low.graph.emit("concat", *low.together(*low.arguments(call)))


def select(low: Operands, call: typed.Call) -> int:
    """where(c, a, b); `where(mask, ...)` reads the mask as a condition."""
    values = [low.valid if isinstance(a, typed.Mask) and k == 0 else low.expression(a) for k, a in enumerate(call.args)]
    return low.graph.emit("select", *low.matched(*values))


def condition(op: str) -> Rule:
    """A comparison, or an operation on conditions."""

    def rule(low: Operands, call: typed.Call) -> int:
        logic = op in ("and", "or", "not")
        values = [low.valid if logic and isinstance(a, typed.Mask) else low.expression(a) for a in call.args]
        return low.graph.emit(op, *low.matched(*values))

    return rule


def with_constants(op: str, *options: str) -> Rule:
    """An operation that holds options of the call: one number, or a tuple of several."""

    def rule(low: Operands, call: typed.Call) -> int:
        held = tuple(float(str(call.option(name))) for name in options)
        return low.graph.emit(op, low.expression(call.args[0]), attr=held if len(held) > 1 else held[0])

    return rule


def layer_norm(low: Operands, call: typed.Call) -> int:
    """Ba, Kiros, Hinton 2016, eq. 4: (v - mean) / sqrt(variance + eps) * g + b."""
    graph, (value, *rest) = low.graph, low.arguments(call)
    mean = graph.emit("scale", total(low, value), attr=1 / size(low, value), name="mean")
    centred = graph.emit("sub", value, low.spread(mean, value), name="centred")
    return scaled_to_rms(low, call, centred, rest, "inv_std")


def rms_norm(low: Operands, call: typed.Call) -> int:
    """Zhang & Sennrich 2019, eq. 4: v / sqrt(mean(v * v) + eps) * g."""
    value, *rest = low.arguments(call)
    return scaled_to_rms(low, call, value, rest, "inv_rms")


def scaled_to_rms(low: Operands, call: typed.Call, value: int, rest: list[int], name: str) -> int:
    """v / sqrt(mean(v * v) + eps), times a gain and plus a bias if there are any."""
    graph, eps = low.graph, float(str(call.option("eps")))
    scale = graph.emit("inv_rms", value, attr=(1, eps), name=name)
    normed = graph.emit("rms_scale", value, low.spread(scale, value), name="unit")
    if rest:
        normed = graph.emit("mul", *low.matched(normed, rest[0]), name="scaled")
    if len(rest) > 1:
        normed = graph.emit("add", *low.matched(normed, rest[1]), name="normed")
    return normed


def drawn(low: Operands, call: typed.Call, like: int) -> int:
    """The random numbers of a call, of the shape of a value."""
    made, place = low.graph[like], int(str(call.option("place")))
    if place not in low.drawn:
        low.drawn[place] = low.graph.leaf("drawn", f"{call.function}_{place}", made.shape, made.time, place)
    return low.drawn[place]


def dropout(low: Operands, call: typed.Call) -> int:
    """Srivastava et al. 2014, inverted: times 0 or 1/(1-p).  Of a parameter: Merity et al. 2018, weight-drop."""
    (value,) = low.arguments(call)
    name = f"{low.graph[value].name}_dropped" if low.graph[value].time == "fixed" else None
    return low.graph.emit("mul", value, drawn(low, call, value), name=name)


def zoneout(low: Operands, call: typed.Call) -> int:
    """Krueger et al. 2017, eq. 4: old where 1 was drawn, new where 0 was."""
    new, old = low.matched(*low.arguments(call))
    kept = drawn(low, call, new)
    rest = low.graph.emit("from_constant", kept, attr=1.0, name=f"{low.graph[kept].name}_rest")
    return low.graph.emit("add", low.graph.emit("mul", kept, old), low.graph.emit("mul", rest, new))


def noise(low: Operands, call: typed.Call) -> int:
    """Normal random numbers are added."""
    (value,) = low.arguments(call)
    return low.graph.emit("add", value, drawn(low, call, value))


def sum_over_time(low: Operands, value: int) -> int:
    """The sum over the valid steps of each sequence."""
    value = low.at_time(value, "step")
    masked = low.graph[low.mask].op == "mask"
    return low.graph.emit("time_sum", low.graph.emit("mul", value, low.spread(low.mask, value)) if masked else value)


def mean_over_time(low: Operands, value: int) -> int:
    """The sum over the valid steps, divided by their number."""
    steps = low.graph.emit("time_sum", low.at_time(low.mask, "step"), name="count")
    return low.graph.emit("div", *low.matched(sum_over_time(low, value), steps))


LEAST = -1e30
"""Smaller than anything that a model computes."""


def max_over_time(low: Operands, value: int) -> int:
    """The largest so far, at the last valid step; before the first one stands something smaller than anything."""
    graph, value = low.graph, low.at_time(value, "step")
    shape, best = graph[value].shape, graph.promise()
    start = low.as_shape(low.at_time(graph.constant(LEAST), "sequence"), shape)
    before = graph.shift(best, 1, shape, [start], f"{graph.hint}_before")
    largest = graph.storable(graph.emit("maximum", value, before, name=f"{graph.hint}_so_far"))
    graph.keep_promise(best, largest)
    return graph.emit("last", largest)


FUNCTIONS: dict[str, Rule] = {
    **{op: elementwise(op) for op in ELEMENTWISE},  # functions with the name of an operation, but for what follows
    "neg": lambda low, call: low.graph.emit("scale", low.expression(call.args[0]), attr=-1.0),
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "pow": lambda low, call: low.graph.emit("power", low.expression(call.args[0]), attr=constant_of(call.args[1])),
    "matmul": matmul,
    "transpose": lambda low, call: low.graph.emit("transpose", low.expression(call.args[0])),
    **{op: condition(op) for op in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")},
    **{op: condition(op) for op in ("and", "or", "not")},
    "tanh": curve("tanh"),
    "sigmoid": curve("sigmoid"),
    "silu": silu,
    "gelu": gelu,
    "elu": with_constants("elu", "alpha"),
    "selu": selu,
    "leaky_relu": leaky_relu,
    "softsign": softsign,
    "log_sigmoid": log_sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": hard_tanh,
    "clamp": with_constants("clip", "low", "high"),
    **{op: elementwise(op) for op in ("softmax", "log_softmax", "cumsum", "max", "min", "norm2")},
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "where": select,
    "concat": concat,
    "chunk": chunk,
    "sum": lambda low, call: total(low, low.expression(call.args[0])),
    "mean": lambda low, call: mean_of(low, low.expression(call.args[0])),
    "sum_over_time": lambda low, call: sum_over_time(low, low.expression(call.args[0])),
    "mean_over_time": lambda low, call: mean_over_time(low, low.expression(call.args[0])),
    "max_over_time": lambda low, call: max_over_time(low, low.expression(call.args[0])),
    "dot": dot,
    "outer": outer,
    "dropout": dropout,
    "zoneout": zoneout,
    "noise": noise,
    **LOSSES,
}
