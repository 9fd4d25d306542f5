"""The sum of products that a recurrence computes at every step becomes one product.

A @ x[t] + B @ h[t-1] + b  ->  [B A b] @ [h[t-1]; x[t]; 1]

The matrices are brought side by side once for all steps; the states are computed where the joined operand is stored, so that
only what comes from outside the loop is copied.  The gradients of all three are columns of one sum of outer products.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.order import recurrences
from rnnspec.ir.program import Program, Value


@dataclass(frozen=True)
class Join:
    """The terms of a sum that become one product: operands in the order of their columns."""

    products: tuple[Value, ...]
    bias: Value | None
    others: tuple[int, ...]


def join(program: Program) -> Program:
    """The same program with one product for each sum of products that reads a state."""
    return Joiner(program).run()


class Joiner:
    """The program under rewriting, and what was joined so far."""

    def __init__(self, program: Program) -> None:
        self.graph, self.values, self.component = Rewrite(program), program.values, recurrences(program.values)[0]
        self.joined: list[tuple[Join, int]] = []  # and the operand that holds all of its operands

    def run(self) -> Program:
        """Rewrite value by value: sums come before the gradients of what they are made of."""
        for value in self.values.values():
            self.graph.origin, self.graph.hint = value.origin, value.name
            terms = self._candidate(value)
            made = self._product(value, terms) if terms else self._column(value)
            self.graph.replace(value.id, self.graph.rebuild(value) if made is None else made)
        return self.graph.done()

    # ---- sums
    def _candidate(self, value: Value) -> Join | None:
        """The terms to be joined, if that saves more memory traffic than the copies cost."""
        terms = [self.values[a] for a in value.args] if value.op == "add" and value.time == "step" else []
        products = [v for v in terms if self._of_parameter(v, "matmul") and self.graph.only_for(v.id, value.id)]
        products.sort(key=lambda v: self.component[v.args[1]] != self.component[value.id])
        operands = [self.values[v.args[1]] for v in products]
        if len({v.id for v in operands}) < max(2, len(operands)):
            return None
        if self.component[operands[0].id] != self.component[value.id]:
            return None
        bias = next((v for v in terms if self._of_parameter(v, "expand")), None)
        saved = value.shape[0] * (len(products) - (bias is None))
        if sum(v.shape[0] for v in operands[1:]) > saved:
            return None
        rest = [v.id for v in terms if v not in products]
        if bias:
            rest.remove(bias.id)  # once: a bias that is added twice is one term and the bias of the product
        return Join(tuple(products), bias, tuple(rest))

    def _of_parameter(self, value: Value, op: str) -> bool:
        """Is it a vector that this operation makes of a parameter?"""
        return value.op == op and len(value.shape) == 1 and self.values[value.args[0]].op in ("param", "stacked")

    def _product(self, value: Value, terms: Join) -> int:
        """The sum as one product, and what was not joined."""
        graph = self.graph
        matrices = [v.args[0] for v in terms.products] + ([terms.bias.args[0]] if terms.bias else [])
        operands = [graph.new(v.args[1]) for v in terms.products]
        if terms.bias:
            operands.append(graph.emit("expand", graph.constant(1.0), attr="step", name="one"))
        first, state = self.values[matrices[0]].name, self.values[terms.products[0].args[1]].name
        matrix = graph.emit("beside", *map(graph.new, matrices), name=f"{first}_joined")
        operand = graph.emit("concat", *operands, name=f"{state}_joined")
        self.joined.append((terms, operand))
        whole = graph.emit("matmul", matrix, operand, name=value.name)
        return graph.emit("add", whole, *map(graph.new, terms.others), name=value.name)

    # ---- gradients
    def _column(self, value: Value) -> int | None:
        """The gradient of a joined matrix or bias, as columns of the gradient of all."""
        for terms, operand in self.joined if value.op in ("outer_sum", "batch_sum") else ():
            if self._complete(value.args[0], terms):
                low = 0
                for part in terms.products:
                    if value.op == "outer_sum" and value.args[1] == part.args[1]:
                        return self._columns(value, operand, low)
                    low += self.values[part.args[1]].shape[0]
                if terms.bias and value.op == "batch_sum":
                    return self._columns(value, operand, low)
        return None

    def _complete(self, adjoint: int, terms: Join) -> bool:
        """Does an adjoint meet every operand?"""
        met = {u.args[1] for u in self.graph.users[adjoint] if u.op == "outer_sum" and u.args[0] == adjoint}
        return all(v.args[1] in met for v in terms.products)

    def _columns(self, value: Value, operand: int, low: int) -> int:
        whole = self.graph.emit("outer_sum", self.graph.new(value.args[0]), operand, name=f"{value.name}_joined")
        return self.graph.emit("columns", whole, attr=(low, value.shape), name=value.name)
