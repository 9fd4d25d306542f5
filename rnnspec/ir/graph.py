"""Building a graph: one value for equal expressions, small identities on the way, and promises for what comes later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rnnspec.ir.ops import COMPUTED, DATA, OPS, infer
from rnnspec.ir.order import sort_values
from rnnspec.ir.program import Origin, Program, Roots, Shape, Time, Value

SHORT = {
    "add": "sum", "mul": "product", "sub": "difference", "div": "ratio", "scale": "scaled", "offset": "plus",
    "from_constant": "rest", "squash": "curve", "select": "choice", "rms_scale": "unit", "one_hot": "vector",
}  # fmt: skip
"""What a part of an equation is called, behind the name of the equation."""


class Graph:
    """A graph under construction.

    The operand of a shift may be a promise, an identity for a value that is not built yet; `keep_promise` says which value it
    turned out to be, at the latest before `finish`.
    """

    def __init__(self, base: Program | None = None) -> None:
        self.values: dict[int, Value] = dict(base.values) if base else {}
        self.known = {(v.op, v.args, v.attr): v.id for v in self.values.values() if v.args}
        self.kept: dict[int, int] = {}  # promise -> value
        self.count = max(self.values, default=0)
        self.origin: Origin | None = None
        self.hint = "v"

    def __getitem__(self, item: int) -> Value:
        return self.values[item]

    def leaf(self, op: str, name: str, shape: Shape, time: Time, attr: Any = None) -> int:
        """A leaf; each call makes a new one."""
        return self._keep(name, op, (), shape, time, attr)

    def constant(self, number: float) -> int:
        """A number, as a vector of one row."""
        key = ("constant", (), number)
        if key not in self.known:
            self.known[key] = self._keep(f"{number:g}", "constant", (), (1,), "fixed", number)
        return self.known[key]

    def promise(self) -> int:
        """An identity for a value that comes later; only a shift may read it."""
        self.count += 1
        return self.count

    def keep_promise(self, promise: int, value: int) -> None:
        """Say which value a promise turned out to be."""
        self.kept[promise] = value

    def shift(self, operand: int, lag: int, shape: Shape, starts: Iterable[int] = (), name: str | None = None) -> int:
        """v[t - lag] of a value or promise."""
        args = (operand, *starts)
        key = ("shift", args, lag)
        if key not in self.known:
            self.known[key] = self._keep(name or self.hint, "shift", args, shape, "step", lag)
        return self.known[key]

    def emit(self, op: str, *args: int, attr: Any = None, name: str | None = None) -> int:
        """The value of an operation: an equal one that exists, a simpler one, or a new one."""
        simpler = self._simpler(op, args, attr, name)
        if simpler is not None:
            return simpler
        key = (op, args, attr)
        if key not in self.known:
            shape, time = infer(op, [self.values[a] for a in args], attr)
            self.known[key] = self._keep(name or f"{self.hint}_{SHORT.get(op, op)}", op, args, shape, time, attr)
        return self.known[key]

    def rename(self, item: int, name: str) -> None:
        """Give a computed value a better name."""
        if self.values[item].op in COMPUTED:
            self.values[item] = replace(self.values[item], name=name)

    def _keep(self, name: str, op: str, args: tuple[int, ...], shape: Shape, time: Time, attr: Any) -> int:
        self.count += 1
        self.values[self.count] = Value(self.count, name, op, args, tuple(shape), time, attr, self.origin)
        return self.count

    def _simpler(self, op: str, args: tuple[int, ...], attr: Any, name: str | None) -> int | None:
        if (OPS[op].commutative or op == "concat") and len(args) == 1:
            return args[0]
        if op == "rows":
            return self._simpler_rows(args[0], attr)
        if op == "transpose" and self.values[args[0]].op == "transpose":
            return self.values[args[0]].args[0]
        if op == "scale" and attr == 1:
            return args[0]
        if op == "concat":
            return self._adjacent_rows(args, name)
        return None

    def _simpler_rows(self, operand: int, span: tuple[int, int]) -> int | None:
        """All rows of a value are the value; rows of rows are rows; rows of a concatenation may be one of its parts."""
        value = self.values[operand]
        if span == (0, value.shape[0]):
            return operand
        if value.op == "rows":
            low = value.attr[0]
            return self.emit("rows", value.args[0], attr=(low + span[0], low + span[1]))
        if value.op in ("concat", "stacked"):
            start = 0
            for part in value.args:
                stop = start + self.values[part].shape[0]
                if (start, stop) == span:
                    return part
                start = stop
        return self._repeated_rows(value, span)

    def _repeated_rows(self, value: Value, span: tuple[int, int]) -> int | None:
        """Rows of something repeated: the same repeated over fewer rows, or the rows of it repeated."""
        if value.op == "expand":
            return self.emit("expand", self.emit("rows", value.args[0], attr=span), attr=value.attr)
        if value.op == "transpose":
            return self.emit("rows", self.emit("copy", value.id), attr=span)
        if value.op == "spread":
            groups, (rows, *rest) = value.attr
            if groups > 1:
                return self.emit("rows", self.emit("copy", value.id), attr=span)
            return self.emit("spread", value.args[0], attr=(1, (span[1] - span[0], *rest)))
        return None

    def _adjacent_rows(self, args: tuple[int, ...], name: str | None) -> int | None:
        """Neighbouring rows of one value, one after another, are rows of it."""
        parts = [self.values[a] for a in args]
        if any(p.op != "rows" or p.args != parts[0].args for p in parts):
            return None
        if any(a.attr[1] != b.attr[0] for a, b in zip(parts, parts[1:], strict=False)):
            return None
        return self.emit("rows", parts[0].args[0], attr=(parts[0].attr[0], parts[-1].attr[1]), name=name)

    def storable(self, item: int) -> int:
        """Something a shift may read: a value, or rows of one, with storage of its own for every step."""
        base = self.values[item]
        while base.op == "rows":
            base = self.values[base.args[0]]
        return item if base.op in COMPUTED | DATA else self.emit("copy", item)

    def resolve(self, item: int) -> int:
        """The value behind a promise, or the value itself."""
        while item in self.kept:
            item = self.kept[item]
        return item

    def finish(self, name: str, roots: Roots) -> Program:
        """The program: promises resolved, what no root needs dropped, operands first."""
        values = {
            i: replace(v, args=tuple(map(self.resolve, v.args))) if v.op == "shift" else v for i, v in self.values.items()
        }
        resolved = Roots(
            self.resolve(roots.loss),
            tuple((n, self.resolve(v)) for n, v in roots.outputs),
            tuple((p, self.resolve(g)) for p, g in roots.gradients),
            roots.averages,
            tuple((n, self.resolve(v)) for n, v in roots.limited),
        )
        return Program(name, sort_values(values, resolved.ids()), resolved)


class Rewrite(Graph):
    """A graph built from another, value by value: `new` gives the new value of an old one."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.users, self.roots = program.users(), frozenset(program.roots.ids())  # of the old values
        self.made: dict[int, int] = {}
        self.promises: dict[int, int] = {}

    def new(self, old: int) -> int:
        """The new value of an old one that has been rebuilt already."""
        return self.made[old]

    def only_for(self, old: int, reader: int) -> bool:
        """Is an old value read by this one only, and wanted for nothing else?"""
        return [user.id for user in self.users[old]] == [reader] and old not in self.roots

    def rebuild(self, value: Value) -> int:
        """The same operation on the new operands."""
        self.origin, self.hint = value.origin, value.name
        if value.op == "shift":
            return self.shift(self.later(value.args[0]), value.attr, value.shape, map(self.new, value.args[1:]), value.name)
        if not value.args:
            return self._keep(value.name, value.op, (), value.shape, value.time, value.attr)
        return self.emit(value.op, *map(self.new, value.args), attr=value.attr, name=value.name)

    def later(self, old: int) -> int:
        """What a shift reads: the new value if there is one, else a promise of it."""
        if old in self.made:
            return self.storable(self.made[old])
        if old not in self.promises:
            self.promises[old] = self.promise()
        return self.promises[old]

    def replace(self, old: int, new: int) -> None:
        """Say what an old value has become."""
        self.made[old] = new
        if old in self.promises:
            self.keep_promise(self.promises[old], self.storable(new))

    def done(self) -> Program:
        """The rewritten program, with the roots of the old one."""
        roots = self.program.roots
        return self.finish(
            self.program.name,
            Roots(
                self.new(roots.loss),
                tuple((n, self.new(v)) for n, v in roots.outputs),
                tuple((self.new(p), self.new(g)) for p, g in roots.gradients),
                tuple((self.new(p), self.new(v)) for p, v in roots.averages),
                tuple((n, self.new(v)) for n, v in roots.limited),
            ),
        )
