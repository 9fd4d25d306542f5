"""Random models, valid by construction: typed trees that are made from the inside out and printed as `.rnn` text.

`random_sketch(random)` needs only a `random.Random`; `sketches()` is the same as a hypothesis strategy.  The choices
lean towards what the passes rewrite: gates that share their vectors, equal subexpressions, parameters with several
readers, lags, matrices as states, cells in both directions, names that a generated script might use itself.
"""

from __future__ import annotations

import random as python_random
from dataclasses import dataclass, replace

from hypothesis import strategies

from rnnspec.frontend.cell_definitions import LIBRARY
from rnnspec.frontend.typed import (
    Equation,
    Expr,
    Input,
    Last,
    Mask,
    Parameter,
    ParameterInfo,
    Read,
    Setting,
    Shape,
    Start,
    Target,
    When,
    walk,
)
from rnnspec.frontend.words import OF_BATCHES
from tests.nodes import add, at, call, mul, sigmoid, tanh
from tests.random_expressions import Expressions
from tests.sketch import CellCall, Sketch

SIZES = (2, 4, 6, 7, 8, 9)
"""Different from each other and from the steps and sequences of a probe, so that no misplaced axis can hide."""

NAMES = (
    ["w", "p", "g", "t_", "dh", "h_1", "out", "np", "lambda_", "in_", "h", "c", "a", "s", "i", "z", "B", "dw", "k"]
    + ["lambda", "class", "is", "self", "params", "batch", "step_", "steps", "state", "loss_", "forward", "x_2", "h_2"]
    + ["g_1", "zip", "range", "float", "share", "length", "d", "dx", "dy", "dW_1", "out_", "one", "h_W_i", "ids", "len"]
    + ["fresh", "h_c"]
)

CELLS = [name for name, cell in LIBRARY.items() if [a.name for a in cell.args if a.default is None] == ["units"]]
CELLS.remove("clockwork")
CELLS.remove("bn_lstm")
CELLS.remove("bn_light_gru")
"""Those that need nothing but `units`, and whose output has this size.

Not those with batch norm: the norm of an input that is the same for all sequences would multiply round-off by 316 at each step.
"""


LOOK_BACK = ("qrnn", "rwkv")
"""Cells that read their input at the step before, so it must change with time."""


@dataclass(frozen=True)
class Known:
    """A variable that later equations may read; `sign` is the sign of the lags at which it may be read."""

    name: str
    shape: Shape
    when: When
    sign: int


def random_sketch(random: python_random.Random) -> Sketch:
    """One random model."""
    return Builder(random).sketch()


def sketches() -> strategies.SearchStrategy[Sketch]:
    """Random models for hypothesis, which shrinks them."""
    return strategies.randoms(use_true_random=False).map(random_sketch)


class Builder:
    """Grows one model: inputs, then stages of equations that each read what stands before them, then a loss."""

    def __init__(self, random: python_random.Random) -> None:
        self.random = random
        self.names = random.sample(NAMES, len(NAMES))
        self.sizes = random.sample(SIZES, len(SIZES))
        self.parameters: dict[str, ParameterInfo] = {}
        self.known: list[Known] = []
        self.lines: list[Equation | CellCall] = []
        self.starts: list[Start] = []
        self.inputs: list[Input] = []
        self.masked = random.random() < 0.4
        self.timed_loss = random.random() < 0.7

    def sketch(self) -> Sketch:
        """All parts, in the order in which they depend on each other; the lines are shuffled in the end."""
        self._inputs()
        if self.random.random() < 0.25:
            self._fixed()
        for _ in range(self.random.choice([1, 1, 2, 3])):
            self.random.choice([self._loop, self._loop, self._loop, self._cell])()
            if self.random.random() < 0.25:
                self._once("sequence")
        target, loss = self._loss()
        self.random.shuffle(self.lines)
        lines, starts = tuple(self.lines), tuple(self.starts)
        return Sketch(tuple(self.inputs), target, self._used_parameters(loss), lines, starts, loss, self.masked)

    # What the model reads from the data

    def _inputs(self) -> None:
        kinds = [["real"], ["real"], ["ids"], ["real", "ids"], ["real", "real"], ["real", "sequence"]]
        for kind in self.random.choice(kinds):
            size = self.random.choice(self.sizes)
            when: When = "sequence" if kind == "sequence" else "step"
            item = Input(self._data_name(), (size,), when, "ids" if kind == "ids" else "real")
            self.inputs.append(item)
            self.known.append(Known(item.name, item.shape, when, self.random.choice([1, -1])))

    # Equations

    def _fixed(self) -> None:
        """A parameter computed from parameters."""
        size, inner = self.random.sample(self.sizes, 2)
        made = self.random.choice(
            [
                lambda: at(self._parameter("W", (size, inner)), tanh(self._parameter("U", (inner, size)))),
                lambda: call("exp", tanh(self._parameter("b", (size,)))),
                lambda: call("softmax", add(self._parameter("b", (size,)), self._parameter("g", (size,)))),
            ]
        )
        self._define(made(), "fixed", 1)

    def _once(self, when: When) -> None:
        """An equation for each sequence, from what the stages before left behind."""
        expressions = self._expressions(self._readable(when))
        self._define(tanh(expressions.vector(self.random.choice(self.sizes), 2)), when, 1)

    def _cell(self) -> None:
        cell, units = self.random.choice(["lstm", "gru", *CELLS]), self.random.choice(self.sizes)
        size, depth = self.random.choice(self.sizes), self.random.choice([0, 0, 1])
        vector = self._expressions(self._readable("step")).vector(size, depth)
        plain = isinstance(vector, Read) and vector.when != "step"  # an expression would become an equation for each step
        cell = "lstm" if plain and cell in LOOK_BACK else cell
        reverse = self.random.random() < 0.4
        line = CellCall(self._name(), cell, vector, units, reverse)
        self.lines.append(line)
        sign = -1 if reverse else 1
        self.known.append(Known(line.name, (units,), "step", sign))
        if cell == "lstm":
            self.known.append(Known(f"{line.name}.c", (units,), "step", sign))

    def _loop(self) -> None:
        """A few variables that may read each other at earlier (or all at later) steps."""
        sign = self.random.choice([1, 1, -1] if self.timed_loss else [1, 1, 1, 1, -1])
        size, other = self.random.sample(self.sizes, 2)
        count = self.random.choice([1, 1, 2, 3])
        shapes = self.random.choices([(size,), (other,), (size, other), ()], [6, 2, 1, 1], k=count)
        members = [Known(self._name(), shape, "step", sign) for shape in shapes]
        lags = {member.name: self.random.choice([1, 1, 1, 2, 3]) for member in members}
        outside = self._readable("step")
        for number, member in enumerate(members):
            lagged: list[Expr] = [self._lagged(m, lags[m.name]) for m in members]
            same_step = [Read(m.name, m.shape, "step") for m in members[:number]]
            expressions = self._expressions([*outside, *lagged, *lagged, *same_step])
            self.lines.append(Equation(member.name, self._update(expressions, member, lagged, outside), "step"))
        self.known += members
        for member in members:
            self._maybe_start(member)

    def _lagged(self, member: Known, longest: int) -> Read:
        return Read(member.name, member.shape, "step", member.sign * self.random.randint(1, longest))

    def _update(self, make: Expressions, member: Known, lagged: list[Expr], outside: list[Expr]) -> Expr:
        """The right side of a state: gates or a plain expression; to a matrix or a number something is added."""
        if len(member.shape) != 1:
            old = self.random.choice([n for n in lagged if n.shape == member.shape])
            return add(mul(sigmoid(make.number(1)), old), mul(0.3, self._written(make, member.shape)))
        if self.random.random() < 0.5:
            vectors = [n for n in lagged if len(n.shape) == 1]
            seen = [n for n in outside if len(n.shape) == 1 and n.when == "step"]
            if vectors:
                return self._gated(make, member.shape[0], self.random.choice(vectors), self.random.choice(seen))
        return tanh(make.vector(member.shape[0], self.random.choice([1, 2, 3])))

    def _written(self, make: Expressions, shape: Shape) -> Expr:
        if shape == ():
            return tanh(make.number(1))
        return call("outer", tanh(make.vector(shape[0], 1)), make.vector(shape[1], 1))

    def _gated(self, make: Expressions, size: int, state: Expr, seen: Expr) -> Expr:
        """A sum of gates, all of the same two vectors: these are what `stack` looks for."""
        terms: list[Expr] = []
        for _ in range(self.random.randint(1, 3)):
            inner = add(
                at(self._parameter("W", (size, *seen.shape)), seen),
                at(self._parameter("U", (size, *state.shape)), state),
                self._parameter("b", (size,)),
            )
            if self.random.random() < 0.3:
                g, beta = self._parameter("g", (size,)), self._parameter("beta", (size,))
                inner = call("layer_norm", inner, g, beta, eps=1e-5)
            gate = call(self.random.choice(["sigmoid", "sigmoid", "tanh"]), inner)
            terms.append(mul(gate, make.vector(size, self.random.choice([0, 1]))))
        return tanh(add(*terms, make.vector(size, 1)))

    def _maybe_start(self, member: Known) -> None:
        """Initial values for the lags at which a variable is read."""
        reads = [node for line in self.lines for node in walk(_tree(line)) if isinstance(node, Read)]
        longest = max((abs(node.lag) for node in reads if node.name == member.name), default=0)
        for distance in range(1, longest + 1):
            if self.random.random() < 0.35:
                step = 1 - distance if member.sign > 0 else distance
                self.starts.append(Start(member.name, step, self._start_value(member.shape)))

    def _start_value(self, shape: Shape) -> Expr:
        given: list[Expr] = [Read(i.name, i.shape, "sequence") for i in self.inputs if i.when == "sequence"]
        if len(shape) == 1 and given and self.random.random() < 0.6:
            vector = self.random.choice(given)
            return vector if vector.shape == shape else tanh(at(self._parameter("W", shape + vector.shape), vector))
        return self._parameter("h_start", shape)

    def _define(self, expr: Expr, when: When, sign: int) -> Known:
        name, when = self._name(), "step" if when == "step" else expr.when
        self.lines.append(Equation(name, expr, when))
        self.known.append(Known(name, expr.shape, when, sign))
        return self.known[-1]

    def _readable(self, when: When) -> list[Expr]:
        """How an equation may read what is known so far."""
        found: list[Expr] = [Mask()] if when == "step" and self.masked else []
        for known in self.known:
            if known.when != "step":
                found.append(Read(known.name, known.shape, known.when))
            elif when == "sequence":
                found.append(Last(known.name, known.shape))
                if self.random.random() < 0.3:
                    pool = self.random.choice(["mean_over_time", "max_over_time", "sum_over_time"])
                    found.append(call(pool, Read(known.name, known.shape, "step")))
            else:
                lag = known.sign * self.random.choice([0, 0, 0, 0, 1, 2])
                found.append(Read(known.name, known.shape, "step", lag))
        return found

    # The loss

    def _loss(self) -> tuple[Target, Expr]:
        when: When = "step" if self.timed_loss else "sequence"
        size = self.random.choice(self.sizes)
        if not self.timed_loss and self.random.random() < 0.3:
            return self._spelling(size)
        classes = self.random.random() < 0.5
        target = Target(self._data_name(), (size,), when, "classes" if classes else "real")
        wanted = Read(target.name, target.shape, when)
        leaves = self._readable(when)
        out = self._define(self._expressions(leaves).readout(size, self._loose_ends(leaves)), when, 1)
        y = Read(out.name, out.shape, out.when)
        if classes:
            loss: Expr = call("cross_entropy", y, wanted, **self._class_options(size))
        else:
            off = call("sub", y, wanted)
            variance = self.random.choice([add(0.3, call("square", y)), call("exp", self._parameter("b", (size,)))])
            loss = self.random.choice(
                [call("mse", y, wanted), call("mse", y, wanted), call("dot", off, off), call("sum", call("abs", off))]
                + [call("mean", call("softplus", mul(y, wanted))), call("huber", y, wanted, delta=0.7)]
                + [call("bce", y, wanted), call("poisson_nll", tanh(y), wanted), call("gaussian_nll", y, wanted, variance)]
            )
        if self.random.random() < 0.2:
            loss = add(mul(0.5, loss), mul(0.1, call("sum", call("square", y))))
        return target, loss

    def _spelling(self, size: int) -> tuple[Target, Expr]:
        """Labels that all steps together spell."""
        target = Target(self._data_name(), (size,), "sequence", "labels", longest=self.random.choice([1, 2, 3]))
        leaves = self._readable("step")
        out = self._define(self._expressions(leaves).readout(size, self._loose_ends(leaves)), "step", 1)
        return target, call("ctc", Read(out.name, out.shape, "step"), Read(target.name, target.shape, "sequence"))

    def _class_options(self, size: int) -> dict[str, object]:
        """Smoothing, weights of classes, a class to ignore; each now and then."""
        chosen: dict[str, object] = {"smoothing": 0.125, "weights": tuple(0.5 + 0.25 * k for k in range(size))}
        chosen["ignore"] = size - 1
        return {name: value for name, value in chosen.items() if self.random.random() < 0.2}

    def _loose_ends(self, leaves: list[Expr]) -> list[Expr]:
        """A few leaves, the last ones first, that reach all variables: the loss should depend on everything."""
        reads = {line.name: _names_in(_tree(line)) for line in self.lines}
        found: list[Expr] = []
        covered: set[str] = set()
        for leaf in reversed(leaves):
            if isinstance(leaf, (Read, Last)) and leaf.name not in covered:
                found.append(leaf)
                waiting = {leaf.name.partition(".")[0]}
                while waiting:
                    covered |= waiting
                    waiting = set().union(*(reads.get(name, set()) for name in waiting)) - covered
        return found

    # Names and parameters

    def _expressions(self, leaves: list[Expr]) -> Expressions:
        return Expressions(self.random, leaves, self._parameter)

    def _name(self) -> str:
        return self.names.pop()

    def _data_name(self) -> str:
        """A name for an input or target: not one of the other entries of a batch."""
        at = max(k for k, name in enumerate(self.names) if name not in OF_BATCHES)
        return self.names.pop(at)

    def _parameter(self, prefix: str, shape: Shape) -> Parameter:
        """A new parameter, or now and then one that has this shape and is read elsewhere."""
        same = [info.name for info in self.parameters.values() if info.shape == shape]
        if same and self.random.random() < 0.15:
            return Parameter(self.random.choice(same), shape)
        odd = len(self.names) > 20 and self.random.random() < 0.1
        name = self.names.pop() if odd else f"{prefix}_{len(self.parameters)}"
        if not odd and name in NAMES:
            name += "_"
        self.parameters[name] = ParameterInfo(name, shape, Setting("normal", (("std", 0.1),)))
        return Parameter(name, shape)

    def _used_parameters(self, loss: Expr) -> tuple[ParameterInfo, ...]:
        """What the lines and the loss read, some of it with penalties or fixed."""
        trees = [*(_tree(line) for line in self.lines), *(start.expr for start in self.starts), loss]
        nodes = [node for tree in trees for node in walk(tree)]
        found = []
        for name in dict.fromkeys(node.name for node in nodes if isinstance(node, Parameter)):
            l1, l2, fixed = (self.random.random() < 0.07 for _ in range(3))
            found.append(replace(self.parameters[name], l1=0.01 * l1, l2=0.02 * l2, trainable=not fixed))
        if not any(info.trainable for info in found):  # a spec with nothing to train is refused
            found = [replace(info, trainable=True) for info in found]
        share = self.random.choice([0, 0, 0, 0.2, 1])  # of the matrices with weight-drop
        return tuple(
            replace(info, weight_drop=0.25) if len(info.shape) == 2 and self.random.random() < share else info for info in found
        )


def _tree(line: Equation | CellCall) -> Expr:
    """What a line computes from."""
    return line.vector if isinstance(line, CellCall) else line.expr


def _names_in(expr: Expr) -> set[str]:
    """The variables and inputs that an expression reads; of a cell the name of the call."""
    return {node.name.partition(".")[0] for node in walk(expr) if isinstance(node, (Read, Last))}
