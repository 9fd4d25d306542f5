"""Nested sums and products become one, numbers move together, equal values fall together, dead ones go."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import OPS
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

    def summed(value: Value) -> int:
        """a + (-1) b is a - b."""
        for k, arg in enumerate(value.args if len(value.args) == 2 else ()):
            inner = graph[graph.new(arg)]
            if inner.op == "scale" and inner.attr == -1 and absorbed("scale", arg, value.args):
                return graph.emit("sub", graph.new(value.args[1 - k]), inner.args[0], name=value.name)
        return graph.emit("add", *operands(value), name=value.name)

    def scaled(value: Value) -> int:
        """k (l a) is (k l) a."""
        inner = graph[graph.new(value.args[0])]
        if inner.op == "scale" and absorbed("scale", value.args[0], value.args):
            return graph.emit("scale", inner.args[0], attr=inner.attr * value.attr, name=value.name)
        return graph.rebuild(value)

    def limited(value: Value) -> int:
        """Behind the derivative a value whose adjoint was limited is the value itself, where that has storage of its own."""
        inner = graph[graph.new(value.args[0])]
        if not program.roots.gradients or OPS[inner.op].kind in ("leaf", "view"):
            return graph.rebuild(value)
        graph.rename(inner.id, value.name)
        return inner.id

    def multiplied(value: Value) -> int:
        return graph.emit("mul", *operands(value), name=value.name)

    rules = {"add": summed, "mul": multiplied, "scale": scaled, "clip_gradient": limited}
    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        graph.replace(value.id, rules.get(value.op, graph.rebuild)(value))
    return graph.done()
