"""`python -m benchmarks.cpu [--quick] [--json FILE]`: scripts for the CPU beside PyTorch, JAX and the bare products.

Float32, one layer, forward and backward; README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import Case
from benchmarks.peers import CALL, EAGER, FUSED, INDEXED, JAX, OURS, PRODUCTS
from benchmarks.startup import command_to_step, spec_to_script
from benchmarks.targets import Verdict, ratio, verdicts
from rnnspec.run.blas import blas

THREADS = (1, 2)
COLUMNS = (CALL, FUSED, EAGER, INDEXED, JAX, PRODUCTS)
"""Candidates that ours is divided by, a column each."""
WIDTHS = (8, 17, 17, *(14 for _ in COLUMNS), 6)


def main() -> int:
    """Measure, print, and write what was measured; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description="How fast are scripts for the CPU?")
    parser.add_argument("--quick", action="store_true", help="a few rounds of the two smallest sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to a file")
    chosen = parser.parse_args()
    try:
        about = machine()
    except PackageNotFoundError as missing:
        raise SystemExit(f'{missing.name} is not installed: python -m pip install -e ".[bench]"') from None
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    cases = [case for threads in THREADS for case in table(threads, chosen.quick)]
    script, step = spec_to_script(2 if chosen.quick else 5), command_to_step(1 if chosen.quick else 5)
    print("\n" + waits(script, step))
    found = list(verdicts(cases, script, step))
    print("\n" + judged(found))
    if chosen.json:
        waited = {"spec_to_script_s": script, "command_to_first_step_s": step}
        chosen.json.write_text(json.dumps({"machine": about, "cases": cases, **waited, "targets": found}, indent=1) + "\n")
    return 0 if all(verdict["met"] for verdict in found) else 1


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    libraries = {name: version(name) for name in ("numpy", "torch", "jax")}
    return {
        "cpu": cpu_model(),
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
        **libraries,
        "blas": str(blas()),
    }


def cpu_model() -> str:
    """The name of the processor, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(threads: int, quick: bool) -> Iterator[Case]:
    """Measure with so many threads in a process of its own, and print a row for each case."""
    print(f"\n{threads} thread{'s' * (threads > 1)}\n")
    print(row(["cell", "T, B, I, H", f"{OURS}, ms", *(f"/ {name}" for name in COLUMNS), "error"]))
    print(row(["---"] * len(WIDTHS)))
    command = [sys.executable, "-m", "benchmarks.worker", str(threads), *(["--quick"] if quick else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            case: Case = json.loads(line)
            print(row(columns(case)), flush=True)
            yield case
    if worker.returncode:
        raise SystemExit(worker.returncode)


def row(columns: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(text.ljust(width) for text, width in zip(columns, WIDTHS, strict=True)) + " |"


def columns(case: Case) -> list[str]:
    """What stands in a case's row: the best, and the median in brackets."""
    times = case["times"]
    mine = f"{times[OURS]['best']:.2f} ({times[OURS]['median']:.2f})"
    ratios = [f"{ratio(case, name):.2f} ({ratio(case, name, 'median'):.2f})" if name in times else "-" for name in COLUMNS]
    return [case["cell"], ", ".join(map(str, case["size"])), mine, *ratios, f"{case['gradient_errors'][EAGER]:.0e}"]


def waits(script: dict[str, float], step: float) -> str:
    """How long a person waits."""
    rows = [f"| spec to script | {name} | {seconds:.3f} |" for name, seconds in script.items()]
    rows.append(f"| command to first step | elman_char.rnn | {step:.3f} |")
    return "\n".join(["| from | spec | s |", "| --- | --- | --- |", *rows])


def judged(found: Sequence[Verdict]) -> str:
    """The targets, met or not."""
    marks = {True: "met", False: "NOT MET"}
    rows = [f"| {v['target']} | {v['limit']:.2f} | {v['found']:.2f} | {marks[v['met']]} |" for v in found]
    return "\n".join(["| target | at most | worst | |", "| --- | --- | --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
