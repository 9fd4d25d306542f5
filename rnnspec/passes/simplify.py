"""Nested sums and products become one, numbers move together, equal values fall together, dead ones go."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import COMMUTATIVE
from rnnspec.ir.program import Program, Value


def simplify(program: Program) -> Program:
    """The same program with fewer, wider operations."""
    graph, users, roots = Rewrite(program), program.users(), set(program.roots.ids())

    def absorbed(op: str, arg: int, args: tuple[int, ...]) -> bool:
        """Is the operand an operation that only this one reads?"""
        return program.values[arg].op == op and len(users[arg]) == 1 and arg not in roots and args.count(arg) == 1

    def operands(value: Value) -> Iterator[int]:
        """New operands, those of absorbed results of the same operation in their place."""
        for arg in value.args:
            inner = graph[graph.new(arg)]
            if inner.op == value.op and absorbed(value.op, arg, value.args):
                yield from inner.args
            else:
                yield graph.new(arg)

    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        if value.op in COMMUTATIVE:
            made = graph.emit(value.op, *operands(value), name=value.name)
        elif value.op == "scale" and absorbed("scale", value.args[0], value.args):
            inner = graph[graph.new(value.args[0])]
            made = (
                graph.emit("scale", inner.args[0], attr=inner.attr * value.attr, name=value.name)
                if inner.op == "scale"
                else graph.rebuild(value)
            )
        else:
            made = graph.rebuild(value)
        graph.replace(value.id, made)
    return graph.done()
