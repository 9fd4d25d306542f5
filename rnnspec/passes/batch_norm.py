"""Batch normalisation in operations: statistics of the batch in training, running averages in evaluation.

Outside of a recurrence, mean and variance are those of all valid steps of the batch.  Inside one, where a step cannot wait for
the later ones, those of the valid sequences at each step (Cooijmans et al. 2017).  Either way the running averages follow the
mean over all valid steps.
"""

from __future__ import annotations

from rnnspec.frontend import typed
from rnnspec.passes.operands import Operands


def batch_norm(low: Operands, call: typed.Call) -> int:
    """Ioffe and Szegedy 2015, algorithm 1: (v - mean) / sqrt(variance + eps) * g + b."""
    graph, (value, *affine, mean, variance) = low.graph, low.arguments(call)
    inside = bool(call.option("inside"))
    centred = graph.emit("sub", *low.matched(value, _chosen(low, value, mean, inside, "mean")), name="centred")
    square = graph.emit("square", centred)
    chosen = _chosen(low, square, variance, inside, "variance")
    deviation = graph.emit("sqrt", graph.emit("offset", chosen, attr=float(str(call.option("eps")))), name="deviation")
    normed = graph.emit("div", *low.matched(centred, deviation), name="unit")
    if affine:
        normed = graph.emit("mul", *low.matched(normed, affine[0]), name="scaled")
    if len(affine) > 1:
        normed = graph.emit("add", *low.matched(normed, affine[1]), name="normed")
    return normed


def _chosen(low: Operands, value: int, average: int, inside: bool, what: str) -> int:
    """The mean of a value over the batch in training, the running average of it in evaluation."""
    name = f"{low.graph.hint}_{what}"
    weighted = low.graph.emit("mul", *low.matched(value, low.weight(value, "step" if inside else "batch")))
    found = low.graph.emit("batch_total" if inside else "batch_sum", weighted, name=name)
    if inside:
        whole = low.graph.emit("mul", *low.matched(value, low.weight(value, "batch")))
        low.averages.append((average, low.graph.emit("batch_sum", whole, name=f"{name}_of_all")))
    else:
        low.averages.append((average, found))
    return low.graph.emit("select", *low.matched(low.training(), found, average), name=f"{name}_used")
