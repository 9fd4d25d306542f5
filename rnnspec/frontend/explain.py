"""Why a text is no equation: a syntax error of the parser in the words of somebody who writes one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

EQUATION = re.compile(r"^[ \t]*[A-Za-z]\w*[ \t]*(\[[^\]\n]*\])?[ \t]*=(?!=)", re.MULTILINE)
"""A line that looks like the start of an equation."""

LOOKALIKES = {
    "−": "-", "–": "-", "—": "-", "＋": "+", "×": "*", "⊙": "*", "∘": "*", "·": "@` or `*", "÷": "/", "√": "sqrt",
    "≤": "<=", "≥": ">=", "≠": "!=", "“": '"', "”": '"', "‘": "'", "’": "'", "，": ",", "（": "(", "）": ")",
    "₁": "1", "₂": "2", "ₜ": "[t]", "ᵀ": ".T", "′": "_prime", "²": "**2",
    "α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "θ": "theta", "σ": "sigmoid",
}  # fmt: skip

MISPLACED = {
    "^": "write `**` for a power",
    ":": "slices are not supported; use `chunk` or `concat`",
    "'": "write `.T` for a transpose, or close the string",
    '"': "the string is not closed on this line",
    "!": "write `!=` or `not`",
    "&": "write `and`",
    "|": "write `or`",
    "%": "there is no modulo operator",
    "{": "braces are not used in equations",
    "}": "braces are not used in equations",
    ";": "put each equation on its own line",
    "\\": "no backslash is needed: a line may end with an operator",
    "$": "`$` is not used: names are written as they are",
    "_": "a name starts with a letter",
    "?": "write `where(condition, a, b)`",
    ".": "a member is written `name.member`, a transpose `W.T`, a number `1.0`",
}

TERMINALS = {
    "_NL": "the end of the line", "$END": "the end", "RPAR": "`)`", "RSQB": "`]`", "LPAR": "`(`", "LSQB": "`[`",
    "EQUAL": "`=`", "COMMA": "`,`", "NAME": "a name", "MEMBER": "a name", "NUMBER": "a number", "STRING": "a string",
    "COMPARE": "a comparison", "SIGN": "`+` or `-`", "TIMES": "`*`, `/` or `@`", "POWER": "`**`", "TRANSPOSE": "`.T`",
}  # fmt: skip

LIBRARIES = ("np", "numpy", "torch", "nn", "F", "math", "tf", "keras", "jax", "jnp", "scipy", "cp", "cupy")
OPERANDS = ("NAME", "NUMBER", "STRING", "MEMBER", "LPAR", "TRUE", "FALSE", "LSQB")
CLOSING = {"(": ")", "[": "]"}


class Finding(NamedTuple):
    """A diagnostic whose place is still an offset in the parsed text."""

    code: str
    message: str
    start: int
    end: int
    label: str = ""
    help: str | None = None
    note: str | None = None


def blank_comments(text: str) -> str:
    """The text with every comment overwritten by blanks, so that offsets stay."""
    return re.sub(r"""("[^"\n]*"|'[^'\n]*')|#[^\n]*""", lambda m: m[1] or " " * len(m[0]), text)


def brackets(text: str) -> Iterator[tuple[int, str]]:
    """Offset and character of every bracket outside strings and comments."""
    for match in re.finditer(r"""#[^\n]*|"[^"\n]*"|'[^'\n]*'|[()\[\]]""", text):
        if match[0] in "()[]":
            yield match.start(), match[0]


@dataclass(frozen=True)
class _Stop:
    """The state in which the parser stopped."""

    text: str  # without comments
    kind: str  # terminal of the unexpected token
    token: str
    start: int
    end: int
    accepts: frozenset[str]
    block: bool  # a block of equations, else one value
    opened: tuple[int, ...]  # offsets of the brackets that are open

    @property
    def at_end(self) -> bool:
        return self.kind in ("$END", "_NL")

    @property
    def before(self) -> str:
        """What was read without error, up to its last character that is not blank."""
        return self.text[: self.start].rstrip()

    @property
    def previous(self) -> str:
        """The last character read, empty at the start."""
        return self.before[-1:]

    @property
    def starts_line(self) -> bool:
        return not self.text[: self.start].rsplit("\n", 1)[-1].strip()


def explain(text: str, error: UnexpectedInput, start: str) -> Finding:
    """What is wrong with a text that the parser refused; `start` is the start symbol."""
    if isinstance(error, UnexpectedCharacters):
        return _character(text, error.pos_in_stream or 0)
    assert isinstance(error, UnexpectedToken)
    stop = _stop(blank_comments(text), error, start)
    return next(finding for rule in RULES if (finding := rule(stop)))


def _stop(text: str, error: UnexpectedToken, start: str) -> _Stop:
    token = error.token
    begin = len(text) if token.type == "$END" else token.start_pos
    opened: list[int] = []
    for position, bracket in brackets(text[:begin]):
        if bracket in CLOSING:
            opened.append(position)
        elif opened:
            opened.pop()
    end = begin + 1 if token.type == "$END" else token.end_pos
    accepts = frozenset(error.accepts or error.expected)
    return _Stop(text, token.type, str(token), begin, end, accepts, start == "equations", tuple(opened))


def _character(text: str, position: int) -> Finding:
    """A character that no token starts with."""
    character = text[position]
    if ord(character) < 128:
        message = f"the character `{character}` does not fit here"
        return Finding("E0101", message, position, position + 1, help=MISPLACED.get(character))
    name = f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"
    message = f"the character `{character}` ({name}) is not part of the equation language"
    if character == "\N{NO-BREAK SPACE}":
        return Finding("E0101", message, position, position + 1, help="write an ordinary space instead")
    if character in LOOKALIKES:
        return Finding("E0101", message, position, position + 1, help=f"write `{LOOKALIKES[character]}` instead")
    note = "names and operators use plain ASCII; other characters are fine in comments"
    return Finding("E0101", message, position, position + 1, note=note)


def _conditional(stop: _Stop) -> Finding | None:
    if stop.kind == "NAME" and stop.token in ("if", "else"):
        return Finding("E0103", "there is no `a if c else b`", stop.start, stop.end, help="write `where(c, a, b)`")
    return None


def _never_closed(stop: _Stop) -> Finding | None:
    """A bracket is open at the end, or where the next line looks like an equation."""
    if not stop.opened:
        return None
    bracket = stop.opened[-1]
    closing = CLOSING[stop.text[bracket]]
    line = stop.text.rfind("\n", 0, stop.start) + 1
    if stop.at_end:
        help = f"add `{closing}`"
    elif line > bracket and (stop.kind == "EQUAL" or EQUATION.match(stop.text, line)):
        help = f"add `{closing}` before the next equation begins"
    else:
        return None
    message = f"`{stop.text[bracket]}` is never closed"
    return Finding("E0102", message, bracket, bracket + 1, "opened here", help)


def _wrong_bracket(stop: _Stop) -> Finding | None:
    if stop.kind not in ("RPAR", "RSQB"):
        return None
    if not stop.opened:
        opening = "(" if stop.kind == "RPAR" else "["
        message = f"`{stop.token}` without a matching `{opening}`"
        return Finding("E0102", message, stop.start, stop.end, help=f"remove it, or add `{opening}` before")
    opening = stop.text[stop.opened[-1]]
    if CLOSING[opening] != stop.token:
        message = f"`{opening}` is closed by `{stop.token}`"
        return Finding("E0102", message, stop.start, stop.end, f"expected `{CLOSING[opening]}`")
    return None


def _equals_sign(stop: _Stop) -> Finding | None:
    if stop.kind != "EQUAL":
        return None
    if stop.opened:
        label = "only a plain name can stand before `=` here"
        help = "an argument is named like `eps=1e-5`; a comparison is written `==`"
        return Finding("E0103", "this is no argument name", stop.start, stop.end, label, help)
    if not stop.block:
        help = "equations belong under `model: |`"
        return Finding("E0104", "an equation is not allowed here", stop.start, stop.end, help=help)
    help = "compare with `==`; write two equations for two results"
    return Finding("E0104", "an equation has one `=`", stop.start, stop.end, "a second `=`", help)


def _no_equation(stop: _Stop) -> Finding | None:
    """A line of a block that does not begin with a left side and `=`."""
    if not stop.block or stop.opened:
        return None
    start, end, label = stop.start, stop.end, "expected `=` here"
    if stop.starts_line and not stop.at_end:
        label = "a left side is a plain name" if stop.kind == "MEMBER" else "an equation starts with a name"
    elif "EQUAL" not in stop.accepts:
        return None
    elif stop.at_end:
        start, end, label = _line_start(stop.before), len(stop.before), "no `=` on this line"
    elif stop.kind in OPERANDS:
        label = "expected `=` before this"
    help = "write `name[t] = ...`, or start a comment with `#`"
    return Finding("E0104", "this line is not an equation", start, end, label, help)


def _line_start(text: str) -> int:
    """Offset of the first character of the last line that is not blank."""
    start = text.rfind("\n") + 1
    return start + len(text[start:]) - len(text[start:].lstrip())


def _unfinished(stop: _Stop) -> Finding | None:
    if not stop.at_end:
        return None
    end = len(stop.before)
    if stop.previous and stop.previous in "+-*/@=<>,":
        message, label = f"the expression stops after `{stop.previous}`", "something is missing after this"
        return Finding("E0103", message, max(0, end - 1), end, label)
    return Finding("E0103", "the expression is not complete", max(0, end - 1), end)


def _prefixed(stop: _Stop) -> Finding | None:
    """A function with the name of its library in front, as other languages write it."""
    found = re.search(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+\Z", stop.before)
    if stop.kind != "LPAR" or found is None or found[0].partition(".")[0] not in LIBRARIES:
        return None
    name = found[0].rpartition(".")[2]
    return Finding("E0103", "functions have no prefix", *found.span(), help=f"write `{name}(...)`")


def _missing_operator(stop: _Stop) -> Finding | None:
    """Two operands side by side."""
    if stop.kind not in OPERANDS or not (stop.previous.isalnum() or stop.previous in ")]_\"'"):
        return None
    if not stop.block and not stop.opened:
        help = "one value is expected here, such as `adam(lr=1e-3)`"
        return Finding("E0103", "there is something after the end of the value", stop.start, stop.end, help=help)
    if stop.kind == "LPAR":
        message, help = "only a function name can be called", "write `*` for a product"
        return Finding("E0103", message, stop.start, stop.end, help=help)
    if stop.kind == "LSQB":
        message, help = "only a name can have an index", "give this value a name, or write `chunk(v, i, n)` for part i of n"
        return Finding("E0103", message, stop.start, stop.end, help=help)
    label = "expected `@`, `*`, `+`, `-` or a comma before this"
    help = "a matrix product is written `W @ x[t]`, an elementwise product `a * b`"
    return Finding("E0103", "an operator is missing here", stop.start, stop.end, label, help)


def _chained_comparison(stop: _Stop) -> Finding | None:
    if stop.kind == "COMPARE" and (stop.previous.isalnum() or stop.previous in ("_", ")", "]")):
        help = "write `a < b and b < c`"
        return Finding("E0103", "comparisons cannot be chained", stop.start, stop.end, help=help)
    return None


def _misplaced(stop: _Stop) -> Finding:
    """Anything else."""
    if stop.previous and stop.previous in "+-*/@=<>,([":
        message, label = f"`{stop.token}` cannot follow `{stop.previous}`", "a name, a number or `(` was expected"
        return Finding("E0103", message, stop.start, stop.end, label)
    expected = sorted({TERMINALS.get(name, f"`{name.lower()}`") for name in stop.accepts})[:5]
    label = "expected " + ", ".join(expected) if expected else ""
    return Finding("E0103", f"`{stop.token[:20].strip()}` does not fit here", stop.start, stop.end, label)


RULES: tuple[Callable[[_Stop], Finding | None], ...] = (
    _conditional,
    _never_closed,
    _wrong_bracket,
    _equals_sign,
    _no_equation,
    _unfinished,
    _prefixed,
    _missing_operator,
    _chained_comparison,
    _misplaced,
)
"""Tried in this order; the first one that knows the mistake speaks, and the last one knows them all."""
