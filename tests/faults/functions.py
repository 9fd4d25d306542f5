"""Wrong meanings of functions, and wrong derivatives where only a kink or a tie shows them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from rnnspec.ir.graph import Graph
from rnnspec.ir.ops import OPS
from rnnspec.ir.program import Value
from rnnspec.passes import vjps
from rnnspec.passes.functions import FUNCTIONS, curve, elementwise, with_constants
from rnnspec.passes.vjps import VJPS, Contributions
from rnnspec.script.calls import CALLS
from rnnspec.script.expressions import EXPRESSIONS
from tests import test_functions
from tests.faults.planting import Calling, Check, Fault, instead, row


def case(expression: str) -> list[Check]:
    """One case against torch, at both levels."""
    return [partial(test_functions.test_function_is_that_of_torch, expression, level) for level in (0, 1)]


def at_zero(expression: str) -> list[Check]:
    """The same where all features are 0."""
    return [partial(test_functions.test_function_is_that_of_torch_at_zero, expression, level) for level in (0, 1)]


def far_out(expression: str) -> list[Check]:
    """The same where exp overflows."""
    return [partial(test_functions.test_function_is_that_of_torch_far_out, expression, level) for level in (0, 1)]


def gradient_goes_on(patch: pytest.MonkeyPatch) -> None:
    """stop_gradient does nothing."""
    patch.setitem(OPS, "stop_gradient", replace(OPS["stop_gradient"], silent=False))
    patch.setitem(VJPS, "stop_gradient", lambda g, y, dy: [(y.args[0], dy)])


def all_of_it(g: Graph, y: Value, dy: int) -> Contributions:
    """Each of the rows that are equal receives all of the gradient."""
    a = g[y.args[0]]
    chosen = g.emit("equal", a.id, vjps.spread(g, y.id, 1, a))
    return [(a.id, g.emit("mul", vjps.spread(g, dy, 1, a), chosen))]


def by_zero(g: Graph, y: Value, dy: int) -> Contributions:
    """The norm divides, whatever it is."""
    a = g[y.args[0]]
    return [(a.id, g.emit("mul", a.id, vjps.spread(g, g.emit("div", dy, y.id), 1, a)))]


def of_relu(g: Graph, y: Value, dy: int) -> Contributions:
    """Nothing where the operand is not positive."""
    return vjps.d_relu(g, y, dy)


WRONG = {
    "silu(a[t])": curve("sigmoid"),
    "gelu(a[t])": FUNCTIONS["silu"],
    "selu(a[t])": lambda low, call: low.graph.emit("elu", low.expression(call.args[0]), attr=1.6732632423543772),
    "leaky_relu(a[t])": elementwise("relu"),
    "softsign(a[t])": curve("tanh"),
    "log_sigmoid(a[t])": elementwise("softplus"),
    "hard_sigmoid(a[t])": FUNCTIONS["hard_tanh"],
    "hard_tanh(a[t])": curve("tanh"),
    "clamp(a[t], -0.5, 2)": with_constants("clip", "high", "low"),
    "elu(a[t], 0.7)": FUNCTIONS["selu"],
    "rms_norm(a[t])": FUNCTIONS["layer_norm"],
    "log_softmax(a[t])": FUNCTIONS["softmax"],
}
"""A case, and what its function means instead."""

FAULTS = [
    *(Fault(f"meaning of {e}", row(FUNCTIONS, e.partition("(")[0], instead(wrong)), case(e)) for e, wrong in WRONG.items()),
    Fault("stop_gradient does nothing", gradient_goes_on, case("tanh(a[t] + stop_gradient(h[t-1]))")),
    Fault("stop_gradient does nothing in random models", gradient_goes_on, Calling(("stop_gradient",))),
    Fault("equal rows each receive all", row(VJPS, "max", instead(all_of_it)), at_zero("tanh(a[t] + max(outer(a[t], x[t])))")),
    Fault("a norm of 0 divides", row(VJPS, "norm2", instead(by_zero)), at_zero("tanh(a[t] + norm2(a[t]))"), FloatingPointError),
    Fault("elu is flat at 0", row(VJPS, "elu", instead(of_relu)), at_zero("elu(a[t])")),
    Fault(
        "elu overflows",
        row(CALLS, "elu", instead(lambda o, value, out, a: [f"{out}[...] = np.where({a[0]} > 0, {a[0]}, expm1({a[0]}))"])),
        far_out("elu(a[t])"),
        FloatingPointError,
    ),
    Fault(
        "log_softmax overflows in the textbook",
        row(EXPRESSIONS, "log_softmax", lambda right: replace(right, template="np.log(np.exp({0}) / np.exp({0}).sum(0))")),
        far_out("log_softmax(a[t])"),
        FloatingPointError,
    ),
]
