"""Derivative rules: one row an operation, in calculus notation.

A rule is given the graph, the value `y`, and the adjoint `dy` of its result; it returns what each operand receives, as pairs
(operand, contribution).  It may use the result itself: `d tanh = dy * (1 - y * y)`.  Batch and broadcasting are operations of
their own, so no rule can forget them.
"""

from __future__ import annotations

from collections.abc import Callable

from rnnspec.ir.graph import Graph
from rnnspec.ir.program import Value

Contributions = list[tuple[int, int]]
Rule = Callable[[Graph, Value, int], Contributions]


def d_squash(g: Graph, y: Value, dy: int) -> Contributions:
    """sigmoid: dy * y * (1 - y); tanh: dy * (1 - y * y); block by block."""
    parts, low = [], 0
    for kind, rows in y.attr:
        here = (low, low + rows)
        part, dpart = (g.emit("rows", v, attr=here, name=g[v].name) for v in (y.id, dy))
        one_minus = g.emit("from_constant", part if kind == "sigmoid" else g.emit("square", part), attr=1.0)
        parts.append(g.emit("mul", dpart, part, one_minus) if kind == "sigmoid" else g.emit("mul", dpart, one_minus))
        low += rows
    return [(y.args[0], g.emit("concat", *parts))]


def d_mul(g: Graph, y: Value, dy: int) -> Contributions:
    """All factors but this one; a factor that stands twice receives twice."""
    return [(a, g.emit("mul", dy, *y.args[:k], *y.args[k + 1 :])) for k, a in enumerate(y.args)]


def d_div(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a / b: da = dy / b, db = -da * y."""
    a, b = y.args
    da = g.emit("div", dy, b)
    return [(a, da), (b, g.emit("scale", g.emit("mul", da, y.id), attr=-1.0))]


def d_power(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a ** k: da = dy * k * a ** (k - 1)."""
    (a,) = y.args
    return [(a, g.emit("mul", dy, g.emit("scale", g.emit("power", a, attr=y.attr - 1), attr=y.attr)))]


def d_softplus(g: Graph, y: Value, dy: int) -> Contributions:
    """y = log(1 + exp(a)): da = dy * sigmoid(a)."""
    (a,) = y.args
    return [(a, g.emit("mul", dy, g.emit("squash", a, attr=(("sigmoid", y.shape[0]),))))]


def d_relu(g: Graph, y: Value, dy: int) -> Contributions:
    """y = max(a, 0): da = dy where y > 0."""
    return [(y.args[0], g.emit("mul", dy, g.emit("greater", y.id, number(g, 0.0, y))))]


def d_elu(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a, or k (exp(a) - 1) where a is not positive: da = dy, or dy * (y + k)."""
    positive = g.emit("greater", y.id, number(g, 0.0, y))
    slope = g.emit("select", positive, number(g, 1.0, y), g.emit("offset", y.id, attr=y.attr))
    return [(y.args[0], g.emit("mul", dy, slope))]


def d_clip(g: Graph, y: Value, dy: int) -> Contributions:
    """da = dy where nothing was cut off."""
    (a,) = y.args
    return [(a, g.emit("mul", dy, g.emit("equal", y.id, a)))]


def d_clip_gradient(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a, but da is dy cut to -max .. max, or dy * max / max(norm(dy), max): a limit, no derivative."""
    kind, most, _ = y.attr
    if kind == "value":
        return [(y.args[0], g.emit("clip", dy, attr=(-most, most)))]
    limit = g.emit("expand", g.constant(most), attr=y.time)
    ratio = g.emit("div", limit, g.emit("maximum", g.emit("norm2", dy), limit))
    return [(y.args[0], g.emit("mul", dy, spread(g, ratio, 1, y)))]


def d_chosen(comparison: str) -> Rule:
    """minimum and maximum: the gradient flows to the operand that was chosen, the first where both are equal."""

    def rule(g: Graph, y: Value, dy: int) -> Contributions:
        a, b = y.args
        chosen = g.emit(comparison, a, b)
        return [(a, g.emit("mul", dy, chosen)), (b, g.emit("mul", dy, g.emit("not", chosen)))]

    return rule


def d_select(g: Graph, y: Value, dy: int) -> Contributions:
    """where(c, a, b): the gradient flows to the operand that was chosen."""
    condition, a, b = y.args
    return [(a, g.emit("mul", dy, condition)), (b, g.emit("mul", dy, g.emit("not", condition)))]


def d_rms_scale(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a * r, r = 1 / rms(a): da = r * (dy - y * mean(dy * y)); the rule of r itself is empty."""
    a, scale = y.args
    groups = g[scale].attr[0] if g[scale].op == "spread" else y.shape[0]
    count = 1
    for n in y.shape:
        count *= n
    mean = g.emit("scale", g.emit("dot", dy, y.id, attr=groups), attr=groups / count)
    along = g.emit("mul", y.id, spread(g, mean, groups, y))
    return [(a, g.emit("mul", g.emit("sub", dy, along), scale))]


def d_softmax(g: Graph, y: Value, dy: int) -> Contributions:
    """da = y * (dy - sum(dy * y))."""
    mean = spread(g, g.emit("dot", dy, y.id, attr=1), 1, y)
    return [(y.args[0], g.emit("mul", y.id, g.emit("sub", dy, mean)))]


def d_cumsum(g: Graph, y: Value, dy: int) -> Contributions:
    """Each row receives what it and all rows behind it send: sum(dy) - cumsum(dy) + dy."""
    before = g.emit("sub", g.emit("cumsum", dy), dy)
    return [(y.args[0], g.emit("sub", spread(g, g.emit("total", dy, attr=1), 1, y), before))]


def d_extreme(g: Graph, y: Value, dy: int) -> Contributions:
    """y = max(a) or min(a): dy goes to the row that was chosen; rows that are equal share it."""
    a = g[y.args[0]]
    chosen = g.emit("equal", a.id, spread(g, y.id, 1, a))
    share = g.emit("div", dy, g.emit("total", chosen, attr=1))
    return [(a.id, g.emit("mul", spread(g, share, 1, a), chosen))]


def d_norm2(g: Graph, y: Value, dy: int) -> Contributions:
    """y = sqrt(sum(a * a)): da = a * dy / y, and 0 where y is 0."""
    a, one = g[y.args[0]], number(g, 1.0, y)
    length = g.emit("select", g.emit("greater", y.id, number(g, 0.0, y)), y.id, one)
    return [(a.id, g.emit("mul", a.id, spread(g, g.emit("div", dy, length), 1, a)))]


def number(g: Graph, k: float, like: Value) -> int:
    """A number where an operation needs the shape of another value."""
    return spread(g, g.emit("expand", g.constant(k), attr=like.time), 1, like)


def spread(g: Graph, number: int, groups: int, like: Value) -> int:
    """A number of each group over the rows of the group; nothing to do for groups of one row."""
    return number if g[number].shape == like.shape else g.emit("spread", number, attr=(groups, like.shape))


def d_log_softmax(g: Graph, y: Value, dy: int) -> Contributions:
    """da = dy - exp(y) * sum(dy)."""
    share = g.emit("mul", g.emit("exp", y.id), spread(g, g.emit("total", dy, attr=1), 1, y))
    return [(y.args[0], g.emit("sub", dy, share))]


def d_logaddexp(g: Graph, y: Value, dy: int) -> Contributions:
    """y = log(exp(a) + exp(b)): da = dy * exp(a - y), db = dy * exp(b - y)."""
    return [(a, g.emit("mul", dy, g.emit("exp", g.emit("sub", a, y.id)))) for a in y.args]


def d_spread(g: Graph, y: Value, dy: int) -> Contributions:
    """The sum over the rows that a number was repeated over."""
    return [(y.args[0], g.emit("total", dy, attr=y.attr[0]))]


def d_total(g: Graph, y: Value, dy: int) -> Contributions:
    """Every row receives the adjoint of the sum of its group."""
    return [(y.args[0], spread(g, dy, y.attr, g[y.args[0]]))]


def d_expand(g: Graph, y: Value, dy: int) -> Contributions:
    """The sum over the steps, or over steps and sequences."""
    (a,) = y.args
    return [(a, g.emit("time_sum" if g[a].time == "sequence" else "batch_sum", dy))]


def d_matmul(g: Graph, y: Value, dy: int) -> Contributions:
    """y = A b: dA = dy b^T, db = A^T dy."""
    a, b = y.args
    db = (b, g.emit("matmul", g.emit("transpose", a), dy))
    if g[a].time == "fixed":
        return [(a, g.emit("outer_sum", dy, b)), db]
    if len(g[b].shape) == 1:
        return [(a, g.emit("outer", dy, b)), db]
    return [(a, g.emit("matmul", dy, g.emit("transpose", b))), db]


def d_outer(g: Graph, y: Value, dy: int) -> Contributions:
    """y = a b^T: da = dy b, db = dy^T a."""
    a, b = y.args
    return [(a, g.emit("matmul", dy, b)), (b, g.emit("matmul", g.emit("transpose", dy), a))]


def d_cross_entropy(g: Graph, y: Value, dy: int) -> Contributions:
    """y = -log softmax(a)[class]: da = (softmax(a) - one_hot(class)) * dy."""
    logits, target, logs = y.args
    error = g.emit("softmax_error", logs, target)
    return [(logits, g.emit("mul", error, spread(g, dy, 1, g[logits])))]


VJPS: dict[str, Rule] = {
    "add": lambda g, y, dy: [(a, dy) for a in y.args],
    "mul": d_mul,
    "sub": lambda g, y, dy: [(y.args[0], dy), (y.args[1], g.emit("scale", dy, attr=-1.0))],
    "div": d_div,
    "scale": lambda g, y, dy: [(y.args[0], g.emit("scale", dy, attr=y.attr))],
    "offset": lambda g, y, dy: [(y.args[0], dy)],
    "from_constant": lambda g, y, dy: [(y.args[0], g.emit("scale", dy, attr=-1.0))],
    "power": d_power,
    "exp": lambda g, y, dy: [(y.args[0], g.emit("mul", dy, y.id))],
    "log": lambda g, y, dy: [(y.args[0], g.emit("div", dy, y.args[0]))],
    "sqrt": lambda g, y, dy: [(y.args[0], g.emit("scale", g.emit("div", dy, y.id), attr=0.5))],
    "abs": lambda g, y, dy: [(y.args[0], g.emit("mul", dy, g.emit("sign", y.args[0])))],
    "square": lambda g, y, dy: [(y.args[0], g.emit("scale", g.emit("mul", dy, y.args[0]), attr=2.0))],
    "sin": lambda g, y, dy: [(y.args[0], g.emit("mul", dy, g.emit("cos", y.args[0])))],
    "cos": lambda g, y, dy: [(y.args[0], g.emit("scale", g.emit("mul", dy, g.emit("sin", y.args[0])), attr=-1.0))],
    "relu": d_relu,
    "softplus": d_softplus,
    "elu": d_elu,
    "clip": d_clip,
    "clip_gradient": d_clip_gradient,
    "squash": d_squash,
    "minimum": d_chosen("less_equal"),
    "maximum": d_chosen("greater_equal"),
    "select": d_select,
    "rms_scale": d_rms_scale,
    "softmax": d_softmax,
    "logaddexp": d_logaddexp,
    "log_softmax": d_log_softmax,
    "cumsum": d_cumsum,
    "max": d_extreme,
    "min": d_extreme,
    "norm2": d_norm2,
    "expand": d_expand,
    "spread": d_spread,
    "transpose": lambda g, y, dy: [(y.args[0], g.emit("transpose", dy))],
    "copy": lambda g, y, dy: [(y.args[0], dy)],
    "total": d_total,
    "batch_sum": lambda g, y, dy: [(y.args[0], g.emit("expand", dy, attr=g[y.args[0]].time))],
    "batch_total": lambda g, y, dy: [(y.args[0], g.emit("batch_total", dy))],
    "matmul": d_matmul,
    "outer": d_outer,
    "lookup": lambda g, y, dy: [(y.args[0], g.emit("lookup_sum", dy, y.args[1], attr=g[y.args[0]].shape[1]))],
    "time_sum": lambda g, y, dy: [(y.args[0], g.emit("expand", dy, attr="step"))],
    "last": lambda g, y, dy: [(y.args[0], g.emit("at_last", dy))],
    "cross_entropy": d_cross_entropy,
    "mean_loss": lambda g, y, dy: [(y.args[0], y.args[1])],
}
"""`rows`, `shift`, `concat` and leaves are the business of `differentiate`: their adjoints depend on all readers at once.

Operations that `ir.ops` calls silent have no rule: they send nothing to their operands.
"""
