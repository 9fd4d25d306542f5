"""From the parse tree of Lark to syntax nodes with places in the file."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.source import Scalar
from rnnspec.frontend.syntax import (
    Binary,
    BoolNode,
    CallNode,
    EquationNode,
    ListNode,
    Named,
    Node,
    NumberNode,
    RefNode,
    StringNode,
    Transpose,
    Unary,
)


@v_args(meta=True)
class Builder(Transformer_NonRecursive[Token, Any]):
    """Makes syntax nodes, with spans in the file, from the parse tree; one method a node of the grammar."""

    def __init__(self, scalar: Scalar, offset: int) -> None:
        super().__init__()
        self._scalar = scalar
        self._offset = offset
        self.problems: list[Diagnostic] = []

    def _span(self, at: Meta | Token) -> Span:
        assert at.start_pos is not None and at.end_pos is not None
        return self._scalar.sub(self._offset + at.start_pos, self._offset + at.end_pos)

    def equations(self, meta: Meta, parts: list[EquationNode | None]) -> list[EquationNode]:
        return [part for part in parts if part is not None]

    def value(self, meta: Meta, parts: list[Node]) -> Node:
        return parts[0]

    def equation(self, meta: Meta, parts: list[Any]) -> EquationNode:
        return EquationNode(parts[0], parts[1], self._span(meta))

    def ref(self, meta: Meta, parts: list[Any]) -> RefNode:
        name, index = parts
        return RefNode(str(name), self._span(meta), self._span(name), None if index is None else self._plain(index))

    left = ref

    def number(self, meta: Meta, parts: list[Token]) -> NumberNode:
        return NumberNode(str(parts[0]), self._span(meta))

    def string(self, meta: Meta, parts: list[Token]) -> StringNode:
        return StringNode(str(parts[0])[1:-1], self._span(meta))

    def true(self, meta: Meta, parts: list[Token]) -> BoolNode:
        return BoolNode(True, self._span(meta))

    def false(self, meta: Meta, parts: list[Token]) -> BoolNode:
        return BoolNode(False, self._span(meta))

    def binary(self, meta: Meta, parts: list[Any]) -> Binary:
        left, op, right = parts
        return Binary(str(op), left, right, self._span(meta))

    def power(self, meta: Meta, parts: list[Node]) -> Binary:
        return Binary("**", parts[0], parts[1], self._span(meta))

    def either(self, meta: Meta, parts: list[Node]) -> Binary:
        return Binary("or", parts[0], parts[1], self._span(meta))

    def both(self, meta: Meta, parts: list[Node]) -> Binary:
        return Binary("and", parts[0], parts[1], self._span(meta))

    def negation(self, meta: Meta, parts: list[Node]) -> Unary:
        return Unary("not", parts[0], self._span(meta))

    def signed(self, meta: Meta, parts: list[Any]) -> Unary:
        return Unary(str(parts[0]), parts[1], self._span(meta))

    def transpose(self, meta: Meta, parts: list[Node]) -> Transpose:
        return Transpose(parts[0], self._span(meta))

    def items(self, meta: Meta, parts: list[Any]) -> ListNode:
        return ListNode(self._plain(parts[0] or []), self._span(meta))

    def named(self, meta: Meta, parts: list[Any]) -> Named:
        return Named(str(parts[0]), self._span(parts[0]), parts[1])

    def args(self, meta: Meta, parts: list[Any]) -> list[Any]:
        return [part for part in parts if part is not None]

    def call(self, meta: Meta, parts: list[Any]) -> CallNode:
        name, arguments = parts[0], parts[1] or []
        named = tuple(argument for argument in arguments if isinstance(argument, Named))
        args = tuple(argument for argument in arguments if not isinstance(argument, Named))
        self._check_order(arguments)
        return CallNode(str(name), self._span(meta), self._span(name), args, named)

    def _check_order(self, arguments: list[Any]) -> None:
        """Arguments without a name come first."""
        for before, argument in zip(arguments, arguments[1:], strict=False):
            if isinstance(before, Named) and not isinstance(argument, Named):
                found = problem(
                    "E0107",
                    "a positional argument comes after a named one",
                    argument.span,
                    "this argument has no name",
                    others=[(before.name_span, "named argument here")],
                    help="put the arguments without a name first",
                )
                self.problems.append(found)
                return

    def _plain(self, arguments: list[Any]) -> tuple[Node, ...]:
        """The values of an index or a list, where names for them make no sense."""
        for argument in arguments:
            if isinstance(argument, Named):
                help = "compare with `==`"
                self.problems.append(problem("E0107", "only a call has named arguments", argument.name_span, help=help))
        return tuple(argument for argument in arguments if not isinstance(argument, Named))
