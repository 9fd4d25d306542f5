"""Questions to the records of a run."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.gpu.plan import FUSED, GRAPH, LAUNCHES, OURS, ROUNDED, TOGETHER, TOLERANCES, Case, Shape


class Results:
    """Records by what they are of; whatever was not measured is None."""

    def __init__(self, records: Iterable[Case]) -> None:
        self.records = list(records)
        self._latencies = {record["what"]: record for record in self.records if record["part"] == "latencies"}
        self._timings = {
            (record["part"], record["cell"], tuple(record["size"]), record["precision"], record.get("start")): record
            for record in self.records
            if "cell" in record
        }

    def latency(self, what: str) -> float | None:
        """A latency or a rate, in the unit that its record names."""
        return self._latencies.get(what, {}).get("value")

    def of(self, part: str, cell: str, size: Shape, precision: str, start: str | None = None) -> Case:
        """The record of a case; empty if there is none."""
        return self._timings.get((part, cell, size, precision, start), {})

    def median(self, peer: str, cell: str, size: Shape, precision: str, start: str, work: str) -> float | None:
        """Milliseconds of a peer; `work` is forward, or training: forward and backward."""
        found: float | None = self.of(peer, cell, size, precision, start).get(work, {}).get("median")
        return found

    def fastest(self, peer: str, cell: str, size: Shape, precision: str, work: str) -> float | None:
        """Milliseconds by launches or as a graph, whichever is faster; ours in bfloat16 stands for float16 too."""
        if (peer, precision) == (OURS, "float16"):
            precision = "bfloat16"
        both = [self.median(peer, cell, size, precision, start, work) for start in (LAUNCHES, GRAPH)]
        return min((time for time in both if time is not None), default=None)

    def speedup(self, peer: str, cell: str, size: Shape, precision: str, work: str) -> float | None:
        """How many times as fast as the fastest way of a peer ours is."""
        mine, theirs = (self.fastest(who, cell, size, precision, work) for who in (OURS, peer))
        return theirs / mine if mine and theirs else None

    def refusal(self, case: Case) -> str | None:
        """Why a script of ours must not be timed: its gradient is not known to be right."""
        precision, start = case["precision"], case["start"] if case["start"] in (FUSED, TOGETHER) else None
        error = self.of("check", case["cell"], case["size"], precision, start).get("error")
        if error is None:
            return "not timed: its gradient was not checked"
        limit = TOLERANCES[precision] * (10 if precision in ROUNDED else 1)
        return None if error <= limit else f"not timed: its gradient is {error:.0e} off"

    def distance(self, record: Case) -> float | None:
        """How far norms of gradients of a peer are from those of ours in float32, at most, by the latter."""
        ours = self.of(OURS, record["cell"], tuple(record["size"]), "float32", LAUNCHES).get("norms")
        theirs = record.get("norms")
        return max(abs(theirs[name] - norm) / norm for name, norm in ours.items()) if ours and theirs else None
