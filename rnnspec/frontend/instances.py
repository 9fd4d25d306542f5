"""Instances of cells: the equations of a cell under full names (`h1.i`, `h1.W_i`), one set for each call of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.cell_arguments import CallOfCell
from rnnspec.frontend.cell_definitions import Cell, read_state
from rnnspec.frontend.parameters import Declarations
from rnnspec.frontend.scope import MODEL, Definition, Scope
from rnnspec.frontend.sizes import Size
from rnnspec.frontend.syntax import CallNode, EquationNode, NumberNode, RefNode
from rnnspec.frontend.time import Index, read_index


@dataclass
class Expansion:
    """All equations of a model, those of its cells under full names, and the sizes of the cells' states."""

    cells: Mapping[str, Cell]
    sizes: Mapping[str, Size]
    declarations: Declarations
    problems: list[Diagnostic]
    definitions: list[Definition] = field(default_factory=list)
    states: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    arguments: dict[str, Size] = field(default_factory=dict)  # of cells, by full name
    instances: dict[str, Span] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)  # such as `h1.h` -> `h1`
    broken: set[str] = field(default_factory=set)  # left sides with a problem of their own

    def expand(self, equations: Sequence[EquationNode], known: Mapping[str, object]) -> None:
        """Add the equations of a model; `known` has its inputs, by name."""
        names = {*known, *self._left_names(equations)}
        for equation in equations:
            call = equation.right
            if isinstance(call, CallNode) and call.name in self.cells:
                self._instance(equation, call, self.cells[call.name], names)
            else:
                self._define(equation, equation.left.name, MODEL)

    def _left_names(self, equations: Sequence[EquationNode]) -> Iterator[str]:
        """The full names of all variables that the equations define."""
        for equation in equations:
            yield equation.left.name
            if isinstance(equation.right, CallNode) and equation.right.name in self.cells:
                for inner in self.cells[equation.right.name].equations:
                    yield f"{equation.left.name}.{inner.left.name}"

    def _define(self, equation: EquationNode, name: str, scope: Scope) -> None:
        """Add one equation, if its left side is one."""
        index = read_index(equation.left, scope)
        wrong = index if isinstance(index, Diagnostic) else _wrong_left(equation.left, index, scope)
        if isinstance(index, Diagnostic) or wrong is not None:
            self.problems += [wrong] if wrong else []
            self.broken.add(name)
            return
        start = index.offset if index.kind in ("fixed", "T") else None
        if start is not None and scope.reverse:
            start = 1 - start
        timed = index.kind == "t"
        self.definitions.append(Definition(name, equation.left, equation.right, equation.span, scope, timed, start))

    def _instance(self, equation: EquationNode, call: CallNode, cell: Cell, names: set[str]) -> None:
        left, count = equation.left, len(self.problems)
        if left.name in self.instances:
            others = [(self.instances[left.name], "first defined here")]
            message = f"`{left.name}` is defined twice"
            self.problems.append(problem("E0202", message, left.name_span, "defined again here", others=others))
        self.instances.setdefault(left.name, left.name_span)
        index = read_index(left, MODEL)
        if not isinstance(index, Index) or index != Index("t"):
            message = "an instance of a cell is defined at `[t]`"
            self.problems.append(problem("E0405", message, left.span, help=f"write `{left.name}[t] = {cell.name}(...)`"))
        if len(call.args) != len(cell.inputs):
            self.problems.append(_wrong_inputs(call, cell))
            self.broken.add(left.name)
            return
        given = CallOfCell(call, cell.args, self.sizes, self.problems).given()
        if len(self.problems) > count:
            self.broken.add(left.name)
            return
        instance = left.name
        full = {e.left.name: f"{instance}.{e.left.name}" for e in cell.equations} | {cell.output: instance}
        self.outputs[f"{instance}.{cell.output}"] = instance
        aliases = self._inputs(equation, call, cell, names)
        inputs = frozenset(cell.inputs)
        scope = Scope(
            instance, cell.name, cell.library, given.reverse, call.span, full | aliases, inputs, given.sizes, given.numbers
        )
        self.arguments |= {f"{instance}.{name}": size for name, size in given.sizes.items()}
        self._states(cell, scope)
        self.declarations.read(cell.params, scope)
        for inner in cell.equations:
            self._define(_named_outside(inner, left, cell), full[inner.left.name], scope)

    def _inputs(self, equation: EquationNode, call: CallNode, cell: Cell, names: set[str]) -> dict[str, str]:
        """What the inputs of an instance stand for: a variable, or an equation that is added for an expression."""
        aliases = {}
        for name, arg in zip(cell.inputs, call.args, strict=True):
            if isinstance(arg, RefNode) and arg.name in names and _is_plain(arg):
                aliases[name] = arg.name
                continue
            aliases[name] = full = f"{equation.left.name}.{name}"
            left = RefNode(full, arg.span, arg.span, ())
            self.definitions.append(Definition(full, left, arg, arg.span, MODEL, timed=True))
        return aliases

    def _states(self, cell: Cell, scope: Scope) -> None:
        for state, node in cell.states:
            sizes = read_state(state, node, scope.sizes, self.problems)
            if sizes is not None:
                self.states[scope.full(state.value)] = sizes


def _wrong_inputs(call: CallNode, cell: Cell) -> Diagnostic:
    """Too few inputs or too many: these may be arguments, which are given by name."""
    count = len(cell.inputs)
    inputs, rest = call.args[:count], call.args[count:]
    takes = f"{count} input{'' if count == 1 else 's'} ({', '.join(cell.inputs)})"
    message, help = f"the cell `{cell.name}` takes {takes}, not {len(call.args)}", None
    if rest and len(rest) <= len(cell.args) and all(isinstance(node, NumberNode) for node in rest):
        named = (f"{argument.name}={node.span.text}" for argument, node in zip(cell.args, rest, strict=False))
        help = f"arguments have names: write `{cell.name}({', '.join([*(node.span.text for node in inputs), *named])})`"
    return problem("E0604", message, call.span, help=help)


def _is_plain(arg: RefNode) -> bool:
    """Whether an input of a cell is a variable as it is: `x[t]`, or `a` for one without time."""
    return read_index(arg, MODEL) in (Index(), Index("t"))


def _named_outside(inner: EquationNode, left: RefNode, cell: Cell) -> EquationNode:
    """The equation of the output takes the left side of the call, so that messages show what the user wrote."""
    if inner.left.name != cell.output or not _is_plain(inner.left):
        return inner
    return EquationNode(left, inner.right, inner.span)


def _wrong_left(left: RefNode, index: Index, scope: Scope) -> Diagnostic | None:
    """What is wrong with the index of a left side."""
    if index.kind == "t" and index.offset:
        steps = abs(index.offset)
        help = f"shift the equation by {steps}: write `{left.name}[t] = ...` and move every index on the right the same way"
        message, label = f"the left side must be `{left.name}[t]`", f"this defines time t{index.offset:+d}"
        return scope.problem("E0405", message, left.span, label, help=help)
    if index.kind == "T" and index.offset < 1:
        message, help = "the last step cannot be defined by itself", "define the variable at `[t]`"
        return scope.problem("E0405", message, left.span, help=help)
    if index.kind == "fixed" and index.offset > 0:
        message, label = f"`{left.name}[{index.offset}]` is not an initial value", "time runs from 1 to T"
        help = f"an initial value is `{left.name}[0]`, or `{left.name}[-1]` for a second step back"
        return scope.problem("E0405", message, left.span, label, help=help)
    return None
