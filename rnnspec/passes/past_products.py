"""Products of the past: what a recurrence reads of a product one step later is multiplied there.

(W @ v)[t-1]  ->  W @ v[t-1]

Then a step begins with products of what the step before has left, in both directions of time, and everything else follows in
one piece: the form that a kernel needs which goes through all steps by itself.
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.order import recurrences
from rnnspec.ir.program import Program, Value


def past_products(program: Program) -> Program:
    """The same program with products of shifted operands in place of shifted products, inside of recurrences."""
    graph, values = Rewrite(program), program.values
    where, loops = recurrences(values)

    def moved(value: Value) -> int | None:
        """What a shift becomes; None where it stays."""
        inner = values[value.args[0]]
        if inner.op != "matmul" or len(value.args) > 1 or len(inner.shape) > 1:
            return None
        matrix, vector = (values[a] for a in inner.args)
        if matrix.time != "fixed" or where[value.id] not in loops or where[value.id] != where[inner.id]:
            return None
        past = graph.shift(
            graph.later(vector.id), value.attr, vector.shape, (), f"{vector.name}_{'last' if value.attr > 0 else 'next'}"
        )
        return graph.emit("matmul", fixed(matrix), past, name=inner.name)

    def fixed(matrix: Value) -> int:
        """A matrix, which may come later in the program than it is needed now."""
        if matrix.id in graph.made:
            return graph.new(matrix.id)
        return graph.emit(matrix.op, *(fixed(values[a]) for a in matrix.args), attr=matrix.attr, name=matrix.name)

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        made = moved(value) if value.op == "shift" else None
        graph.replace(value.id, graph.rebuild(value) if made is None else made)
    return graph.done()
