"""What stands under `cells:`, in a spec or in the library: groups of equations with states, arguments and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from rnnspec.diagnostics import Diagnostic, Source, Span, SpecError, problem, suggest
from rnnspec.frontend.cell_arguments import CellArgument, read_arguments
from rnnspec.frontend.equations import parse_block
from rnnspec.frontend.parameters import read_shape, read_size
from rnnspec.frontend.schema import KEYS, Fields, read_fields, read_section
from rnnspec.frontend.sizes import Size
from rnnspec.frontend.source import Node, Scalar, read_yaml
from rnnspec.frontend.source import Sequence as YamlSequence
from rnnspec.frontend.syntax import EquationNode
from rnnspec.frontend.words import NAME, is_name, malformed, taken


@dataclass(frozen=True)
class Cell:
    """A cell as it is defined under `cells:`."""

    name: str
    span: Span  # of its name
    args: tuple[CellArgument, ...]
    inputs: tuple[str, ...]
    states: Fields
    output: str
    equations: tuple[EquationNode, ...]
    params: Fields
    library: bool = False

    @property
    def signature(self) -> str:
        """How it is called, such as `lstm(u, units)`."""
        return f"{self.name}({', '.join([*self.inputs, *map(str, self.args)])})"


def read_cells(section: Fields, problems: list[Diagnostic], library: bool = False) -> dict[str, Cell]:
    """The cells of a section `cells:`."""
    cells = {}
    for key, value in section:
        wrong = taken(key.value, key.span) if is_name(key.value) else malformed(key.value, "a cell", key.span)
        if wrong is not None:
            problems.append(wrong)
            continue
        cell = _read_cell(key, value, problems, library)
        if cell is not None:
            cells[key.value] = cell
    return cells


def _read_cell(key: Scalar, value: Node, problems: list[Diagnostic], library: bool) -> Cell | None:
    count = len(problems)
    name, required = f"cells.{key.value}", ("inputs", "output", "equations")
    fields = read_fields(key, value, problems, KEYS["cells.*"], name, required)
    args = read_arguments(_part(fields, "args", problems), problems)
    inputs = _names(fields.get("inputs"), problems)
    output = fields.get("output")
    if output is not None and not isinstance(output, Scalar):
        problems.append(problem("E0601", "`output` must be the name of a variable", output.span.first))
    node = fields.get("equations")
    equations = parse_block(node, problems, "equations") if node is not None else None
    if len(problems) > count or equations is None or not isinstance(output, Scalar):
        return None
    states, params = _part(fields, "states", problems), _part(fields, "params", problems)
    cell = Cell(key.value, key.span, args, inputs, states, output.value, tuple(equations), params, library)
    _check_cell(cell, output, problems)
    return cell if len(problems) == count else None


def _part(fields: Fields, name: str, problems: list[Diagnostic]) -> Fields:
    """A part of a cell that is a mapping; empty where there is none."""
    key, value = fields.key(name), fields.get(name)
    if key is None or value is None:
        return Fields(name, fields.span)
    return read_fields(key, value, problems, None, name)


def _names(node: Node | None, problems: list[Diagnostic]) -> tuple[str, ...]:
    """A list of names."""
    if node is None:
        return ()
    items = node.items if isinstance(node, YamlSequence) else ()
    names = tuple(item.value for item in items if isinstance(item, Scalar) and NAME.match(item.value))
    if len(names) < len(items) or not isinstance(node, YamlSequence):
        problems.append(problem("E0601", "`inputs` must be a list of names such as `[u]`", node.span.first))
    return names


def _check_cell(cell: Cell, output: Scalar, problems: list[Diagnostic]) -> None:
    """Its output and its states have equations, its names do not clash, and it calls no other cell."""
    defined = {equation.left.name for equation in cell.equations}
    if cell.output not in defined:
        near = suggest(cell.output, defined)
        help = f"did you mean `{near}`?" if near else f"add `{cell.output}[t] = ...` to its equations"
        message = f"the output `{cell.output}` of the cell `{cell.name}` has no equation"
        problems.append(problem("E0207", message, output.span, help=help))
    for state, _ in cell.states:
        if state.value not in defined:
            problems.append(no_equation(state, sorted(defined)))
    own = {*cell.inputs, *(argument.name for argument in cell.args)}
    for equation in cell.equations:
        wrong = taken(equation.left.name, equation.left.name_span, ("an input or an argument of this cell", own))
        problems += [wrong] if wrong else []


def no_equation(state: Scalar, names: Sequence[str]) -> Diagnostic:
    """A size is given to something that has no equation."""
    near = suggest(state.value, names)
    help = f"did you mean `{near}`?" if near else f"add `{state.value}[t] = ...` to the equations"
    return problem("E0201", f"the state `{state.value}` has no equation", state.span, help=help)


LIBRARY_FOLDER = resources.files("rnnspec.frontend.cells")


@dataclass(frozen=True)
class Cells(Mapping[str, Cell]):
    """The cells of a spec and those of the library, `name.rnn` each in the folder `cells`: a file is read when it is needed."""

    own: Mapping[str, Cell]

    def __getitem__(self, name: str) -> Cell:
        if name in self.own:
            return self.own[name]
        if name not in _library_names():
            raise KeyError(name)
        return _library_cell(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*_library_names(), *self.own]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@cache
def _library_names() -> tuple[str, ...]:
    names = (file.name for file in LIBRARY_FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".rnn") for name in names if name.endswith(".rnn")))


@cache
def _library_cell(name: str) -> Cell:
    problems: list[Diagnostic] = []
    root = read_yaml(Source(f"<library>/{name}.rnn", (LIBRARY_FOLDER / f"{name}.rnn").read_text(encoding="utf-8")))
    section = read_section(Fields("spec", root.span, root.items), "cells", problems)
    found = read_cells(section, problems, library=True)
    if problems:
        raise SpecError(problems)
    return found[name]


LIBRARY = Cells({})


def read_state(state: Scalar, node: Node, sizes: Mapping[str, Size], problems: list[Diagnostic]) -> tuple[Size, ...] | None:
    """The shape of a state: one size, or a list of two for a matrix."""
    if isinstance(node, YamlSequence):
        return read_shape(node, sizes, "a size", problems)
    size = read_size(node, sizes, f"the size of `{state.value}`", problems)
    return None if size is None else (size,)
