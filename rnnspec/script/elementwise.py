"""Operations on each element by itself as calls, most of them in place: see `calls`."""

from __future__ import annotations

from rnnspec.ir.program import Value
from rnnspec.script.operands import Operands

UFUNCS = {
    "logaddexp": "logaddexp",
    "add": "add", "mul": "multiply", "sub": "subtract", "div": "divide", "rms_scale": "multiply", "exp": "exp", "log": "log",
    "sqrt": "sqrt", "abs": "absolute", "sign": "sign", "square": "square", "sin": "sin", "cos": "cos",
    "minimum": "minimum", "maximum": "maximum",
    "less": "less", "less_equal": "less_equal", "greater": "greater", "greater_equal": "greater_equal", "equal": "equal",
    "not_equal": "not_equal", "and": "logical_and", "or": "logical_or", "not": "logical_not",
}  # fmt: skip
"""Operations that are one NumPy function (n-ary sums and products are one call for each further operand)."""


def ufunc(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """One call; further operands of a sum or product are added to the result."""
    call = UFUNCS[value.op]
    if value.op in ("add", "mul") and out in args:
        args = [out, *(a for k, a in enumerate(args) if k != args.index(out))]
    if len(args) == 1:
        return [f"{call}({args[0]}, out={out})"]
    return [f"{call}({args[0]}, {args[1]}, out={out})", *(f"{call}({out}, {a}, out={out})" for a in args[2:])]


def squash(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """sigmoid(a) = tanh(a / 2) / 2 + 1 / 2: halve the sigmoid rows, one tanh over all rows, halve and shift."""
    blocks, rows = sigmoid_blocks(value)
    everything = blocks == [(0, rows)]
    parts = [out] if everything else [part(o, value, block) for block in blocks]
    if any(kind == "half_sigmoid" for kind, _ in value.attr) or not blocks:
        lines = [f"tanh({args[0]}, out={out})"]
    else:
        lines = [] if everything or args[0] == out else [f"copyto({out}, {args[0]})"]
        lines += [f"multiply({args[0] if everything else p}, {o.number(0.5)}, out={p})" for p in parts]
        lines.append(f"tanh({out}, out={out})")
    for p in parts:
        lines += [f"multiply({p}, {o.number(0.5)}, out={p})", f"add({p}, {o.number(0.5)}, out={p})"]
    return lines


def sigmoid_blocks(value: Value) -> tuple[list[tuple[int, int]], int]:
    """The ranges of rows that are sigmoids, and the number of all rows."""
    blocks, low = [], 0
    for kind, rows in value.attr:
        if kind.endswith("sigmoid"):
            blocks.append((low, low + rows))
        low += rows
    return blocks, low


def halved(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """The rows of the sigmoids times 1/2, the others as they are."""
    blocks, rows = sigmoid_blocks(value)
    if blocks == [(0, rows)]:
        return [f"multiply({args[0]}, 0.5, out={out})"]
    copied = [] if args[0] == out else [f"copyto({out}, {args[0]})"]
    return [*copied, *(f"{out}[{low}:{high}] *= 0.5" for low, high in blocks)]


def part(o: Operands, value: Value, span: tuple[int, int]) -> str:
    """A range of rows of where a value lives."""
    if value.time == "fixed":
        return f"{o.whole(value.id)}[{span[0]}:{span[1]}]"
    region = o.placement.resolve(value.id)
    return o.place(region.rows(*span), value.name)


def softplus(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """log(1 + exp(a)) = max(a, 0) + log1p(exp(-|a|)), which cannot overflow."""
    (a,) = args
    return [f"{out}[...] = maximum({a}, 0) + log1p(exp(-absolute({a})))"]


def elu(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """max(a, 0) + k (exp(min(a, 0)) - 1), which cannot overflow."""
    (a,), factor = args, "" if value.attr == 1 else f"{value.attr!r} * "
    return [f"{out}[...] = maximum({a}, 0) + {factor}expm1(minimum({a}, 0))"]


def clip(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """At least the one number, at most the other."""
    low, high = value.attr
    return [f"maximum({args[0]}, {o.number(low)}, out={out})", f"minimum({out}, {o.number(high)}, out={out})"]


def select(o: Operands, value: Value, out: str, args: list[str]) -> list[str]:
    """First the one, then the other where the condition holds."""
    condition, a, b = args
    return [*([] if b == out else [f"copyto({out}, {b})"]), f"copyto({out}, {a}, where={condition})"]
