"""Diagnostics: places in a file, what is wrong there, and how it is printed.

A diagnostic is a code, one sentence that stands alone, labelled spans, and notes (`help`: what to write, `note`: why).
Spans know the text they belong to, so one diagnostic may point into the spec, a library cell and the command line.
"""

from __future__ import annotations

import bisect
import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rnnspec.catalogue import CATALOGUE, Entry

__all__ = [
    "CATALOGUE",
    "Diagnostic",
    "Entry",
    "Label",
    "Source",
    "Span",
    "SpecError",
    "problem",
    "render",
    "suggest",
    "to_json",
]

Level = Literal["error", "warning"]

MAX_WIDTH = 100
"""Longer source lines are cut around the first label."""


class Source:
    """A text with a name; offsets count characters after line ends were made `\\n`."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.starts = [0, *(i + 1 for i, character in enumerate(text) if character == "\n")]

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 0; an offset outside the text counts as its nearest end."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect.bisect_right(self.starts, offset) - 1
        return line, offset - self.starts[line]

    def line(self, number: int) -> str:
        """The text of a line, counted from 0, without its end; empty behind the last line."""
        if not 0 <= number < len(self.starts):
            return ""
        end = self.starts[number + 1] - 1 if number + 1 < len(self.starts) else len(self.text)
        return self.text[self.starts[number] : end]


@dataclass(frozen=True)
class Span:
    """A stretch of a source, from the character `start` up to but without `end`."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """Number of the line it starts in, from 1."""
        return self.source.line_column(self.start)[0] + 1

    @property
    def column(self) -> int:
        """Number of the character it starts at, from 1."""
        return self.source.line_column(self.start)[1] + 1

    @property
    def place(self) -> str:
        """File (without folder) and line, such as `elman.rnn:14`."""
        return f"{self.source.name.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.line}"

    @property
    def text(self) -> str:
        """The characters it covers."""
        return self.source.text[self.start : self.end]

    @property
    def first(self) -> Span:
        """Its first character: enough to point at something that covers many lines."""
        return Span(self.source, self.start, min(self.start + 1, len(self.source.text)))


@dataclass(frozen=True)
class Label:
    """A span with a remark; the primary one is what the diagnostic is about."""

    span: Span
    text: str = ""
    primary: bool = True


@dataclass(frozen=True)
class Diagnostic:
    """One finding; `notes` are pairs of `help` or `note` and a text, in the order they are shown."""

    code: str
    message: str
    labels: tuple[Label, ...]
    notes: tuple[tuple[str, str], ...] = ()
    level: Level = "error"

    @property
    def span(self) -> Span | None:
        """Where it points: the span of the primary label."""
        return next((label.span for label in self.labels if label.primary), None)


class SpecError(Exception):
    """A spec that cannot be compiled; `str()` of it is what the command line prints."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(map(render, self.diagnostics))


def problem(
    code: str,
    message: str,
    span: Span,
    label: str = "",
    *,
    help: str | None = None,
    note: str | None = None,
    others: Iterable[tuple[Span, str]] = (),
    level: Level = "error",
) -> Diagnostic:
    """The usual diagnostic: one primary label, secondary ones in `others`, and at most one `help` and one `note`."""
    labels = [Label(span, label), *(Label(other, text, primary=False) for other, text in others)]
    notes = [(kind, text) for kind, text in (("help", help), ("note", note)) if text]
    return Diagnostic(code, message, tuple(labels), tuple(notes), level)


def suggest(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be; None if there is nothing close."""
    choices = list(dict.fromkeys(options))
    for choice in choices:
        if choice.lower() == word.lower():
            return choice
    for choice in choices:  # parts in another order, such as `W_hx` for `W_xh`
        if len(word) > 1 and sorted(choice) == sorted(word):
            return choice
    return next(iter(difflib.get_close_matches(word, choices, n=1, cutoff=0.6)), None)


def to_json(diagnostic: Diagnostic) -> dict[str, object]:
    """The diagnostic as plain data for editors; lines and columns count from 1, `end_column` is exclusive."""
    return {
        "code": diagnostic.code,
        "level": diagnostic.level,
        "message": diagnostic.message,
        "file": diagnostic.span.source.name if diagnostic.span else None,
        "spans": [_span_to_json(label) for label in diagnostic.labels],
        "help": [text for kind, text in diagnostic.notes if kind == "help"],
        "notes": [text for kind, text in diagnostic.notes if kind == "note"],
    }


def _span_to_json(label: Label) -> dict[str, object]:
    span = label.span
    end_line, end_column = span.source.line_column(span.end)
    return {
        "file": span.source.name,
        "start": span.start,
        "end": span.end,
        "line": span.line,
        "column": span.column,
        "end_line": end_line + 1,
        "end_column": end_column + 1,
        "label": label.text,
        "primary": label.primary,
    }


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic as text: message, place, source lines with their labels, notes."""
    lines = [f"{diagnostic.level}[{diagnostic.code}]: {_printable(diagnostic.message)}"]
    numbers = [label.span.line for label in diagnostic.labels]
    gutter = " " * len(str(max(numbers, default=0)))
    arrow = "-->"
    for source, labels in _by_source(diagnostic.labels):
        pointer = next((label for label in labels if label.primary), labels[0]).span
        lines.append(f"{gutter}{arrow} {_printable(source.name)}:{pointer.line}:{pointer.column}")
        lines.append(f"{gutter} |")
        lines += _excerpt(source, labels, gutter)
        arrow = ":::"
    if diagnostic.labels and diagnostic.notes:
        lines.append(f"{gutter} |")
    for kind, text in diagnostic.notes:
        indent = " " * (len(gutter) + len(kind) + 5)
        lines.append(f"{gutter} = {kind}: " + _printable(text).replace("\n", "\n" + indent))
    return "\n".join(lines)


def _by_source(labels: Sequence[Label]) -> Iterator[tuple[Source, list[Label]]]:
    ordered = sorted(labels, key=lambda label: not label.primary)
    for source in dict.fromkeys(label.span.source for label in ordered):
        yield source, [label for label in labels if label.span.source is source]


def _excerpt(source: Source, labels: list[Label], gutter: str) -> Iterator[str]:
    """The source lines that carry labels, each followed by its labels from left to right; gaps are shown as `...`."""
    last = None
    for number in sorted({label.span.line for label in labels}):
        if last is not None and number > last + 1:
            yield "..."
        last = number
        here = sorted((label for label in labels if label.span.line == number), key=lambda label: label.span.start)
        shown, columns = _shown(source.line(number - 1), here[0].span.column - 1)
        yield f"{number:>{len(gutter)}} | {shown}".rstrip()
        for label in here:
            begin = label.span.column - 1
            end = min(begin + max(label.span.end - label.span.start, 0), len(columns) - 1)
            width = max(1, columns[end] - columns[begin])
            mark = "^" if label.primary else "-"
            yield f"{gutter} | {' ' * columns[begin]}{mark * width} {_printable(label.text)}".rstrip()


def _shown(line: str, focus: int) -> tuple[str, list[int]]:
    """A source line as printed, and the column at which each of its characters (and its end) is shown.

    A line that is too wide is cut around the character `focus`.
    """
    pieces, columns = _expand(line)
    first, last = 0, len(pieces)
    if columns[-1] > MAX_WIDTH:
        if columns[focus] > MAX_WIDTH - 30:
            first = bisect.bisect_left(columns, columns[focus] - 40)
        last = bisect.bisect_right(columns, columns[first] + MAX_WIDTH) - 1
    before, behind = "..." if first else "", "..." if last < len(pieces) else ""
    shift = len(before) - columns[first]
    limit = columns[last] + shift
    return before + "".join(pieces[first:last]) + behind, [min(max(column + shift, 0), limit) for column in columns]


def _expand(line: str) -> tuple[list[str], list[int]]:
    """What is printed for each character of a line, and the column where it starts (one more entry: the end)."""
    pieces, columns = [], [0]
    for character in line:
        piece = " " * (4 - columns[-1] % 4) if character == "\t" else _printable(character)
        pieces.append(piece)
        columns.append(columns[-1] + sum(map(_width, piece)))
    return pieces, columns


def _printable(text: str) -> str:
    """The text with characters that could disturb a terminal shown as U+FFFD; newlines are kept."""
    hidden = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in hidden and c != "\n" else c for c in text)


def _width(character: str) -> int:
    """Columns that a terminal uses for a character."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
