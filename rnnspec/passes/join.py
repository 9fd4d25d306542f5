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
    graph, values, users = Rewrite(program), program.values, program.users()
    roots, component = set(program.roots.ids()), recurrences(values)[0]
    joined: list[tuple[Join, int]] = []  # and the operand that holds all of its operands

    def candidate(value: Value) -> Join | None:
        """The terms to be joined, if that saves more memory traffic than the copies cost."""
        terms = [values[a] for a in value.args] if value.op == "add" and value.time == "step" else []
        products = [v for v in terms if is_product(v) and [u.id for u in users[v.id]] == [value.id] and v.id not in roots]
        products.sort(key=lambda v: component[v.args[1]] != component[value.id])
        operands = [values[v.args[1]] for v in products]
        if len({v.id for v in operands}) < max(2, len(operands)) or component[operands[0].id] != component[value.id]:
            return None
        bias = next((v for v in terms if is_bias(v)), None)
        saved = value.shape[0] * (len(products) - (bias is None))
        if sum(v.shape[0] for v in operands[1:]) > saved:
            return None
        rest = tuple(v.id for v in terms if v not in products and v is not bias)
        return Join(tuple(products), bias, rest)

    def is_product(value: Value) -> bool:
        return value.op == "matmul" and len(value.shape) == 1 and values[value.args[0]].op in ("param", "stacked")

    def is_bias(value: Value) -> bool:
        return value.op == "expand" and len(value.shape) == 1 and values[value.args[0]].op in ("param", "stacked")

    def product(value: Value, terms: Join) -> int:
        """The sum as one product, and what was not joined."""
        matrices = [v.args[0] for v in terms.products] + ([terms.bias.args[0]] if terms.bias else [])
        operands = [graph.new(v.args[1]) for v in terms.products]
        if terms.bias:
            operands.append(graph.emit("expand", graph.constant(1.0), attr="step", name="one"))
        name = values[matrices[0]].name
        matrix = graph.emit("beside", *map(graph.new, matrices), name=f"{name}_joined")
        operand = graph.emit("concat", *operands, name=f"{values[terms.products[0].args[1]].name}_joined")
        joined.append((terms, operand))
        whole = graph.emit("matmul", matrix, operand, name=value.name)
        return graph.emit("add", whole, *map(graph.new, terms.others), name=value.name) if terms.others else whole

    def column(value: Value) -> int | None:
        """The gradient of a joined matrix or bias, as columns of the gradient of all."""
        for terms, operand in joined:
            low = 0
            for part in terms.products:
                right = part.args[1]
                if value.op == "outer_sum" and value.args[1] == right and complete(value.args[0], terms):
                    return columns(value, operand, low)
                low += values[right].shape[0]
            if terms.bias and value.op == "batch_sum" and complete(value.args[0], terms):
                return columns(value, operand, low)
        return None

    def complete(adjoint: int, terms: Join) -> bool:
        """Does an adjoint meet every operand?"""
        met = {u.args[1] for u in users[adjoint] if u.op == "outer_sum" and u.args[0] == adjoint}
        return all(v.args[1] in met for v in terms.products)

    def columns(value: Value, operand: int, low: int) -> int:
        whole = graph.emit("outer_sum", graph.new(value.args[0]), operand, name=f"{value.name}_joined")
        return graph.emit("columns", whole, attr=(low, value.shape), name=value.name)

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        terms = candidate(value)
        made = product(value, terms) if terms else column(value)
        graph.replace(value.id, graph.rebuild(value) if made is None else made)
    return graph.done()
