"""Running averages: what a normalisation over the batch keeps for evaluation, as parameters that are not trained.

A call `batch_norm(v, g, b)` becomes `batch_norm(v, g, b, mean, variance)` with two parameters of its own, so that they are
saved, restored and handed out like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.typed import Call, Expr, Last, Model, Parameter, ParameterInfo, Read, Setting, walk
from rnnspec.ir.order import components

STARTS = {"running_mean": "zeros", "running_var": "ones"}
"""The averages of a call, and how they start: those of numbers that are normalised already."""


def with_averages(model: Model) -> Model:
    """The same model with running averages for every call that has some."""
    equations = {e.name: e for e in model.equations}

    def reads(name: str) -> list[str]:
        found = (n.name for n in walk(equations[name].expr) if isinstance(n, Read | Last))
        return [n for n in found if n in equations]

    where, _ = components(equations, reads)
    averages = _Averages(where)
    return replace(
        model,
        equations=tuple(replace(e, expr=averages.added(e.expr, e.name)) for e in model.equations),
        starts=tuple(replace(s, expr=averages.added(s.expr, s.name)) for s in model.starts),
        parameters=(*model.parameters, *averages.infos.values()),
    )


@dataclass
class _Averages:
    """The averages made so far; `where` has the recurrence that each variable is part of."""

    where: Mapping[str, int]
    infos: dict[str, ParameterInfo] = field(default_factory=dict)

    def added(self, expr: Expr, name: str) -> Expr:
        """An expression of the equation of this name, with averages in its calls."""
        if not isinstance(expr, Call):
            return expr
        call = replace(expr, args=tuple(self.added(arg, name) for arg in expr.args))
        if expr.function not in FUNCTIONS or not FUNCTIONS[expr.function].averaged:
            return call
        reads = (node.name for node in walk(call.args[0]) if isinstance(node, Read))
        inside = any(self.where.get(read) == self.where[name] for read in reads)
        averages = tuple(self._average(f"{name}.{kind}", start, call) for kind, start in STARTS.items())
        return replace(call, args=(*call.args, *averages), options=(*call.options, ("inside", inside)))

    def _average(self, wish: str, start: str, call: Call) -> Parameter:
        name, count = wish, 1
        while name in self.infos:
            count += 1
            name = f"{wish}_{count}"
        info = ParameterInfo(name, call.shape, Setting(start), trainable=False, average=True, span=call.span)
        self.infos[name] = info
        return Parameter(name, info.shape)
