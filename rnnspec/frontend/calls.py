"""Calls in equations, losses and metrics: which function is meant, and its arguments that are constants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from rnnspec.diagnostics import Diagnostic, suggest
from rnnspec.frontend.functions import ALIASES, FUNCTIONS, Function, Option, Part, functions_of
from rnnspec.frontend.matching import matched
from rnnspec.frontend.scope import Place, Scope
from rnnspec.frontend.syntax import CallNode, Node, NumberNode, RefNode
from rnnspec.frontend.values import FRACTION, read_choice, read_number, read_numbers, read_whole

Options = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Arguments:
    """What a call gives to its function: values, and constants by their key in the typed tree."""

    function: Function
    values: tuple[Node, ...]
    options: Options


@dataclass
class CallReader:
    """Reads calls; `constants` looks up a named size, or an argument of a cell, where a constant is expected."""

    cells: Collection[str]
    timed: Callable[[str], bool | None]  # whether a variable changes with time; None if there is none of that name
    constants: Callable[[str, Scope], float | None]
    problems: list[Diagnostic]
    places: int = 0  # of random numbers, so far in the model

    def read(self, node: CallNode, scope: Scope, place: Place, outermost: bool) -> Arguments | None:
        """The function and its arguments; None after an error was reported."""
        row = FUNCTIONS.get(node.name)
        part: Part = "loss" if place == "loss" else "metric" if place == "metric" else "model"
        if row is None or part not in row.where:
            self.problems.append(self._unknown(node, scope, part, outermost))
            return None
        count = len(self.problems)
        values = node.args if row.variadic else node.args[: len(row.values)]
        given = self._given(node, row, scope, part)
        if len(self.problems) == count:
            options = tuple(self._options(node, row, given, scope))
            self._check_options(node, dict(options), given, scope)
        return Arguments(row, values, options) if len(self.problems) == count else None

    # ---- which function
    def _unknown(self, node: CallNode, scope: Scope, part: Part, outermost: bool) -> Diagnostic:
        name = node.name
        if name in self.cells and scope.cell:
            message = f"the cell `{name}` cannot be called inside another cell"
            help = "write its equations here, or call one after the other under `model:`"
            return scope.problem("E0206", message, node.span, help=help)
        if name in self.cells:
            message = f"the cell `{name}` must be the whole right side of an equation"
            return scope.problem("E0206", message, node.span, help=f"give it a name: `h1[t] = {name}(...)`")
        if name in FUNCTIONS:
            where = " or ".join(_sections(FUNCTIONS[name]))
            return scope.problem("E0205", f"`{name}` belongs {where}", node.name_span)
        timed = self.timed(scope.full(name))
        if timed is not None:
            product = f"`{name} * (...)` for a product"
            help = f"write `{name}[t]` for its value at time t, or {product}" if timed else f"write {product}"
            return scope.problem("E0205", f"`{name}` is not a function", node.name_span, help=help)
        if part != "model" and outermost:
            available = sorted(row.name for row in FUNCTIONS.values() if row.rule == "compared" and part in row.where)
            note = "available: " + ", ".join(available)
            message = f"there is no {part} called `{name}`"
            return scope.problem("E0603", message, node.name_span, help=_meant(name, available), note=note)
        names = [*functions_of(part), *self.cells]
        kind = "cell" if suggest(name, names) in self.cells and name.lower() not in ALIASES else "function"
        message, note = f"there is no {kind} called `{name}`", f"`rnnspec {kind}s` lists them all"
        return scope.problem("E0205", message, node.name_span, help=_meant(name, names), note=note)

    # ---- its arguments
    def _given(self, node: CallNode, row: Function, scope: Scope, part: Part) -> dict[str, Node]:
        """The nodes of the options that are given, by the name of the option."""
        least = len(row.values) - row.optional
        options = [option for option in row.options if part in option.where]
        most = None if row.variadic else len(row.values) + len(options)
        count = len(node.args)
        if count < least or (most is not None and count > most):
            takes = f"at least {least}" if most is None else str(least) if most == least else f"{least} to {most}"
            plural = "s" if takes != "1" else ""
            message = f"`{row.name}` takes {takes} argument{plural}, not {count}"
            self.problems.append(scope.problem("E0604", message, node.span, help=row.instead or None))
            return {}
        positional = () if row.variadic else node.args[len(row.values) :]
        names = [option.name for option in options]
        return matched(node, names, positional, scope.problem, self.problems, "named arguments")

    def _options(self, node: CallNode, row: Function, given: dict[str, Node], scope: Scope) -> Iterable[tuple[str, object]]:
        for option in row.options:
            if option.name in given:
                yield option.key, self._constant(given[option.name], option, scope)
            elif not option.required:
                yield option.key, option.default
            else:
                self.problems.append(_missing(node, row, option, scope))
        if row.random:
            yield "place", self.places
            self.places += 1

    def _constant(self, node: Node, option: Option, scope: Scope) -> float | str | tuple[float, ...] | None:
        """A number, a text or some numbers; None after an error was reported."""
        if option.many:
            return read_numbers(node, option.name, option.what, self.problems, option.allowed)
        if isinstance(node, RefNode) and node.index is None:
            value = self.constants(node.name, scope)
            node = node if value is None else NumberNode(repr(value), node.span)
        if option.words:
            return read_choice(node, option.what, self.problems, option.words)
        if option.whole:
            return read_whole(node, option.what, self.problems, option.allowed)
        return read_number(node, option.what, self.problems, option.allowed, percent=option.allowed == FRACTION)

    def _check_options(self, node: CallNode, options: dict[str, object], given: dict[str, Node], scope: Scope) -> None:
        """Options that contradict each other."""
        part, parts = options.get("part"), options.get("parts")
        if isinstance(part, int) and isinstance(parts, int) and part > parts:
            message = f"there is no part {part} of {parts}"
            self.problems.append(scope.problem("E0602", message, given["i"].span))
        low, high = options.get("low"), options.get("high")
        if isinstance(low, float) and isinstance(high, float) and low >= high:
            message = f"`low` must be smaller than `high`, but {low:g} is not smaller than {high:g}"
            self.problems.append(scope.problem("E0602", message, node.span))


def _sections(row: Function) -> list[str]:
    """Where a function may be called, in words."""
    words = {"model": "in the equations", "loss": "under `loss:`", "metric": "under `metrics:`"}
    return [words[part] for part in row.where]


def _meant(name: str, options: Iterable[str]) -> str | None:
    """The `help` for a name that does not exist."""
    alias = ALIASES.get(name.lower())
    if alias:
        return f"write `{alias}`"
    near = suggest(name, options)
    return f"did you mean `{near}`?" if near else None


def _missing(node: CallNode, row: Function, option: Option, scope: Scope) -> Diagnostic:
    if row.random and not isinstance(node.args[-1], NumberNode):
        values = ", ".join(arg.span.text for arg in node.args)
        return scope.problem("E0605", f"`{row.name}` needs {option.what}", node.span, help=f"write `{row.name}({values}, 0.2)`")
    help = f"write `{row.signature}`"
    return scope.problem("E0605", f"`{row.name}` needs the argument `{option.name}`", node.name_span, help=help)
