"""Outer products summed over time become one matrix product behind the loop; transposes are taken once.

outer_sum(a, b)          ->  gram(flat(a), flat(b))      flat: all steps and sequences as columns
batch_sum(a)             ->  row_sum(flat(a))
transpose(W) @ a         ->  copy(transpose(W)) @ a      a contiguous copy, faster for the many products of a loop
W @ one_hot(ids)         ->  lookup(W, ids)              (in `lookups`)
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.program import Program, Value


def weight_gradients(program: Program) -> Program:
    """The same program with sums over time as products of whole sequences."""
    users, graph, values = program.users(), Rewrite(program), program.values

    def flat(item: int) -> int:
        """A concatenation that only weight gradients read is made from the flat parts: it need not exist a step."""
        value = values[item]
        if value.op == "concat" and all(u.op in ("outer_sum", "batch_sum") for u in users[item]):
            return graph.emit("concat", *map(flat, value.args), name=f"{value.name}_flat")
        return graph.emit("flat", graph.new(item), name=f"{value.name}_flat")

    def rewritten(value: Value) -> int:
        timed = bool(value.args) and values[value.args[0]].time == "step"
        if value.op == "outer_sum" and timed and len(values[value.args[0]].shape) == 1:
            return graph.emit("gram", *map(flat, value.args), name=value.name)
        if value.op == "batch_sum" and timed and len(value.shape) == 1:
            return graph.emit("row_sum", flat(value.args[0]), name=value.name)
        if value.op == "matmul" and value.time == "step":
            left = values[value.args[0]]
            if left.op == "transpose" and left.time == "fixed":
                matrix = graph.emit("copy", graph.new(left.id), name=f"{values[left.args[0]].name}_T")
                return graph.emit("matmul", matrix, graph.new(value.args[1]), name=value.name)
        return graph.rebuild(value)

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        graph.replace(value.id, rewritten(value))
    return graph.done()
