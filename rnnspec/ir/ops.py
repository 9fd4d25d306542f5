"""The operations of the intermediate representation: one row each, with its kind and the rule for shape and time.

leaf          nothing is computed: parameters and numbers
data          nothing is computed: what a batch provides
view          names part of existing storage, or existing storage at another time: never computed
elementwise   every element of the result from the same element of the operands: may run in place
other         everything else: products, reductions, what crosses time
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rnnspec.ir.program import Shape, Time, Value

Kind = Literal["leaf", "data", "view", "elementwise", "other"]
LOG_0 = -1e30
"""Stands for the logarithm of 0; sums with it stay finite."""
TIMES: tuple[Time, ...] = ("fixed", "sequence", "step")


@dataclass(frozen=True)
class Op:
    """One operation: its kind, `shape(args, attr)` and `time(args, attr)` of its result, what it means, what `attr` holds."""

    kind: Kind
    shape: Callable[[list[Value], Any], Shape]
    time: Callable[[list[Value], Any], Time]
    meaning: str
    attr: str = ""
    condition: bool = False  # stored as true and false
    silent: bool = False  # sends no gradient to its operands
    repeated: bool = False  # one number stands for many
    commutative: bool = False
    grouped: bool = False  # a number for each group of rows
    summed: bool = False  # over steps: can grow step by step, and is complete behind the loop
    whole: bool = False  # reads a value when all its steps exist


def latest(args: list[Value], _: Any = None) -> Time:
    """The time of something computed from these: `step` if one of them changes with time."""
    if args and args[0].time == "flat":
        return "flat"
    return max((a.time for a in args), key=TIMES.index)


def first(args: list[Value], _: Any) -> Shape:
    """The shape of the first operand; all others must agree."""
    return args[0].shape


def alike(args: list[Value], _: Any) -> Shape:
    """The common shape of all operands."""
    if any(a.shape != args[0].shape for a in args):
        raise ValueError(f"shapes differ: {[a.shape for a in args]}")
    return args[0].shape


def product(args: list[Value], _: Any) -> Shape:
    """[m, n] @ [n, ...] -> [m, ...]."""
    if args[0].shape[1:] != args[1].shape[:1]:
        raise ValueError(f"sizes do not match: {args[0].shape} @ {args[1].shape}")
    return args[0].shape[:1] + args[1].shape[1:]


def joined(args: list[Value], _: Any) -> Shape:
    """Operands one after another."""
    return (sum(a.shape[0] for a in args), *args[0].shape[1:])


def side_by_side(args: list[Value], _: Any) -> Shape:
    """[m, n], [m, k], [m] -> [m, n + k + 1]."""
    return (args[0].shape[0], sum(math.prod(a.shape[1:]) for a in args))


def outer(args: list[Value], _: Any) -> Shape:
    """[m, ...] and [n, ...] -> [m, n]."""
    return (args[0].shape[0], args[1].shape[0])


def given(_: list[Value], attr: Any) -> Shape:
    """Shapes that the operation itself names: attr or its last part."""
    return tuple(attr[1])


def matrix_of(args: list[Value], columns: Any) -> Shape:
    """[m, ...] -> [m, n], n columns."""
    return (args[0].shape[0], columns)


def group_rows(_: list[Value], attr: Any) -> Shape:
    """A row for each group; their number is the first part of attr."""
    return (attr[0],)


def number(_: list[Value], __: Any) -> Shape:
    """A number is a vector of one row."""
    return (1,)


def label_vector(args: list[Value], _: Any) -> Shape:
    """Labels with blanks around them."""
    return (2 * args[0].shape[0] + 1,)


def label_matrix(args: list[Value], classes: Any) -> Shape:
    """A row of all classes for each label and blank."""
    return (*label_vector(args, None), classes)


def always(time: Time) -> Callable[[list[Value], Any], Time]:
    """A time rule that does not depend on the operands."""
    return lambda args, attr: time


def _elementwise(meaning: str, attr: str = "", silent: bool = False, commutative: bool = False) -> Op:
    return Op("elementwise", alike, latest, meaning, attr, silent=silent, commutative=commutative)


def _condition(meaning: str) -> Op:
    return Op("elementwise", alike, latest, meaning, condition=True, silent=True)


OPS: dict[str, Op] = {
    # leaves; made by Graph.leaf, which is given shape and time
    "param": Op("leaf", first, latest, "a parameter", "is it trained?"),
    "stacked": Op("leaf", joined, always("fixed"), "parameters stored one after another: the stack is the storage"),
    "constant": Op("leaf", number, always("fixed"), "a number", "the number", repeated=True),
    "input": Op("data", first, latest, "an array that the data provides"),
    "ids": Op("data", first, latest, "whole numbers that the data provides", "how many there are"),
    "mask": Op("data", first, latest, "1 at the valid steps of a sequence, 0 behind its end"),
    "valid": Op("data", first, latest, "the same as a condition", condition=True, silent=True),
    "share": Op("data", first, latest, "what one step (or sequence) weighs in the loss", repeated=True),
    "drawn": Op("data", first, latest, "random numbers of a training step; in evaluation their mean", "place"),
    "numbers": Op("data", first, latest, "a matrix of numbers that the spec gives", "its rows"),
    "weight": Op("data", first, latest, "what a step (or sequence) weighs in a mean over the batch", "of its step, or of all?"),
    "training": Op("data", first, latest, "is this a step of training?", condition=True, silent=True),
    "labels": Op("data", first, latest, "labels of each sequence, 0 after its last one", "how many classes there are"),
    # views
    "rows": Op("view", lambda a, r: (r[1] - r[0], *a[0].shape[1:]), latest, "a range of rows", "(low, high)"),
    "shift": Op("view", first, always("step"), "v[t-k]; further operands: v[0], v[-1] ... (v[T+1] ... for k < 0)", "k"),
    "expand": Op("view", first, lambda a, time: time, "the same for all steps and sequences", "time", repeated=True),
    "spread": Op("view", given, latest, "a number for each group of rows, over a shape", "(groups, shape)", repeated=True),
    "transpose": Op("view", lambda a, _: a[0].shape[::-1], latest, "the transpose of a matrix"),
    # elementwise
    "add": _elementwise("a + b + ...", commutative=True),
    "mul": _elementwise("a * b * ...", commutative=True),
    "sub": _elementwise("a - b"),
    "div": _elementwise("a / b"),
    "scale": _elementwise("k * a", "k"),
    "offset": _elementwise("a + k", "k"),
    "from_constant": _elementwise("k - a", "k"),
    "power": _elementwise("a ** k", "k"),
    "exp": _elementwise("exp(a)"),
    "log": _elementwise("log(a)"),
    "sqrt": _elementwise("sqrt(a)"),
    "abs": _elementwise("abs(a)"),
    "sign": _elementwise("sign(a)", silent=True),
    "sin": _elementwise("sin(a)"),
    "cos": _elementwise("cos(a)"),
    "relu": _elementwise("max(a, 0)"),
    "softplus": _elementwise("log(1 + exp(a))"),
    "elu": _elementwise("a where it is positive, else k * (exp(a) - 1)", "k"),
    "clip": _elementwise("a, but at least low and at most high", "(low, high)"),
    "stop_gradient": _elementwise("a", silent=True),
    "clip_gradient": _elementwise("a; its adjoint is limited, by element or by norm", "(value or norm, max, variable)"),
    "square": _elementwise("a * a"),
    "squash": _elementwise("sigmoid or tanh, by blocks of rows", "((kind, rows), ...)"),
    "inv_sqrt": _elementwise("1 / sqrt(a + eps)", "eps"),
    "halved": _elementwise("the rows of sigmoids times 1/2, the others as they are", "((kind, rows), ...)"),
    "minimum": _elementwise("the smaller of two"),
    "maximum": _elementwise("the larger of two"),
    "select": _elementwise("a where the condition holds, else b"),
    "rms_scale": _elementwise("a * r with r = inv_rms(a): a scaled to root mean square 1"),
    "less": _condition("a < b"),
    "less_equal": _condition("a <= b"),
    "greater": _condition("a > b"),
    "greater_equal": _condition("a >= b"),
    "equal": _condition("a == b"),
    "not_equal": _condition("a != b"),
    "and": _condition("both conditions hold"),
    "or": _condition("one of the conditions holds"),
    "not": _condition("the condition does not hold"),
    # products
    "matmul": Op("other", product, latest, "A @ b"),
    "outer": Op("other", outer, latest, "a b^T, a matrix for each step"),
    "outer_sum": Op("other", outer, always("fixed"), "a b^T summed over all but rows: steps, sequences, columns", summed=True),
    "gram": Op("other", outer, always("fixed"), "a b^T, summed: columns and columns, or columns and lines", summed=True),
    "one_hot": Op("other", lambda a, n: (n,), latest, "a vector with 1 at the place that the id names", "size", silent=True),
    "lookup": Op("other", lambda a, _: a[0].shape[:1], lambda a, _: a[1].time, "W @ one_hot(id): a column of W"),
    "lookup_sum": Op("other", matrix_of, always("fixed"), "columns added up by id", "columns", summed=True),
    "beside": Op("other", side_by_side, always("fixed"), "matrices side by side; a vector is one column"),
    "columns": Op("other", given, always("fixed"), "some columns of a matrix, or one as a vector", "(first column, shape)"),
    # reductions
    "total": Op("other", lambda a, groups: (groups,), latest, "the sum over the rows of each group", "groups", grouped=True),
    "weighted_total": Op("other", group_rows, latest, "k times the sum over the rows of each group", "(groups, k)"),
    "dot": Op("other", lambda a, groups: (groups,), latest, "the sum of products over the rows of each group", "groups"),
    "inv_rms": Op("other", group_rows, latest, "1 / sqrt(mean(a * a) + eps)", "(groups, eps)", grouped=True, silent=True),
    "max": Op("other", number, latest, "the largest of all rows"),
    "min": Op("other", number, latest, "the smallest of all rows"),
    "norm2": Op("other", number, latest, "sqrt(sum(a * a))"),
    "cumsum": Op("other", first, latest, "the sums of the first 1, 2, ... rows"),
    "softmax": Op("other", first, latest, "exp(a) / sum(exp(a))"),
    "log_softmax": Op("other", first, latest, "a - log(sum(exp(a)))"),
    "concat": Op("other", joined, latest, "operands one after another"),
    "copy": Op("other", first, latest, "the same in storage of its own"),
    # crossing time and batch
    "batch_sum": Op("other", first, always("fixed"), "the sum over steps and sequences", summed=True),
    "row_sum": Op("other", first, always("fixed"), "the sum of all columns", summed=True),
    "batch_total": Op("other", first, latest, "the sum over the sequences of a step, repeated for each of them"),
    "time_sum": Op("other", first, always("sequence"), "the sum over the steps of each sequence", summed=True),
    "flat": Op("other", first, always("flat"), "steps and sequences as columns"),
    "lines": Op("other", first, always("lines"), "steps and sequences as lines"),
    "last": Op("other", first, always("sequence"), "v[T]: the value at the last valid step", whole=True),
    "at_last": Op("other", first, always("step"), "a value at the last valid step, zero at all others"),
    "step_at": Op("other", first, always("sequence"), "the value at a step; 0 where the window goes on", "index", whole=True),
    # losses
    "logaddexp": _elementwise("log(exp(a) + exp(b))"),
    "label_rows": Op("other", label_matrix, latest, "1 at the class of: blank, label, blank, .. blank", "classes", silent=True),
    "label_skips": Op("other", label_vector, latest, "0 where a path may skip the blank before, else log(0)", silent=True),
    "label_ends": Op("other", label_vector, latest, "0 where a path may end, else log(0)", silent=True),
    "cross_entropy": Op("other", number, latest, "-log_softmax(a) at the class; operands: a, class, log_softmax(a)"),
    "softmax_error": Op("other", first, latest, "softmax(a) - one_hot(class), from log_softmax(a)"),
    "mean_loss": Op("other", number, always("fixed"), "the sum of loss terms times their share", summed=True),
    "mean_dot": Op("other", number, always("fixed"), "the same, for terms that are k times the sum of a * b", "k", summed=True),
}


def _where(holds: Callable[[Op], bool]) -> frozenset[str]:
    return frozenset(name for name, op in OPS.items() if holds(op))


LEAVES = _where(lambda op: op.kind in ("leaf", "data"))
DATA = _where(lambda op: op.kind == "data")
VIEWS = _where(lambda op: op.kind == "view")
ELEMENTWISE = _where(lambda op: op.kind == "elementwise")
COMPUTED = _where(lambda op: op.kind in ("elementwise", "other"))
CONDITIONS = _where(lambda op: op.condition)
GROUPED = _where(lambda op: op.grouped)
SUMS = _where(lambda op: op.summed)
WHOLE = _where(lambda op: op.whole)


def infer(op: str, args: list[Value], attr: Any) -> tuple[Shape, Time]:
    """Shape and time of an operation's result; ValueError where the operands do not fit."""
    row = OPS[op]
    try:
        return row.shape(args, attr), row.time(args, attr)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{op}: {error}") from None


def is_condition(value: Value, values: dict[int, Value]) -> bool:
    """Is it stored as true and false?  Never what a shift reads: that is a variable, so numbers."""
    while value.op == "copy" or (value.op in VIEWS and value.op != "shift"):
        value = values[value.args[0]]
    return value.op in CONDITIONS
