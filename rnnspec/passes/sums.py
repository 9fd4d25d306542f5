"""Sums over the features of a value, as operations."""

from __future__ import annotations

import math

from rnnspec.passes.operands import Operands


def total(low: Operands, value: int) -> int:
    """The sum over all features."""
    return low.graph.emit("total", value, attr=1)


def size(low: Operands, value: int) -> int:
    """How many features a value has."""
    return math.prod(low.graph[value].shape)


def mean_of(low: Operands, value: int) -> int:
    """The mean over all features."""
    return low.graph.emit("scale", total(low, value), attr=1 / size(low, value))


def log_sum_exp(low: Operands, value: int) -> int:
    """log(sum(exp(v))), shifted by the largest so that it cannot overflow."""
    top = low.graph.emit("stop_gradient", low.graph.emit("max", value))
    shifted = low.graph.emit("sub", *low.matched(value, top))
    return low.graph.emit("add", low.graph.emit("log", total(low, low.graph.emit("exp", shifted))), top)
