"""Outer products summed over time become one matrix product behind the loop; transposes are taken once.

outer_sum(a, b)          ->  gram(flat(a), flat(b))      flat: all steps and sequences as columns
                             gram(flat(a), lines(b))     or as lines, where that is fast
                             transpose(gram(flat(b), lines(a)))
outer_sum(concat(a, c))  ->  concat of both              where nothing else reads the concatenation
batch_sum(a)             ->  row_sum(flat(a))            where the gradient of a matrix flattens it anyway
transpose(W) @ a         ->  copy(transpose(W)) @ a      a contiguous copy, faster for many large products
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.order import now_args, sort_values
from rnnspec.ir.products import is_small
from rnnspec.ir.program import Program, Value

WIDEST = 256
"""Features up to which lines are worth making.

OpenBLAS, for AVX-512, multiplies columns with lines up to a fifth faster than columns with columns; but NumPy takes longer to
make lines, the longer the more features there are.
"""


def weight_gradients(program: Program, batch: int) -> Program:
    """The same program with sums over time as products of whole sequences."""
    return Products(program, batch).run()


class Products:
    """The program under rewriting."""

    def __init__(self, program: Program, batch: int) -> None:
        self.batch = batch
        self.program, self.values, self.graph = program, program.values, Rewrite(program)
        self.users = self.graph.users
        self.pairs = [v.args for v in self.values.values() if v.op == "outer_sum" and self._is_vector_of_steps(v.args[0])]
        self.lefts, self.final = self._narrow_lefts(), self._final()

    def run(self) -> Program:
        """Rewrite value by value: sums come last, when all that they could share exists."""
        for item in sorted(self.values, key=set(self._sums()).__contains__):
            value = self.values[item]
            self.graph.origin, self.graph.hint = value.origin, value.name
            self.graph.replace(item, self._rewritten(value))
        return self.graph.done()

    def _sums(self) -> Iterator[int]:
        """Sums over time of the backward pass, and what is made from them."""
        roots = self.program.roots
        forward = sort_values(self.values, [roots.loss, *(v for _, v in roots.outputs)])
        found: set[int] = set()
        for value in self.values.values():
            summed = value.op in ("outer_sum", "batch_sum") or any(a in found for a in now_args(value))
            if summed and value.id not in forward:
                found.add(value.id)
                yield value.id

    def _final(self) -> set[int]:
        """What gradients of parameters are made of, and no step reads."""
        found: set[int] = set()
        for value in reversed(self.values.values()):
            if all(user.time == "fixed" and user.id in found for user in self.users[value.id]):
                found.add(value.id)
        return found

    def _rewritten(self, value: Value) -> int:
        if value.id in self.final and value.op == "outer_sum" and self._is_vector_of_steps(value.args[0]):
            return self._outer_sum(value)
        if value.id in self.final and value.op == "batch_sum" and self._is_vector_of_steps(value.args[0]):
            return self._batch_sum(value.args[0], value.name)
        if value.op == "matmul" and value.time == "step":
            return self._product(value)
        return self.graph.rebuild(value)

    # ---- products of whole sequences
    def _outer_sum(self, value: Value) -> int:
        left, right = value.args
        if left in self.lefts:
            turned = self.graph.emit("gram", self._flat(right), self._lines(left), name=f"{value.name}_T")
            return self.graph.emit("transpose", turned, name=value.name)
        parts = self._by_parts(left)
        lined = self._can_be_lines(right) and not any(b == right and a in self.lefts for a, b in self.pairs)
        second = self._lines(right) if lined else self._flat(right)
        grams = [self.graph.emit("gram", part, second, name=value.name) for part in parts]
        return self.graph.emit("concat", *grams, name=value.name)

    def _lines(self, item: int) -> int:
        return self.graph.emit("lines", self.graph.new(item), name=f"{self.values[item].name}_lines")

    def _narrow_lefts(self) -> set[int]:
        """Left operands to be made lines: each is narrower than all that it meets.

        What they meet becomes columns.  If it meets another left operand, that one must be lines as well; so the set shrinks
        until there is none that does not fit.
        """
        wide = {a for a, b in self.pairs if self.values[a].shape[0] >= self.values[b].shape[0]}
        narrow = {a for a, _ in self.pairs if self._can_be_lines(a)} - wide
        while True:
            columns = {b for a, b in self.pairs if a not in narrow}
            rivals = {a for a, b in self.pairs if a in narrow and b in columns}
            if not rivals:
                return narrow
            narrow -= rivals

    def _can_be_lines(self, item: int) -> bool:
        """Is a value so narrow that turning it costs little, and needed as columns by nobody else?"""
        concats = [u for u in self.users[item] if u.op == "concat"]
        in_concat = any(u.op in ("outer_sum", "batch_sum") for c in concats for u in self.users[c.id])
        summed = in_concat or any(u.op == "batch_sum" for u in self.users[item]) or self._is_only_summed(self.values[item])
        sides = {side for pair in self.pairs for side, arg in enumerate(pair) if arg == item}
        return self.values[item].shape[0] <= WIDEST and len(sides) == 1 and not summed

    def _is_vector_of_steps(self, item: int) -> bool:
        return self.values[item].time == "step" and len(self.values[item].shape) == 1

    def _by_parts(self, item: int) -> list[int]:
        """The flat parts of a concatenation that is only summed; else the flat value itself."""
        if self._is_only_summed(self.values[item]):
            return [part for a in self.values[item].args for part in self._by_parts(a)]
        return [self._flat(item)]

    def _batch_sum(self, item: int, name: str) -> int:
        """The sum over steps and sequences, part by part."""
        if self._is_only_summed(self.values[item]):
            return self.graph.emit("concat", *(self._batch_sum(a, name) for a in self.values[item].args), name=name)
        if self._is_flattened(item):
            return self.graph.emit("row_sum", self._flat(item), name=name)
        return self.graph.emit("batch_sum", self.graph.new(item), name=name)

    def _flat(self, item: int) -> int:
        """All steps of a value as columns: rows of something larger that is flattened anyway, where there is one."""
        value = self.values[item]
        for user in self.users[item]:
            outer = user.op == "concat" and any(u.op == "outer_sum" for u in self.users[user.id])
            whole = outer and not self._is_only_summed(user) and user.id in self.graph.made
            if whole and user.args.count(item) == 1:
                low = sum(self.values[a].shape[0] for a in user.args[: user.args.index(item)])
                span = (low, low + value.shape[0])
                return self.graph.emit("rows", self._flat(user.id), attr=span, name=f"{value.name}_flat")
        return self.graph.emit("flat", self.graph.new(item), name=f"{value.name}_flat")

    def _is_only_summed(self, value: Value) -> bool:
        """Do only weight gradients read it?  Then a concatenation need not exist: each part has its rows of the gradient."""
        return value.op == "concat" and all(u.op in ("outer_sum", "batch_sum") for u in self.users[value.id])

    def _is_flattened(self, item: int) -> bool:
        """Is a value flattened for the gradient of a matrix?"""
        readers = [r for u in self.users[item] for r in (self.users[u.id] if u.op == "concat" else [u])]
        return any(r.op == "outer_sum" for r in readers)

    # ---- products of a step
    def _product(self, value: Value) -> int:
        """A large product with a matrix that is transposed once, not at every step."""
        left = self.values[value.args[0]]
        if left.op != "transpose" or left.time != "fixed" or is_small(left.shape, self.batch):
            return self.graph.rebuild(value)
        matrix = self.graph.emit("copy", self.graph.new(left.id), name=f"{self.values[left.args[0]].name}_T")
        return self.graph.emit("matmul", matrix, self.graph.new(value.args[1]), name=value.name)
