"""Outer products summed over time become one matrix product behind the loop; transposes are taken once.

outer_sum(a, b)          ->  gram(flat(a), flat(b))      flat: all steps and sequences as columns
outer_sum(concat(a, c))  ->  concat of both              where nothing else reads the concatenation
batch_sum(a)             ->  row_sum(flat(a))            where the gradient of a matrix flattens it anyway
transpose(W) @ a         ->  copy(transpose(W)) @ a      a contiguous copy, faster for the many products of a loop
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.order import now_args, sort_values
from rnnspec.ir.program import Program, Value


def weight_gradients(program: Program) -> Program:
    """The same program with sums over time as products of whole sequences."""
    users, graph, values = program.users(), Rewrite(program), program.values

    def flat(item: int) -> int:
        """All steps of a value as columns: rows of something larger that is flattened anyway, where there is one."""
        for user in users[item]:
            whole = user.op == "concat" and not summed(user) and any(u.op == "outer_sum" for u in users[user.id])
            if whole and user.id in graph.made and user.args.count(item) == 1:
                low = sum(values[a].shape[0] for a in user.args[: user.args.index(item)])
                span = (low, low + values[item].shape[0])
                return graph.emit("rows", flat(user.id), attr=span, name=f"{values[item].name}_flat")
        return graph.emit("flat", graph.new(item), name=f"{values[item].name}_flat")

    def summed(value: Value) -> bool:
        """Do only weight gradients read it?  Then a concatenation need not exist: each part has its rows of the gradient."""
        return value.op == "concat" and all(u.op in ("outer_sum", "batch_sum") for u in users[value.id])

    def flattened(item: int) -> bool:
        """Is a value flattened for the gradient of a matrix?"""
        readers = [r for u in users[item] for r in (users[u.id] if u.op == "concat" else [u])]
        return any(r.op == "outer_sum" for r in readers)

    def batch_sum(item: int, name: str) -> int:
        """The sum over steps and sequences, part by part."""
        value = values[item]
        if summed(value):
            return graph.emit("concat", *(batch_sum(a, name) for a in value.args), name=name)
        if flattened(item):
            return graph.emit("row_sum", flat(item), name=name)
        return graph.emit("batch_sum", graph.new(item), name=name)

    def by_parts(item: int) -> list[int]:
        """The flat parts of a concatenation that is only summed; else the flat value itself."""
        value = values[item]
        if summed(value):
            return [part for a in value.args for part in by_parts(a)]
        return [flat(item)]

    def rewritten(value: Value) -> int:
        timed = bool(value.args) and values[value.args[0]].time == "step"
        if value.op == "outer_sum" and timed and len(values[value.args[0]].shape) == 1:
            left, right = value.args
            grams = [graph.emit("gram", a, flat(right), name=value.name) for a in by_parts(left)]
            return graph.emit("concat", *grams, name=value.name)
        if value.op == "batch_sum" and timed and len(value.shape) == 1:
            return batch_sum(value.args[0], value.name)
        if value.op == "matmul" and value.time == "step":
            left_value = values[value.args[0]]
            if left_value.op == "transpose" and left_value.time == "fixed":
                name = f"{values[left_value.args[0]].name}_T"
                matrix = graph.emit("copy", graph.new(left_value.id), name=name)
                return graph.emit("matmul", matrix, graph.new(value.args[1]), name=value.name)
        return graph.rebuild(value)

    forward = sort_values(values, [program.roots.loss, *(v for _, v in program.roots.outputs)])
    sums: set[int] = set()  # and what is made from them: rebuilt when all that they could share exists
    for value in values.values():
        summed_up = value.op in ("outer_sum", "batch_sum") or any(a in sums for a in now_args(value))
        if summed_up and value.id not in forward:
            sums.add(value.id)
    for item in sorted(values, key=sums.__contains__):
        graph.origin, graph.hint = values[item].origin, values[item].name
        graph.replace(item, rewritten(values[item]))
    return graph.done()
