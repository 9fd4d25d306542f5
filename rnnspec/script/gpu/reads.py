"""How each operation reads its operands: that decides what can be computed by one thread, one block or one launch.

side      the elements beside its own: one thread can do both
reduced   all elements of a group: a block adds them up
rows      any element of the same sequence and step: the block must wait until they are written
across    other sequences or steps: another launch
"""

from __future__ import annotations

from typing import Literal

from rnnspec.ir.ops import ELEMENTWISE, SUMS, WHOLE
from rnnspec.ir.program import Value

How = Literal["side", "reduced", "rows", "across", "unread"]

MOST_GROUPS = 8  # each has a sum of its own in a kernel
REDUCTIONS = frozenset(["total", "weighted_total", "max", "min"])
SIDE = ELEMENTWISE | {"copy", "concat", "start"}


def groups(value: Value) -> int:
    """How many numbers a reduction gives."""
    return int(value.attr[0] if value.op == "weighted_total" else value.attr if value.op == "total" else 1)


def is_reduction(value: Value) -> bool:
    """Whether a block adds up, because there are few groups with many elements each."""
    return value.op in REDUCTIONS and groups(value) <= MOST_GROUPS


def is_product(value: Value, values: dict[int, Value]) -> bool:
    """Whether the library of matrix products computes it."""
    if value.op == "batch_sum":
        return True
    left = values[value.args[0]] if value.args else value
    if value.op == "outer_sum":
        return len(left.shape) == 1
    return value.op == "matmul" and left.time == "fixed"


def how(value: Value, place: int) -> How:
    """How an operation reads the operand at some place."""
    if value.op in SIDE or (value.op == "softmax_error" and place == 0):
        return "side"
    if is_reduction(value):
        return "reduced"
    if value.op in SUMS | WHOLE | {"batch_total", "at_last"}:
        return "across"
    if value.op == "cross_entropy" and place == 0:
        return "unread"
    return "rows"
