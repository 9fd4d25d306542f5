"""The mathematics of a spec: equations, loss and metrics, from syntax to the typed model, one method a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.assemble import Assembler, as_input, as_target, check_of_data, dropped
from rnnspec.frontend.averages import with_averages
from rnnspec.frontend.cell_definitions import Cells, no_equation, read_cells, read_state
from rnnspec.frontend.encodings import Item
from rnnspec.frontend.equations import parse_block, parse_value
from rnnspec.frontend.initial import check_initial
from rnnspec.frontend.instances import Expansion
from rnnspec.frontend.losses import check_comparisons, check_loss, check_metric
from rnnspec.frontend.misuse import Symbol
from rnnspec.frontend.names import Names
from rnnspec.frontend.parameters import Declarations, check_amount, check_names, check_trained
from rnnspec.frontend.schema import Fields, read_section
from rnnspec.frontend.scope import MODEL, Draft, Place
from rnnspec.frontend.shapes import Shapes, check_known, starting_forms
from rnnspec.frontend.sizes import Size
from rnnspec.frontend.source import Mapping as YamlMapping
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.source import Scalar, Sequence
from rnnspec.frontend.syntax import CallNode, EquationNode, Node
from rnnspec.frontend.time import Dependencies, check_time, relations
from rnnspec.frontend.typed import Model, ParameterInfo, When
from rnnspec.frontend.warnings import check_cells, check_unused
from rnnspec.frontend.windows import check_windows


@dataclass(frozen=True)
class Texts:
    """The equations of a spec as syntax trees; None where there is a syntax error."""

    equations: list[EquationNode] | None
    loss: Node | None
    metrics: list[Node]
    cells: Cells


def read_texts(spec: Fields, problems: list[Diagnostic]) -> Texts:
    """Parse all equations of a spec."""
    model, loss, metrics = spec.get("model"), spec.get("loss"), spec.get("metrics")
    return Texts(
        parse_block(model, problems) if model is not None else None,
        parse_value(loss, problems) if loss is not None else None,
        _read_metrics(metrics, problems) if metrics is not None else [],
        Cells(read_cells(read_section(spec, "cells", problems), problems)),
    )


def _read_metrics(node: YamlNode, problems: list[Diagnostic]) -> list[Node]:
    if isinstance(node, YamlMapping):
        help = "write one line for each, such as `- accuracy(y[t], target[t])`"
        problems.append(problem("E0005", "`metrics` is a list, and a metric has no key", node.items[0][0].span, help=help))
        return []
    items = node.items if isinstance(node, Sequence) else (node,)
    if isinstance(node, Sequence) and node.flow and any(map(_cut, items)):
        message, help = "a comma ended this value inside `[...]`", "write the list with one `- ` item per line"
        problems.append(problem("E0010", message, items[0].span, help=help))
        return []
    found = [parse_value(item, problems) for item in items]
    return [metric for metric in found if metric is not None]


def _cut(item: YamlNode) -> bool:
    return isinstance(item, Scalar) and item.value.count("(") != item.value.count(")")


@dataclass
class ModelReader:
    """Reads a model; every stage adds to `problems`, and the next one needs the former to have found no error."""

    spec: Fields
    texts: Texts
    items: list[Item]  # inputs and targets
    sizes: Mapping[str, Size]
    calls: Mapping[str, CallNode]
    problems: list[Diagnostic]
    folder: Path  # of the spec, from which files are named
    equations: list[Draft] = field(default_factory=list)
    starts: list[Draft] = field(default_factory=list)
    metrics: list[Draft] = field(default_factory=list)
    states: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    arguments: dict[str, Size] = field(default_factory=dict)
    whens: dict[str, When] = field(default_factory=dict)

    # ---- names
    def resolve_names(self) -> None:
        """Expand cells, and find out what every name means."""
        declarations = Declarations(self.sizes, self.calls, self.problems, self.folder)
        declarations.read(read_section(self.spec, "params", self.problems), MODEL)
        symbols = {i.name: Symbol("input" if i.section == "inputs" else "target", i.when, i.span) for i in self.items}
        expansion = Expansion(self.texts.cells, self.sizes, declarations, self.problems)
        expansion.expand(self.texts.equations or [], symbols)
        self.names = Names(
            symbols, self.sizes, self.texts.cells, declarations, self.problems, expansion.broken, expansion.outputs
        )
        definitions = self.names.define(expansion.definitions)
        self._read_states(expansion)
        drafts = [draft for draft in map(self.names.draft, definitions) if draft is not None]
        self.equations = [draft for draft in drafts if draft.definition and draft.definition.start is None]
        self.starts = [draft for draft in drafts if draft.definition and draft.definition.start is not None]
        self.loss = self._value(self.texts.loss, "loss") if self.texts.loss is not None else None
        found = [self._value(metric, "metric") for metric in self.texts.metrics]
        self.metrics = [draft for draft in found if draft is not None]
        self.names.check_members()
        self.names.check_ties()

    def _value(self, node: Node, place: Place) -> Draft | None:
        expr = self.names.value(node, MODEL, place, outermost=True)
        return None if expr is None else Draft(expr, node.span)

    def _read_states(self, expansion: Expansion) -> None:
        self.states = dict(expansion.states)
        self.arguments = expansion.arguments
        variables = [name for name, symbol in self.names.symbols.items() if symbol.kind == "variable"]
        for key, node in read_section(self.spec, "states", self.problems):
            if key.value not in variables and key.value not in expansion.broken:
                self.problems.append(no_equation(key, variables))
                continue
            shape = read_state(key, node, self.sizes, self.problems)
            if shape is not None:
                self.states[key.value] = shape

    # ---- time
    def check_time(self, truncation: Span | None) -> None:
        """Order the equations; with truncation, nothing may look behind the end of a window."""
        dependencies = Dependencies(self.equations, self.starts)
        found = check_time(dependencies)
        self.problems += found
        self.whens = relations(dependencies)
        for draft in self.equations:
            self.problems += check_of_data(draft, self.whens)
        assert self.loss is not None
        if truncation is not None and not found:
            self.problems += check_windows([*self.equations, *self.starts], self.loss, truncation)

    # ---- loss
    def check_losses(self) -> None:
        """What loss and metrics compare."""
        assert self.loss is not None
        items = {item.name: item for item in self.items}
        targets = {name: item for name, item in items.items() if item.section == "targets"}
        self.problems += check_loss(self.loss)
        equations = {draft.name: draft for draft in self.equations}
        self.problems += check_comparisons(self.loss, targets, equations)
        for metric in self.metrics:
            self.problems += [*check_comparisons(metric, targets, equations), *check_metric(metric, items)]

    # ---- shapes
    def solve_shapes(self) -> None:
        """Find the shape of every value."""
        assert self.loss is not None
        forms = starting_forms(self.names, {item.name: item.form for item in self.items}, self.states)
        self.shapes = Shapes(forms, self.problems)
        for draft in (*self.equations, *self.starts):
            self.shapes.equation(draft)
        self.shapes.number(self.loss, "the loss")
        for metric in () if self.problems else self.metrics:  # they would only repeat what is wrong with the loss
            self.shapes.number(metric, "a metric")
        self.shapes.settle()
        if not self.problems:
            self.problems += check_known(self.names, forms)

    # ---- parameters
    def read_parameters(self) -> list[ParameterInfo]:
        """Everything said about each parameter."""
        declarations = self.names.declarations
        for name in self.names.parameters:
            declarations.found(name)
        declarations.check()
        infos = []
        for name, use in self.names.parameters.items():
            shape = self.shapes.forms[name].known
            assert shape is not None
            implicit = bool(use.implicit) and not declarations.exact(name)
            infos.append(declarations.info(name, shape, use.scope.shown(use.span), implicit))
        check_names(infos, self.problems)
        check_amount(infos, self.problems)
        self.problems += check_initial(infos)
        key = self.spec.key("model")
        check_trained(infos, key.span if key else self.spec.span, self.problems)
        return infos

    def assemble(self, parameters: list[ParameterInfo]) -> Model:
        """The typed model."""
        assert self.loss is not None
        make = Assembler(self.shapes, self.whens, dropped(parameters, self.names.calls.places))
        self.problems += check_unused(self.names, self.starts, [*self.equations, self.loss, *self.metrics])
        self.problems += check_cells(self.texts.cells.own.values(), self.texts.equations or [])
        sizes = {name: size.find().value for name, size in (*self.sizes.items(), *self.arguments.items())}
        made = Model(
            inputs=tuple(as_input(item) for item in self.items if item.section == "inputs"),
            targets=tuple(as_target(item) for item in self.items if item.section == "targets"),
            parameters=tuple(parameters),
            equations=tuple(make.equation(draft) for draft in self.equations),
            starts=tuple(make.start(draft) for draft in self.starts),
            loss=make.expr(self.loss.expr),
            loss_span=self.loss.span,
            metrics=replace(make, dropped={}).metrics(self.metrics),
            sizes=tuple((name, value) for name, value in sizes.items() if value is not None),
            masked=any(dict(item.call.arguments).get("length") for item in self.items if not item.longest),
        )
        return with_averages(made)
