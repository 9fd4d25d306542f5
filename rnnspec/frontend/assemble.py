"""Puts the typed tree together, from drafts whose shapes are all known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from rnnspec.diagnostics import Diagnostic
from rnnspec.frontend.encodings import Item
from rnnspec.frontend.functions import FUNCTIONS, when_of
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.shapes import Shapes
from rnnspec.frontend.typed import (
    Call,
    Equation,
    Expr,
    Input,
    Metric,
    Parameter,
    ParameterInfo,
    Read,
    Start,
    Target,
    When,
    latest,
    walk,
)


@dataclass
class Assembler:
    """Fills in shapes and relations to time; `dropped` has the parameters with weight-drop, as calls of `dropout`."""

    shapes: Shapes
    whens: Mapping[str, When]
    dropped: Mapping[str, Call]

    def expr(self, expr: Expr) -> Expr:
        """An expression with its shape, its relation to time, and those of everything in it."""
        args = tuple(self.expr(arg) for arg in expr.args)
        shape = self.shapes.found[id(expr)].known
        assert shape is not None, f"no shape: {expr}"
        if isinstance(expr, Call):
            return replace(expr, args=args, shape=shape, when=when_of(expr.function, (arg.when for arg in args)))
        if isinstance(expr, Read):
            return replace(expr, shape=shape, when=self.whens.get(expr.name, expr.when))
        if isinstance(expr, Parameter) and expr.name in self.dropped:
            return self.dropped[expr.name]
        return replace(expr, shape=shape)

    def equation(self, draft: Draft) -> Equation:
        """An equation."""
        call = draft.scope.call
        return Equation(draft.name, self.expr(draft.expr), self.whens[draft.name], draft.span, call)

    def start(self, draft: Draft) -> Start:
        """An initial value."""
        assert draft.definition is not None and draft.definition.start is not None
        return Start(draft.name, draft.definition.start, self.expr(draft.expr), draft.span)

    def metrics(self, drafts: list[Draft]) -> tuple[Metric, ...]:
        """The metrics, with names of their own."""
        metrics: list[Metric] = []
        for draft in drafts:
            assert isinstance(draft.expr, Call)
            taken = {metric.name for metric in metrics}
            names = (f"{draft.expr.function}{f'_{n}' if n > 1 else ''}" for n in count(1))
            name = next(name for name in names if name not in taken)
            call = self.expr(draft.expr)
            assert isinstance(call, Call)
            metrics.append(Metric(name, call, draft.span, FUNCTIONS[call.function].ascending))
        return tuple(metrics)


def dropped(parameters: Iterable[ParameterInfo], place: int) -> dict[str, Call]:
    """What stands for each parameter with weight-drop: dropout of it, its numbers at places from `place` on."""
    rates = [(Parameter(info.name, info.shape), info.weight_drop) for info in parameters if info.weight_drop]
    options = ((("rate", rate), ("shared", None), ("place", place + k)) for k, (_, rate) in enumerate(rates))
    return {
        parameter.name: Call("dropout", (parameter,), parameter.shape, "fixed", found)
        for (parameter, _), found in zip(rates, options, strict=True)
    }


def as_input(item: Item) -> Input:
    """An input of the typed tree."""
    return Input(item.name, (item.size,), item.when, "ids" if item.whole else "real", item.span)


def as_target(item: Item) -> Target:
    """A target of the typed tree."""
    encoding: Literal["classes", "real", "labels"] = "labels" if item.longest else "classes" if item.whole else "real"
    return Target(item.name, (item.size,), item.when, encoding, item.span, item.longest)


def check_of_data(draft: Draft, whens: Mapping[str, When]) -> list[Diagnostic]:
    """Random numbers and statistics of a batch are for values of the data, of which each sequence has its own."""
    problems = []
    for node in walk(draft.expr):
        row = FUNCTIONS.get(node.function) if isinstance(node, Call) else None
        if isinstance(node, Call) and row is not None and (row.random or row.averaged):
            reads = [whens.get(n.name, n.when) if isinstance(n, Read) else n.when for n in walk(node) if not n.args]
            if latest(*reads) == "fixed":
                message = f"`{node.function}` needs a value that depends on the data, not a parameter"
                problems.append(draft.scope.problem("E0303", message, written(node)))
    return problems
