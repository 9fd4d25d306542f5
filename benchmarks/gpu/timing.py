"""How a candidate is timed: by events of the device, after a warm-up, the median of many calls, over several inputs."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu.plan import Case
from benchmarks.measure import Times
from benchmarks.problem import Arrays

SETS = 3
"""Inputs that calls take in turn, so that no call finds those of the call before it in a cache.

Each holds the same sequences in another order: loss and gradients of all of them are the same.
"""
FEWEST, MOST = 5, 50
"""Calls that are timed."""


class Absent(Exception):
    """A package or a device is missing: nothing of this part can be measured."""


@dataclass(frozen=True)
class Clock:
    """`mark` notes a moment on the device without waiting, `wait` until all marks are made; `between` is milliseconds."""

    mark: Callable[[], Any]
    wait: Callable[[], object]
    between: Callable[[Any, Any], float]


HOST = Clock(time.perf_counter, lambda: None, lambda start, end: 1e3 * float(end - start))
"""For work that has ended when its call returns."""


@dataclass(frozen=True)
class Candidate:
    """Something that computes a loss (`forward`), or also its gradients (`training`), for one of the sets of inputs.

    `gradients` are those of the last call of `training`, stacked as in `Problem.params`.
    """

    forward: Callable[[int], object]
    training: Callable[[int], object]
    gradients: Callable[[], Arrays]


def measured(candidate: Candidate, clock: Clock, seconds: float = 0.3) -> Case:
    """The norm of each gradient, and the times of forward alone and of forward and backward."""
    for k in range(SETS):
        candidate.training(k)
    norms = {name: float(np.linalg.norm(gradient.astype(np.float64))) for name, gradient in candidate.gradients().items()}
    work = {"training": candidate.training, "forward": candidate.forward}
    return {"norms": norms, **{name: times(call, clock, seconds) for name, call in work.items()}}


def times(call: Callable[[int], object], clock: Clock, seconds: float) -> Times:
    """As many calls as fit into so many seconds, within bounds; two before them are not counted."""
    gc.collect()
    gc.disable()
    _, expected = spent(call, clock, 2)
    taken = spent(call, clock, min(max(round(1e3 * seconds / max(expected, 1e-3)), FEWEST), MOST))
    gc.enable()
    return {"best": min(taken), "median": statistics.median(taken), "calls": len(taken)}


def spent(call: Callable[[int], object], clock: Clock, calls: int) -> list[float]:
    """Milliseconds of each call; all of them are started before the first is waited for."""
    clock.wait()
    marks = []
    for k in range(calls):
        start = clock.mark()
        call(k % SETS)
        marks.append((start, clock.mark()))
    clock.wait()
    return [clock.between(start, end) for start, end in marks]
