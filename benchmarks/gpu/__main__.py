"""`python -m benchmarks.gpu --out FILE [--only PART ...]`: scripts for the GPU beside everything that they compete with.

It needs one NVIDIA GPU, CuPy, and whichever peers are there; README.md says how to read the tables.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.gpu.guard import record, records
from benchmarks.gpu.plan import OURS, Case, Part, parts
from benchmarks.gpu.results import Results
from benchmarks.gpu.table import report
from rnnspec.run.gpu import NoGpu, require

PACKAGES = ("numpy", "cupy-cuda13x", "cupy-cuda12x", "torch", "triton", "jax", "flashrnn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure part after part, and write every record as it comes; 1 if nothing of ours could be timed, 2 without a GPU."""
    plan = parts()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="How fast are scripts for the GPU?")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where every number goes, as JSON")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in plan], metavar="PART", help="only these parts")
    chosen = parser.parse_args(arguments)
    try:
        require()
    except NoGpu as without:
        print(f"error: the GPU cannot be used: {without}\n  help: {without.trouble.help}", file=sys.stderr)
        return 2
    about = machine()
    found: list[Case] = []
    for one in everything([part for part in plan if part.name in (chosen.only or [part.name])], found):
        found.append(one)
        chosen.out.write_text(json.dumps({"machine": about, "records": found}, indent=1) + "\n", encoding="utf-8")
        print(line(one), file=sys.stderr, flush=True)
    print(report(about, Results(found)))
    return 0 if any(one["part"] == OURS and "training" in one for one in found) else 1


def everything(plan: Sequence[Part], found: Sequence[Case]) -> Iterator[Case]:
    """The records of all parts; `found` are those so far, which tell what of ours may be timed.

    Time that a part does not need goes to those behind it.
    """
    end = time.monotonic()
    for part in plan:
        end += part.seconds
        if part.name == OURS:
            refused = [(case, Results(found).refusal(case)) for case in part.cases]
            yield from (record(part, case, {"failed": why}) for case, why in refused if why)
            part = replace(part, cases=tuple(case for case, why in refused if not why))
        yield from records(part, end - time.monotonic())


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    about = {"date": datetime.date.today().isoformat(), "gpu, driver, memory": graphics_card()}
    return about | {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES}


def graphics_card() -> str:
    """What the driver says of the first card."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "nvidia-smi says nothing"


def installed(name: str) -> str:
    """The version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def line(found: Case) -> str:
    """A record in a few words, for who waits."""
    words = [str(found[name]) for name in ("part", "what", "cell", "size", "precision", "start") if name in found]
    medians = [f"{work} {found[work]['median']:.3f} ms" for work in ("forward", "training") if work in found]
    numbers = [f"{name} {found[name]:.3g}" for name in ("value", "error") if name in found]
    return f"{', '.join(words)}: {', '.join([*medians, *numbers]) or found.get('reason', 'done')}"


if __name__ == "__main__":
    sys.exit(main())
