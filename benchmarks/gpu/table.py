"""The results as Markdown, ready for README.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, product

from benchmarks.gpu.floor import floor
from benchmarks.gpu.plan import (
    CELLS,
    CHECK,
    COMPILED,
    EAGER,
    FLASH,
    FUSED,
    GRAPH,
    JAX,
    LAUNCHES,
    LAYER,
    OURS,
    OWN_PRECISIONS,
    PRECISIONS,
    SIZES,
    STEPS,
    TOGETHER,
    TOLERANCES,
    Shape,
)
from benchmarks.gpu.results import Results
from benchmarks.gpu.targets import verdicts

WORK = {"training": "forward and backward", "forward": "forward"}
COLUMNS = (
    *product((LAYER, EAGER, COMPILED), (LAUNCHES, GRAPH)),
    (JAX, LAUNCHES),
    (FLASH, LAUNCHES),
)
"""Peers that ours is compared with, and how each is started."""
OWN_STARTS = (GRAPH, LAUNCHES, STEPS, FUSED, TOGETHER)


def report(machine: dict[str, str], records: Results) -> str:
    """All tables."""
    about = "\n".join(f"* {name}: {value}" for name, value in machine.items())
    parts = [about, latencies(records), checks(records)]
    parts += [times(records, cell, work) for work, cell in product(WORK, CELLS)]
    parts += [where_time_goes(records), peers_agree(records), judged(records), not_measured(records)]
    return "\n\n".join(parts)


def markdown(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table under its title."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def number(value: float | None, form: str = ".2f") -> str:
    """A number, or a dash for what was not measured."""
    return "-" if value is None else f"{value:{form}}"


def sized(size: Shape) -> str:
    """B, T, H."""
    return ", ".join(map(str, size))


def latencies(results: Results) -> str:
    """What the device can do."""
    found = [record for record in results.records if record["part"] == "latencies" and "value" in record]
    rows = [(record["what"], f"{record['value']:.4g} {record['unit']}") for record in found]
    return markdown("The device", ("what", "measured"), rows)


def checks(results: Results) -> str:
    """How far gradients of ours on the device are from the CPU script in float64."""

    def cell_of(cell: str, size: Shape, precision: str, start: str | None = None) -> str:
        found = results.of(CHECK, cell, size, precision, start)
        error, repeatable = found.get("error"), found.get("repeatable", True)
        too_far = ", TOO FAR" if error is not None and not error <= TOLERANCES[precision] else ""
        return number(error, ".0e") + too_far + ("" if repeatable else ", OTHER BITS the second time")

    ways = [*((name, None) for name in TOLERANCES), ("float32", FUSED), ("float32", TOGETHER)]
    rows = [(cell, sized(size), *(cell_of(cell, size, *way) for way in ways)) for cell, size in product(CELLS, SIZES)]
    limits = [f"{name}, up to {limit:.0e}" for name, limit in TOLERANCES.items()]
    head = ("cell", "B, T, H", *limits, *(f"float32, {start}" for start in (FUSED, TOGETHER)))
    return markdown("Gradients beside the CPU script in float64", head, rows)


def times(results: Results, cell: str, work: str) -> str:
    """Milliseconds of everybody, and in brackets how many times as fast ours is."""

    def peer(size: Shape, precision: str, who: str, start: str) -> str:
        theirs = results.median(who, cell, size, precision, start, work)
        mine = results.fastest(OURS, cell, size, precision, work)
        return number(theirs) + (f" ({theirs / mine:.2f}x)" if theirs and mine else "")

    def row(size: Shape, precision: str) -> tuple[str, ...]:
        least = floor(results, cell, size, precision, work)
        ours = [number(results.median(OURS, cell, size, precision, start, work)) for start in OWN_STARTS]
        peers = [peer(size, precision, *column) for column in COLUMNS]
        return (sized(size), precision, number(least.milliseconds if least else None), *ours, *peers)

    rows = [row(size, precision) for size, precision in product(SIZES, PRECISIONS)]
    head = ("B, T, H", "precision", "floor", *(f"{OURS}, {start}" for start in OWN_STARTS), *(", ".join(c) for c in COLUMNS))
    return markdown(f"{cell}, {WORK[work]}, ms", *without_gaps(head, rows, behind=3))


def without_gaps(head: Sequence[str], rows: Sequence[Sequence[str]], behind: int) -> tuple[list[str], list[list[str]]]:
    """A table without rows and columns that have nothing but dashes; so many columns on the left stay and do not count."""
    rows = [row for row in rows if any(text != "-" for text in row[behind:])]
    kept = [k for k in range(len(head)) if k < behind or any(row[k] != "-" for row in rows)]
    return [head[k] for k in kept], [[row[k] for k in kept] for row in rows]


def where_time_goes(results: Results) -> str:
    """Floors of a training step, what its kernels would take if they were empty, and what it takes."""

    def row(cell: str, size: Shape, precision: str) -> tuple[str, ...]:
        least = floor(results, cell, size, precision, "training")
        calls = sum(results.of(OURS, cell, size, precision, GRAPH).get("calls", {}).values())
        node = results.latency("graph node")
        empty = calls * node / 1000 if calls and node else None
        measured = results.median(OURS, cell, size, precision, GRAPH, "training")
        floors = (number(least.products), number(least.memory)) if least else ("-", "-")
        return (cell, sized(size), precision, *floors, str(calls or "-"), number(empty), number(measured))

    rows = [row(*case) for case in product(CELLS, SIZES, OWN_PRECISIONS)]
    head = ("cell", "B, T, H", "precision", "products", "memory", "kernels", "as empty kernels", "measured")
    title = "Where the time of forward and backward goes, ms"
    return markdown(title, head, [row for row in rows if row[-1] != "-"])


def peers_agree(results: Results) -> str:
    """Whether peers computed the same, at the sizes that were timed."""
    found = [(record["part"], record["precision"], results.distance(record)) for record in results.records if "norms" in record]
    ordered = sorted((peer, precision, far) for peer, precision, far in found if far is not None)
    rows = [
        (*who, f"{max(far for _, _, far in group):.0e}", str(len(group)))
        for who, group in ((who, list(group)) for who, group in groupby(ordered, lambda row: row[:2]))
    ]
    title = "Norms of gradients, beside ours in float32, at the sizes that were timed"
    return markdown(title, ("who", "precision", "furthest", "cases"), rows)


def judged(results: Results) -> str:
    """The targets."""
    title = "Targets, forward and backward: the worst found (what it must be / what would be fine)"
    return markdown(title, ("target", *map(sized, SIZES)), verdicts(results))


def not_measured(results: Results) -> str:
    """Everything that has no numbers, with the reason; equal reasons of a part are one line."""
    return markdown("Not measured", ("part", "cases", "first of them", "reason"), reasons(results))


def reasons(results: Results) -> Iterator[tuple[str, ...]]:
    """A line for each part and reason."""
    failed = [record for record in results.records if "reason" in record]
    for (part, reason), group in groupby(failed, lambda record: (record["part"], record["reason"])):
        cases = list(group)
        words = ("what", "cell", "size", "precision", "start")
        first = [sized(cases[0][word]) if word == "size" else cases[0][word] for word in words if word in cases[0]]
        yield (part, str(len(cases)), ", ".join(first), reason.replace("|", "/"))
