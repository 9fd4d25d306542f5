"""Our scripts for the GPU: `forward` and `backward` as launches, and each as one CUDA graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any
from unittest.mock import patch

import cupy as cp
import numpy as np

from benchmarks.gpu.plan import FUSED, GRAPH, LAUNCHES, STEPS, TOGETHER, Case, Shape, numbers
from benchmarks.gpu.timing import SETS, Absent, Candidate, Clock, measured
from benchmarks.peers import compiled
from benchmarks.problem import Arrays, Problem
from rnnspec.script.gpu.tasks import Schedule

WORK = ("launch_blocks", "multiply", "launch_together")
"""Functions of a script that put work on the device, each call one kernel or one product."""
BELIEFS = {FUSED: {"PRODUCT": 1.0, "BARRIER": 1.0}, TOGETHER: {"PRODUCT": 1.0, "KERNEL": 1.0}}
"""Seconds that a script at -O2 must take things to last, so that it chooses the other way."""


def run(case: Case, device: str) -> Case:
    """Time a script, whose gradient `check` has looked at."""
    given = numbers(case["cell"], case["size"])
    with gpu():
        start = GRAPH if case["start"] == LAUNCHES else case["start"]
        found = Step(given, script(case["cell"], case["size"], case["precision"], start))
        calls = found.calls()
        if start == TOGETHER and calls["launch_together"] > 2:
            raise Absent("the weights do not fit on the chip")
        candidate = found.as_launches() if case["start"] == LAUNCHES else found.as_graphs()
        return {**measured(candidate, clock()), "calls": calls}


@lru_cache
def gpu() -> Any:
    """The stream of all work, because the default one cannot be captured; Absent if there is no GPU."""
    if not cp.cuda.is_available():
        raise Absent(f"CuPy {cp.__version__} finds no GPU")
    return cp.cuda.Stream(non_blocking=True)


def clock() -> Clock:
    """Events of the stream of all work."""

    def mark() -> Any:
        event = cp.cuda.Event()
        event.record()
        return event

    return Clock(mark, gpu().synchronize, cp.cuda.get_elapsed_time)


def capture(work: Callable[[], object]) -> Any:
    """The graph of work that has been done once before, so that nothing is made meanwhile."""
    gpu().synchronize()
    gpu().begin_capture()
    try:
        work()
    finally:
        graph = gpu().end_capture()
    return graph


def rolled(a: Any, k: int) -> Any:
    """A copy of an array (time, batch, feature), with its sequences moved on by k."""
    moved = a.copy()
    if k:
        moved[:, k:], moved[:, :k] = a[:, :-k], a[:, -k:]
    return moved


@lru_cache(maxsize=1)
def script(cell: str, size: Shape, precision: str, start: str = GRAPH) -> ModuleType:
    """The script of a cell at a size, made so that it can be started in this way."""
    with patch("rnnspec.script.gpu.body.over_time", unchanged) if start == STEPS else nullcontext():
        made = compiled(numbers(cell, size), "gpu", precision, level=2 if start in BELIEFS else 1).load()
    made.__dict__.update(BELIEFS.get(start, {}))
    return made


def unchanged(schedule: Schedule) -> Schedule:
    """In the place of the function that finds recurrences which run in one launch."""
    return schedule


@dataclass
class Step:
    """A script with parameters, storage and the sets of inputs on the device."""

    given: Problem
    script: ModuleType

    def __post_init__(self) -> None:
        params = self.given.split(self.given.params)
        self.p, self.g = self.script.views(params), self.script.Views(np.float32)
        self.w = self.script.prepare(self.given.batch, self.p.vector.dtype)
        self.sets = [(rolled(self.w.x, k), rolled(self.w.target, k)) for k in range(SETS)]

    def forward(self, k: int) -> None:
        """The loss with the k-th set, into storage."""
        self.w.x, self.w.target = self.sets[k]
        self.script.forward(self.p, self.w)

    def training(self, k: int) -> None:
        """Loss and gradients with the k-th set."""
        self.forward(k)
        self.script.backward(self.p, self.w, self.g)

    def gradients(self) -> Arrays:
        """Those of the last call, stacked."""
        return self.given.join({name: cp.asnumpy(view) for name, view in self.g.named.items()})

    def as_launches(self) -> Candidate:
        """Every kernel is launched by Python."""
        return Candidate(self.forward, self.training, self.gradients)

    def as_graphs(self) -> Candidate:
        """One graph for each set and kind of work."""
        self.training(0)  # kernels are compiled at their first launch, which must not be captured

        def captured(work: Callable[[int], object]) -> Callable[[int], object]:
            graphs = [capture(lambda k=k: work(k)) for k in range(SETS)]  # type: ignore[misc]
            return lambda k: graphs[k].launch()

        return Candidate(captured(self.forward), captured(self.training), self.gradients)

    def calls(self) -> dict[str, int]:
        """How often forward and backward together call each function that puts work on the device."""
        found: Counter[str] = Counter()
        here = {name: getattr(self.script, name) for name in WORK if hasattr(self.script, name)}

        def counted(name: str) -> Callable[..., None]:
            def call(*arguments: Any) -> None:
                found[name] += 1
                here[name](*arguments)

            return call

        for name in here:
            setattr(self.script, name, counted(name))
        self.training(0)
        for name, original in here.items():
            setattr(self.script, name, original)
        return dict(found)
