"""The YAML layer: bytes -> source -> a tree of scalars, mappings and lists, each with its exact place.

The tree is made from YAML *events*: no value is converted (`no` stays `no`, `1e-3` stays `1e-3`), nothing is
constructed, no alias is followed, and size and depth are limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rnnspec.diagnostics import Diagnostic, Source, Span, SpecError, problem
from rnnspec.frontend.offsets import offsets
from rnnspec.frontend.yaml_errors import explain_yaml

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 12
MAX_SCALAR = 100_000

FOREIGN_BREAKS = {"\x85": "NEXT LINE", "\u2028": "LINE SEPARATOR", "\u2029": "PARAGRAPH SEPARATOR"}


@dataclass(frozen=True)
class Scalar:
    """A text.  `style` is the YAML mark it is written with (`|`, `>`, a quote) or empty.

    `places` has the offset in the source of every character of `value`, and of its end.
    """

    span: Span
    value: str
    style: str = ""
    places: tuple[int, ...] = field(default=(), repr=False)

    def sub(self, start: int, end: int) -> Span:
        """The place in the source of a part of the value."""
        start = max(0, min(start, len(self.value)))
        end = max(start, min(end, len(self.value)))
        first = self.places[start]
        behind = self.places[end - 1] + 1 if end > start else first
        return Span(self.span.source, first, max(first, behind))

    @property
    def quoted(self) -> bool:
        """Whether it stands in quotes."""
        return self.style in ("'", '"')


@dataclass(frozen=True)
class Mapping:
    """Keys and values in the order written; no key is there twice."""

    span: Span
    items: tuple[tuple[Scalar, Node], ...]
    flow: bool = False  # written as {a: b}

    def get(self, name: str) -> Node | None:
        """The value of a key; None if it is not there."""
        return next((value for key, value in self.items if key.value == name), None)

    def key(self, name: str) -> Scalar | None:
        """The key of this name, for its place; None if it is not there."""
        return next((key for key, _ in self.items if key.value == name), None)


@dataclass(frozen=True)
class Sequence:
    """A list."""

    span: Span
    items: tuple[Node, ...]
    flow: bool = False  # written as [a, b]


Node = Scalar | Mapping | Sequence


def load(file: Path | str | bytes, name: str | None = None) -> Source:
    """The text of a spec: of the file at a path, or in the bytes given; `name` is how messages call it.

    SpecError where it is no readable text; OSError where the file cannot be read.
    """
    raw = file if isinstance(file, bytes) else Path(file).read_bytes()
    name = name or ("<text>" if isinstance(file, bytes) else str(file))
    if len(raw) > MAX_BYTES:
        message = f"the file is too large ({len(raw)} bytes; the limit is {MAX_BYTES})"
        raise SpecError([problem("E0001", message, Span(Source(name, ""), 0, 0))])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError([_not_utf8(name, raw, error)]) from None
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    for position, character in enumerate(source.text):
        if character in FOREIGN_BREAKS:
            raise SpecError([_foreign_break(Span(source, position, position + 1))])
    return source


def _not_utf8(name: str, raw: bytes, error: UnicodeDecodeError) -> Diagnostic:
    readable = raw[: error.start].decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    span = Span(Source(name, readable + "\n"), len(readable), len(readable))
    label = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
    help = "save the file as UTF-8 (without UTF-16 or Latin-1)"
    return problem("E0001", "the file is not valid UTF-8", span, label, help=help)


def _foreign_break(span: Span) -> Diagnostic:
    message = f"the character U+{ord(span.text):04X} ({FOREIGN_BREAKS[span.text]}) is not allowed"
    label = "YAML counts this as a line break, editors do not"
    return problem("E0001", message, span, label, help="replace it with an ordinary newline or a space")


def read_yaml(source: Source) -> Mapping:
    """The tree of a source, a mapping at its root; SpecError with one diagnostic where it is not our subset of YAML."""
    reader = _Reader(source)
    try:
        for event in yaml.parse(source.text, Loader=yaml.SafeLoader):
            reader.take(event)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise SpecError([explain_yaml(error, source)]) from None
    if isinstance(reader.root, Mapping):
        return reader.root
    message = "the file is empty" if reader.root is None else "a spec must be a mapping of sections"
    help = "start with `rnnspec: 1`; `rnnspec new` writes a working example"
    raise SpecError([problem("E0001", message, Span(source, 0, 0), help=help)])


def plain_scalar(source: Source, start: int = 0, end: int | None = None) -> Scalar:
    """A stretch of a source as a scalar of its own, for texts that are not YAML such as the command line."""
    end = len(source.text) if end is None else end
    return Scalar(Span(source, start, end), source.text[start:end], "", tuple(range(start, end + 1)))


@dataclass
class _Open:
    """A mapping or a list that is being read; `key` waits for its value."""

    start: int
    flow: bool
    mapping: bool
    items: list[Node] = field(default_factory=list)
    keys: dict[str, Scalar] = field(default_factory=dict)
    key: Scalar | None = None

    def close(self, span: Span) -> Node:
        if self.mapping:
            return Mapping(span, tuple(zip(self.keys.values(), self.items, strict=True)), self.flow)
        return Sequence(span, tuple(self.items), self.flow)


class _Reader:
    """Builds the tree from events, and refuses what is not part of our subset of YAML."""

    def __init__(self, source: Source) -> None:
        self.root: Node | None = None
        self._source = source
        self._stack: list[_Open] = []
        self._count = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event; SpecError if it is refused."""
        if event.start_mark is None or event.end_mark is None:  # the ends of the stream
            return
        span = Span(self._source, event.start_mark.index, event.end_mark.index)
        if isinstance(event, yaml.DocumentStartEvent):
            self._start_document(span)
        elif isinstance(event, yaml.NodeEvent):
            self._refuse(event, span)
            if isinstance(event, yaml.ScalarEvent):
                self._add(self._scalar(event, span))
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event, span)
        elif isinstance(event, yaml.CollectionEndEvent):
            collection = self._stack.pop()
            self._add(collection.close(Span(self._source, collection.start, span.end)))

    def _start_document(self, span: Span) -> None:
        self._documents += 1
        if self._documents > 1:
            label, help = "a second document starts here", "put each spec into its own .rnn file"
            marker = Span(self._source, span.start, span.start + 3)
            _fail("E0001", "a spec file holds one document", marker, label, help=help)

    def _refuse(self, event: yaml.NodeEvent, span: Span) -> None:
        """Aliases, anchors, tags, and too many values."""
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            help = f'if this is a pattern for parameter names, quote it: "{span.text}"'
            _fail("E0006", "YAML aliases (`*name`) are not allowed in a spec", span, help=help)
        if event.anchor is not None:
            help = "put shared values under `dims:` or in a cell under `cells:`"
            anchor = Span(self._source, span.start, span.start + 1 + len(event.anchor))
            _fail("E0006", "YAML anchors (`&name`) are not allowed in a spec", anchor, help=help)
        if tag is not None:
            note = "a spec is data: it never creates Python objects"
            _fail("E0006", "YAML tags are not allowed in a spec", span.first, f"tag `{tag}`", note=note)
        self._count += 1
        if self._count > MAX_NODES:
            _fail("E0001", f"the spec has more than {MAX_NODES} values", span.first)

    def _scalar(self, event: yaml.ScalarEvent, span: Span) -> Scalar:
        if len(event.value) > MAX_SCALAR:
            _fail("E0001", f"a value is longer than {MAX_SCALAR} characters", span.first)
        if any(0xD800 <= ord(character) <= 0xDFFF for character in event.value):
            _fail("E0001", "half of a surrogate pair is not a character", span)
        style = event.style or ""
        return Scalar(span, event.value, style, offsets(span, style, event.value))

    def _open(self, event: yaml.CollectionStartEvent, span: Span) -> None:
        if len(self._stack) >= MAX_DEPTH:
            _fail("E0001", f"values are nested more than {MAX_DEPTH} deep", span.first)
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Open(span.start, bool(event.flow_style), mapping))

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if not top.mapping or top.key is not None:
            top.items.append(node)
            top.key = None
            return
        if not isinstance(node, Scalar):
            _fail("E0005", "a key must be a plain name", node.span.first, "this key is a list or a mapping")
        elif node.value in top.keys:
            first = (top.keys[node.value].span, "first set here")
            note = "plain YAML would silently keep the last one"
            message = f"the key `{node.value}` appears twice"
            _fail("E0002", message, node.span, "set again here", others=[first], note=note)
        else:
            top.key = top.keys[node.value] = node


def _fail(code: str, message: str, span: Span, label: str = "", **more: Any) -> NoReturn:
    raise SpecError([problem(code, message, span, label, **more)])
