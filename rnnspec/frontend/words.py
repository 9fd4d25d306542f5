"""Which words a spec may use as names: the form of a name, and what a word means already."""

from __future__ import annotations

import re
from collections.abc import Container

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.functions import FUNCTIONS

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
MAX_NAME = 64

RESERVED: dict[str, str] = {
    "t": "the time index",
    "T": "the last time step",
    "true": "a constant",
    "false": "a constant",
    "and": "an operator",
    "or": "an operator",
    "not": "an operator",
    "mask": "the built-in padding mask",
}
"""Names that mean something everywhere."""

OF_BATCHES = ("length", "fresh", "seen", "begins")
"""What a batch holds beside inputs and targets."""

OF_CHECKPOINTS = ("step", "digest", "file", "allow_pickle")
"""What a file of parameters holds beside them, and how it is written."""

Others = tuple[str, Container[str]]
"""What some other words mean in one place, such as ("a size", sizes)."""


def is_name(word: str) -> bool:
    """Whether a word has the form of a name."""
    return bool(NAME.match(word)) and len(word) <= MAX_NAME


def malformed(word: str, what: str, span: Span) -> Diagnostic:
    """A word that does not have the form of a name; `what` is how messages call the thing, such as "a size"."""
    note = "a name is a letter followed by letters, digits or `_`"
    return problem("E0204", f"`{word[:40]}` is not a valid name for {what}", span, note=note)


def meaning(word: str, *others: Others) -> str | None:
    """What a word means already, if it cannot be given to something of a spec's own."""
    if word in FUNCTIONS:
        return "a function"
    return RESERVED.get(word) or next((what for what, words in others if word in words), None)


def taken(word: str, span: Span, *others: Others) -> Diagnostic | None:
    """The problem with a name that means something already."""
    found = meaning(word, *others)
    return problem("E0204", f"`{word}` cannot be used as a name: it is {found}", span) if found else None
