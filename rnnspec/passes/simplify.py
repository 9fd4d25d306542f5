"""Nested sums and products become one, numbers move together, equal values fall together, dead ones go."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import OPS
from rnnspec.ir.program import Program, Value


def simplify(program: Program) -> Program:
    """The same program with fewer, wider operations."""
    return Simplifier(program).run()


class Simplifier:
    """The program under rewriting; one rule for each operation that can be simpler."""

    def __init__(self, program: Program) -> None:
        self.graph, self.values, self.differentiated = Rewrite(program), program.values, bool(program.roots.gradients)
        self.users, self.roots = self.graph.users, self.graph.roots
        self.rules = {"add": self._add, "mul": self._mul, "scale": self._scale, "clip_gradient": self._clip_gradient}

    def run(self) -> Program:
        """Rewrite value by value."""
        for value in self.values.values():
            self.graph.origin, self.graph.hint = value.origin, value.name
            self.graph.replace(value.id, self.rules.get(value.op, self.graph.rebuild)(value))
        return self.graph.done()

    # ---- the rules
    def _add(self, value: Value) -> int:
        """a + (-1) b is a - b."""
        for k, arg in enumerate(value.args if len(value.args) == 2 else ()):
            inner = self.graph[self.graph.new(arg)]
            if inner.op == "scale" and inner.attr == -1 and self._is_absorbed("scale", arg, value.args):
                return self.graph.emit("sub", self.graph.new(value.args[1 - k]), inner.args[0], name=value.name)
        return self.graph.emit("add", *self._operands(value), name=value.name)

    def _mul(self, value: Value) -> int:
        """a (b c) is a b c."""
        return self.graph.emit("mul", *self._operands(value), name=value.name)

    def _scale(self, value: Value) -> int:
        """k (l a) is (k l) a."""
        inner = self.graph[self.graph.new(value.args[0])]
        if inner.op == "scale" and self._is_absorbed("scale", value.args[0], value.args):
            return self.graph.emit("scale", inner.args[0], attr=inner.attr * value.attr, name=value.name)
        return self.graph.rebuild(value)

    def _clip_gradient(self, value: Value) -> int:
        """Behind the derivative a value whose adjoint was limited is the value itself, where that has storage of its own."""
        inner = self.graph[self.graph.new(value.args[0])]
        if not self.differentiated or OPS[inner.op].kind in ("leaf", "view"):
            return self.graph.rebuild(value)
        self.graph.rename(inner.id, value.name)
        return inner.id

    # ---- what they share
    def _operands(self, value: Value) -> Iterator[int]:
        """New operands, those of absorbed results of the same operation in their place."""
        for arg in value.args:
            inner = self.graph[self.graph.new(arg)]
            if inner.op == value.op and self._is_absorbed(value.op, arg, value.args):
                yield from inner.args
            else:
                yield inner.id

    def _is_absorbed(self, op: str, arg: int, args: tuple[int, ...]) -> bool:
        """Is the operand an operation that only this one reads?"""
        return self.values[arg].op == op and len(self.users[arg]) == 1 and arg not in self.roots and args.count(arg) == 1
