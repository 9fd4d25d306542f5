"""Shapes: every value gets one, by making those equal that must be.  See language.md, `Shapes`, for the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.names import Names
from rnnspec.frontend.scope import Draft, Scope
from rnnspec.frontend.shape_rules import Case, Outcome, disagreement
from rnnspec.frontend.sizes import Form, Size, matrix, number, vector
from rnnspec.frontend.typed import Call, Expr, Last, Parameter, Read


@dataclass
class Assignment:
    """The left side of an equation or a start takes the shape of its right side."""

    draft: Draft
    left: Form
    right: Form
    problems: list[Diagnostic]

    def attempt(self, guess: bool = False) -> Outcome:
        """Make both sides equal, as soon as the right one is known."""
        definition = self.draft.definition
        assert definition is not None
        start = definition.start is not None
        if not self.right.broken and not self.left.broken:
            if (self.right.rank is None or (start and self.left.rank is None)) and not guess:
                return Outcome.STUCK
            if start and self.right.rank == 0:  # the same number everywhere
                return Outcome.SETTLED
        left = "`" + definition.left.name + "`"
        message = f"{left} is {{a}} but its {'initial value' if start else 'equation'} gives {{b}}"
        found = disagreement(self.draft.scope, definition.right.span, self.left, self.right, message)
        if found is not None:
            self.problems.append(found)
            self.left.break_()
        return Outcome.SETTLED


@dataclass
class Shapes:
    """The shapes of all expressions of a model."""

    forms: dict[str, Form]  # of inputs, targets, parameters and variables
    problems: list[Diagnostic]
    found: dict[int, Form] = field(default_factory=dict)  # of expressions, by identity
    open: list[Case | Assignment] = field(default_factory=list)

    def equation(self, draft: Draft) -> None:
        """Find the shapes in an equation or a start."""
        right = self.infer(draft.expr, draft.scope)
        self.open.append(Assignment(draft, self.forms[draft.name], right, self.problems))
        self._settle()

    def number(self, draft: Draft, what: str) -> None:
        """Find the shapes in a loss or a metric, which must be a single number."""
        form = self.infer(draft.expr, draft.scope)
        self.settle()
        if not form.broken and form.rank not in (0, None):
            help = "write `sum(...)` or `mean(...)` of it"
            message = f"{what} must be a single number, not {form}"
            self.problems.append(draft.scope.problem("E0306", message, draft.span, help=help))

    def infer(self, expr: Expr, scope: Scope, parent: Call | None = None) -> Form:
        """The shape of an expression, as far as it is known; later calls may find out more."""
        if isinstance(expr, Read | Last | Parameter):
            form = self.forms[expr.name]
        elif isinstance(expr, Call):
            args = [self.infer(arg, scope, expr) for arg in expr.args]
            case = Case(expr, args, scope, self.problems, parent)
            if case.attempt() is not Outcome.SETTLED:
                self.open.append(case)
            form = case.result
        else:
            form = number()
        self.found[id(expr)] = form
        return form

    def settle(self) -> None:
        """Settle what is open; where nothing moves any more, guess that unknown shapes are like the others."""
        self._settle()
        for item in tuple(self.open):
            if item in self.open:
                if item.attempt(guess=True) is Outcome.SETTLED:
                    self.open.remove(item)
                self._settle()

    def _settle(self) -> None:
        moving = True
        while moving:
            outcomes = [(item, item.attempt()) for item in self.open]
            self.open = [item for item, outcome in outcomes if outcome is not Outcome.SETTLED]
            moving = any(outcome is not Outcome.STUCK for _, outcome in outcomes)


def starting_forms(names: Names, items: Mapping[str, Form], states: Mapping[str, tuple[Size, ...]]) -> dict[str, Form]:
    """What is known of the shapes of all names before any equation is read."""
    forms = dict(items)
    for name, use in names.parameters.items():
        shape = names.declarations.attribute(name, "shape")
        if isinstance(shape, tuple):
            forms[name] = Form(shape)
        else:
            forms[name] = matrix() if use.implicit == "matrix" else vector()
    for name, symbol in names.symbols.items():
        if symbol.kind == "variable":
            forms[name] = Form(states.get(name))
    return forms


def check_known(names: Names, forms: Mapping[str, Form]) -> list[Diagnostic]:
    """The first variable (else the first parameter) whose size nothing tells."""
    variables = [(name, s.span) for name, s in names.symbols.items() if s.kind == "variable"]
    timed = [(name, span) for name, span in variables if names.symbols[name].when == "step"]
    parameters = [(name, use.scope.shown(use.span)) for name, use in names.parameters.items()]
    for name, span in _unknown(forms, [*timed, *variables]):
        form = f"{{{name}: 128}}" if forms[name].rank != 2 else f"{{{name}: [16, 16]}}"
        help = f"state it: `states: {form}`"
        if "." in name:
            help = "give the states of the cell a size under `states:`"
        return [problem("E0305", f"the size of `{name}` cannot be determined", span, help=help)]
    for name, span in _unknown(forms, parameters):
        help = f"give `{name}` a `shape` under `params:`"
        return [problem("E0305", f"the size of `{name}` cannot be determined", span, help=help)]
    return []


def _unknown(forms: Mapping[str, Form], names: Iterable[tuple[str, Span]]) -> Iterable[tuple[str, Span]]:
    return ((name, span) for name, span in names if forms[name].known is None)
