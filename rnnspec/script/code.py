"""Text that may stand in a script.  Nothing else reaches a template, so a spec cannot write code.

`Code` is made by the functions here (names, literals, prose), and by joining or filling fixed lines of the tables
beside this file with these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from rnnspec.ir.program import Origin

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
NOT_PROSE = re.compile(r"[^A-Za-z0-9_ .,:;=+\-*/@()\[\]<>!?'`&%|~^$\n]")


class Code(str):
    """Vetted text."""

    __slots__ = ()


def identifier(name: str) -> Code:
    """A name that Python allows; ValueError for anything else."""
    if not IDENTIFIER.match(name):
        raise ValueError(f"{name!r} is not a name")
    return Code(name)


def literal(value: object) -> Code:
    """A string, number, truth value, None, or a collection of these as it is written in Python; TypeError otherwise."""
    if isinstance(value, Mapping):
        return Code("{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}")
    if isinstance(value, list):
        return Code("[" + ", ".join(map(literal, value)) + "]")
    if isinstance(value, tuple):
        return Code("(" + ", ".join(map(literal, value)) + (",)" if len(value) == 1 else ")"))
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError("a number in a script must be finite")
    if isinstance(value, str):
        return Code(_quoted(value))
    if value is None or isinstance(value, bool | int | float):
        return Code(repr(value))
    raise TypeError(f"a {type(value).__name__} cannot be written as a literal")


def _quoted(text: str) -> str:
    """A string between double quotes, in ASCII."""
    inner = ascii('"' + text)[2:-1]  # with a double quote inside, ascii() puts single ones around
    return '"' + inner.replace('"', '\\"').replace("\\'", "'") + '"'


def pattern(text: str) -> Code:
    """A regular expression as a raw string; ValueError for one that would end it."""
    if '"' in text or not text.isascii() or not text.isprintable() or text.endswith("\\"):
        raise ValueError(f"{text!r} is no pattern that can be written")
    return Code(f'r"{text}"')


def prose(text: str) -> Code:
    """Text for a comment or docstring: one line, ASCII, and no character that could end either."""
    line = " ".join(re.sub(r"#[^\n]*", "", text).replace('"', "'").split())
    return Code(NOT_PROSE.sub("?", line))


def tag(origin: Origin) -> Code:
    """An equation with its place, as it stands above the lines that compute it."""
    return Code(Origin(prose(origin.text), prose(origin.place), tuple(map(prose, origin.also))))


def fill(text: str, /, **values: object) -> Code:
    """Fixed lines with `{name}` places, filled with literals, or with code as it is."""
    written = {name: value if isinstance(value, Code) else literal(value) for name, value in values.items()}
    return Code(text.strip("\n").format(**written))


def lines(parts: Iterable[str]) -> Code:
    """Pieces of code below each other, empty ones left out."""
    return Code("\n".join(part for part in parts if part))


def definitions(parts: Iterable[str]) -> Code:
    """Functions below each other, each once, two empty lines between them."""
    return Code("\n\n\n".join(part.strip("\n") for part in dict.fromkeys(parts) if part))


def table(rows: Iterable[tuple[str, str]]) -> Code:
    """A dict of several lines, from written keys to written values."""
    entries = [f"    {key}: {value}," for key, value in rows]
    return Code("\n".join(["{", *entries, "}"]) if entries else "{}")
