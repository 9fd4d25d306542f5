"""Equations and settings: text -> syntax tree, with every syntax error explained.

`parse_block` reads a block of equations, `parse_value` one expression.  Both take a node of the YAML tree, add what is
wrong to a list of problems, and return None after an error; they never raise.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import isinf
from typing import Any, Literal

from lark import Token, Tree, UnexpectedInput

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.builder import Builder
from rnnspec.frontend.explain import EQUATION, Finding, blank_comments, brackets, explain
from rnnspec.frontend.parser import PARSER
from rnnspec.frontend.source import Mapping, Scalar, Sequence
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.syntax import Binary, CallNode, EquationNode, Node, NumberNode, RefNode, depth, walk
from rnnspec.frontend.words import MAX_NAME
from rnnspec.frontend.yaml_lines import needs_bar

Start = Literal["equations", "value"]

MAX_BRACKETS = 60
MAX_DEPTH = 120
MAX_ERRORS = 20


def parse_block(node: YamlNode, problems: list[Diagnostic], section: str = "model") -> list[EquationNode] | None:
    """The equations of a `|` block, or of a list of one-line equations; `section` is the key they stand under.

    After a syntax error the reading goes on at the next line that looks like an equation: one call finds many errors.
    """
    count = len(problems)
    lines = node.items if isinstance(node, Sequence) else (node,)
    equations = [equation for line in lines for equation in _block(line, problems, section)]
    if len(problems) > count:
        return None
    if not equations:
        problems.append(problem("E0005", f"`{section}` has no equation", node.span.first))
        return None
    return equations


def parse_value(node: YamlNode, problems: list[Diagnostic]) -> Node | None:
    """One expression: a setting such as `adam(lr=1e-3)`, a loss, a metric, an encoding."""
    if not isinstance(node, Scalar):
        problems.append(_not_a_call(node))
        return None
    if not blank_comments(node.value).strip():
        problems.append(problem("E0005", "this value is empty", node.span))
        return None
    result: Node | None = _parse(node, 0, "value", problems)
    return result


def _block(node: YamlNode, problems: list[Diagnostic], section: str) -> Iterator[EquationNode]:
    """The equations of one YAML scalar."""
    if not isinstance(node, Scalar):
        what = "a list" if isinstance(node, Sequence) else "a mapping"
        help = "write an equation block after `|`"
        problems.append(problem("E0005", f"{what} is not expected here", node.span.first, help=help))
        return
    wrong = _wrong_style(node, section)
    if wrong:
        problems.append(wrong)
        return
    offset: int | None = 0
    errors = 0
    while offset is not None and errors < MAX_ERRORS:
        count = len(problems)
        yield from _parse(node, offset, "equations", problems) or ()
        errors += len(problems) - count
        offset = _resume(node, problems[count].labels[0].span.start) if len(problems) > count else None


def _wrong_style(node: Scalar, section: str) -> Diagnostic | None:
    """Equations that YAML would join into one line."""
    if node.style == ">":
        label = "`>` joins all lines into one"
        return problem("E0008", "equations need `|`, not `>`", node.span.first, label, help=f"write `{section}: |`")
    if node.style != "|" and "\n" in node.span.text:
        return needs_bar(node.span.first, section)
    return None


def _not_a_call(node: YamlNode) -> Diagnostic:
    """A list or a mapping where an expression is expected; a mapping is shown as the call to write."""
    if isinstance(node, Mapping) and node.items:
        key, inner = node.items[0]
        if isinstance(inner, Scalar) and "(" in inner.value:
            help = f"leave out `{key.value}:` and the braces" if node.flow else f"write `{inner.value}`"
            return problem("E0007", "a call has no key", key.span, help=help)
    if isinstance(node, Mapping) and len(node.items) == 1:
        key, inner = node.items[0]
        call = f"{key.value}({_arguments(inner)})".removesuffix("()")
        message = "a setting is written as a call, not as a mapping"
        return problem("E0007", message, key.span, help=f"write `{call}`")
    if isinstance(node, Sequence):
        return problem(
            "E0005", "a list is not expected here", node.span.first, help="write one value, without `[...]` around it"
        )
    help = "write one value, for example `adam(lr=1e-3)`"
    return problem("E0005", "a mapping is not expected here", node.span.first, help=help)


def _arguments(node: YamlNode) -> str:
    if isinstance(node, Mapping):
        return ", ".join(f"{key.value}={_arguments(value)}" for key, value in node.items)
    return node.value if isinstance(node, Scalar) else "..."


def _resume(scalar: Scalar, place: int) -> int | None:
    """Where to read on after an error: the first line behind it that looks like an equation."""
    line_end = scalar.value.find("\n", bisect_left(scalar.places, place))
    line = EQUATION.search(scalar.value, line_end + 1) if line_end >= 0 else None
    return line.start() if line else None


def _parse(scalar: Scalar, offset: int, start: Start, problems: list[Diagnostic]) -> Any:
    """A list of equations or one expression, read from `offset` on; None after an error."""
    tree = _tree(scalar.value[offset:], start)
    if isinstance(tree, Finding):
        problems.append(_locate(tree, scalar, offset))
        return None
    builder = Builder(scalar, offset)
    result = builder.transform(tree)
    found = builder.problems or [*_check(result if isinstance(result, list) else [result])]
    problems += found
    return None if found else result


def _tree(text: str, start: Start) -> Tree[Token] | Finding:
    """The parse tree, or why there is none."""
    finding = _nested_too_deep(text)
    if finding:
        return finding
    try:
        return PARSER.parse(text, start=start)
    except UnexpectedInput as error:
        return explain(text, error, start)


def _locate(finding: Finding, scalar: Scalar, offset: int) -> Diagnostic:
    span = scalar.sub(offset + finding.start, offset + finding.end)
    return problem(finding.code, finding.message, span, finding.label, help=finding.help, note=finding.note)


def _nested_too_deep(text: str) -> Finding | None:
    level = 0
    for position, bracket in brackets(text):
        level += 1 if bracket in "([" else -1
        if level > MAX_BRACKETS:
            message = f"brackets are nested more than {MAX_BRACKETS} deep"
            help = "name an intermediate result with its own equation"
            return Finding("E0106", message, position, position + 1, help=help)
    return None


def _check(roots: list[EquationNode | Node]) -> Iterator[Diagnostic]:
    """What the grammar cannot say: depth, length of names, size of numbers."""
    for root in roots:
        if isinstance(root, EquationNode):
            yield from _check([root.left, root.right])
            continue
        if depth(root) > MAX_DEPTH:
            message = f"the expression is nested more than {MAX_DEPTH} deep"
            help = "split it with intermediate equations, e.g. `a[t] = ...`"
            yield problem("E0106", message, root.span.first, "this expression", help=help)
        for node in walk(root):
            if isinstance(node, NumberNode) and isinf(node.value):
                yield problem("E0105", "this number is too large", node.span)
            if isinstance(node, Binary) and node.op == "/" and isinstance(node.right, NumberNode) and node.right.value == 0:
                yield problem("E0105", "this divides by zero", node.right.span)
            if isinstance(node, (RefNode, CallNode)) and max(map(len, node.name.split("."))) > MAX_NAME:
                yield problem("E0108", f"a name has at most {MAX_NAME} characters", node.name_span)
