"""Arguments of cells: their types and defaults under `args:`, and what a call of the cell gives for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.matching import matched
from rnnspec.frontend.schema import Fields
from rnnspec.frontend.sizes import Origin, Size
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.source import Scalar
from rnnspec.frontend.syntax import CallNode, Node, RefNode
from rnnspec.frontend.values import read_flag, read_number, read_whole
from rnnspec.frontend.words import taken

REVERSE = "reverse"
"""The argument that every cell has."""

TYPE = re.compile(r"(?P<kind>int|float)(?: *= *(?P<default>.+))?\Z")


@dataclass(frozen=True)
class CellArgument:
    """One argument: `int` is a size, `float` a number in the equations; without a default a call must give it."""

    name: str
    kind: Literal["int", "float"]
    default: float | None = None

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name}={self.default}"


@dataclass
class Given:
    """What the arguments of one instance are."""

    sizes: dict[str, Size] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    reverse: bool = False


# ------------------------------------------------------------------ in the definition of a cell


def read_arguments(fields: Fields, problems: list[Diagnostic]) -> tuple[CellArgument, ...]:
    """The entries of `args:`, such as `units: int` or `gain: float = 1.0`, without the broken ones."""
    return tuple(argument for key, node in fields if (argument := _read(key, node, problems)) is not None)


def _read(key: Scalar, node: YamlNode, problems: list[Diagnostic]) -> CellArgument | None:
    name = key.value
    wrong = taken(name, key.span, ("an argument of every cell", (REVERSE,)))
    if wrong is not None:
        problems.append(wrong)
        return None
    found = TYPE.match(node.value) if isinstance(node, Scalar) else None
    if found is None or not isinstance(node, Scalar):
        message = f"the type of the argument `{name}` must be `int` or `float`"
        help = f"write `{name}: int`, or `{name}: float = 1.0` with a default"
        problems.append(problem("E0601", message, node.span.first, help=help))
        return None
    kind: Literal["int", "float"] = "int" if found["kind"] == "int" else "float"
    if found["default"] is None:
        return CellArgument(name, kind)
    text = Scalar(node.sub(*found.span("default")), found["default"])
    read = read_whole if kind == "int" else read_number
    default = read(text, f"the default of `{name}`", problems)
    return None if default is None else CellArgument(name, kind, default)


# ------------------------------------------------------------------ in a call


@dataclass
class CallOfCell:
    """Reads the arguments of one call; `sizes` are those of the spec, of which one may stand for a whole number."""

    call: CallNode
    arguments: tuple[CellArgument, ...]
    sizes: Mapping[str, Size]
    problems: list[Diagnostic]

    def given(self) -> Given:
        """All arguments, defaults filled in; not complete after a problem."""
        found, count = Given(), len(self.problems)
        names = [*(argument.name for argument in self.arguments), REVERSE]
        nodes = matched(self.call, names, (), problem, self.problems)
        for argument in self.arguments:
            node = nodes.get(argument.name)
            if node is not None:
                self._read(argument, node, found)
            elif argument.default is not None:
                self._default(argument, argument.default, found)
        if REVERSE in nodes:
            found.reverse = bool(read_flag(nodes[REVERSE], f"`{REVERSE}`", self.problems))
        if len(self.problems) == count:
            self.problems += self._missing(nodes)
        return found

    def _read(self, argument: CellArgument, node: Node, found: Given) -> None:
        if argument.kind == "int":
            size = self._size(argument.name, node)
            found.sizes |= {argument.name: size} if size is not None else {}
        else:
            number = read_number(node, f"`{argument.name}`", self.problems)
            found.numbers |= {argument.name: number} if number is not None else {}

    def _size(self, name: str, node: Node) -> Size | None:
        """A whole number, or the name of a size."""
        if isinstance(node, RefNode) and node.index is None and node.name in self.sizes:
            return self.sizes[node.name]
        value = read_whole(node, f"`{name}`", self.problems)
        return None if value is None else Size(value, None, Origin(node.span, f"`{name}` is {value} here"))

    def _default(self, argument: CellArgument, default: float, found: Given) -> None:
        if argument.kind == "int":
            value = int(default)
            origin = Origin(self.call.name_span, f"`{argument.name}` is {value} by default")
            found.sizes[argument.name] = Size(value, None, origin)
        else:
            found.numbers[argument.name] = default

    def _missing(self, given: Collection[str]) -> Iterator[Diagnostic]:
        name = self.call.name
        for argument in self.arguments:
            if argument.default is None and argument.name not in given:
                example = "128" if argument.kind == "int" else "1.0"
                help = f"write `{name}(..., {argument.name}={example})`"
                message = f"`{name}` needs the argument `{argument.name}`"
                yield problem("E0605", message, self.call.name_span, help=help)
