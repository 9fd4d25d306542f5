"""Where an equation stands: in the model, or in one instance of a cell.  And equations whose names have a meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.sizes import Size
from rnnspec.frontend.syntax import Node, RefNode
from rnnspec.frontend.typed import Expr

Place = Literal["step", "sequence", "start", "loss", "metric"]
"""What an expression belongs to: `v[t] = ...`, `v = ...`, `v[0] = ...`, a loss or a metric."""


@dataclass(frozen=True)
class Scope:
    """What names mean around an equation; in an instance of a cell they are the cell's own."""

    instance: str = ""
    cell: str = ""
    library: bool = False
    reverse: bool = False
    call: Span | None = None
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # to full names
    inputs: frozenset[str] = frozenset()  # names of the cell's inputs
    sizes: Mapping[str, Size] = field(default_factory=lambda: MappingProxyType({}))
    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # arguments that are no sizes

    def full(self, name: str) -> str:
        """The full name of what is called `name` here: `h1.W_i` for `W_i`."""
        if name in self.names or not self.instance:
            return self.names.get(name, name)
        return f"{self.instance}.{name}"

    def hides(self, span: Span) -> bool:
        """Whether something is written in the library, where the user did not write it."""
        return self.library and self.call is not None and span.source is not self.call.source

    def shown(self, span: Span) -> Span:
        """Where to point at: for what is written in a cell of the library the call of the cell."""
        return self.call if self.hides(span) and self.call is not None else span

    def problem(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        help: str | None = None,
        note: str | None = None,
        others: Iterable[tuple[Span, str]] = (),
    ) -> Diagnostic:
        """A diagnostic about something written here."""
        if not self.hides(span):
            return problem(code, message, span, label, help=help, note=note, others=others)
        inside = f"inside the cell `{self.cell}`: `{span.text}`"
        return problem(code, message, self.shown(span), note=inside, others=others)


MODEL = Scope()


@dataclass(frozen=True)
class Definition:
    """An equation as written, with the full name of its left side; `start` is the step of a start such as `v[0] = ...`."""

    name: str
    left: RefNode
    right: Node
    span: Span
    scope: Scope
    timed: bool
    start: int | None = None

    @property
    def place(self) -> Place:
        """What its right side belongs to."""
        if self.start is not None:
            return "start"
        return "step" if self.timed else "sequence"


@dataclass(frozen=True)
class Draft:
    """An equation or a start (or, without a definition, a loss or metric) whose names have a meaning.

    The expression is typed except for shapes, which are all `()`, and for `when`, where an untimed variable counts as one
    per sequence.
    """

    expr: Expr
    span: Span
    scope: Scope = MODEL
    definition: Definition | None = None

    @property
    def name(self) -> str:
        """The full name of the left side; empty for a loss or a metric."""
        return self.definition.name if self.definition else ""
