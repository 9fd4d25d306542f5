"""Times of all candidates, taken in turn, so that a machine that slows down slows all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np

from benchmarks.peers import Peer, everyone
from benchmarks.problem import CELLS, QUICK, SIZES, Arrays, Problem, problem

TURN = 0.02
"""Seconds that a candidate gets in a round, at least one call: threads of the one before it spin for some milliseconds."""


class Times(TypedDict):
    """Milliseconds of the calls of one candidate."""

    best: float
    median: float
    calls: int


class Case(TypedDict, total=False):
    """What was measured for a cell at a size."""

    cell: str
    size: tuple[int, int, int, int]
    threads: int
    gradient_errors: dict[str, float]
    times: dict[str, Times]


def cases(quick: bool) -> Iterator[Case]:
    """Measure every cell at every size; `quick` is a few rounds of the two smallest sizes."""
    for cell in CELLS:
        for size in QUICK if quick else SIZES:
            yield case(problem(cell, size), seconds=1 if quick else 8, rounds=3 if quick else 5)


def case(given: Problem, seconds: float, rounds: int) -> Case:
    """Check that all candidates compute the same, then time them: for so long, and for so many rounds at least."""
    candidates = everyone(given)
    for candidate in candidates:
        candidate.step()
    size = given.size
    return {
        "cell": given.cell.name,
        "size": (size.T, size.B, size.I, size.H),
        "gradient_errors": gradient_errors(candidates),
        "times": in_turn(candidates, seconds, rounds),
    }


def gradient_errors(candidates: Sequence[Peer]) -> dict[str, float]:
    """How far our gradients are from each other's after one step; ends the run if it is too far."""
    (mine, ours), *others = [(candidate, candidate.gradients()) for candidate in candidates if candidate.gradients]
    errors = {peer.name: distance(ours, theirs) for peer, theirs in others}
    for peer, _ in others:
        if not errors[peer.name] <= peer.tolerance:
            raise SystemExit(f"{mine.name} and {peer.name} differ: their gradients are {errors[peer.name]:.1e} apart")
    return errors


def distance(mine: Arrays, theirs: Arrays) -> float:
    """The largest relative distance of two gradients of one parameter."""
    if mine.keys() != theirs.keys():
        raise SystemExit(f"different parameters: {sorted(mine)} and {sorted(theirs)}")
    distances = [np.linalg.norm(mine[name] - theirs[name]) / np.linalg.norm(theirs[name]) for name in mine]
    return float(np.max(distances))  # which is NaN if one of them is


def in_turn(candidates: Sequence[Peer], seconds: float, rounds: int) -> dict[str, Times]:
    """Rounds in which each candidate has its turn."""
    taken: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    while rounds > 0 or time.perf_counter() - began < seconds:
        for candidate in candidates:
            taken[candidate.name] += turn(candidate)
        rounds -= 1
    gc.enable()
    return {
        name: {"best": 1e3 * min(times), "median": 1e3 * statistics.median(times), "calls": len(times)}
        for name, times in taken.items()
    }


def turn(candidate: Peer) -> list[float]:
    """The seconds of each call in one turn."""
    times: list[float] = []
    while sum(times) < TURN:
        start = time.perf_counter()
        candidate.step()
        times.append(time.perf_counter() - start)
    return times
