"""Mutants of the specs through the front end, and those that are still legal through the whole compiler.

    python -m tests.fuzz_specs --bytes 3000 --tokens 3000 --seed 1

For each mutant: no exception, within a second, every label inside its file, codes that are in the catalogue, and text that
can be printed.  Prints every find with its seed; exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence

from rnnspec.compiler import last, programs, script
from rnnspec.diagnostics import CATALOGUE, Diagnostic, render, to_json
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Spec
from tests.corpus import FOLDER, LEVELS
from tests.mutants import TIERS, Mutant

SECONDS = 1.0
"""Of the processor, for one check."""


class Find(Exception):
    """Something that must not happen."""


def main(arguments: list[str] | None = None) -> int:
    """Check mutants of both tiers; returns the exit code."""
    parser = argparse.ArgumentParser(description="Mutants of the specs through the front end.")
    parser.add_argument("--bytes", type=int, default=300, help="how many mutants by bytes")
    parser.add_argument("--tokens", type=int, default=300, help="how many mutants by tokens")
    parser.add_argument("--seed", type=int, default=0, help="number of the first mutant")
    chosen = parser.parse_args(arguments)
    finds = 0
    for tier in TIERS:
        count = getattr(chosen, tier)
        began, outcomes, slowest = time.monotonic(), Counter[str](), 0.0
        for seed in range(chosen.seed, chosen.seed + count):
            try:
                outcome, seconds = examine(TIERS[tier](seed))
                outcomes[outcome] += 1
                slowest = max(slowest, seconds)
            except Exception as error:  # whatever goes wrong is a find
                finds += 1
                report(tier, seed, error)
        common = ", ".join(f"{outcome} {number}" for outcome, number in outcomes.most_common(12))
        spent = time.monotonic() - began
        print(f"{tier}: {count} mutants in {spent:.0f} s, slowest check {slowest:.2f} s: {common}", flush=True)
    print(f"{finds} finds")
    return 1 if finds else 0


def examine(mutant: Mutant) -> tuple[str, float]:
    """Check one mutant: what came out (`legal`, or the code of its first error) and how long that took.  Raises finds."""
    began = time.process_time()
    checked, found = check(mutant.content, name=str(FOLDER / mutant.name))
    seconds = time.process_time() - began
    if seconds > SECONDS:
        raise Find(f"the check took {seconds:.1f} s")
    errors = [diagnostic for diagnostic in found if diagnostic.level == "error"]
    if (checked is None) != bool(errors):
        raise Find("refused without an error, or accepted with one")
    well_made(found)
    if checked is None:
        return errors[0].code, seconds
    compiles(checked)
    return "legal", seconds


def well_made(found: Sequence[Diagnostic]) -> None:
    """Diagnostics that can be shown: codes, labels inside their texts, one of them primary, no control characters."""
    for diagnostic in found:
        if diagnostic.code not in CATALOGUE:
            raise Find(f"the code {diagnostic.code} is not in the catalogue")
        if not any(label.primary for label in diagnostic.labels):
            raise Find(f"{diagnostic.code} points nowhere: {diagnostic.message}")
        for label in diagnostic.labels:
            if not 0 <= label.span.start <= label.span.end <= len(label.span.source.text):
                raise Find(f"a label of {diagnostic.code} is not inside its file: {label}")
        text = render(diagnostic)
        text.encode("utf-8")
        to_json(diagnostic)
        if any(ord(character) < 32 and character != "\n" for character in text):
            raise Find(f"{diagnostic.code} prints control characters: {text!r}")


def compiles(spec: Spec) -> None:
    """A legal spec must compile at every level, into something that Python can read."""
    for level in LEVELS:
        compile(script(spec, last(programs(spec, level)), level), "script", "exec")


def report(tier: str, seed: int, error: Exception) -> None:
    """Print a find."""
    again = f"python -m tests.fuzz_specs --bytes {int(tier == 'bytes')} --tokens {int(tier == 'tokens')} --seed {seed}"
    print(f"---- {again}\n{type(error).__name__}: {error}")
    if not isinstance(error, Find):
        print("".join(traceback.format_tb(error.__traceback__)[-4:]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
