"""Warnings: what is legal but probably a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.cell_definitions import Cell
from rnnspec.frontend.names import Names
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.syntax import CallNode, EquationNode
from rnnspec.frontend.typed import Read, walk


def check_unused(names: Names, starts: Iterable[Draft], drafts: Iterable[Draft]) -> Iterator[Diagnostic]:
    """Inputs and variables that nothing reads, starts that no recurrence reaches, and parameters that look alike."""
    yield from _look_alikes(names)
    for name, symbol in names.symbols.items():
        if name not in names.used and "." not in name:
            if symbol.kind == "variable":
                yield _warning("W0202", f"`{name}` is computed but never used", symbol.span)
            else:
                yield _warning("W0201", f"the {symbol.kind} `{name}` is never used", symbol.span)
    lags: dict[str, set[int]] = {}
    for draft in drafts:
        for node in walk(draft.expr):
            if isinstance(node, Read):
                lags.setdefault(node.name, set()).add(node.lag)
    for start in starts:
        definition = start.definition
        if definition is not None and definition.start is not None and not _reached(definition.start, lags, start.name):
            span = start.scope.shown(definition.left.span)
            yield _warning("W0204", f"the initial value `{definition.left.span.text}` is never used", span)


def check_cells(cells: Iterable[Cell], equations: Iterable[EquationNode]) -> Iterator[Diagnostic]:
    """Cells of a spec that no equation calls: what a name in them means is known from a call only, so they are not checked."""
    called = {equation.right.name for equation in equations if isinstance(equation.right, CallNode)}
    for cell in cells:
        if cell.name not in called:
            help = "remove it, or call it under `model:`: until then nobody checks its equations"
            yield _warning("W0205", f"the cell `{cell.name}` is never used", cell.span, help)


def _reached(step: int, lags: dict[str, set[int]], name: str) -> bool:
    """Whether some read goes as far back (or ahead) as a start."""
    found = lags.get(name, set())
    return any(lag > -step for lag in found) if step <= 0 else any(-lag >= step for lag in found)


def _look_alikes(names: Names) -> Iterator[Diagnostic]:
    """Parameters declared by use, each used once, whose names have the same letters in another order."""
    once = [n for n, use in names.parameters.items() if use.implicit and use.count == 1]
    for pair in combinations(once, 2):
        first, second = sorted(pair, key=lambda name: names.parameters[name].span.start)
        (group, short), (other_group, other) = _split(first), _split(second)
        alike = group == other_group and short[0] == other[0] and sorted(short) == sorted(other)
        if alike and not any(names.declarations.exact(name) for name in pair):
            use = names.parameters[second]
            message = f"`{second}` and `{first}` look alike: is one of them a typing error?"
            help = "if both are meant, list them under `params:`"
            yield _warning("W0203", message, use.scope.shown(use.span), help)


def _split(name: str) -> tuple[str, str]:
    group, _, short = name.rpartition(".")
    return group, short


def _warning(code: str, message: str, span: Span, help: str | None = None) -> Diagnostic:
    return problem(code, message, span, help=help, level="warning")
