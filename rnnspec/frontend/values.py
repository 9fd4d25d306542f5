"""Plain values of a spec: numbers, true/false, texts and words, each with its range.

A value stands either in YAML (`batch: 32`) or inside a call (`adam(lr=1e-3)`); both are typed here, by the same rules.
`what` is how messages call the value, such as "`lr`" or "a dropout rate".  Every reader returns None after it has
reported a problem.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.source import Scalar
from rnnspec.frontend.syntax import BoolNode, ListNode, Node, NumberNode, RefNode, StringNode, Unary

AnyNode = YamlNode | Node

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
DIGITS = re.compile(r"[+-]?[0-9]+")
MAX_DIGITS = 40
TRUE_WORDS = ("true", "yes", "on", "y", "1")
FALSE_WORDS = ("false", "no", "off", "n", "0")


@dataclass(frozen=True)
class Range:
    """The numbers from `low` up to but without `high`; `above` leaves `low` out, `closed` lets `high` in."""

    low: float | None = None
    high: float | None = None
    above: bool = False
    closed: bool = False

    def __contains__(self, value: float) -> bool:
        too_low = self.low is not None and (value < self.low or (self.above and value == self.low))
        too_high = self.high is not None and (value > self.high or (not self.closed and value == self.high))
        return not (too_low or too_high or math.isnan(value))

    def __str__(self) -> str:
        low = "" if self.low is None else f"{'greater than' if self.above else 'at least'} {_plain(self.low)}"
        high = "" if self.high is None else f"{'at most' if self.closed else 'below'} {_plain(self.high)}"
        return " and ".join(part for part in (low, high) if part)


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


ANY = Range()
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1)
COUNT = Range(1, 1_000_000_000, closed=True)


@dataclass(frozen=True)
class _Written:
    """A value as it was written."""

    text: str
    span: Span
    kind: Literal["quoted", "plain", "other"]


def _written(node: AnyNode) -> _Written:
    if isinstance(node, Scalar):
        return _Written(node.value, node.span, "quoted" if node.quoted else "plain")
    if isinstance(node, Unary) and node.op != "not" and isinstance(node.operand, NumberNode):
        return _Written(node.op + node.operand.text, node.span, "plain")
    if isinstance(node, NumberNode):
        return _Written(node.text, node.span, "plain")
    if isinstance(node, StringNode):
        return _Written(node.text, node.span, "quoted")
    if isinstance(node, BoolNode):
        return _Written("true" if node.value else "false", node.span, "plain")
    if isinstance(node, RefNode) and node.index is None:
        return _Written(node.name, node.span, "plain")
    return _Written("", node.span if isinstance(node, Node) else node.span.first, "other")


def read_number(
    node: AnyNode, what: str, problems: list[Diagnostic], allowed: Range = ANY, percent: bool = False
) -> float | None:
    """A finite number within a range; `percent` adds how to write what looks like a percentage."""
    written = _written(node)
    if not _looks_like_number(written, what, "a number", problems):
        return None
    value = float(written.text)
    if value in (float("inf"), float("-inf")):
        problems.append(problem("E0602", f"{what} is too large", written.span))
        return None
    if value not in allowed:
        help = f"write {value / 100:g} for {value:g} percent" if percent and 1 < value <= 100 else None
        label = f"{written.text} is out of range"
        problems.append(problem("E0602", f"{what} must be {allowed}", written.span, label, help=help))
        return None
    return value


def read_numbers(node: Node, name: str, what: str, problems: list[Diagnostic], allowed: Range) -> tuple[float, ...] | None:
    """A list of numbers, not all of them zero; `what` is how messages call one of them."""
    if not isinstance(node, ListNode) or not node.items:
        problems.append(problem("E0601", f"`{name}` must be a list of numbers", node.span, help=f"write `{name}=[1, 2.5]`"))
        return None
    found = [read_number(item, what, problems, allowed) for item in node.items]
    known = tuple(number for number in found if number is not None)
    if len(known) < len(found):
        return None
    if not any(known):
        problems.append(problem("E0602", f"`{name}` must not be zero throughout", node.span))
        return None
    return known


def read_whole(node: AnyNode, what: str, problems: list[Diagnostic], allowed: Range = COUNT) -> int | None:
    """A whole number within a range; from 1 to a billion where nothing else is said."""
    written = _written(node)
    if not _looks_like_number(written, what, "a whole number", problems):
        return None
    value = read_number(node, what, problems, ANY)
    if value is None:
        return None
    if not value.is_integer():
        problems.append(problem("E0601", f"{what} must be a whole number", written.span))
        return None
    whole = int(written.text) if DIGITS.fullmatch(written.text) else int(value)  # a float has 53 bits only
    if whole not in allowed:
        label = f"{written.text} is out of range"
        problems.append(problem("E0602", f"{what} must be {_shortest(allowed, value)}", written.span, label))
        return None
    return whole


def _shortest(allowed: Range, value: float) -> Range:
    """The side of a range that a value breaks; its other end, a billion, is nobody's concern."""
    below = allowed.low is not None and value < allowed.low
    return Range(allowed.low) if below and allowed.closed else allowed


def _looks_like_number(written: _Written, what: str, kind: str, problems: list[Diagnostic]) -> bool:
    is_number = NUMBER.fullmatch(written.text)
    if written.kind == "plain" and is_number and len(written.text) <= MAX_DIGITS:
        return True
    plain = f"this has more than {MAX_DIGITS} characters" if is_number else "this is not a number"
    label = {"quoted": "this is a text", "plain": plain, "other": ""}[written.kind]
    found = problem("E0601", f"{what} must be {kind}", written.span, label, help=_number_help(written))
    problems.append(found)
    return False


def _number_help(written: _Written) -> str | None:
    text = written.text
    if len(text) > MAX_DIGITS:
        return None
    if written.kind == "quoted" and NUMBER.fullmatch(text):
        return "remove the quotes"
    if re.fullmatch(r"[0-9]+[kKmM]", text):
        return f"write {text[:-1]}{'000' if text[-1] in 'kK' else '000000'}"
    if text.endswith("%") and NUMBER.fullmatch(text[:-1]):
        return f"write {float(text[:-1]) / 100:g}"
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return "write the decimal point as `.`"
    if re.fullmatch(r"[0-9]+(_[0-9]+)+", text):
        return "write it without `_`"
    return None


def read_flag(node: AnyNode, what: str, problems: list[Diagnostic]) -> bool | None:
    """`true` or `false`, and no other word."""
    written = _written(node)
    if written.kind == "plain" and written.text in ("true", "false"):
        return written.text == "true"
    word = written.text.lower()
    meant = "true" if word in TRUE_WORDS else "false" if word in FALSE_WORDS else None
    help = f"write `{meant}`" if meant else None
    problems.append(problem("E0601", f"{what} must be true or false", written.span, help=help))
    return None


def read_text(node: AnyNode, what: str, problems: list[Diagnostic]) -> str | None:
    """A text: any scalar in YAML, quoted inside a call."""
    written = _written(node)
    if written.kind == "quoted" or isinstance(node, Scalar):
        return written.text
    help = f'write "{written.text}"' if written.text else None
    kind = "a text in quotes" if isinstance(node, Node) else "a text"
    problems.append(problem("E0601", f"{what} must be {kind}", written.span, help=help))
    return None


def read_choice(node: AnyNode, what: str, problems: list[Diagnostic], options: tuple[str, ...]) -> str | None:
    """One of a few texts: quoted inside a call, with or without quotes in YAML."""
    written = _written(node)
    if written.text in options and (written.kind == "quoted" or isinstance(node, Scalar)):
        return written.text
    shown = [option if isinstance(node, Scalar) else f'"{option}"' for option in options]
    message = f"{what} must be {' or '.join(shown)}"
    help = f'write "{written.text}"' if written.text in options else None
    problems.append(problem("E0601", message, written.span, help=help))
    return None
