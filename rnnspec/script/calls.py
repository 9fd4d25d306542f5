"""One operation -> the NumPy calls that write its result into storage that exists: one row an operation.

A row is given the printer's operands `o`, the value, and where the result goes; it returns lines of code.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnspec.ir.program import Shape, Value
from rnnspec.script import labels, parts, threads
from rnnspec.script.elementwise import UFUNCS, clip, elu, halved, select, softplus, squash, ufunc
from rnnspec.script.operands import Operands

Call = Callable[[Operands, Value, str, list[str]], list[str]]

FEW = 512  # ids: up to here a product with one-hot columns is faster than sorting

FUNCTIONS = frozenset(UFUNCS.values()) | {
    "arange", "argsort", "copyto", "dot", "einsum", "expm1", "flatnonzero", "log1p", "matmul", "outer", "power", "take", "tanh",
}  # fmt: skip
"""Names of NumPy that the calls use; a script imports those that it contains."""

TEMPORARIES = frozenset(["one_hot", "order", "sorted_ids", "first"])
"""Names that the calls bind themselves."""


def beside(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Matrices side by side."""
    lines, low = [], 0
    for arg, text in zip(value.args, args, strict=True):
        shape = o.values[arg].shape
        high = low + math.prod(shape[1:])
        lines.append(f"copyto({out}[:, {column_range(o, low, shape)}], {text})")
        low = high
    return lines


def columns(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Some columns, or one."""
    low, shape = value.attr
    return [f"copyto({out}, {args[0]}[:, {column_range(o, low, shape)}])"]


def column_range(o: Operands, low: int, shape: Shape) -> str:
    """The columns of a part, as an index."""
    if len(shape) == 1:
        return o.row(low)
    return f"{o.row(low) if low else ''}:{o.row(low + shape[1])}"


def matmul(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A fixed matrix is one product; a matrix for each step and sequence is a product for each of them."""
    left, right = (o.values[a] for a in value.args)
    a, b = args
    if left.time == "fixed":
        if len(right.shape) == 2 and value.time != "fixed":
            m, n = (f"{o.size(left.shape[0])}, -1", f"{o.size(left.shape[1])}, -1")
            lead = "w.T, " if o.loop is None and value.time == "step" else ""
            return [f"matmul({a}, {b}.reshape({lead}{n}), out={out}.reshape({lead}{m}))"]
        plain = o.loop is not None and len(right.shape) == 1
        return [f"{'dot' if plain else 'matmul'}({a}, {b}, out={out})"]
    if len(right.shape) == 1:
        return [f'einsum("...mnb,...nb->...mb", {a}, {b}, out={out})']
    return [f'einsum("...mnb,...npb->...mpb", {a}, {b}, out={out})']


def outer(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """a[i] * b[j]."""
    a, b = args
    if value.time == "fixed":
        return [f"outer({a}, {b}, out={out})"]
    return [f"multiply({a}[..., :, None, :], {b}[..., None, :, :], out={out})"]


def outer_sum(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Everything but the rows is summed."""
    a, b = (o.values[x] for x in value.args)
    if a.time == "fixed":
        rows = [f"{t}.reshape({o.size(v.shape[0])}, -1)" for t, v in zip(args, (a, b), strict=True)]
        return [f"matmul({rows[0]}, {rows[1]}.T, out={out})"]
    rest = {1: "", 2: "p"}[len(a.shape)]
    if a.time == "sequence":
        return [f'einsum("m{rest}b,n{rest}b->mn", {args[0]}, {args[1]}, out={out})']
    return [f'einsum("tm{rest}b,tn{rest}b->mn", {args[0]}, {args[1]}, out={out}, optimize=True)']


def gram(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """One product over steps and sequences."""
    rows, columns = map(o.size, value.shape)
    lined = o.values[value.args[1]].time == "lines"
    right = f"{args[1]}.reshape(-1, {columns})" if lined else f"{args[1]}.reshape({columns}, -1).T"
    return [f"{out} += matmul({args[0]}.reshape({rows}, -1), {right})"]


def one_hot(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """1 where the row is the id."""
    axis = ":, None, :" if value.time == "step" else "None, :"
    return [f"{out}[...] = {args[0]}[{axis}] == arange({o.size(value.attr)})[:, None]"]


def lookup(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Columns of the matrix; over all steps they are brought to (time, row, batch)."""
    w, ids = args
    if o.loop is None and value.time == "step":
        return [f"{out}[...] = {w}[:, {ids}].transpose(1, 0, 2)"]
    return [f'take({w}, {ids}, axis=1, out={out}, mode="clip")']


def lookup_sum(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A product with one-hot columns where there are few; else columns sorted by id, and each run of one id added up."""
    a, ids = args
    step = o.values[value.args[0]].time == "step"
    if value.attr <= FEW:
        columns = f"{a}.transpose(1, 0, 2).reshape({o.size(value.shape[0])}, -1)" if step else a
        return [
            f"one_hot = (arange({o.size(value.attr)})[:, None] == {ids}.reshape(-1)).astype({out}.dtype)",
            f"matmul({columns}, one_hot.T, out={out})",
        ]
    rows = f"{a}.transpose(0, 2, 1).reshape(-1, {o.size(value.shape[0])})" if step else f"{a}.T"
    return [
        f'order = argsort({ids}.reshape(-1), kind="stable")',
        f"sorted_ids = {ids}.reshape(-1)[order]",
        "first = flatnonzero(np.diff(sorted_ids, prepend=-1))",
        f"{out}[...] = 0",
        f"{out}[:, sorted_ids[first]] = add.reduceat({rows}[order], first, axis=0).T",
    ]


def total(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The sum over the rows of each group."""
    if value.time == "fixed":
        return [f"add.reduce({o.operand(value.args[0])}.reshape({value.attr}, -1), axis=-1, out={out})"]
    return weighted_sum(o, value, out, value.attr, "np.ones((1, {}), p.vector.dtype)", "ones")


def weighted_total(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A number times the sum over the rows of each group."""
    groups, factor = value.attr
    return weighted_sum(o, value, out, groups, f"np.full((1, {{}}), {factor!r}, p.vector.dtype)", "weights")


def weighted_sum(o: Operands, value: Value, out: str, groups: int, row: str, name: str) -> list[str]:
    """A product with a row of weights, several times faster than a sum over that axis."""
    arg = o.values[value.args[0]]
    ones = o.made_once(row.format(o.size(math.prod(arg.shape) // groups)), name)
    if groups == 1 and len(arg.shape) == 1:
        return [f"{'dot' if o.loop else 'matmul'}({ones}, {o.operand(arg.id)}, out={out})"]
    sums = f"{o.whole(value.id)}[..., None, :]"
    if o.loop:
        short = o.name(value.id)
        sums = o.loop.local(sums, f"{short}_groups", o.is_fixed(value.id), o.reserved)
    return [f"matmul({ones}, {o.operand(arg.id, groups)}, out={sums})"]


def dot(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The sum of products over the rows of each group."""
    if value.time == "fixed":
        a, b = (f"{o.operand(x)}.reshape({value.attr}, -1)" for x in value.args)
        return [f'einsum("gn,gn->g", {a}, {b}, out={out})']
    a, b = (o.operand(x, value.attr) for x in value.args)
    return [f'einsum("...nb,...nb->...b", {a}, {b}, out={out})']


def inverse_root(o: Operands, a: str, eps: float, out: str) -> list[str]:
    """1 / sqrt(a + eps)."""
    return [f"add({a}, {o.number(eps)}, out={out})", f"sqrt({out}, out={out})", f"divide({o.number(1.0)}, {out}, out={out})"]


def batch_sum(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A product with ones adds up the sequences, several times faster than a sum over that axis; then the steps are added."""
    sums = f"matmul({args[0]}, np.ones(w.B, {out}.dtype))"
    return [f"add.reduce({sums}, axis=0, out={out})" if _timed(o, value) else f"{out}[...] = {sums}"]


def row_sum(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A product with ones adds up all columns."""
    return [f"{out} += matmul({args[0]}.reshape({o.size(value.shape[0])}, -1), np.ones(steps * w.B, {out}.dtype))"]


def batch_total(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A product with ones adds up the sequences; one column of sums serves all of them."""
    return [f"{out}[...] = matmul({args[0]}, {o.made_once('np.ones((w.B, 1), p.vector.dtype)', 'ones_of_batch')})"]


def inv_rms(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """1 / sqrt(mean(a * a) + eps)."""
    groups, eps = value.attr
    rows = math.prod(o.values[value.args[0]].shape)
    square = Value(value.id, value.name, "dot", (value.args[0],) * 2, value.shape, value.time, groups)
    return [
        *dot(o, square, out, args),
        f"multiply({out}, {o.number(groups / rows)}, out={out})",
        *inverse_root(o, out, eps, out),
    ]


def over_features(reduction: str) -> Call:
    """One number from all features; the operand and its axes stand in for `{}`."""

    def call(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
        row = f"{out}[..., 0]" if value.time == "fixed" else f"{out}[..., 0, :]"
        return [f"{reduction.format(args[0], axes(o.values[value.args[0]]), row)}"]

    return call


def softmax(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """exp(a) / sum(exp(a)), shifted by the largest so that it cannot overflow."""
    axis = axes(value)
    return [
        f"subtract({args[0]}, {args[0]}.max(axis={axis}, keepdims=True), out={out})",
        f"exp({out}, out={out})",
        f"divide({out}, {out}.sum(axis={axis}, keepdims=True), out={out})",
    ]


def log_softmax(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """a - log(sum(exp(a))), shifted by the largest so that it cannot overflow."""
    axis = axes(value)
    return [
        f"subtract({args[0]}, {args[0]}.max(axis={axis}, keepdims=True), out={out})",
        f"subtract({out}, np.log(np.exp({out}).sum(axis={axis}, keepdims=True)), out={out})",
    ]


def axes(value: Value) -> str:
    """The axes of the features, as counted from the end."""
    last = -1 if value.time == "fixed" else -2
    found = tuple(range(last, last - len(value.shape), -1))
    return repr(found[0] if len(found) == 1 else found)


def cross_entropy(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """-log p of the class."""
    _, target, logs = args
    where = ":, 0" if value.time == "step" else "0"
    return [f"{out}[{where}] = -{logs}[{at_class(value, target)}]"]


def at_class(value: Value, target: str) -> str:
    """The index of the class of every sequence (and step)."""
    return f"arange(w.T)[:, None], {target}, arange(w.B)" if value.time == "step" else f"{target}, arange(w.B)"


def softmax_error(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """p, less one at the class."""
    logs, target = args
    return [f"exp({logs}, out={out})", f"{out}[{at_class(value, target)}] -= 1"]


def last(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The last step, or the last valid one of each sequence."""
    if not o.masked:
        return [f"copyto({out}, {args[0]}[-1])"]
    return [f"copyto({out}, np.moveaxis({args[0]}[w.length - 1, ..., arange(w.B)], 0, -1))"]


def at_last(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Zero but at the last valid step."""
    whole = f"np.broadcast_to({args[0]}, {out}.shape[1:])"
    if not o.masked:
        return [f"{out}[...] = 0", f"{out}[-1] = {args[0]}"]
    return [f"{out}[...] = 0", f"{out}[w.length - 1, ..., arange(w.B)] = np.moveaxis({whole}, -1, 0)"]


def step_at(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The adjoint of a start: only where the sequence begins in this window, and is long enough."""
    index = value.attr - 1 if value.attr > 0 else value.attr
    scale = " * w.fresh" if o.placement.windows else ""
    if abs(value.attr) == 1:
        return [f"{out}[...] = {args[0]}[{index}]{scale}"]
    return [f"{out}[...] = {args[0]}[{index}]{scale} if w.T >= {abs(value.attr)} else 0"]


def mean_loss(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The weighted sum of the loss terms."""
    terms, share = args
    return [f"loss = float(({terms} * {share}).sum())"]


def mean_dot(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """A product of two vectors for each step; where sequences differ in their share, a number for each of them."""
    a, b, share = args
    factor = "" if value.attr == 1 else f" * {value.attr!r}"
    left = o.values[value.args[0]]
    if not o.scalar_share:
        axes = "tmnb" if len(left.shape) == 2 else "tnb"
        return [f'loss = float((einsum("{axes},{axes}->tb", {a}, {b}) * {share}[:, 0]).sum(){factor})']
    count = "w.T" if left.time == "step" else "1"
    return [f"loss = float(matmul({a}.reshape({count}, 1, -1), {b}.reshape({count}, -1, 1)).sum() * {share}{factor})"]


def itself(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """Nothing where it is in its place."""
    return [] if out == args[0] else [f"copyto({out}, {args[0]})"]


CALLS: dict[str, Call] = {
    **dict.fromkeys(UFUNCS, ufunc),
    "scale": lambda o, v, out, a: [f"multiply({a[0]}, {o.number(v.attr)}, out={out})"],
    "offset": lambda o, v, out, a: [f"add({a[0]}, {o.number(v.attr)}, out={out})"],
    "from_constant": lambda o, v, out, a: [f"subtract({o.number(v.attr)}, {a[0]}, out={out})"],
    "power": lambda o, v, out, a: [f"power({a[0]}, {v.attr!r}, out={out})"],
    "relu": lambda o, v, out, a: [f"maximum({a[0]}, {o.number(0.0)}, out={out})"],
    "softplus": softplus,
    "elu": elu,
    "clip": clip,
    "stop_gradient": itself,
    "clip_gradient": itself,
    "squash": squash,
    "select": select,
    "halved": halved,
    "copy": lambda o, v, out, a: [f"copyto({out}, {a[0]})"],
    "concat": lambda o, v, out, a: [],
    "matmul": matmul,
    "outer": outer,
    "outer_sum": outer_sum,
    "gram": gram,
    "beside": beside,
    "columns": columns,
    "one_hot": one_hot,
    "lookup": lookup,
    "lookup_sum": lookup_sum,
    "total": total,
    "weighted_total": weighted_total,
    "dot": dot,
    "inv_rms": inv_rms,
    "inv_sqrt": lambda o, v, out, a: inverse_root(o, a[0], v.attr, out),
    "max": over_features("maximum.reduce({}, axis={}, out={})"),
    "min": over_features("minimum.reduce({}, axis={}, out={})"),
    "norm2": over_features("sqrt(add.reduce(square({}), axis={}), out={})"),
    "cumsum": lambda o, v, out, a: [f"add.accumulate({a[0]}, axis={axes(v)}, out={out})"],
    "label_rows": lambda o, v, out, a: [f"{out}[...] = label_rows({a[0]}, {o.size(v.attr)})"],
    "label_skips": lambda o, v, out, a: [f"{out}[...] = label_skips({a[0]})"],
    "label_ends": lambda o, v, out, a: [f"{out}[...] = label_ends({a[0]})"],
    "softmax": softmax,
    "log_softmax": log_softmax,
    "batch_sum": batch_sum,
    "batch_total": batch_total,
    "row_sum": row_sum,
    "time_sum": lambda o, v, out, a: [f"add.reduce({a[0]}, axis=0, out={out})"],
    "flat": lambda o, v, out, a: [f"copyto({out}, {a[0]}.transpose(1, 0, 2))"],
    "lines": lambda o, v, out, a: [f"copyto({out}, {a[0]}.transpose(0, 2, 1))"],
    "last": last,
    "at_last": at_last,
    "step_at": step_at,
    "cross_entropy": cross_entropy,
    "softmax_error": softmax_error,
    "mean_loss": mean_loss,
    "mean_dot": mean_dot,
}


def _timed(o: Operands, value: Value) -> bool:
    return o.values[value.args[0]].time == "step"


HELPERS = {**labels.HELPERS, "groups": threads.HELPER, "in_parts": parts.HELPER}
"""Functions that the calls use, each in a script that needs it."""
