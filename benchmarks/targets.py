"""How fast it has to be, as rules over what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from benchmarks.measure import Case
from benchmarks.peers import EAGER, FUSED, INDEXED, JAX, OURS


@dataclass(frozen=True)
class Target:
    """At one thread, our best time over that of `peer` is at most `limit`; no cell and no units stand for all of them."""

    cell: str
    peer: str
    limit: float
    units: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"H = {', '.join(map(str, self.units))}" if self.units else "every size"
        return f"{self.cell or 'every cell'} / {self.peer}, {where}"

    def speaks_of(self, case: Case) -> bool:
        """Does it say anything of this case?"""
        chosen = self.cell in ("", case["cell"]) and (not self.units or case["size"][3] in self.units)
        return chosen and case["threads"] == 1


TARGETS = (
    Target("LSTM", FUSED, 1.15, (64, 128)),
    Target("LSTM", FUSED, 0.95, (256,)),
    Target("LSTM", FUSED, 0.9, (512,)),
    Target("GRU", FUSED, 0.85),
    Target("LN-LSTM", EAGER, 0.5),
    Target("LN-LSTM", INDEXED, 0.5),
    Target("", JAX, 0.7, (128, 256, 512)),
)
SCRIPT_SECONDS, STEP_SECONDS = 0.15, 2.0


class Verdict(TypedDict):
    """A target beside the worst of what was found."""

    target: str
    limit: float
    found: float
    met: bool


def ratio(case: Case, peer: str, of: Literal["best", "median"] = "best") -> float:
    """Our best (or median) time over that of a peer."""
    return case["times"][OURS][of] / case["times"][peer][of]


def verdicts(cases: Sequence[Case], script: dict[str, float], step: float) -> Iterator[Verdict]:
    """Every target that something was measured for; `script` and `step` are seconds."""
    for target in TARGETS:
        ratios = [ratio(case, target.peer) for case in cases if target.speaks_of(case)]
        if ratios:
            yield verdict(str(target), target.limit, max(ratios))
    slowest = max(script, key=lambda name: script[name])
    yield verdict(f"seconds from spec to script ({slowest})", SCRIPT_SECONDS, script[slowest])
    yield verdict("seconds from command to first step", STEP_SECONDS, step)


def verdict(target: str, limit: float, found: float) -> Verdict:
    """A limit beside what was found."""
    return {"target": target, "limit": limit, "found": found, "met": found <= limit}
