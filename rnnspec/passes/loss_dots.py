"""The loss of a sum of products is taken at once: neither the products nor their sums are stored.

mean_loss(total(mul(a, b)), share)             ->  mean_dot(a, b, share) {1}
mean_loss(weighted_total(square(a), k), share) ->  mean_dot(a, a, share) {k}
"""

from __future__ import annotations

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import OPS
from rnnspec.ir.program import Program, Value


def loss_dots(program: Program) -> Program:
    """The same program; its loss is one operation where it is a sum of products that nothing else reads."""
    graph, values = Rewrite(program), program.values

    def factors(item: int, reader: Value) -> tuple[int, ...]:
        """The two operands of a product that only one value reads; none if one of them is only repeated."""
        value = values[item]
        args = value.args * 2 if value.op == "square" else value.args if value.op == "mul" else ()
        stored = not any(OPS[values[a].op].repeated for a in args)
        return args if len(args) == 2 and stored and graph.only_for(item, reader.id) else ()

    def mean_loss(value: Value) -> int:
        """The loss in one operation, or as it is."""
        terms, share = (values[a] for a in value.args)
        groups, factor = terms.attr if terms.op == "weighted_total" else (terms.attr, 1.0)
        summed = terms.op in ("total", "weighted_total") and groups == 1
        found = factors(terms.args[0], terms) if summed and graph.only_for(terms.id, value.id) else ()
        if not found:
            return graph.rebuild(value)
        graph.origin = terms.origin
        return graph.emit("mean_dot", *map(graph.new, (*found, share.id)), attr=factor, name=value.name)

    for value in values.values():
        graph.origin, graph.hint = value.origin, value.name
        graph.replace(value.id, mean_loss(value) if value.op == "mean_loss" else graph.rebuild(value))
    return graph.done()
