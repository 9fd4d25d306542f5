"""What a YAML error means, in the words of somebody who writes a spec."""

from __future__ import annotations

import yaml
from yaml.reader import ReaderError

from rnnspec.diagnostics import Diagnostic, Source, Span, problem

TAB = ("a tab character is used for indentation", "YAML allows only spaces there: use two spaces per level")
STAR = ("a key or value cannot start with `*` in YAML", 'put quotes around it: "*_hh"')

MESSAGES = {
    "found undefined alias": STAR,
    "expected alphabetic or numeric character": STAR,
    "cannot start any token": (
        "a value cannot start with `CHARACTER` in YAML",
        "put quotes around the whole value, or start it on a new line after `|`",
    ),
    "mapping values are not allowed": (
        "a second `: ` on this line",
        "quote the value, or put an equation block after `|` on its own lines",
    ),
    "could not find expected ':'": (
        "this line is neither `key: value` nor a list item",
        "equations belong under `model: |`, indented below it",
    ),
    "expected <block end>": (
        "the indentation does not line up",
        "entries of one mapping must start in the same column",
    ),
    "expected ',' or": (
        "this `{...}` or `[...]` is not closed or has a stray character",
        "close it, and put quotes around a value that holds a bracket or a comma",
    ),
    "found unexpected end of stream": ("a quote is never closed", "add the missing quote"),
}
"""A part of PyYAML's text -> our message and help; CHARACTER is the one it points at."""


def explain_yaml(error: Exception, source: Source) -> Diagnostic:
    """The diagnostic for an exception that PyYAML raised."""
    if isinstance(error, ReaderError):
        code = ord(error.character) if isinstance(error.character, str) else int(error.character)
        message = f"the character U+{code:04X} is not allowed in YAML"
        return problem("E0001", message, Span(source, error.position, error.position + 1))
    if not isinstance(error, yaml.MarkedYAMLError):  # a ValueError of chr() inside PyYAML's scanner
        return problem("E0001", "a character escape is out of range", Span(source, 0, 0))
    position = _position(error)
    span = Span(source, position, min(position + 1, len(source.text)))
    message, help = _message(error, span)
    return problem("E0001", message, span, help=help)


def _position(error: yaml.MarkedYAMLError) -> int:
    """The offset to point at; for a line without `:` and an open quote PyYAML's own mark is at its end."""
    mark = error.problem_mark or error.context_mark
    at_context = ("could not find expected ':'", "found unexpected end of stream")
    if error.context_mark and any(part in (error.problem or "") for part in at_context):
        mark = error.context_mark
    return int(mark.index) if mark else 0


def _message(error: yaml.MarkedYAMLError, span: Span) -> tuple[str, str | None]:
    text = error.problem or "this is not valid YAML"
    if span.text == "\t" or "\\t" in text:
        return TAB
    if "alias" in (error.context or ""):
        return STAR
    for part, (message, help) in MESSAGES.items():
        if part in text:
            return message.replace("CHARACTER", span.text), help
    return text, None
