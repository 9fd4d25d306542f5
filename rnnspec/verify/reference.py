"""What a model means, computed equation by equation and step by step from the typed tree.

This is slow and plain on purpose.  It shares nothing with the compiler behind the typed tree: no program, no pass, not
even the layout.  The arrays come from a `Library`, so the same few lines serve several ways to differentiate.

Every value has the axes (batch, feature ...); a value that is the same for all sequences has a batch of 1.  Steps count
from 1 as in the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.frontend.typed import Call, Expr, Input, Last, Mask, Model, Number, Parameter, Read, Target, walk
from rnnspec.verify.order import Group, groups

Array = Any
"""An array of whichever library: NumPy or torch."""

State = Mapping[str, np.ndarray]
"""The last steps of the window before this one: name -> (batch, steps, feature ...), the latest step last."""

ALIGNED = frozenset(
    ("add", "sub", "mul", "div", "where", "minimum", "maximum", "and", "or")
    + ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
)
"""Functions where a plain number may stand beside a vector or a matrix."""


Applied = Callable[..., Array]
DRAWN: dict[str, tuple[Callable[[Call], float], Applied]] = {
    "dropout": (lambda call: 1.0, lambda drawn, v: v * drawn),
    "zoneout": (lambda call: float(str(call.option("rate"))), lambda drawn, new, old: new + drawn * (old - new)),
    "noise": (lambda call: 0.0, lambda drawn, v: v + drawn),
}
"""Functions with random numbers: what evaluation takes instead, and what is done with them."""


UNDRAWN = 3.0
"""What a script draws that draws nothing, as none of it is read: were it read after all, another loss would show it."""


@dataclass(frozen=True)
class Library:
    """What a reference needs of an array library: how to make an array, and a row for each function."""

    array: Callable[[np.ndarray], Array]
    functions: Mapping[str, Callable[..., Array]]
    limited: Callable[[Array, str, float], Array] = lambda value, kind, most: value
    """The same value, its backward signal limited; a library that differentiates forwards has none."""


class Reference:
    """A model, ready to be computed with one array library."""

    def __init__(self, model: Model, library: Library) -> None:
        self.model = model
        self.library = library
        self.groups = groups(model)
        self.starts = {(s.name, s.step): s.expr for s in model.starts}

    def run(
        self,
        params: Mapping[str, Array],
        batch: Mapping[str, Any],
        drawn: Sequence[np.ndarray] | None = None,
        state: State | None = None,
    ) -> Run:
        """Compute all equations for one batch.

        `params` are arrays of the library with a batch axis in front (normally of size 1); `batch` has the layout that
        generated scripts read; `drawn` are random numbers by place, (batch, time, size), None for evaluation;
        `state` is what the window before left behind, see `Run.state`.
        """
        run = Run(self, params, batch, drawn)
        for name, steps in (state or {}).items():
            for back in range(steps.shape[1]):
                run.steps.setdefault(name, {})[-back] = self.library.array(steps[:, -1 - back])
        for group in self.groups:
            run.add(group)
        return run


class Run:
    """The values of a model for one batch: `steps[name][step]` of what changes with time, `once[name]` of the rest."""

    def __init__(
        self,
        reference: Reference,
        params: Mapping[str, Array],
        batch: Mapping[str, Any],
        drawn: Sequence[np.ndarray] | None,
    ) -> None:
        self.model, self.starts, self.drawn = reference.model, reference.starts, drawn
        self.library, self.limits = reference.library, dict(reference.model.state_clips)
        self.array, self.functions = reference.library.array, reference.library.functions
        self.steps: dict[str, dict[int, Array]] = {}
        self.once: dict[str, Array] = dict(params)
        self.statistics: dict[tuple[int, ...], tuple[Array, Array]] = {}
        items = data_of(self.model)
        self.batch = len(batch[items[0].name])
        self.last_step = max((np.shape(batch[i.name])[1] for i in items if i.when == "step"), default=0)
        self.length = np.asarray(batch["length"]) if self.model.masked else np.full(self.batch, self.last_step)
        self.seen = int(batch.get("seen", 0))  # steps that the window before had: they weigh nothing
        for item in items:
            self._read_data(item, np.asarray(batch[item.name]))

    def _read_data(self, item: Input | Target, data: np.ndarray) -> None:
        if isinstance(item, Target) and item.encoding == "labels":
            self.once[item.name] = data
            return
        if item.encoding in ("ids", "classes"):
            data = np.eye(item.shape[0])[data]
        if item.when == "step":
            by_step = data.reshape(self.batch, self.last_step, *item.shape)
            self.steps.setdefault(item.name, {}).update(
                {t: self.array(by_step[:, t - 1]) for t in range(1, self.last_step + 1)}
            )
        else:
            self.once[item.name] = self.array(data.reshape(self.batch, *item.shape))

    def add(self, group: Group) -> None:
        """Compute a group of equations; what it reads outside the group must be there."""
        if group.equations[0].when != "step":
            for equation in group.equations:
                self.once[equation.name] = self.value(equation.expr)
            return
        for step in range(1, self.last_step + 1)[:: group.direction]:
            for equation in group.equations:
                new = self._limited(equation.name, self.value(equation.expr, step))
                if self.model.masked and equation.name in group.held:
                    new = self._choose(step <= self.length, new, self._earlier(equation.name, step - 1))
                self.steps.setdefault(equation.name, {})[step] = new

    def _limited(self, name: str, value: Array) -> Array:
        """A value of every sequence, what comes back to it limited where the model says so."""
        limit = self.limits.get(name)
        if limit is None:
            return value
        nothing = self.array(np.zeros((self.batch, *self.model.shape_of(name))))
        return self.library.limited(value + nothing, limit.name, float(str(limit["max"])))

    def value(self, node: Expr, step: int = 0) -> Array:
        """The value of an expression at a step (any step for what does not change with time)."""
        match node:
            case Number():
                return self.array(np.array([node.value]))
            case Parameter():
                return self.once[node.name]
            case Read(when="step"):
                return self._read(node.name, step, node.lag) if node.lag >= 0 else self._later(node.name, step - node.lag)
            case Read():
                return self.once[node.name]
            case Last():
                return self._last(node.name)
            case Mask():
                return self.array((step <= self.length).astype(np.float64))
            case Call():
                return self._call(node, step)

    def _call(self, node: Call, step: int) -> Array:
        if node.function == "batch_norm":
            return self._batch_norm(node, step)
        if node.function in DRAWN:
            return self._with_drawn(node, step)
        if node.function == "ctc":
            scores = [self.value(node.args[0], t) for t in range(1, self.last_step + 1)]
            return self.functions["ctc"](scores, self.value(node.args[1]), self.length)
        if node.function.endswith("_over_time"):
            return self._over_time(node)
        if node.function == "pow":
            base, exponent = node.args
            assert isinstance(exponent, Number)
            return self.value(base, step) ** exponent.value
        args = [self.value(arg, step) for arg in node.args]
        if node.function in ALIGNED:
            args = _aligned(args)
        found = self.functions[node.function](*args, **dict(node.options))
        return found / self._mean_weight(node) if node.function == "cross_entropy" else found

    def _mean_weight(self, node: Call) -> float:
        """What the targets of a batch weigh in the mean: a weighted mean is a mean divided by it."""
        weights, ignore = node.option("weights"), node.option("ignore")
        each = np.array(weights if isinstance(weights, tuple) else np.ones(node.args[1].shape))
        if isinstance(ignore, int):
            each[ignore] = 0
        targets = [(share, np.asarray(self.value(node.args[1], step))) for step, share in self._shares()]
        return sum(float((share * (target @ each)).sum()) for share, target in targets) or 1.0

    def _shares(self) -> list[tuple[int, np.ndarray]]:
        """What each sequence weighs in the loss, step by step; at step 0 for a loss without time."""
        if self.model.loss.when != "step":
            return [(0, np.full(self.batch, 1 / self.batch))]
        steps = range(self.seen + 1, self.last_step + 1)
        count = sum((t <= self.length).sum() for t in steps)
        return [(t, (t <= self.length) / count) for t in steps]

    def _over_time(self, node: Call) -> Array:
        """A sum, mean or maximum over the valid steps of each sequence."""
        found = self.value(node.args[0], 1)
        for step in range(2, self.last_step + 1):
            new = self.value(node.args[0], step)
            more = self.functions["maximum"](found, new) if node.function == "max_over_time" else found + new
            found = self._choose(step <= self.length, more, found)
        if node.function != "mean_over_time":
            return found
        return self.functions["div"](*_aligned([found, self.array(self.length.astype(np.float64))]))

    def _batch_norm(self, node: Call, step: int) -> Array:
        """(v - mean) / sqrt(variance + eps) * g + b; means of the batch in training, running averages in evaluation."""
        v, *affine, average, variance = (self.value(arg, step) for arg in node.args)
        if self.drawn is not None:
            average, variance = self._statistics(node, step)
        normed = (v - average) / self.functions["sqrt"](variance + float(str(node.option("eps"))))
        for apply, number in zip(("mul", "add"), affine, strict=False):
            normed = self.functions[apply](normed, number)
        return normed

    def _statistics(self, node: Call, step: int) -> tuple[Array, Array]:
        """Mean and variance over the sequences at this step; over all steps too for what no recurrence changes.

        What changes with the sequence only is one value of each, whichever step reads it: step 0.
        """
        each = [step] if node.option("inside") else list(range(1, self.last_step + 1))
        steps = each if node.when == "step" else [0]
        key = (id(node), *steps)
        if key not in self.statistics:
            valid = [np.asarray(t <= self.length if t else self.length >= 0, np.float64) for t in steps]
            count = max(1.0, float(sum(v.sum() for v in valid)))
            values = [(self.value(node.args[0], t), self.array(v[:, None] / count)) for t, v in zip(steps, valid, strict=True)]
            mean = sum((value * weight).sum(0) for value, weight in values)
            variance = sum(((value - mean) ** 2 * weight).sum(0) for value, weight in values)
            self.statistics[key] = mean, variance
        return self.statistics[key]

    def _with_drawn(self, node: Call, step: int) -> Array:
        """A function of its values and of what was drawn for its place."""
        mean, applied = DRAWN[node.function]
        values = _aligned([self.value(arg, step) for arg in node.args])
        if self.drawn is None:
            return applied(mean(node), *values)
        undrawn = np.full((1, 1, *(node.shape or (1,))), UNDRAWN)
        numbers = self.drawn[int(str(node.option("place")))] if self.drawn else undrawn
        shared = numbers.shape[1] == 1 or node.when != "step"
        at_step = numbers[:, 0 if shared else step - 1]
        return applied(self.array(at_step.reshape(len(at_step), *node.shape)), *values)

    def _earlier(self, name: str, step: int) -> Array:
        """A value at this step or before the first one, where it has its start value or zero."""
        known = self.steps.setdefault(name, {})
        if step not in known:
            assert step <= 0, f"{name} is not known at step {step}"
            known[step] = self._start(name, step)
        return known[step]

    def _read(self, name: str, step: int, lag: int, since: int = 0) -> Array:
        """v[step - lag]; where a piece began less than `lag` steps ago, and `since` at least, a start of its own."""
        found = self._earlier(name, step - lag)
        for ago in reversed(range(since, lag)) if self.model.begins else ():
            if step - ago >= 1:  # the window before has seen to its own pieces
                begins = self.functions["greater"](self.steps[self.model.begins][step - ago], self.array(np.zeros(1)))
                found = self.functions["where"](*_aligned([begins, self._start(name, 1 + ago - lag), found]))
        return found

    def _later(self, name: str, step: int) -> Array:
        """A value at a later step; behind the end of each sequence its start value or zero."""
        found = self._zeros(name)
        if step <= self.last_step:
            found = self._choose(step <= self.length, self.steps[name][step], found)
        for other, distance in self.starts:
            if other == name and distance > 0:
                found = self._choose(step - distance == self.length, self._start(name, distance), found)
        return found

    def _start(self, name: str, step: int) -> Array:
        expr, zeros = self.starts.get((name, step)), self._zeros(name)
        if expr is None:
            return zeros
        return self.functions["add"](*_aligned([zeros, self.value(expr)]))  # a number starts all features alike

    def _zeros(self, name: str) -> Array:
        return self.array(np.zeros((1, *self.model.shape_of(name))))

    def _last(self, name: str) -> Array:
        """The value at the last valid step of each sequence."""
        values = self.steps[name]
        found = values[self.last_step]
        for step in sorted(set(self.length.tolist()) - {self.last_step}):
            found = self._choose(self.length == step, values[step], found)
        return found

    def _choose(self, condition: Array, a: Array, b: Array) -> Array:
        return self.functions["where"](*_aligned([self.array(condition), a, b]))

    def loss_parts(self) -> Array:
        """What each sequence contributes to the loss, (batch,): the loss is the sum."""
        parts = sum(self.array(share) * self.value(self.model.loss, step) for step, share in self._shares())
        return parts + self._penalty() / self.batch

    def _penalty(self) -> Array:
        """The penalties on parameters, one number or one for each sequence."""
        total = self.array(np.zeros(1))
        for info in self.model.parameters:
            value = self.once[info.name]
            if info.l1:
                total = total + info.l1 * self.functions["sum"](self.functions["abs"](value))
            if info.l2:
                total = total + info.l2 * self.functions["sum"](value * value)
        return total

    def over_time(self, name: str) -> np.ndarray:
        """One variable as an array of NumPy: (batch, steps, feature ...), or (batch, feature ...) without time."""
        shape = (self.batch, *self.model.shape_of(name))
        if name in self.once:
            return np.broadcast_to(np.asarray(self.once[name]), shape)
        return self._stacked(name, [self.steps[name][t] for t in range(1, self.last_step + 1)])

    def state(self, last: int | None = None) -> dict[str, np.ndarray]:
        """What a window needs that goes on behind step `last` (by default the last one): all that is read at earlier steps."""
        lags: dict[str, int] = {}
        for equation in self.model.equations:
            for node in _reads(equation.expr):
                lags[node.name] = max(lags.get(node.name, 0), node.lag)
        last = self.last_step if last is None else last
        found = {name: [self._read(name, last + 1, k, since=1) for k in range(lag, 0, -1)] for name, lag in lags.items()}
        return {name: self._stacked(name, values) for name, values in found.items() if values}

    def _stacked(self, name: str, values: Sequence[Array]) -> np.ndarray:
        shape = (self.batch, *self.model.shape_of(name))
        return np.stack([np.broadcast_to(np.asarray(value), shape) for value in values], axis=1)


def data_of(model: Model) -> tuple[Input | Target, ...]:
    """All that the data provides, inputs first."""
    return (*model.inputs, *model.targets)


def _reads(expr: Expr) -> list[Read]:
    return [node for node in walk(expr) if isinstance(node, Read)]


def _aligned(args: list[Array]) -> list[Array]:
    """The same arrays with as many axes each, so that a number of each sequence meets all features of that sequence."""
    axes = max(arg.ndim for arg in args)
    return [arg.reshape(*arg.shape, *(1,) * (axes - arg.ndim)) for arg in args]
