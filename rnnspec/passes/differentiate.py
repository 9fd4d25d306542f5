"""Reverse-mode differentiation of the graph.

The adjoint of a value is the sum over its readers of what their rules send back.  The adjoint of v[t-k] is the adjoint of v,
k steps later: so the adjoint of a recurrence is a recurrence in the other direction, without a word said about loops.
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.ir.graph import Graph
from rnnspec.ir.ops import OPS
from rnnspec.ir.program import Program, Value
from rnnspec.passes.vjps import VJPS, Contributions

Span = tuple[int, int]


def differentiate(program: Program) -> Program:
    """The program with the gradient of its loss for every trainable parameter (or stack of parameters) that it reaches."""
    return Backward(program).run()


def active(program: Program) -> set[int]:
    """Values that depend on a trainable parameter, through time as well."""
    found = [v.id for v in program.values.values() if v.op == "param" and v.attr]
    users, seen = program.users(), set(found)
    while found:
        for user in users[found.pop()]:
            if user.id not in seen:
                seen.add(user.id)
                found.append(user.id)
    return seen


def reached(program: Program) -> set[int]:
    """Values that the loss sends something back to."""
    found = [program.roots.loss]
    seen = set(found)
    while found:
        value = program.values[found.pop()]
        for arg in () if OPS[value.op].silent else value.args:
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    return seen


class Backward:
    """The graph with its adjoints, value by value from the loss backwards."""

    def __init__(self, program: Program) -> None:
        self.program, self.graph = program, Graph(program)
        self.users, self.active, self.reached = program.users(), active(program), reached(program)
        self.received: dict[int, list[int]] = {i: [] for i in program.values}
        self.pieces: dict[int, dict[Span, list[int]]] = {i: {} for i in program.values}
        self.promises: dict[int, int] = {}  # shift -> promise of its adjoint
        self.named: set[int] = set()
        self.gradients: list[tuple[int, int]] = []
        self.limited: list[tuple[str, int]] = []

    def run(self) -> Program:
        """Visit every value behind its readers; readers at another step leave a promise."""
        for value in reversed(self.program.values.values()):
            if value.id in self.active and not OPS[value.op].silent:
                self._visit(value)
        roots = self.program.roots
        made = replace(roots, gradients=tuple(self.gradients), limited=tuple(self.limited))
        return self.graph.finish(self.program.name, made)

    def _visit(self, value: Value) -> None:
        self.graph.origin, self.graph.hint = value.origin, f"d{value.name}"
        if value.id == self.program.roots.loss:
            self._send(VJPS["mean_loss"](self.graph, value, -1))
            return
        adjoint = self._adjoint(value)
        if adjoint is None:
            return  # an output that the loss does not read
        if value.op in ("param", "stacked"):
            self.gradients.append((value.id, adjoint))
        elif value.op == "rows":
            self.pieces[value.args[0]].setdefault(value.attr, []).append(adjoint)
        elif value.op == "shift":
            self._shift(value, adjoint)
        elif value.op == "concat":
            self._concat(value, adjoint)
        else:
            if value.op == "clip_gradient":
                self.limited.append((value.attr[2], self.graph.storable(adjoint)))
            self._send(VJPS[value.op](self.graph, value, adjoint))

    def _send(self, contributions: Contributions) -> None:
        for operand, contribution in contributions:
            if operand in self.active:
                self._name(contribution, f"d{self.graph[operand].name}_part")
                self.received[operand].append(contribution)

    def _name(self, adjoint: int, name: str, final: bool = False) -> None:
        """Name what was made here, the first name it gets when it is final."""
        if adjoint not in self.program.values and adjoint not in self.named:
            self.graph.rename(adjoint, name)
            if final:
                self.named.add(adjoint)

    def _adjoint(self, value: Value) -> int | None:
        """The sum of what the readers sent, of rows that were read alone, and of what comes from other steps."""
        parts = list(self.received[value.id])
        for user in self.users[value.id]:
            if user.op == "shift" and user.args[0] == value.id and user.id in self.active & self.reached:
                promise = self._promise(user)
                parts.append(self.graph.shift(promise, -user.attr, value.shape, (), f"d{value.name}_next"))
        if self.pieces[value.id]:
            parts.append(self._joined(value))
        if not parts:
            return None
        adjoint = self.graph.emit("add", *parts, name=f"d{value.name}")
        self._name(adjoint, f"d{value.name}", final=True)
        return adjoint

    def _shift(self, value: Value, adjoint: int) -> None:
        """Keep the promise; each start receives the adjoint at the step that read it."""
        self.graph.keep_promise(self._promise(value), self.graph.storable(adjoint))
        sign = 1 if value.attr > 0 else -1
        for k, start in enumerate(value.args[1:]):
            if start in self.active:
                step = sign * (abs(value.attr) - k)
                self.received[start].append(self.graph.emit("step_at", adjoint, attr=step))

    def _promise(self, shift: Value) -> int:
        if shift.id not in self.promises:
            self.promises[shift.id] = self.graph.promise()
        return self.promises[shift.id]

    def _concat(self, value: Value, adjoint: int) -> None:
        low = 0
        for part in value.args:
            high = low + self.graph[part].shape[0]
            if part in self.active:
                self.received[part].append(self.graph.emit("rows", adjoint, attr=(low, high)))
            low = high

    def _joined(self, value: Value) -> int:
        """Adjoints of row ranges are the adjoint of the whole: disjoint ones one after another, overlapping ones added."""
        layers: list[list[Span]] = []
        for span in sorted(self.pieces[value.id]):
            layer = next((found for found in layers if found[-1][1] <= span[0]), None)
            if layer is None:
                layers.append(layer := [])
            layer.append(span)
        return self.graph.emit("add", *(self._layer(value, layer) for layer in layers), name=f"d{value.name}")

    def _layer(self, value: Value, layer: list[Span]) -> int:
        parts, row = [], 0
        for low, high in [*layer, (value.shape[0], 0)]:
            if row < low:
                gap = self.graph.emit("rows", value.id, attr=(row, low))
                parts.append(self.graph.emit("scale", gap, attr=0.0, name="zero"))
            if high:
                parts.append(self.graph.emit("add", *self.pieces[value.id][low, high]))
                row = high
        return self.graph.emit("concat", *parts, name=f"d{value.name}")
