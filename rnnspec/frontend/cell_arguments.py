"""Arguments of cells: their types and defaults under `args:`, and what a call of the cell gives for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.diagnostics import Diagnostic, problem, suggest
from rnnspec.frontend.functions import FUNCTIONS, RESERVED
from rnnspec.frontend.schema import Fields
from rnnspec.frontend.sizes import Origin, Size
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.source import Scalar
from rnnspec.frontend.syntax import CallNode, Named, RefNode
from rnnspec.frontend.values import read_flag, read_number, read_whole

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
    meaning = "an argument of every cell" if name == REVERSE else RESERVED.get(name)
    meaning = "a function" if name in FUNCTIONS else meaning
    if meaning:
        problems.append(problem("E0204", f"`{name}` cannot be used as a name: it is {meaning}", key.span))
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
        names = [named.name for named in self.call.named]
        for position, named in enumerate(self.call.named):
            if named.name in names[:position]:
                self.problems.append(problem("E0604", f"`{named.name}` is given twice", named.name_span))
            elif named.name == REVERSE:
                found.reverse = bool(read_flag(named.value, f"`{REVERSE}`", self.problems))
            else:
                self._read(named, found)
        if len(self.problems) == count:
            self.problems += self._missing(names)
            self._defaults(names, found)
        return found

    def _read(self, named: Named, found: Given) -> None:
        argument = next((argument for argument in self.arguments if argument.name == named.name), None)
        if argument is None:
            self.problems.append(self._unknown(named))
        elif argument.kind == "int":
            size = self._size(named)
            found.sizes |= {named.name: size} if size is not None else {}
        else:
            number = read_number(named.value, f"`{named.name}`", self.problems)
            found.numbers |= {named.name: number} if number is not None else {}

    def _size(self, named: Named) -> Size | None:
        """A whole number, or the name of a size."""
        node = named.value
        if isinstance(node, RefNode) and node.index is None and node.name in self.sizes:
            return self.sizes[node.name]
        value = read_whole(node, f"`{named.name}`", self.problems)
        return None if value is None else Size(value, None, Origin(node.span, f"`{named.name}` is {value} here"))

    def _defaults(self, names: list[str], found: Given) -> None:
        for argument in self.arguments:
            if argument.name in names or argument.default is None:
                continue
            if argument.kind == "int":
                value = int(argument.default)
                origin = Origin(self.call.name_span, f"`{argument.name}` is {value} by default")
                found.sizes[argument.name] = Size(value, None, origin)
            else:
                found.numbers[argument.name] = argument.default

    def _missing(self, names: list[str]) -> Iterator[Diagnostic]:
        name = self.call.name
        for argument in self.arguments:
            if argument.default is None and argument.name not in names:
                example = "128" if argument.kind == "int" else "1.0"
                help = f"write `{name}(..., {argument.name}={example})`"
                message = f"`{name}` needs the argument `{argument.name}`"
                yield problem("E0605", message, self.call.name_span, help=help)

    def _unknown(self, named: Named) -> Diagnostic:
        known = [*(argument.name for argument in self.arguments), REVERSE]
        near = suggest(named.name, known)
        help = f"did you mean `{near}`?" if near else None
        note = f"arguments of `{self.call.name}`: {', '.join(known)}"
        message = f"`{self.call.name}` has no argument `{named.name}`"
        return problem("E0604", message, named.name_span, help=help, note=note)
