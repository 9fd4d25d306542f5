"""How fast it has to be, as rules over what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from benchmarks.measure import Case
from benchmarks.peers import OURS

EVERY = ()


@dataclass(frozen=True)
class Target:
    """At one thread, our best time over that of `peer` is at most `limit`: for a cell or every one, with so many units."""

    peer: str
    limit: float
    units: Sequence[int] = EVERY
    cell: str = ""

    def __str__(self) -> str:
        where = f" with {' and '.join(map(str, self.units))} units" if self.units else " at every size"
        return f"{self.cell or 'every cell'} / {self.peer}{where}"

    def cases(self, cases: Sequence[Case]) -> list[Case]:
        """Those it speaks of."""
        return [
            case
            for case in cases
            if case["threads"] == 1
            and self.peer in case["times"]
            and case["cell"] == (self.cell or case["cell"])
            and case["size"][3] in (self.units or case["size"][3:])
        ]


TARGETS = (
    Target("nn.LSTM", 1.15, (64, 128)),
    Target("nn.LSTM", 0.95, (256,)),
    Target("nn.LSTM", 0.9, (512,)),
    Target("nn.GRU", 0.85),
    Target("jax.jit", 0.7, (128, 256, 512)),
    Target("eager torch", 0.5, cell="LN-LSTM"),
)
SCRIPT_SECONDS, STEP_SECONDS = 0.15, 2.0


class Verdict(TypedDict):
    """A target beside the worst of what was found."""

    target: str
    limit: float
    found: float
    met: bool


def ratio(case: Case, peer: str) -> float:
    """Our best time over that of a peer."""
    return case["times"][OURS]["best"] / case["times"][peer]["best"]


def verdicts(cases: Sequence[Case], script: dict[str, float], step: float) -> Iterator[Verdict]:
    """Every target that something was measured for; `script` and `step` are seconds."""
    for target in TARGETS:
        ratios = [ratio(case, target.peer) for case in target.cases(cases)]
        if ratios:
            yield verdict(str(target), target.limit, max(ratios))
    slowest = max(script, key=lambda name: script[name])
    yield verdict(f"seconds from spec to script ({slowest})", SCRIPT_SECONDS, script[slowest])
    yield verdict("seconds from command to first step", STEP_SECONDS, step)


def verdict(target: str, limit: float, found: float) -> Verdict:
    """A limit beside what was found."""
    return {"target": target, "limit": limit, "found": found, "met": found <= limit}
