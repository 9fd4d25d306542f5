"""Names used in a way they cannot be: an index too much or too little, a target in the model, a condition as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.functions import CONDITIONS
from rnnspec.frontend.scope import Definition, Place, Scope
from rnnspec.frontend.syntax import RefNode
from rnnspec.frontend.time import Index
from rnnspec.frontend.typed import Call, Expr, When

Kind = Literal["input", "target", "variable"]


@dataclass(frozen=True)
class Symbol:
    """A name with a value: an input, a target, or the left side of an equation."""

    kind: Kind
    when: When
    span: Span  # where it is defined


def misused(symbol: Symbol, node: RefNode, index: Index, scope: Scope, place: Place) -> Diagnostic | None:
    """What is wrong with reading a variable at this index in this place."""
    name = node.name
    if symbol.kind == "target" and place not in ("loss", "metric"):
        message = f"the target `{name}` cannot be used in the model"
        return scope.problem("E0408", message, node.span, note="at prediction time it is not known")
    if symbol.when != "step":
        if index.kind == "none" or (name in scope.inputs and index == Index("t")):
            return None
        if name in scope.inputs and scope.call is not None:
            return _input_without_time(node, scope, scope.call)
        message = f"`{name}` does not change with time"
        return scope.problem("E0404", message, node.span, help=f"write `{name}`")
    if index.kind == "none":
        help = f"write `{name}[t]`, `{name}[t-1]` or `{name}[T]` for the last step"
        return scope.problem("E0403", f"`{name}` changes with time and needs an index", node.span, help=help)
    if index.kind == "t" and place in ("sequence", "start"):
        message = "`[t]` cannot be used in an equation without `[t]` on its left side"
        help = f"write `{name}[T]` for the last step, or define this variable at `[t]`"
        return scope.problem("E0407", message, node.span, help=help)
    if index.kind == "fixed" or (index.kind == "T" and index.offset):
        help = f"write `{name}[t]`, `{name}[t-1]` or `{name}[T]`"
        if place in ("sequence", "start"):
            help = f"write `{name}[T]`; for a step before it, add an equation such as `p[t] = {name}[t-1]` and write `p[T]`"
        return scope.problem("E0406", "a fixed time step cannot be used here", node.span, help=help)
    if index.kind == "T" and scope.reverse:
        message = "`[T]` cannot be used in a cell that runs in reverse"
        return scope.problem("E0406", message, node.span)
    return None


def _input_without_time(node: RefNode, scope: Scope, call: Span) -> Diagnostic:
    """A cell that looks back at its input was given something that is the same at every step."""
    given = scope.full(node.name)
    message = f"`{given}` does not change with time, but the cell `{scope.cell}` reads it at another step"
    help = f"add an equation such as `v[t] = {given}`, and give `v[t]` to the cell"
    return problem("E0404", message, call, help=help, note=f"inside the cell `{scope.cell}`: `{node.span.text}`")


def defined_twice(definition: Definition, before: Symbol) -> Diagnostic:
    """A second equation for a name."""
    name = definition.left.name
    what = {"input": "is already an input", "target": "is already a target"}.get(before.kind, "is defined twice")
    others = [(before.span, "first defined here")]
    return definition.scope.problem("E0202", f"`{name}` {what}", definition.left.name_span, "defined again here", others=others)


def is_condition(expr: Expr) -> bool:
    """Whether an expression is true or false rather than a number."""
    return isinstance(expr, Call) and expr.function in CONDITIONS


def not_a_number(span: Span, scope: Scope) -> Diagnostic:
    """A condition stands where a number is needed."""
    help = f"write `where({span.text}, 1, 0)` for a number"
    message = "a condition is not a number: it can be used in `where`, `and`, `or` and `not` only"
    return scope.problem("E0209", message, span, help=help)
