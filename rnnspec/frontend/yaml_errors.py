"""What a YAML error means, in the words of somebody who writes a spec."""

from __future__ import annotations

import yaml
from yaml.reader import ReaderError

from rnnspec.diagnostics import Diagnostic, Source, Span, problem
from rnnspec.frontend.yaml_lines import NO_COLON, SECOND_COLON, Stop, explain_lines

TAB = ("a tab character is used for indentation", "YAML allows only spaces there: use two spaces per level")
STAR = ("a key or value cannot start with `*` in YAML", 'put quotes around it: "*_hh"')

MESSAGES = {
    "found undefined alias": STAR,
    "expected alphabetic or numeric character": STAR,
    "cannot start any token": (
        "a value cannot start with `CHARACTER` in YAML",
        "put quotes around the whole value, or start it on a new line after `|`",
    ),
    SECOND_COLON: (
        "a second `: ` on this line",
        "quote the value, or put an equation block after `|` on its own lines",
    ),
    NO_COLON: (
        "this line is neither `key: value` nor a list item",
        "write `key: value`, or start a comment with `#`",
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
    "expected '<document start>'": (
        "a spec must be a mapping of sections",
        "start with `rnnspec: 1`; `rnnspec new` writes a working example",
    ),
    "sequence entries are not allowed": (
        "a list cannot begin on this line",
        "start it on the next line, with one `- ` item per line",
    ),
    "expected chomping or indentation indicators": (
        "something stands behind `|` or `>`",
        "start the block on the next line",
    ),
    "found unknown escape character": ("there is no such character behind `\\` in double quotes", "write it in single quotes"),
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
    begun = int(error.context_mark.index) if error.context_mark else None
    found = explain_lines(Stop(source, position, error.problem or "", begun)) if not _is_tab(error, span) else None
    message, help = _message(error, span)
    return found or problem("E0001", message, span, help=help)


def _is_tab(error: yaml.MarkedYAMLError, span: Span) -> bool:
    return span.text == "\t" or "\\t" in (error.problem or "")


def _position(error: yaml.MarkedYAMLError) -> int:
    """The offset to point at; for a line without `:` and an open quote PyYAML's own mark is at its end."""
    mark = error.problem_mark or error.context_mark
    at_context = (NO_COLON, "found unexpected end of stream")
    if error.context_mark and any(part in (error.problem or "") for part in at_context):
        mark = error.context_mark
    return int(mark.index) if mark else 0


def _message(error: yaml.MarkedYAMLError, span: Span) -> tuple[str, str | None]:
    text = error.problem or "this is not valid YAML"
    if _is_tab(error, span):
        return TAB
    if "alias" in (error.context or ""):
        return STAR
    for part, (message, help) in MESSAGES.items():
        if part in text:
            return message.replace("CHARACTER", span.text), help
    return text, None
