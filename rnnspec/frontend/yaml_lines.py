"""What is wrong with the lines around the place where YAML gave up: one rule a mistake, the first one that knows it speaks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rnnspec.diagnostics import Diagnostic, Source, Span, problem
from rnnspec.frontend.explain import EQUATION

BLOCK = re.compile(r"[ ]*(?P<section>model|equations):[ ]*(#.*)?\Z")
ENTRY = re.compile(r"[ ]*(- )?[A-Za-z][\w.*]*:([ ]|\Z)")
TIGHT = re.compile(r"[ ]*(?P<key>[A-Za-z]\w*):(?P<value>[^\s:].*?)[ ]*(#.*)?\Z")
BARE = re.compile(r"[ ]*(?P<key>[A-Za-z]\w*)(?P<between>[ ]+|[ ]*=[ ]*)(?P<value>[^\s=].*?)[ ]*( #.*)?\Z")

NO_COLON = "could not find expected ':'"
SECOND_COLON = "mapping values are not allowed"
CLOSING = {"[": "]", "{": "}", "(": ")"}
INSTEAD = {
    "[": "write the list with one `- ` item per line",
    "{": "write this mapping as indented lines, or quote the whole value",
}


@dataclass(frozen=True)
class Stop:
    """Where YAML gave up, why, in its own words, and where what it was reading began."""

    source: Source
    position: int
    text: str
    begun: int | None

    @property
    def number(self) -> int:
        """The line, counted from 0."""
        return self.source.line_column(self.position)[0]

    def span(self, number: int, start: int, end: int) -> Span:
        """A part of a line."""
        begin = self.source.starts[number]
        return Span(self.source, begin + start, begin + end)

    def above(self, number: int) -> Iterator[int]:
        """The lines above one that say something, the nearest first."""
        return (n for n in range(number - 1, -1, -1) if (line := self.source.line(n).strip()) and line[0] != "#")

    def culprit(self) -> int | None:
        """The line without a colon: the one where YAML missed it, or the one that it joined with the next."""
        if NO_COLON in self.text:
            return self.number
        before = next(self.above(self.number), None)
        if SECOND_COLON not in self.text or before is None or self._has_entry_before():
            return None
        line = self.source.line(before)
        return before if indent(line) == indent(self.source.line(self.number)) and not ENTRY.match(line) else None

    def _has_entry_before(self) -> bool:
        column = self.source.line_column(self.position)[1]
        return ": " in self.source.line(self.number)[:column]


def explain_lines(stop: Stop) -> Diagnostic | None:
    """The mistake, if one of the rules knows it."""
    return next((found for rule in RULES if (found := rule(stop)) is not None), None)


def needs_bar(span: Span, section: str) -> Diagnostic:
    """Equations that YAML would join into one line."""
    message, label = "an equation block over several lines needs `|`", "without `|` YAML joins these lines into one"
    help = f"write `{section}: |` and keep the equations indented below it"
    return problem("E0008", message, span, label, help=help)


def indent(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def _without_bar(stop: Stop) -> Diagnostic | None:
    """Equations right below `model:`; a comment between them ends what YAML joins."""
    column = indent(stop.source.line(stop.number))
    key = next((n for n in stop.above(stop.number) if indent(stop.source.line(n)) < column), None)
    found = BLOCK.match(stop.source.line(key)) if key is not None else None
    if found is None or key is None:
        return None
    first = min(n for n in (stop.number, *stop.above(stop.number)) if n > key)
    line = stop.source.line(first)
    return needs_bar(stop.span(first, indent(line), indent(line) + 1), found["section"]) if EQUATION.match(line) else None


def _odd_space(stop: Stop) -> Diagnostic | None:
    """A character that looks like a space and is none for YAML."""
    number = stop.culprit()
    line = stop.source.line(number) if number is not None else ""
    odd = next((i for i, sign in enumerate(line) if sign != " " and unicodedata.category(sign) in ("Zs", "Cf")), None)
    if number is None or odd is None:
        return None
    name = f"U+{ord(line[odd]):04X} {unicodedata.name(line[odd], 'unnamed')}"
    message, help = f"the character {name} is not a space for YAML", "write an ordinary space instead"
    return problem("E0001", message, stop.span(number, odd, odd + 1), help=help)


def _no_colon(stop: Stop) -> Diagnostic | None:
    """A key without its colon, or without the space behind it."""
    number = stop.culprit()
    line = stop.source.line(number) if number is not None else ""
    tight, bare = TIGHT.match(line), BARE.match(line)
    found = tight or bare
    if number is None or found is None or ("=" in line[: found.start("value")] and not indent(line)):
        return None  # an equation of no section
    key = found["key"]
    message = f"there is no space behind `{key}:`" if tight else f"there is no `:` behind `{key}`"
    return problem("E0001", message, stop.span(number, *found.span("key")), help=f"write `{key}: {found['value']}`")


def _equation_outside(stop: Stop) -> Diagnostic | None:
    """An equation where a key is expected."""
    number = stop.culprit()
    if number is None or not EQUATION.match(line := stop.source.line(number)):
        return None
    help = "equations belong under `model: |`, indented below it"
    span = stop.span(number, indent(line), indent(line) + 1)
    return problem("E0001", "this line is neither `key: value` nor a list item", span, help=help)


def _indented_further(stop: Stop) -> Diagnostic | None:
    """A line that seems to belong to the value above it."""
    before = next(stop.above(stop.number), None)
    if SECOND_COLON not in stop.text or before is None or ": " not in stop.source.line(before):
        return None
    line = stop.source.line(stop.number)
    column, colon = indent(line), line.find(":")
    second = stop.source.line_column(stop.position)[1] > colon
    if second or not ENTRY.match(line) or column <= indent(stop.source.line(before)):
        return None
    message, help = (
        "this line is indented further than the one above it",
        "entries of one mapping must start in the same column",
    )
    return problem("E0001", message, stop.span(stop.number, column, colon), help=help)


def _bracket_inside(stop: Stop) -> Diagnostic | None:
    """A value with brackets in a list or mapping that is written in brackets."""
    if stop.begun is None or "expected ',' or" not in stop.text:
        return None
    opening = stop.source.text[stop.begun]
    if stop.source.text[stop.position : stop.position + 1] not in CLOSING or not _closes(stop.source.text[stop.begun :]):
        return None
    message = f"a value inside `{opening}...{CLOSING[opening]}` cannot have brackets of its own"
    span = Span(stop.source, stop.position, stop.position + 1)
    return problem("E0001", message, span, "YAML takes this one for the start of another value", help=INSTEAD[opening])


def _closes(text: str) -> bool:
    """Whether the bracket that a text begins with is closed on its line."""
    waiting: list[str] = []
    for character in text.partition("\n")[0]:
        if character in CLOSING:
            waiting.append(CLOSING[character])
        elif waiting and character == waiting[-1]:
            waiting.pop()
        if not waiting:
            return True
    return False


RULES: tuple[Callable[[Stop], Diagnostic | None], ...] = (
    _without_bar,
    _odd_space,
    _no_colon,
    _equation_outside,
    _indented_further,
    _bracket_inside,
)
