"""Wrong rows in the table of derivatives, and wrong ways to add up what they send."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rnnspec import compile_spec
from rnnspec.ir.graph import Graph
from rnnspec.ir.program import Shape, Value
from rnnspec.passes import differentiate, vjps
from rnnspec.passes.lower import Lowering
from rnnspec.passes.vjps import VJPS, Contributions, Rule
from tests import test_state_clips
from tests.faults.planting import Calling, Fault, attribute, instead, models, row
from tests.faults.sketches import grouped, overlapping

Backward = differentiate.Backward


def passed_on(g: Graph, y: Value, dy: int) -> Contributions:
    """As if the operation were not there."""
    return [(y.args[0], dy)]


def zero(right: Rule, lost: int) -> Rule:
    """One operand receives zeros."""

    def rule(g: Graph, y: Value, dy: int) -> Contributions:
        sent = right(g, y, dy)
        operand, contribution = sent[lost]
        return [*sent[:lost], (operand, g.emit("scale", contribution, attr=0.0)), *sent[lost + 1 :]]

    return rule


def first_lost(right: Rule) -> Rule:
    """The first operand receives zeros."""
    return zero(right, 0)


def second_lost(right: Rule) -> Rule:
    """The second operand receives zeros."""
    return zero(right, 1)


def each_once(right: Rule) -> Rule:
    """An operand that stands twice receives once."""
    return lambda g, y, dy: list(dict(right(g, y, dy)).items())


def times(what: str) -> Rule:
    """dy times the operand, or times the result."""
    return lambda g, y, dy: [(y.args[0], g.emit("mul", dy, y.args[0] if what == "operand" else y.id))]


def same_sign(right: Rule) -> Rule:
    """The second operand receives what the first one does."""
    return lambda g, y, dy: [(a, right(g, y, dy)[0][1]) for a in y.args]


def half(right: Rule) -> Rule:
    """A factor is lost."""
    return lambda g, y, dy: [(a, g.emit("scale", d, attr=0.5)) for a, d in right(g, y, dy)]


def power(g: Graph, y: Value, dy: int) -> Contributions:
    """The exponent is not lowered."""
    return [(y.args[0], g.emit("mul", dy, g.emit("scale", y.id, attr=y.attr)))]


def sigmoid_throughout(g: Graph, y: Value, dy: int) -> Contributions:
    """The rule of sigmoid for all rows."""
    return vjps.d_squash(g, replace(y, attr=(("sigmoid", y.shape[0]),)), dy)


def chosen_by_both(g: Graph, y: Value, dy: int) -> Contributions:
    """The second operand receives where the first one was chosen."""
    condition, a, b = y.args
    part = g.emit("mul", dy, condition)
    return [(a, part), (b, part)]


def norm_is_constant(g: Graph, y: Value, dy: int) -> Contributions:
    """The norm is not differentiated."""
    return [(y.args[0], g.emit("mul", dy, y.args[1]))]


def mean_over_all(right: Rule) -> Rule:
    """The mean of each group is divided by the rows of all groups; with one group it is right."""

    def rule(g: Graph, y: Value, dy: int) -> Contributions:
        groups = g[y.args[1]].attr[0] if g[y.args[1]].op == "spread" else 1
        return right(g, y, g.emit("scale", dy, attr=1.0 / groups)) if groups > 1 else right(g, y, dy)

    return rule


def softmax_of_each(g: Graph, y: Value, dy: int) -> Contributions:
    """Each row by itself, as if their sum were not 1."""
    return [(y.args[0], g.emit("mul", y.id, dy))]


def added_up(g: Graph, y: Value, dy: int) -> Contributions:
    """Each row receives what it and all rows in front of it send."""
    return [(y.args[0], g.emit("cumsum", dy))]


def to_all(g: Graph, y: Value, dy: int) -> Contributions:
    """Every row receives, whether it was chosen or not."""
    return [(y.args[0], vjps.spread(g, dy, 1, g[y.args[0]]))]


def not_divided(g: Graph, y: Value, dy: int) -> Contributions:
    """The derivative of half the square of the norm."""
    a = g[y.args[0]]
    return [(a.id, g.emit("mul", a.id, vjps.spread(g, dy, 1, a)))]


def every_step(g: Graph, y: Value, dy: int) -> Contributions:
    """The last step is not told from the others."""
    return [(y.args[0], g.emit("expand", dy, attr="step"))]


def without_the_class(g: Graph, y: Value, dy: int) -> Contributions:
    """softmax(a) without - 1 at the class."""
    logits, _, logs = y.args
    return [(logits, g.emit("mul", g.emit("exp", logs), vjps.spread(g, dy, 1, g[logits])))]


def first_layer(self: Backward, value: Value) -> int:
    """Of row ranges that overlap, the later ones are forgotten."""
    kept: list[tuple[int, int]] = []
    for span in sorted(self.pieces[value.id]):
        if not kept or kept[-1][1] <= span[0]:
            kept.append(span)
    return self._layer(value, kept)


def starts_without_gradient(self: Backward, value: Value, adjoint: int) -> None:
    """A learned start receives nothing."""
    self.graph.keep_promise(self._promise(value), self.graph.storable(adjoint))


def by_element(right: Rule) -> Rule:
    """The norm of a signal is taken element by element."""
    return lambda g, y, dy: right(g, replace(y, attr=("value", *y.attr[1:])), dy)


def limits() -> None:
    """Limits of two states, by element and by norm, against hooks of torch."""
    with TemporaryDirectory() as folder:
        path = test_state_clips.write(Path(folder))
        for level in (0, 1):
            test_state_clips.limits_agree(compile_spec(path, level=level))


def only_from_the_next_step(patch: pytest.MonkeyPatch) -> None:
    """The limit is felt by what other steps send, not by what the same step sends."""
    shift = Lowering._shift

    def limited(self: Lowering, name: str, lag: int, shape: Shape) -> int:
        return clipped(self, name, shift(self, name, lag, shape))

    clipped = Lowering._clipped
    patch.setattr(Lowering, "_clipped", lambda self, name, value: value)
    patch.setattr(Lowering, "_shift", limited)


WRONG = {
    "clip_gradient": (instead(passed_on), [limits]),
    "add": (second_lost, models(0)),
    "sub": (same_sign, models(0)),
    "mul": (each_once, models(4)),
    "div": (second_lost, Calling(("div",))),
    "scale": (instead(passed_on), models(0)),
    "offset": (first_lost, models(1)),
    "from_constant": (instead(passed_on), models(2)),
    "power": (instead(power), Calling(("pow",))),
    "exp": (instead(times("operand")), Calling(("exp",))),
    "log": (instead(times("operand")), Calling(("log",))),
    "sqrt": (half, Calling(("sqrt",))),
    "abs": (instead(passed_on), Calling(("abs",))),
    "square": (half, Calling(("square",))),
    "relu": (instead(passed_on), Calling(("relu",))),
    "softplus": (instead(times("result")), Calling(("softplus",))),
    "elu": (instead(passed_on), Calling(("elu", "selu"))),
    "clip": (instead(passed_on), Calling(("clamp", "hard_tanh", "hard_sigmoid"))),
    "squash": (instead(sigmoid_throughout), models(0)),
    "minimum": (instead(vjps.d_chosen("greater")), Calling(("minimum",))),
    "maximum": (instead(vjps.d_chosen("less")), Calling(("maximum",))),
    "select": (instead(chosen_by_both), Calling(("where",))),
    "rms_scale": (instead(norm_is_constant), Calling(("layer_norm", "rms_norm"))),
    "softmax": (instead(softmax_of_each), Calling(("softmax",))),
    "log_softmax": (instead(passed_on), Calling(("log_softmax",))),
    "cumsum": (instead(added_up), Calling(("cumsum",))),
    "max": (instead(to_all), Calling(("max",))),
    "min": (instead(to_all), Calling(("min",))),
    "norm2": (instead(not_divided), Calling(("norm2",))),
    "spread": (half, models(2)),
    "matmul": (first_lost, models(0)),
    "outer": (second_lost, Calling(("outer",))),
    "lookup": (first_lost, models(11)),
    "last": (instead(every_step), models(1)),
    "cross_entropy": (instead(without_the_class), Calling(("cross_entropy",))),
}
"""Operation -> what becomes of its rule, and random models that may see it."""

FAULTS = [
    *(Fault(f"derivative of {op}", row(VJPS, op, wrong), checks) for op, (wrong, checks) in WRONG.items()),
    Fault("derivative of layer norms in groups", row(VJPS, "rms_scale", mean_over_all), [grouped()]),
    Fault("adjoints of rows that overlap", attribute(Backward, "_joined", instead(first_layer)), [overlapping()]),
    Fault("norms of signals by element", row(VJPS, "clip_gradient", by_element), [limits]),
    Fault("limits of signals from other steps only", only_from_the_next_step, [limits]),
    Fault("adjoints of starts", attribute(Backward, "_shift", instead(starts_without_gradient)), models(1)),
]
