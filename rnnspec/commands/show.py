"""`rnnspec show`: what each stage of the compiler makes of a spec, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from rnnspec.commands.report import table
from rnnspec.compiler import compile_spec, last, passes, programs
from rnnspec.diagnostics import Diagnostic, SpecError, suggest
from rnnspec.frontend.check import check
from rnnspec.frontend.equations import parse_block
from rnnspec.frontend.source import load, read_yaml
from rnnspec.frontend.syntax import Binary, CallNode, EquationNode, ListNode, Node, Transpose, Unary, children
from rnnspec.frontend.text import text
from rnnspec.frontend.typed import Spec
from rnnspec.ir.program import Program
from rnnspec.ir.text import text as program_text
from rnnspec.script.devices import Name

STAGES = ("ast", "types", "ir", "gradient", "optimised", "script")
AFTER = {"ir": "simplify", "gradient": "simplify gradient"}
"""The pass behind which a stage is shown; `optimised` is the last one of its level, all others are named after a pass."""


def known(name: str, level: int, device: Name) -> None:
    """Raise UsageError unless this is a stage, or a pass of the level and device."""
    names = [*STAGES, "lower", *(step for step, _ in passes(level, 1, device))]
    if name not in names:
        near = suggest(name, names)
        hint = f"did you mean `{near}`?" if near else f"there are {', '.join(names)}"
        where = f"at -O{level}" if device == "cpu" else "for a GPU"
        raise click.UsageError(f"there is no stage `{name}` {where}; {hint}")


def stage(path: Path, overrides: Sequence[str], name: str, level: int, device: Name) -> str:
    """One stage of a spec as text; SpecError where the spec is wrong, UsageError where there is no such stage."""
    known(name, level, device)
    if name == "ast":
        return "\n".join(line for equation in parsed(path) for line in syntax(equation))
    if name == "script":
        return compile_spec(path, device=device, level=level, overrides=overrides).source
    spec, diagnostics = check(path, overrides)
    if spec is None:
        raise SpecError(diagnostics)
    return types(spec) if name == "types" else program_text(program(spec, name, level, device))


def parsed(path: Path) -> list[EquationNode]:
    """The equations of the section `model`, as they were read."""
    problems: list[Diagnostic] = []
    model = read_yaml(load(path)).get("model")
    equations = parse_block(model, problems) if model is not None else []
    if equations is None:
        raise SpecError(problems)
    return equations


def syntax(equation: EquationNode) -> Iterator[str]:
    """An equation and its syntax tree, one node a line."""
    yield f"{equation.span.text}   [{equation.span.place}]"
    yield from tree(equation.right, 1)
    yield ""


def tree(node: Node, level: int) -> Iterator[str]:
    """A node and what is below it, indented; a name with its index is one line."""
    yield "    " * level + label(node)
    if isinstance(node, Binary | Unary | Transpose | CallNode | ListNode):
        for child in children(node):
            yield from tree(child, level + 1)


def label(node: Node) -> str:
    """A node in a word or two."""
    match node:
        case Binary(op) | Unary(op):
            return op
        case Transpose():
            return ".T"
        case CallNode(name):
            named = [argument.name for argument in node.named]
            return f"call {name}" + (f" (by name: {', '.join(named)})" if named else "")
        case ListNode():
            return "list"
        case _:
            return node.span.text


def types(spec: Spec) -> str:
    """Sizes and parameters, then every equation with its cells written out."""
    model = spec.model
    lines = [*map(text, model.starts), *map(text, model.equations)]
    lines += [f"loss = {text(model.loss)}", *(f"{metric.name} = {text(metric.expr)}" for metric in model.metrics)]
    return "\n".join([table(spec), "", "equations", *(f"  {line}" for line in lines)])


def program(spec: Spec, name: str, level: int, device: Name) -> Program:
    """The program of a spec at a stage."""
    steps = programs(spec, level, device)
    if name == "optimised":
        return last(steps)
    return next(program for step, program in steps if step == AFTER.get(name, name))
