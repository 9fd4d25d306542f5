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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import Case
from benchmarks.peers import CALL, OURS, PRODUCTS
from benchmarks.startup import command_to_step, spec_to_script
from benchmarks.targets import Verdict, ratio, verdicts

THREADS = (1, 2)
COLUMNS = {CALL: "call", "nn": "torch.nn", "eager torch": "eager torch", "jax.jit": "jax.jit", PRODUCTS: "products"}
"""Columns of ratios, by candidate."""


def main() -> int:
    """Measure, print, and write what was measured; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description="How fast are scripts for the CPU?")
    parser.add_argument("--quick", action="store_true", help="a few rounds of the two smallest sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to a file")
    chosen = parser.parse_args()
    about = machine()
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
    return {"cpu": cpu_model(), "processors": str(os.cpu_count()), "python": platform.python_version(), **libraries}


def cpu_model() -> str:
    """The name of the processor, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(threads: int, quick: bool) -> Iterator[Case]:
    """Measure with so many threads in a process of its own, and print a row for each case."""
    print(f"\n{threads} thread{'s' * (threads > 1)}: ms, best (median); then ms by those of each other: of the best (of the medians)\n")
    print(row(["cell", "T, B, I, H", "ms", *COLUMNS.values(), "gradients"]))
    print(row(["---"] * (len(COLUMNS) + 4)))
    command = [sys.executable, "-m", "benchmarks.worker", str(threads), *(["--quick"] if quick else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            case: Case = json.loads(line)
            print(row(cells(case)), flush=True)
            yield case
    if worker.returncode:
        raise SystemExit(worker.returncode)


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    widths = [8, 17, 17, *[13] * (len(cells) - 3)]
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def cells(case: Case) -> list[str]:
    """The cells of a case's row."""
    times = case["times"]
    mine = f"{times[OURS]['best']:.2f} ({times[OURS]['median']:.2f})"
    found = [next((name for name in times if name == key or name.partition(".")[0] == key), None) for key in COLUMNS]
    ratios = [beside(case, name) if name else "-" for name in found]
    return [case["cell"], ", ".join(map(str, case["size"])), mine, *ratios, f"{case['gradient_error']:.0e}"]
