"""What is measured on a GPU, in which order, and how long each part may take: eight minutes in all.

A part is a module that measures case after case in a process of its own.  A case is a few words that say what to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from benchmarks.problem import GRU, LN_LSTM, LSTM, MIN_GRU, Problem, Size, problem

Case = dict[str, Any]
"""What to measure, and in a record also what came out: only what JSON can hold."""
Shape = tuple[int, int, int]
"""Sequences, steps, and units; there are as many inputs as units."""

SIZES: tuple[Shape, ...] = ((32, 512, 256), (64, 256, 512), (64, 256, 1024), (128, 128, 2048), (16, 1024, 768))
CELLS = {cell.name: cell for cell in (LSTM, LN_LSTM, GRU, MIN_GRU)}
PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
OWN_PRECISIONS = ("float32", "tf32", "bfloat16")
TOLERANCES = {"float32": 1e-5, "float64": 1e-10, "tf32": 1e-3, "bfloat16": 1e-2}
"""How far a gradient of ours may be off: the norm of the difference, by the norm."""
ROUNDED = ("tf32", "bfloat16")
"""Where it may be ten times as far off before it counts as wrong, which is not timed, and not just as badly rounded."""

CHECK, LATENCIES = "check", "latencies"
OURS, LAYER, EAGER, COMPILED, JAX, FLASH = "rnnspec", "torch.nn", "eager torch", "torch.compile", "jax.jit", "flashrnn"
"""Names of parts: what is known before anything is timed, and who is timed."""
LAUNCHES, GRAPH, STEPS = "launches", "graph", "graph of steps"
"""How work is started: one kernel after another, or everything as one CUDA graph; and ours with launches for every step also
where one launch does for all of them."""
FUSED, TOGETHER = "graph, -O2, a launch a step", "graph, -O2, one launch"
"""Ours with the products of a recurrence in its kernels."""

DEVICE = (
    "device",
    "launch, host",
    "launch, device",
    "graph node",
    "product in a graph",
    "cooperative launch in a graph",
    "grid barrier, 32 blocks",
    "grid barrier, all processors",
    "cluster barrier, 8 blocks",
    "read from L2",
    "copy in memory",
    *(f"products, {precision}" for precision in OWN_PRECISIONS),
)
"""What is measured of the device itself."""


@dataclass(frozen=True)
class Part:
    """A module with its cases; `limit` is the seconds that one of them may take.

    `seconds` is for all of them, with what the parts before it did not need.
    """

    name: str
    module: str
    seconds: float
    limit: float
    cases: Sequence[Case]


def parts() -> list[Part]:
    """Everything, the most important first."""
    everywhere = product(CELLS, SIZES)
    checks = [{"cell": cell, "size": size, "precision": name} for (cell, size), name in product(everywhere, TOLERANCES)]
    checks += timings(["LSTM", "GRU"], [("float32", FUSED), ("float32", TOGETHER)])
    own = timings(CELLS, [("float32", LAUNCHES), *product(OWN_PRECISIONS, [GRAPH])])
    own += timings(["minGRU"], [("float32", STEPS)]) + timings(["LSTM", "GRU"], [("float32", FUSED), ("float32", TOGETHER)])
    layers = timings(["LSTM", "GRU"], list(product(PRECISIONS, [LAUNCHES, GRAPH])))
    eager = timings(CELLS, [("float32", LAUNCHES)]) + timings(CELLS, [("float32", GRAPH)])
    compiled = timings(CELLS, [("float32", LAUNCHES), ("float32", GRAPH)]) + timings(CELLS, [("tf32", GRAPH)])
    jax = timings(CELLS, [("float32", LAUNCHES)]) + timings(CELLS, [("tf32", LAUNCHES)])
    return [
        Part(LATENCIES, "benchmarks.gpu.latencies", 25, 15, [{"what": what} for what in DEVICE]),
        Part(CHECK, "benchmarks.gpu.check", 80, 20, checks),
        Part(OURS, "benchmarks.gpu.ours", 115, 20, own),
        Part(LAYER, "benchmarks.gpu.in_torch", 70, 20, layers),
        Part(EAGER, "benchmarks.gpu.in_torch", 55, 30, eager),
        Part(COMPILED, "benchmarks.gpu.in_torch", 65, 50, compiled),
        Part(JAX, "benchmarks.gpu.in_jax", 40, 40, jax),
        Part(FLASH, "benchmarks.gpu.in_torch", 20, 60, timings(["LSTM"], [("bfloat16", LAUNCHES)])),
    ]


def timings(cells: Iterable[str], ways: Sequence[tuple[str, str]]) -> list[Case]:
    """A case for each cell and size, and for each way: a precision, and how work is started."""
    return [
        {"cell": cell, "size": size, "precision": precision, "start": start}
        for cell, size, (precision, start) in product(cells, SIZES, ways)
    ]


@cache
def numbers(cell: str, size: Shape) -> Problem:
    """A cell at a size with its numbers, which are the same in every process."""
    B, T, H = size
    return problem(CELLS[cell], Size(T, B, H, H))
