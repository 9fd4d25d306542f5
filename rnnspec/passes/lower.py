"""Typed tree -> program: broadcasting, masks and starts made explicit; functions spelled out in operations.

Time becomes `shift`.  With sequences of unequal length, a variable that is read at an earlier step of its own recurrence is
held behind the end of a sequence, and what is read at a later step has its start value there; nothing else needs a mask,
because loss terms behind the end weigh nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rnnspec.diagnostics import Span
from rnnspec.frontend import typed
from rnnspec.ir.graph import Graph
from rnnspec.ir.ops import COMPUTED
from rnnspec.ir.order import components, depth_first
from rnnspec.ir.program import Origin, Program, Roots, Shape
from rnnspec.passes.functions import FUNCTIONS, constant_of
from rnnspec.passes.operands import Operands


def lower(model: typed.Model, name: str = "model") -> Program:
    """The program of a model: its loss and the variables that loss and metrics read."""
    lowering = Lowering(model)
    for equation in lowering.in_order():
        lowering.equation(equation)
    return lowering.finish(name)


class Lowering(Operands):
    """The graph under construction, and what each name of the model has become in it."""

    def __init__(self, model: typed.Model) -> None:
        super().__init__(Graph())
        self.model = model
        self.equations = {e.name: e for e in model.equations}
        self.starts = {(s.name, s.step): s for s in model.starts}
        self.values: dict[str, int] = {}
        self.promises: dict[str, int] = {}
        self.leads: dict[str, int] = {}
        self.parameters = {
            p.name: self.graph.leaf("param", p.name, stored(p.shape), "fixed", p.trainable) for p in model.parameters
        }
        self.mask, self.valid = self._masks()
        self.share = self.graph.leaf("share", "share", (1,), "step" if model.loss.when == "step" else "sequence")
        self.recurrent = recurrent_names(model)
        for item in model.inputs:
            self._data(item)
        for target in model.targets:
            self._data(target)

    def _masks(self) -> tuple[int, int]:
        """The mask as a number and as a condition; without lengths every step is valid."""
        if self.model.masked:
            return self.graph.leaf("mask", "mask", (1,), "step"), self.graph.leaf("valid", "valid", (1,), "step")
        one = self.graph.constant(1.0)
        return one, self.graph.emit("greater", one, self.graph.constant(0.0))

    def _data(self, item: typed.Input | typed.Target) -> None:
        if item.encoding == "real":
            self.values[item.name] = self.graph.leaf("input", item.name, stored(item.shape), item.when)
            return
        if isinstance(item, typed.Target) and item.longest:
            self.values[item.name] = self.graph.leaf("labels", item.name, (item.longest,), item.when, item.shape[0])
            return
        ids = self.graph.leaf("ids", item.name, (), item.when, item.shape[0])
        one_hot = item.encoding == "ids"
        self.values[item.name] = self.graph.emit("one_hot", ids, attr=item.shape[0], name=item.name) if one_hot else ids

    # ---- order
    def in_order(self) -> list[typed.Equation]:
        """Equations, each behind those it reads at the same step or through a start."""
        return [self.equations[n] for n in depth_first(self.equations, self._needs)]

    def _needs(self, name: str) -> list[str]:
        return self._reads(self.equations[name].expr)

    def _reads(self, expr: typed.Expr) -> list[str]:
        found: dict[str, None] = {}
        for node in typed.walk(expr):
            if isinstance(node, typed.Last) or (isinstance(node, typed.Read) and node.lag == 0):
                found[node.name] = None
            elif isinstance(node, typed.Read):
                for start in self._start_equations(node.name, node.lag):
                    found.update(dict.fromkeys(self._reads(start.expr)))
        return [n for n in found if n in self.equations]

    def _start_equations(self, name: str, lag: int) -> list[typed.Start]:
        """The starts that a read reaches: v[0] .. v[1-lag] of a lag, v[T+1] .. v[T-lag] of a lead."""
        steps = range(0, -lag, -1) if lag > 0 else range(1, 1 - lag)
        return [self.starts[name, step] for step in steps if (name, step) in self.starts]

    # ---- equations
    def equation(self, equation: typed.Equation) -> None:
        """Add one equation."""
        self._at(equation.span, equation.name, instance(equation))
        value = self.expression(equation.expr)
        if equation.when != "fixed":
            value = self.at_time(value, equation.when)
        value = self._clipped(equation.name, value)
        if equation.name in self.recurrent and self.model.masked:
            before = self._shift(equation.name, 1, stored(equation.expr.shape))
            self._at(equation.span, equation.name, instance(equation))
            value = self.graph.emit("select", self.spread(self.valid, value), value, before, name=equation.name)
        self.values[equation.name] = self._named(value, equation.name)
        if equation.name in self.promises:
            self.graph.keep_promise(self.promises[equation.name], self.graph.storable(self.values[equation.name]))

    def _clipped(self, name: str, value: int) -> int:
        """A value whose adjoint is limited, if it is asked for; the name keeps those of two states apart."""
        limit = dict(self.model.state_clips).get(name)
        if limit is None:
            return value
        with self._about(f"clip of {name}: {limit.name}({limit['max']})"):
            return self.graph.emit("clip_gradient", value, attr=(limit.name, limit["max"], name))

    def _at(self, span: Span | None, name: str, instance: str = "") -> None:
        self.graph.hint = name
        prefix = f"{instance}: " if instance else ""
        self.graph.origin = Origin(prefix + one_line(span.text), one_line(span.place)) if span else None

    @contextmanager
    def _about(self, text: str) -> Iterator[None]:
        """What an equation needs but does not say comes from its place, with a text of its own."""
        outside = self.graph.origin
        self.graph.origin = replace(outside, text=one_line(text)) if outside else None
        yield
        self.graph.origin = outside

    def _named(self, value: int, name: str) -> int:
        """Give a value the name of its equation, where it is a value of its own."""
        if self.graph[value].op != "one_hot" and value not in self.values.values():
            self.graph.rename(value, name)
        return value

    # ---- expressions
    def expression(self, expr: typed.Expr) -> int:
        """The value of an expression."""
        if isinstance(expr, typed.Number):
            return self.graph.constant(expr.value)
        if isinstance(expr, typed.Parameter):
            return self.parameters[expr.name]
        if isinstance(expr, typed.Mask):
            return self.mask
        if isinstance(expr, typed.Last):
            return self.graph.emit("last", self.graph.storable(self.values[expr.name]), name=f"{expr.name}_T")
        if isinstance(expr, typed.Read):
            shape = stored(expr.shape)
            return self._shift(expr.name, expr.lag, shape) if expr.lag else self.values[expr.name]
        number = constant_of(expr)
        return FUNCTIONS[expr.function](self, expr) if number is None else self.graph.constant(number)

    # ---- time
    def _shift(self, name: str, lag: int, shape: Shape) -> int:
        if lag < 0 and self.model.masked:
            return self._lead(name, -lag, shape)
        if self.model.begins:
            return self._in_piece(name, lag, shape)
        starts = self._starts(name, lag, shape)
        return self.graph.shift(self._operand(name), lag, shape, starts, f"{name}_{'next' if lag < 0 else 'last'}")

    def _in_piece(self, name: str, lag: int, shape: Shape) -> int:
        """v[t - lag] where states are set back: step by step, so that v[0], v[-1] ... stand in front of each piece."""
        start = self._start(name, 1 - lag, shape)
        before = self._operand(name) if lag == 1 else self.graph.storable(self._in_piece(name, lag - 1, shape))
        with self._about(f"{name}[t-{lag}], set back where a piece begins"):
            value = self.graph.shift(before, 1, shape, [start] if (name, 1 - lag) in self.starts else [], f"{name}_last")
            nothing = self.at_time(self.graph.constant(0.0), "step")
            begins = self.graph.emit("greater", self.values[self.model.begins], nothing, name="new_piece")
            first = self.at_time(start, "step")
            return self.graph.emit("select", self.spread(begins, value), first, value, name=f"{name}_before")

    def _operand(self, name: str) -> int:
        if name in self.values:
            return self.graph.storable(self.values[name])
        return self.promises.setdefault(name, self.graph.promise())

    def _starts(self, name: str, lag: int, shape: Shape) -> list[int]:
        steps = range(0, -lag, -1) if lag > 0 else range(1, 1 - lag)
        if not any((name, step) in self.starts for step in steps):
            return []
        return [self._start(name, step, shape) for step in steps]

    def _start(self, name: str, step: int, shape: Shape) -> int:
        start = self.starts.get((name, step))
        value = self.graph.constant(0.0)
        if start is not None:
            outside = self.graph.origin, self.graph.hint
            self._at(start.span, f"{name}_start")
            value = self.expression(start.expr)
            self.graph.origin, self.graph.hint = outside
        return self.as_shape(self.at_time(value, "sequence"), shape)

    def _lead(self, name: str, steps: int, shape: Shape) -> int:
        """v[t + steps] where lengths differ: step by step, so that behind the end of each sequence stand v[T+1], v[T+2] ..."""
        started = any(other == name and step > 0 for other, step in self.starts)
        if name not in self.leads:
            self.leads[name] = self.graph.promise()
        if not started:
            return self.graph.shift(self.leads[name], -steps, shape, (), f"{name}_next")
        start = self._start(name, steps, shape)
        kept = self.leads[name] if steps == 1 else self._or_start(self._lead(name, steps - 1, shape), start)
        return self.graph.shift(kept, -1, shape, [start], f"{name}_next")

    def _or_start(self, value: int, start: int) -> int:
        """A value at the valid steps, a start behind them."""
        return self.graph.emit("select", self.spread(self.valid, value), value, self.at_time(start, "step"))

    def _keep_leads(self) -> None:
        for name, promise in self.leads.items():
            value, equation = self.values[name], self.equations.get(name)  # an input has none
            self._at(equation.span if equation else None, f"{name}_or_start", instance(equation) if equation else "")
            self.graph.keep_promise(promise, self._or_start(value, self._start(name, 1, self.graph[value].shape)))

    # ---- loss
    def finish(self, name: str) -> Program:
        """Add the loss and gather the roots."""
        outputs = self._outputs()  # before the loss: to predict, a script runs up to it
        self._at(self.model.loss_span, "loss")
        value = self.expression(self.model.loss)
        self._keep_leads()  # when all that looks ahead has been read
        self._at(self.model.loss_span, "loss")
        value = self.at_time(value, self.graph[self.share].time)
        loss = self.graph.emit("mean_loss", value, self.share, name="loss")
        return self.graph.finish(name, Roots(loss, outputs, averages=tuple(self.averages)))

    def _outputs(self) -> tuple[tuple[str, int], ...]:
        """The variables that loss and metrics read."""
        nodes = [n for e in (self.model.loss, *(m.expr for m in self.model.metrics)) for n in typed.walk(e)]
        names = [n.name for n in nodes if isinstance(n, typed.Read | typed.Last) and n.name in self.equations]
        return tuple((name, self._computed(name)) for name in dict.fromkeys(names))

    def _computed(self, name: str) -> int:
        """A variable that the script can hand out: with storage of its own."""
        value = self.values[name]
        return value if self.graph[value].op in COMPUTED else self.graph.emit("copy", value, name=name)


def instance(equation: typed.Equation) -> str:
    """The name of the cell that an equation belongs to: `h1` for h1 and h1.c."""
    return equation.name.partition(".")[0] if equation.call else ""


def one_line(text: str) -> str:
    """Text for a comment of the script: without comments of its own, on one line, with nothing that could end it."""
    line = " ".join(re.sub(r"#[^\n]*", "", text).split())
    return "".join(c if c.isprintable() else "?" for c in line)


def stored(shape: Shape) -> Shape:
    """A number is a vector of one row."""
    return shape or (1,)


def recurrent_names(model: typed.Model) -> set[str]:
    """Variables that a recurrence reads at an earlier step: the ones that are held behind the end of a sequence."""
    equations = {e.name: e for e in model.equations}

    def reads(name: str) -> list[str]:
        nodes = typed.walk(equations[name].expr)
        return [n.name for n in nodes if isinstance(n, typed.Read) and n.name in equations]

    where, _ = components(equations, reads)
    return {
        node.name
        for e in model.equations
        for node in typed.walk(e.expr)
        if isinstance(node, typed.Read) and node.lag > 0 and where.get(node.name) == where[e.name]
    }
