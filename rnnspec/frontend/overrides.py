"""Settings from the command line: `train.batch=64`, `train.optimizer.lr=3e-3`, `dims.H=256`.

The path goes through the keys of the file and then, by name, into the arguments of a call.  An entry that the file does not
have may be added where its key is known.  `steps` and `epochs` replace each other.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rnnspec.diagnostics import Diagnostic, Source, Span, problem, suggest
from rnnspec.frontend.equations import parse_value
from rnnspec.frontend.schema import KEYS, SECTIONS
from rnnspec.frontend.settings import SETTINGS
from rnnspec.frontend.source import Mapping, Node, Scalar, plain_scalar
from rnnspec.frontend.syntax import CallNode, Named, RefNode

PATH = re.compile(r"[^=\s]+")
MOST_DOTS = 20
INSTEAD = {"train.steps": "epochs", "train.epochs": "steps"}


@dataclass
class Overrides:
    """A tree with its entries replaced, and the calls whose arguments were, by their path."""

    root: Mapping
    problems: list[Diagnostic]
    calls: dict[str, CallNode] = field(default_factory=dict)

    def apply(self, text: str) -> None:
        """Apply one override, such as `train.batch=64`."""
        source = Source("command line", text)
        path, equals, value = text.partition("=")
        if not equals or not PATH.fullmatch(path) or path.count(".") > MOST_DOTS or not value.strip():
            message, help = "an override is written `section.key=value`", "write for example `train.batch=64`"
            self.problems.append(problem("E0005", message, Span(source, 0, len(text)), help=help))
            return
        words = _words(Scalar(Span(source, 0, len(path)), path, "", tuple(range(len(path) + 1))))
        start = len(path) + 1 + len(value) - len(value.lstrip())
        scalar = plain_scalar(source, start, len(text.rstrip()))
        self.root = self._in_mapping(self.root, "", words, scalar)

    def _in_mapping(self, mapping: Mapping, path: str, words: list[Scalar], value: Scalar) -> Mapping:
        """The mapping with the entry that `words` lead to replaced."""
        for count in range(len(words), 0, -1):  # keys such as `h1.W_*` have dots themselves
            name = _joined(words[:count])
            inner = mapping.get(name.value)
            if inner is not None:
                new = self._in_node(inner, _below(path, name.value), words[count:], value)
                return _with(mapping, name, new, path)
        known = _known_keys(path)
        if len(words) == 1 and words[0].value in known:
            return _with(mapping, words[0], value, path)
        if words[0].value in known and _below(path, words[0].value) in KEYS:
            new = self._in_mapping(Mapping(words[0].span, ()), _below(path, words[0].value), words[1:], value)
            return _with(mapping, words[0], new, path)
        self._unknown(words[0], path, [*(key.value for key, _ in mapping.items), *known])
        return mapping

    def _in_node(self, node: Node, path: str, words: list[Scalar], value: Scalar) -> Node:
        if not words:
            self.calls.pop(path, None)
            return value
        if isinstance(node, Mapping):
            return self._in_mapping(node, path, words, value)
        if isinstance(node, Scalar) and len(words) == 1:
            self._in_call(node, path, words[0], value)
        else:
            self._unknown(words[-1], path, [])
        return node

    def _in_call(self, scalar: Scalar, path: str, name: Scalar, value: Scalar) -> None:
        """Replace one argument of a call, or add it."""
        call = self.calls.get(path) or parse_value(scalar, self.problems)
        if isinstance(call, RefNode) and call.index is None:
            call = CallNode(call.name, call.span, call.name_span)
        if not isinstance(call, CallNode) or path in ("loss", "model"):
            self._unknown(name, path, [])
            return
        node = parse_value(value, self.problems)
        if node is None:
            return
        position = _position(path, call.name, name.value)
        if position < len(call.args):
            self.calls[path] = replace(call, args=(*call.args[:position], node, *call.args[position + 1 :]))
            return
        others = tuple(named for named in call.named if named.name != name.value)
        self.calls[path] = replace(call, named=(*others, Named(name.value, name.span, node)))

    def _unknown(self, word: Scalar, path: str, known: Sequence[str]) -> None:
        near = suggest(word.value, known)
        help = f"did you mean `{_below(path, near)}`?" if near else None
        if word.value == near:  # it is a section, but one with names of the spec's own
            help = f"write `{near}:` in the file: what stands there can be changed from here"
        note = None if near or not known else "known: " + ", ".join(dict.fromkeys(known))
        where = f"in `{path}`" if path else "in this spec"
        message = f"there is no `{word.value}` {where}"
        self.problems.append(problem("E0003", message, word.span, help=help, note=note))


def apply_overrides(root: Mapping, texts: Sequence[str], problems: list[Diagnostic]) -> Overrides:
    """The tree of a spec with all overrides applied, in order."""
    overrides = Overrides(root, problems)
    for text in texts:
        overrides.apply(text)
    return overrides


def _position(path: str, call: str, argument: str) -> int:
    """The place of an argument in its row of the settings table; behind the last one if it has none."""
    first, *_, last = path.split(".")
    row = SETTINGS.get(first if first in SETTINGS else last, {}).get(call)
    names = [argument.name for argument in row.arguments] if row else []
    return names.index(argument) if argument in names else sys.maxsize


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _words(path: Scalar) -> list[Scalar]:
    """The parts of a path between dots, each with its place."""
    found, start = [], 0
    for word in path.value.split("."):
        found.append(plain_scalar(path.span.source, start, start + len(word)))
        start += len(word) + 1
    return found


def _joined(words: list[Scalar]) -> Scalar:
    return plain_scalar(words[0].span.source, words[0].span.start, words[-1].span.end)


def _known_keys(path: str) -> tuple[str, ...]:
    if not path:
        return tuple(SECTIONS)
    parent, _, _ = path.partition(".")
    return KEYS.get(path) or (KEYS.get(f"{parent}.*", ()) if "." in path else ())


def _with(mapping: Mapping, key: Scalar, value: Node, path: str) -> Mapping:
    """The mapping with one entry replaced or added, and without the entry that this one excludes."""
    excluded = INSTEAD.get(_below(path, key.value))
    kept = [(k, v) for k, v in mapping.items if k.value != excluded]
    if any(k.value == key.value for k, _ in kept):
        items = [(k, value if k.value == key.value else v) for k, v in kept]
    else:
        items = [*kept, (key, value)]
    return replace(mapping, items=tuple(items))
