"""Products of the past: what a recurrence reads of a product one step later is multiplied there.

(W @ v)[t-1]      ->  W @ v[t-1]
(W @ v + a)[t-1]  ->  W @ v[t-1] + a[t-1]    where nothing else reads the sum

Then a step begins with products of what the step before has left, in both directions of time, and everything else follows in
one piece: the form that a kernel needs which goes through all steps by itself.
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.order import recurrences
from rnnspec.ir.program import Program, Value


def past_products(program: Program) -> Program:
    """The same program with products of shifted operands in place of shifted products, inside of recurrences."""
    return Mover(program).run()


class Mover:
    """The program under rewriting."""

    def __init__(self, program: Program) -> None:
        self.graph, self.values, self.users = Rewrite(program), program.values, program.users()
        self.where, self.loops = recurrences(program.values)
        self.roots = set(program.roots.ids())

    def run(self) -> Program:
        """Rewrite value by value."""
        for value in self.values.values():
            self.graph.origin, self.graph.hint = value.origin, value.name
            made = self._moved(value) if value.op == "shift" and len(value.args) == 1 else None
            self.graph.replace(value.id, self.graph.rebuild(value) if made is None else made)
        return self.graph.done()

    def _moved(self, shift: Value) -> int | None:
        """What a shift becomes; None where it stays."""
        inner = self.values[shift.args[0]]
        if self._is_product(inner, shift):
            return self._multiplied(inner, shift)
        terms = [self.values[a] for a in inner.args]
        alone = inner.op == "add" and inner.id not in self.roots and all(u.op == "shift" for u in self.users[inner.id])
        if not alone or not any(self._is_product(term, shift) for term in terms):
            return None
        moved = [self._multiplied(t, shift) if self._is_product(t, shift) else self._past(t, shift) for t in terms]
        return self.graph.emit("add", *moved, name=inner.name)

    def _is_product(self, value: Value, shift: Value) -> bool:
        """Is it a product with a matrix, in the recurrence of a shift?"""
        if value.op != "matmul" or len(value.shape) > 1 or self.values[value.args[0]].time != "fixed":
            return False
        return self.where[shift.id] in self.loops and self.where[shift.id] == self.where[value.id]

    def _multiplied(self, product: Value, shift: Value) -> int:
        """The product of what is shifted."""
        matrix, vector = (self.values[a] for a in product.args)
        return self.graph.emit("matmul", self._fixed(matrix), self._past(vector, shift), name=product.name)

    def _past(self, value: Value, shift: Value) -> int:
        """A value as far away as the shift is."""
        name = f"{value.name}_{'last' if shift.attr > 0 else 'next'}"
        return self.graph.shift(self.graph.later(value.id), shift.attr, value.shape, (), name)

    def _fixed(self, matrix: Value) -> int:
        """A matrix, which may come later in the program than it is needed now."""
        if matrix.id in self.graph.made:
            return self.graph.new(matrix.id)
        args = (self._fixed(self.values[a]) for a in matrix.args)
        return self.graph.emit(matrix.op, *args, attr=matrix.attr, name=matrix.name)
