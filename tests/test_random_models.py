"""A few random models on every run (`python -m tests.fuzz_models` checks thousands), and all that ever failed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rnnspec.frontend.cell_definitions import LIBRARY
from rnnspec.frontend.functions import FUNCTIONS, OPERATORS
from rnnspec.frontend.typed import (
    Equation,
    Expr,
    Input,
    Last,
    Parameter,
    ParameterInfo,
    Read,
    Setting,
    Start,
    Target,
    When,
    walk,
)
from tests.fuzz_models import check_sketch
from tests.models import random_sketch
from tests.nodes import add, at, call, mul, tanh
from tests.sketch import Sketch
from tests.wider_models import wider_sketch, words_of

X, H, Y = 3, 4, 2
INPUTS = {
    "x": Input("x", (X,), "step", "real"),
    "ids": Input("ids", (X,), "step", "ids"),
    "s": Input("s", (X,), "sequence", "real"),
    "B": Input("B", (X,), "step", "real"),
    "places": Input("places", (600,), "step", "ids"),
}

KERNEL_WORDS = ("steps", "each", "weights", "size_t", "i", "float")
"""What kernels call something of their own, or C++ does."""


def p(name: str, *shape: int) -> Parameter:
    return Parameter(name, shape)


def step(name: str, size: int, lag: int = 0) -> Read:
    return Read(name, (size,), "step", lag)


def fixed(name: str, size: int) -> Read:
    return Read(name, (size,), "fixed")


def sequence(name: str, size: int) -> Read:
    return Read(name, (size,), "sequence")


x = step("x", X)
Starts = tuple[Start, ...]


def sketch(
    timed: dict[str, Expr],
    untimed: dict[str, Expr] | None = None,
    inputs: tuple[str, ...] = ("x",),
    starts: Starts = (),
    masked: bool = False,
) -> Sketch:
    """A model whose last equation is compared with a target of two numbers."""
    untimed = untimed or {}
    lines = [Equation(name, expr, "step") for name, expr in timed.items()]
    lines += [Equation(name, expr, expr.when) for name, expr in untimed.items()]
    trees = [line.expr for line in lines] + [start.expr for start in starts]
    found = {n.name: n.shape for tree in trees for n in walk(tree) if isinstance(n, Parameter)}
    infos = tuple(ParameterInfo(name, shape, Setting("normal", (("std", 0.1),))) for name, shape in found.items())
    last = list({**untimed, **timed})[-1]
    when: When = "step" if last in timed else "sequence"
    target = Target("target", (Y,), when, "real")
    loss = call("mse", Read(last, (Y,), when), Read("target", (Y,), when))
    return Sketch(tuple(INPUTS[name] for name in inputs), target, infos, tuple(lines), starts, loss, masked)


def once_found() -> dict[str, Sketch]:
    """Small models, each of which was wrong at least once, by what is special about them."""
    w, a = p("W", Y, X), p("a", X)
    gated = mul(call("dot", p("b", H), step("h", H, 1)), at(p("G", Y, H), step("h", H, 1)))
    return {
        "transposed_parameter": sketch({"y": at(call("transpose", p("W", X, Y)), x)}),
        "transposed_and_per_sequence": sketch(
            {"u": at(p("V", X, X), sequence("s", X)), "y": at(call("transpose", p("W", X, Y)), step("u", X))},
            inputs=("s", "x"),
        ),
        "product_of_fixed_values": sketch({"y": at(p("W", Y, H), fixed("k", H))}, {"k": at(p("V", H, X), a)}),
        "fixed_part_of_a_concat": sketch(
            {"h": at(p("W", 1, X), x), "y": call("concat", step("h", 1, 1), at(p("V", 1, H), fixed("k", H)))},
            {"k": at(p("U", H, X), a)},
        ),
        "layer_norm_of_a_fixed_value": sketch(
            {"y": mul(call("dot", a, call("layer_norm", fixed("k", X), eps=1e-5)), at(w, x))},
            {"k": at(p("V", X, H), p("b", H))},
        ),
        "equal_gradients": sketch({"y": add(at(w, step("x", X, 1)), at(p("V", Y, X), step("x", X, 1)))}),
        "number_behind_a_concat": sketch(
            {"m": mul(call("sum", call("concat", at(p("V", 1, X), x), at(w, x))), at(p("U", Y, X), x)), "y": step("m", Y)}
        ),
        "concat_in_a_concat": sketch(
            {"h": tanh(call("concat", call("concat", at(p("W", 1, X), x), at(p("V", 1, H), step("h", H, 2))), gated))}
            | {"y": at(p("U", Y, H), step("h", H))}
        ),
        "part_of_a_curve": sketch(
            {"m": call("chunk", tanh(call("concat", at(p("V", H, X), x), at(p("U", Y, X), x))), part=1, parts=3)}
            | {"y": mul(call("mean", step("m", Y)), at(w, step("x", X)))}
        ),
        "curve_of_a_one_hot_input": sketch({"y": at(w, tanh(step("ids", X)))}, inputs=("ids",)),
        "sum_of_one_hot_inputs": sketch(
            {"y": at(w, add(call("neg", step("ids", X)), step("ids", X), step("ids", X, 1), step("ids", X)))}, inputs=("ids",)
        ),
        "start_that_only_a_transposed_product_reads": sketch(
            {"M": Read("M", (X, H), "step", -1), "y": at(p("V", Y, H), at(a, Read("M", (X, H), "step", -2)))},
            starts=(Start("M", 1, p("M_start", X, H)),),
        ),
        "fixed_condition_in_a_loop": sketch(
            {"y": call("where", call("less", at(w, a), 0.1), 0.3, tanh(add(at(p("U", Y, X), x), step("y", Y, 1))))}
        ),
        "number_as_parameter_and_state": sketch(
            {"n": tanh(add(mul(p("c"), Read("n", (), "step", 1)), call("dot", a, x)))}
            | {"y": mul(Read("n", (), "step"), at(w, x))}
        ),
        "name_of_the_frame": sketch({"y": at(w, step("B", X))}, inputs=("B",)),
        "same_for_all_steps": sketch(
            {"h": tanh(at(p("U", Y, X), x)), "y": call("dropout", sequence("k", Y), rate=0.25, place=0, shared="time")},
            {"k": at(p("V", Y, Y), Last("h", (Y,)))},
        ),
        "second_step_behind_the_end": sketch(
            {"h": tanh(add(at(p("U", Y, X), x), step("h", Y, -1))), "y": at(p("W", Y, Y), step("h", Y, -2))},
            starts=(Start("h", 1, p("h_start", Y)),),
            masked=True,
        ),
        "random_numbers_that_nobody_reads": sketch(
            {"m": call("concat", at(w, x), call("dropout", at(p("V", Y, X), x), rate=0.25, place=0, shared=None))}
            | {"y": call("chunk", step("m", 2 * Y), part=1, parts=2)}
        ),
        "words_of_a_kernel": sketch(
            {name: tanh(add(at(p(f"W_{name}", Y, X), x), at(p(f"U_{name}", Y, Y), step(name, Y, 1)))) for name in KERNEL_WORDS}
            | {"y": add(*(step(name, Y) for name in KERNEL_WORDS))}
        ),
        "so_many_ids_that_each_is_looked_for": sketch({"y": at(p("W", Y, 600), step("places", 600))}, inputs=("places",)),
        "start_that_its_kernel_computes": sketch(
            {"h": tanh(at(p("V", Y, X), x)), "y": tanh(add(at(w, x), at(p("U", Y, Y), step("h", Y, 1))))},
            inputs=("s", "x"),
            starts=(Start("h", 0, tanh(at(p("K", Y, X), sequence("s", X)))),),
        ),
        "bias_that_is_added_twice": sketch(
            {"h": tanh(add(at(p("W", H, X), x), p("b", H), at(p("U", H, H), step("h", H, 1)), p("b", H)))}
            | {"y": at(p("V", Y, H), step("h", H))}
        ),
        "third_step_behind_the_end": sketch(
            {"y": tanh(add(at(w, x), at(p("U", Y, Y), step("y", Y, -3))))},
            starts=(Start("y", 3, p("h_start", Y)),),
            masked=True,
        ),
        "loss_that_alone_looks_ahead": replace(
            sketch({"y": tanh(add(at(w, x), at(p("U", Y, Y), step("y", Y, 1))))}, masked=True),
            loss=call("mse", step("y", Y, -1), Read("target", (Y,), "step")),
        ),
    }


FOUND = once_found()


@pytest.mark.parametrize("name", FOUND)
def test_what_failed_once(name: str) -> None:
    check_sketch(FOUND[name], seed=0, with_torch=True)


@pytest.mark.parametrize("seed", range(12))
def test_random_models(seed: int) -> None:
    check_sketch(random_sketch(random.Random(seed)), seed)


@pytest.mark.parametrize("seed", range(8))
def test_wider_models(seed: int) -> None:
    check_sketch(wider_sketch(random.Random(seed)), seed, with_torch=True)


NEVER = {"bn_lstm", "bn_light_gru", "equal", "not_equal"}
"""What random models cannot have: two cells whose round-off grows by 316 at a step whose input is the same for all sequences
(`tests/test_cells.py`), and equality, which random numbers never have (the counters of `clockwork`, `tests/test_functions.py`).
"""


def test_random_models_have_the_whole_vocabulary() -> None:
    """Every function, every operator, every loss, every cell, and ties."""
    words = {*OPERATORS.values(), "neg", "not", "transpose", *LIBRARY, "tie"} - NEVER
    words |= {name for name, row in FUNCTIONS.items() if {"model", "loss"} & set(row.where)}
    makers = [(random_sketch, 1500), (wider_sketch, 100)]
    made = (words_of(maker(random.Random(seed))) for maker, count in makers for seed in range(count))
    assert not words - set().union(*made)
