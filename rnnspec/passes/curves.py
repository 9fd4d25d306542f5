"""Functions of one element that are made of several operations: see `functions`."""

from __future__ import annotations

import math

from rnnspec.frontend import typed
from rnnspec.passes.operands import Operands


def silu(low: Operands, call: typed.Call) -> int:
    """x * sigmoid(x), Hendrycks & Gimpel 2016."""
    x = low.expression(call.args[0])
    return low.graph.emit("mul", x, low.graph.emit("squash", x, attr=(("sigmoid", low.graph[x].shape[0]),)))


def gelu(low: Operands, call: typed.Call) -> int:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), Hendrycks & Gimpel 2016, section 2."""
    emit, x, root = low.graph.emit, low.expression(call.args[0]), math.sqrt(2 / math.pi)
    factor = emit("offset", emit("scale", emit("square", x), attr=0.044715 * root), attr=root)
    bend = emit("squash", emit("mul", x, factor), attr=(("tanh", low.graph[x].shape[0]),))
    return emit("mul", emit("scale", x, attr=0.5), emit("offset", bend, attr=1.0))


def selu(low: Operands, call: typed.Call) -> int:
    """Klambauer et al. 2017, equation 2, with the constants of their appendix."""
    curve = low.graph.emit("elu", low.expression(call.args[0]), attr=1.6732632423543772)
    return low.graph.emit("scale", curve, attr=1.0507009873554805)


def leaky_relu(low: Operands, call: typed.Call) -> int:
    """Maas et al. 2013: x where it is positive, else a small part of it."""
    emit, x = low.graph.emit, low.expression(call.args[0])
    positive = emit("greater", *low.matched(x, low.graph.constant(0.0)))
    return emit("select", positive, x, emit("scale", x, attr=float(str(call.option("negative_slope")))))


def softsign(low: Operands, call: typed.Call) -> int:
    """x / (1 + |x|)."""
    x = low.expression(call.args[0])
    return low.graph.emit("div", x, low.graph.emit("offset", low.graph.emit("abs", x), attr=1.0))


def log_sigmoid(low: Operands, call: typed.Call) -> int:
    """log(1 / (1 + exp(-x))) = -softplus(-x)."""
    turned = low.graph.emit("scale", low.expression(call.args[0]), attr=-1.0)
    return low.graph.emit("scale", low.graph.emit("softplus", turned), attr=-1.0)


def hard_sigmoid(low: Operands, call: typed.Call) -> int:
    """x / 6 + 1 / 2 between 0 and 1."""
    line = low.graph.emit("offset", low.graph.emit("scale", low.expression(call.args[0]), attr=1 / 6), attr=0.5)
    return low.graph.emit("clip", line, attr=(0.0, 1.0))


def hard_tanh(low: Operands, call: typed.Call) -> int:
    """x between -1 and 1."""
    return low.graph.emit("clip", low.expression(call.args[0]), attr=(-1.0, 1.0))
