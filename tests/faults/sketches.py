"""Models made for one fault each, which random models are unlikely to see."""

from __future__ import annotations

from dataclasses import replace

from rnnspec.frontend.typed import Last
from tests.faults.planting import Check, SketchCheck, SketchWindows
from tests.nodes import add, at, call, mul, sigmoid, tanh
from tests.test_random_models import H, X, Y, p, sequence, sketch, step

x, before = step("x", X), step("x", X, 1)
out = at(p("W_y", Y, H), step("h", H))


def crossed() -> Check:
    """The second factors stand in the other order than the first ones: their rows cannot be lined up."""
    factors = {"b_1": at(p("B_1", H, X), before), "b_2": at(p("B_2", H, X), before)}
    first, second = tanh(mul(at(p("A_1", H, X), x), step("b_2", H))), tanh(mul(at(p("A_2", H, X), x), step("b_1", H)))
    return SketchCheck(sketch({**factors, "h": add(first, second), "y": out}))


def overlapping() -> Check:
    """b is read in a pack with a, and in another one with c."""
    a, b, c = (step(name, H) for name in "abc")
    products = {name: at(p(f"W_{name}", H, X), x) for name in "abc"}
    kinds = add(sigmoid(a), sigmoid(b), call("square", b), call("square", c))
    return SketchCheck(sketch({**products, "h": kinds, "y": out}))


def dropped() -> Check:
    """Two gates whose matrices have weight-drop."""
    gates = [sigmoid(add(at(p(f"W_{k}", H, X), x), at(p(f"U_{k}", H, H), step("h", H, 1)))) for k in (1, 2)]
    made = sketch({"h": mul(*gates), "y": out})
    parameters = tuple(replace(info, weight_drop=0.25 * info.name.startswith("U")) for info in made.parameters)
    return SketchCheck(replace(made, parameters=parameters))


def lagged() -> SketchCheck:
    """Only a later step reads c behind `tanh`, which could be computed in its place."""
    c = add(mul(0.5, step("c", H, 2)), at(p("U", H, H), step("h", H, 1)), tanh(at(p("W", H, X), x)))
    return SketchCheck(sketch({"c": c, "h": tanh(step("c", H)), "y": out}))


def grouped() -> Check:
    """Two layer norms side by side."""
    one, two = (call("layer_norm", at(p(f"W_{k}", H, X), x), p(f"g_{k}", H), eps=1e-5) for k in (1, 2))
    return SketchCheck(sketch({"h": mul(sigmoid(one), tanh(two)), "y": out}))


def powers() -> SketchCheck:
    """Powers side by side, each made of the one before, in a recurrence: the same operation on neighbouring rows."""
    a = tanh(add(at(p("W", H, X), x), at(p("U", H, 3 * H), step("h", 3 * H, 1))))
    once = call("square", step("a", H))
    h, y = call("concat", step("a", H), once, call("square", once)), at(p("W_y", Y, 3 * H), step("h", 3 * H))
    return SketchCheck(sketch({"a": a, "h": h, "y": y}))


def steps_apart() -> SketchCheck:
    """Neighbouring rows of different steps, to which the same happens."""
    a = tanh(add(at(p("W_a", H, X), x), at(p("U_a", H, 2 * H), step("h", 2 * H, 1))))
    b = tanh(add(at(p("W_b", H, X), x), at(p("U_b", H, 2 * H), step("h", 2 * H, 1))))
    h = call("concat", call("square", step("a", H, 1)), call("square", step("b", H, 2)))
    return SketchCheck(sketch({"a": a, "b": b, "h": h, "y": at(p("W_y", Y, 2 * H), step("h", 2 * H))}))


def remembered() -> Check:
    """Nothing but the next step reads c, so within one window it needs no history."""
    c = add(mul(0.5, step("c", H, 1)), at(p("W", H, X), x))
    return SketchWindows(sketch({"c": c, "h": tanh(step("c", H)), "y": out}))


def turned() -> Check:
    """Nothing but b, which reads a at an earlier step, keeps the loop of a and b from running backwards with s."""
    c = tanh(at(p("V", H, H), Last("b", (H,))))
    s = tanh(add(at(p("U", H, H), step("s", H, -1)), at(p("W_s", H, X), x)))
    first = {"a": at(p("W", H, X), x), "b": tanh(step("a", H, 1)), "m": tanh(add(step("a", H), sequence("c", H)))}
    return SketchCheck(sketch({**first, "s": s, "y": at(p("W_y", Y, H), add(step("m", H), step("s", H)))}, {"c": c}))
