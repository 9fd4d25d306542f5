"""stop_gradient wherever a value may stand, and in a state that one window hands to the next."""

from __future__ import annotations

import pytest

from rnnspec.frontend.typed import Expr, Last, Read, Start
from tests.fuzz_models import check_sketch
from tests.nodes import add, at, call, mul, tanh
from tests.test_random_models import H, X, Y, fixed, p, sequence, sketch, step
from tests.test_truncation import check_in_windows

x, w, b = step("x", X), p("W", Y, X), p("b", Y)
h, M = step("h", Y), Read("M", (Y, X), "step")


def stopped(expr: Expr | float) -> Expr:
    return call("stop_gradient", expr)


def state(before: Expr) -> Expr:
    """h[t], which reads itself at another step."""
    return tanh(add(at(p("U", Y, X), x), at(p("R", Y, Y), before)))


def half(number: int) -> Expr:
    """The first or second half of h[t]."""
    return call("chunk", step("h", H), part=number, parts=2)


plain = state(step("h", Y, 1))
MODELS = {
    "a variable of its own": sketch({"h": plain, "c": stopped(h), "y": mul(step("c", Y), b)}),
    "an output": sketch({"h": plain, "c": stopped(h), "y": add(step("c", Y), mul(step("c", Y, 1), b))}),
    "an input": sketch({"c": stopped(x), "y": at(w, step("c", X, 1))}),
    "a one-hot input": sketch({"y": at(w, stopped(step("ids", X)))}, inputs=("ids",)),
    "a one-hot input of the step before": sketch({"c": stopped(step("ids", X)), "y": at(w, step("c", X, 1))}, inputs=("ids",)),
    "a parameter": sketch({"y": add(at(stopped(w), x), b)}),
    "a transposed parameter": sketch({"y": add(at(call("transpose", stopped(p("V", X, Y))), x), b)}),
    "a value without time": sketch({"y": mul(at(w, x), stopped(fixed("k", Y)))}, {"k": tanh(b)}),
    "everything": sketch({"y": stopped(at(w, x))}),
    "a state": sketch({"h": state(stopped(step("h", Y, 1))), "y": mul(h, b)}, masked=True),
    "a state of later steps": sketch(
        {"h": state(stopped(step("h", Y, -2))), "y": mul(h, b)},
        starts=(Start("h", 1, stopped(p("h_1", Y))), Start("h", 2, p("h_2", Y))),
        masked=True,
    ),
    "a start": sketch({"h": plain, "y": mul(h, b)}, starts=(Start("h", 0, stopped(p("h_0", Y))),)),
    "the last step": sketch({"h": plain, "y": mul(at(w, x), sequence("c", Y))}, {"c": stopped(Last("h", (Y,)))}),
    "a number": sketch({"y": mul(stopped(call("max", at(w, x))), at(p("V", Y, X), x))}),
    "a constant": sketch({"y": mul(stopped(2.0), at(w, x))}),
    "what is written to a matrix": sketch(
        {
            "M": add(mul(0.5, Read("M", (Y, X), "step", 1)), stopped(call("outer", at(w, x), x))),
            "y": at(add(M, p("Z", Y, X)), x),
        }
    ),
    "a part": sketch({"h": tanh(at(p("U", H, X), x)), "y": add(stopped(half(1)), half(2))}),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_gradient_flows(name: str) -> None:
    check_sketch(MODELS[name], seed=3, with_torch=True)


@pytest.mark.parametrize("name", ["a variable of its own", "an output", "a start"])
def test_windows(name: str) -> None:
    check_in_windows(MODELS[name], seed=1)


def test_a_state_that_stops_in_windows() -> None:
    check_in_windows(sketch({"h": state(stopped(step("h", Y, 1))), "y": mul(h, b)}), seed=1)
