"""Where the elements of an operand come from, once its views are looked through.

A view is never computed: rows, transposes, repeated numbers and other steps only change the place where a value is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rnnspec.ir.program import Value

Values = Mapping[int, Value]


@dataclass(frozen=True)
class Block:
    """Elements `low` to `high` of a value, `lag` steps back: read side by side by an operation, one element each."""

    base: int
    lag: int
    low: int
    high: int


@dataclass(frozen=True)
class Element:
    """One element of a value, `lag` steps back; `index` is its number as an expression."""

    base: int
    lag: int
    index: str


def size(value: Value) -> int:
    """Elements of one step of a value."""
    return math.prod(value.shape)


def block(values: Values, item: int, low: int, high: int) -> Block | None:
    """Elements `low` to `high` of an operand; None where they do not lie side by side."""
    value, lag = values[item], 0
    while value.op in ("rows", "shift", "expand", "spread", "transpose"):
        if value.op == "rows":
            first = value.attr[0] * math.prod(value.shape[1:])
            low, high = low + first, high + first
        elif value.op == "shift":
            lag += value.attr
        elif value.op == "spread":
            width = size(value) // value.attr[0]
            if low // width != (high - 1) // width:
                return None
            low = low // width
            high = low + 1
        elif value.op == "transpose" and 1 not in value.shape:
            return None
        value = values[value.args[0]]
    return Block(value.id, lag, low, high)


def element(values: Values, item: int, index: str) -> Element:
    """The element of an operand whose number is an expression."""
    value, lag = values[item], 0
    while value.op in ("rows", "shift", "expand", "spread", "transpose"):
        if value.op == "rows":
            first = value.attr[0] * math.prod(value.shape[1:])
            index = f"{first} + {index}" if first else index
        elif value.op == "shift":
            lag += value.attr
        elif value.op == "spread":
            groups = value.attr[0]
            index = "0" if groups == 1 else f"{grouped(index)} / {size(value) // groups}"
        elif value.op == "transpose":
            rows, columns = value.shape
            index = f"{grouped(index)} % {columns} * {rows} + {grouped(index)} / {columns}"
        value = values[value.args[0]]
    return Element(value.id, lag, index)


def grouped(index: str) -> str:
    """An index as an operand of a product."""
    return f"({index})" if " " in index else index


def base(values: Values, item: int) -> tuple[int, int]:
    """The value behind the views of an operand, and how many steps back it is read."""
    found = element(values, item, "0")
    return found.base, found.lag
