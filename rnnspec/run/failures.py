"""A script that failed at run time, shown at the line of the spec that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from rnnspec.diagnostics import Diagnostic, Label, Source, Span

FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+)', re.MULTILINE)
REASON = re.compile(r"^(?P<reason>[A-Za-z_][\w.]*(?:: .*)?)$", re.MULTILINE)
TAG = re.compile(r"^\s*#.* \[(?P<file>[^\[\]:]+):(?P<line>\d+)\]")  # more may follow, such as `for all t at once`


@dataclass(frozen=True)
class Failure:
    """What went wrong in a script (the last line of its traceback), and on which line of it (1-based)."""

    reason: str
    line: int


def traceback_lines(complaints: str, script: str) -> list[Failure]:
    """The frames of the last traceback in `complaints` that stand in `script`, innermost first."""
    _, found, trace = complaints.rpartition("Traceback (most recent call last):")
    if not found:
        return []
    reasons = [m["reason"] for m in REASON.finditer(trace)]
    reason = reasons[0] if reasons else "an unknown error"
    frames = [int(m["line"]) for m in FRAME.finditer(trace) if PurePath(m["file"]).name == script]
    return [Failure(reason, line) for line in reversed(frames)]


def explain(complaints: str, script_name: str, script: str, sources: Iterable[Source]) -> Diagnostic | None:
    """The failure as an error at its equation; None where no frame of the script belongs to an equation."""
    lines = script.splitlines()
    known = {PurePath(source.name).name: source for source in sources}
    for failure in traceback_lines(complaints, script_name):
        place = tag_above(lines, failure.line)
        if place is not None and place[0] in known:
            return diagnostic(failure, script_name, known[place[0]], place[1])
    return None


def tag_above(lines: Sequence[str], number: int) -> tuple[str, int] | None:
    """File and line of the nearest `[model.rnn:14]` at or above a line of the script, within its function."""
    for line in reversed(lines[:number]):
        tag = TAG.search(line)
        if tag is not None:
            return tag["file"], int(tag["line"])
        if line.startswith(("def ", "class ")):
            return None
    return None


def diagnostic(failure: Failure, script: str, source: Source, number: int) -> Diagnostic:
    """The error E0901, pointing at one whole line of the spec."""
    text = source.line(number - 1)
    start = source.starts[number - 1] + len(text) - len(text.lstrip())
    span = Span(source, start, source.starts[number - 1] + len(text.partition(" #")[0].rstrip()))
    return Diagnostic(
        "E0901",
        "the script failed while it computed this equation",
        (Label(span, failure.reason),),
        (("note", f"this is line {failure.line} of {script}"),),
    )
