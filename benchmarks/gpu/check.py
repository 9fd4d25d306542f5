"""Gradients of our scripts on the device beside those of the CPU script in float64, before anything is timed.

The scripts are those that are timed, for the same units; steps are fewer, and so are sequences, by one: no kernel can lean on
round numbers.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gpu.ours import gpu, script
from benchmarks.gpu.plan import GRAPH, Case, Shape, numbers
from benchmarks.measure import distance
from benchmarks.peers import script_of
from benchmarks.problem import Arrays, Problem

STEPS = 5


def run(case: Case, device: str) -> Case:
    """How far any gradient is off in one precision, whether a second run gives the same bits, and the first one's seconds."""
    cell, size, precision = case["cell"], case["size"], case["precision"]
    expected = reference(cell, size)
    with gpu():
        began = time.perf_counter()
        here = script(cell, size, "float32" if precision == "float64" else precision, case.get("start", GRAPH))
        given = shortened(cell, size, np.float64 if precision == "float64" else np.float32)
        found = gradients(here, given)
        seconds = time.perf_counter() - began
        again = gradients(here, given)
    repeatable = all(np.array_equal(found[name], again[name]) for name in found)
    return {"error": distance(found, expected), "repeatable": repeatable, "seconds": seconds}


@lru_cache(maxsize=1)
def reference(cell: str, size: Shape) -> Arrays:
    """The gradients by the CPU script, in float64."""
    given = shortened(cell, size, np.float64)
    return gradients(script_of(given), given)


def shortened(cell: str, size: Shape, dtype: Any) -> Problem:
    """The first steps of all sequences but one; what is float64 has the same values."""
    given = numbers(cell, size)
    x, target = (a[:STEPS, :-1].astype(dtype) for a in (given.x, given.target))
    return replace(given, params={name: value.astype(dtype) for name, value in given.params.items()}, x=x, target=target)


def gradients(script: ModuleType, given: Problem) -> Arrays:
    """What a script says, stacked, by the function that every script has."""
    return given.join(script.loss_and_gradients(given.split(given.params), given.batch)[1])
