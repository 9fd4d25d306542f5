"""The syntax tree of equations and settings: what was written and where, before any name has a meaning.

Every node has a `span` in the file.  Trees are at most 120 levels deep, so walking them by recursion is safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.diagnostics import Span


@dataclass(frozen=True)
class NumberNode:
    """A number without sign; `text` is how it was written."""

    text: str
    span: Span

    @property
    def value(self) -> float:
        """The number; infinite where it is too large for a float."""
        return float(self.text)


@dataclass(frozen=True)
class StringNode:
    """A text in quotes; `text` is without them."""

    text: str
    span: Span


@dataclass(frozen=True)
class BoolNode:
    """`true` or `false`."""

    value: bool
    span: Span


@dataclass(frozen=True)
class RefNode:
    """A name, with members (`h1.c`) and an index where there is one; a time index is one expression."""

    name: str
    span: Span
    name_span: Span
    index: tuple[Node, ...] | None = None


@dataclass(frozen=True)
class Named:
    """An argument given by name."""

    name: str
    name_span: Span
    value: Node


@dataclass(frozen=True)
class CallNode:
    """A function, cell, loss or setting with its arguments; those without a name come first."""

    name: str
    span: Span
    name_span: Span
    args: tuple[Node, ...] = ()
    named: tuple[Named, ...] = ()


@dataclass(frozen=True)
class Binary:
    """Two operands and one of `+ - * / @ ** < <= > >= == != and or`."""

    op: str
    left: Node
    right: Node
    span: Span


@dataclass(frozen=True)
class Unary:
    """One operand behind `-`, `+` or `not`."""

    op: str
    operand: Node
    span: Span


@dataclass(frozen=True)
class Transpose:
    """A matrix followed by `.T`."""

    operand: Node
    span: Span


@dataclass(frozen=True)
class ListNode:
    """Values in square brackets."""

    items: tuple[Node, ...]
    span: Span


Node = NumberNode | StringNode | BoolNode | RefNode | CallNode | Binary | Unary | Transpose | ListNode


@dataclass(frozen=True)
class EquationNode:
    """`left = right`."""

    left: RefNode
    right: Node
    span: Span


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below a node, from left to right; an index counts."""
    if isinstance(node, CallNode):
        return (*node.args, *(argument.value for argument in node.named))
    if isinstance(node, RefNode):
        return node.index or ()
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, (Unary, Transpose)):
        return (node.operand,)
    return node.items if isinstance(node, ListNode) else ()


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, from left to right, without recursion."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def depth(node: Node) -> int:
    """Number of levels of a tree."""
    level, deepest = [node], 0
    while level:
        level = [child for node in level for child in children(node)]
        deepest += 1
    return deepest
