"""How fast it has to be on a GPU: so many times as fast as a peer, forward and backward, at each size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks.gpu.plan import CELLS, COMPILED, EAGER, FLASH, JAX, LAYER, OURS, SIZES
from benchmarks.gpu.results import Results

DENSE = ("LSTM", "LN-LSTM", "GRU")
PUBLISHED = SIZES[4]
"""The size of the published times of flashrnn and cuDNN in 16 bits: 13.6 ms without the product with the input, and 5.2."""


@dataclass(frozen=True)
class Target:
    """`speedups`: what it must be and what would be fine, for each of `SIZES`, which it may leave out the last of."""

    cells: tuple[str, ...]
    peer: str
    precisions: tuple[str, ...]
    speedups: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        return f"{', '.join(self.cells)} / {self.peer}, {', '.join(self.precisions)}"


TARGETS = (
    Target(("LSTM",), LAYER, ("float32",), ((1.5, 3), (1.0, 1.5), (0.95, 1.1), (0.9, 1.0))),
    Target(("LSTM",), LAYER, ("tf32", "bfloat16"), ((2, 4), (1.5, 3), (1.1, 1.6), (0.9, 1.0))),
    Target(("LSTM",), LAYER, ("float16",), ((0.7, 1.2), (0.7, 1.0), (0.6, 0.9), (0.9, 1.0))),
    Target(("GRU",), LAYER, ("float32", "tf32", "float16", "bfloat16"), ((2, 4), (1.5, 3), (1.1, 1.6), (0.9, 1.0))),
    Target(("LSTM",), FLASH, ("bfloat16",), ((1.2, 2.5), (1.2, 2.5), (1, 2), (1, 1.5))),
    Target(("LN-LSTM",), COMPILED, ("float32", "tf32"), ((5, 15), (4, 10), (2, 5), (1.2, 2))),
    Target(("LN-LSTM",), EAGER, ("float32",), ((30, 100), (20, 60), (10, 30), (2, 4))),
    Target(DENSE, JAX, ("float32", "tf32"), ((3, 8), (2.5, 6), (1.5, 3), (1, 1.5))),
    Target(("minGRU",), EAGER, ("float32",), ((20, 100),) * 5),
    Target(("minGRU",), JAX, ("float32",), ((20, 100),) * 5),
)
MILLISECONDS = (10.0, 5.2)
"""What LSTM must take and would be fine at `PUBLISHED`, in bfloat16."""
SECONDS = 3.0
"""From a spec to its first gradient."""


def verdicts(results: Results) -> Iterator[tuple[str, ...]]:
    """What was asked for, and for each size the worst that was found, beside what it must be and what would be fine."""
    for target in TARGETS:
        texts = []
        for size, wanted in zip(SIZES, target.speedups, strict=False):
            ways = product(target.cells, target.precisions)
            found = [results.speedup(target.peer, cell, size, precision, "training") for cell, precision in ways]
            texts.append(verdict(found, wanted, "x"))
        yield (str(target), *texts, *["-"] * (len(SIZES) - len(texts)))
    published = results.fastest(OURS, "LSTM", PUBLISHED, "bfloat16", "training")
    texts = [verdict([published], MILLISECONDS, " ms") if size == PUBLISHED else "-" for size in SIZES]
    yield ("LSTM, bfloat16", *texts)
    ready = [[results.of("check", cell, size, "float32").get("seconds") for cell in CELLS] for size in SIZES]
    yield ("spec to first gradient, kernels compiled", *(verdict(seconds, (SECONDS, SECONDS), " s") for seconds in ready))


def verdict(found: Sequence[float | None], wanted: tuple[float, float], unit: str) -> str:
    """The worst of what was found, and whether that is what it must be; more is better where it counts times."""
    measured = [value for value in found if value is not None]
    must, fine = (f"{value:g}" for value in wanted)
    if not measured:
        return f"not measured ({must} / {fine})"
    more_is_better = unit == "x"
    worst = min(measured) if more_is_better else max(measured)
    met = worst >= wanted[0] if more_is_better else worst <= wanted[0]
    of = "" if len(measured) == len(found) else f", {len(measured)} of {len(found)}"
    return f"{worst:.2f}{unit} ({must} / {fine}){of}, {'met' if met else 'NOT MET'}"
