"""Texts at a given line of a file, so that a test can hold a message as the user sees it."""

from __future__ import annotations

from rnnspec.diagnostics import Diagnostic, Source, SpecError, render
from rnnspec.frontend.source import Mapping, read_yaml


def at_line(number: int, text: str, name: str = "model.rnn") -> Source:
    """A file with `text` from a line on, and empty lines before."""
    return Source(name, "\n" * (number - 1) + text)


def read(text: str, number: int = 1) -> Mapping:
    """The YAML tree of a text that starts at a line."""
    return read_yaml(at_line(number, text))


def refused(text: str, number: int = 1) -> Diagnostic:
    """The one diagnostic with which the YAML layer refuses a text."""
    try:
        read(text, number)
    except SpecError as error:
        (found,) = error.diagnostics
        return found
    raise AssertionError("the text was accepted")


def shown(problems: list[Diagnostic]) -> str:
    """The one problem of a list, as it is printed."""
    (found,) = problems
    return render(found)
