"""Lowering: what the typed tree leaves unsaid (repetition, starts, ends of sequences) becomes operations."""

from __future__ import annotations

import pytest

from rnnspec.frontend.typed import Expr, Input, Last, Model, Read, Start
from rnnspec.passes.lower import lower
from tests.nodes import add, at, call, mul, tanh
from tests.programs import H, X, h, later, lines, model, p, shown, x, y

W, U, b = p("W", H, X), p("U", H, H), p("b", H)
recurrence = tanh(at(U, later(h, -1)))


def lowered(made: Model) -> list[str]:
    """The lines of the equations: without parameters and data, and without the loss, which is always the same."""
    found = shown(lower(made))
    end = next(k for k, line in enumerate(found) if line.startswith("difference"))
    return [line for line in found[:end] if not line.endswith((" = input()", " = share()", " {True}"))]


def test_a_parameter_is_repeated_over_the_steps() -> None:
    assert lowered(model({"h": tanh(add(at(W, x), at(U, later(h, -1)), b))})) == lines("""
        W_x      [4] step = matmul(W, x)
        h_last   [4] step = shift(h) {1}
        U_h_last [4] step = matmul(U, h_last)
        h_sum    [4] step = add(W_x, U_h_last)
        h_expand [4] step = expand(b) {step}
        h_sum.2  [4] step = add(h_sum, h_expand)
        h        [4] step = squash(h_sum.2) {(('tanh', 4),)}
    """)


def test_a_number_is_repeated_over_the_features() -> None:
    assert lowered(model({"h": mul(add(b, 2), call("dot", p("a", X), x))})) == lines("""
        h_plus     [4] fixed = offset(b) {2.0}
        h_expand   [3] step = expand(a) {step}
        h_product  [3] step = mul(h_expand, x)
        h_total    [1] step = total(h_product) {1}
        h_expand.2 [4] step = expand(h_plus) {step}
        h_spread   [4] step = spread(h_total) {(1, (4,))}
        h          [4] step = mul(h_expand.2, h_spread)
    """)


@pytest.mark.parametrize(
    "expr, line",
    [
        (add(y, 2), "h [4] step = offset(y) {2.0}"),
        (add(2, y), "h [4] step = offset(y) {2.0}"),
        (call("sub", y, 2), "h [4] step = offset(y) {-2.0}"),
        (call("sub", 2, y), "h [4] step = from_constant(y) {2.0}"),
        (mul(y, 2), "h [4] step = scale(y) {2.0}"),
        (call("div", y, 4), "h [4] step = scale(y) {0.25}"),
        (call("neg", y), "h [4] step = scale(y) {-1.0}"),
        (call("pow", y, 3), "h [4] step = power(y) {3.0}"),
        (call("sigmoid", y), "h [4] step = squash(y) {(('sigmoid', 4),)}"),
        (call("chunk", y, part=2, parts=2), "h_rows [2] step = rows(y) {(2, 4)}"),
    ],
)
def test_plain_numbers_are_part_of_an_operation(expr: Expr, line: str) -> None:
    assert line in shown(lower(model({"h": expr}, call("sum", Read("h", expr.shape, "step")))))


def test_a_lag_of_two_has_two_starts() -> None:
    """One is given, the other is zero."""
    assert lowered(model({"h": mul(later(h, -2), b)}, starts=[Start("h", 0, p("h_0", H))])) == lines("""
        0          [1] fixed = constant() {0.0}
        h_expand   [4] sequence = expand(h_0) {sequence}
        h_expand.2 [1] sequence = expand(0) {sequence}
        h_spread   [4] sequence = spread(h_expand.2) {(1, (4,))}
        h_last     [4] step = shift(h, h_expand, h_spread) {2}
        h_expand.3 [4] step = expand(b) {step}
        h          [4] step = mul(h_last, h_expand.3)
    """)


def test_a_state_is_held_behind_the_end_of_a_sequence() -> None:
    """And only a state: z is what it is at each step."""
    loss = call("mse", Read("z", (H,), "step"), y)
    assert lowered(model({"h": recurrence, "z": add(later(h, -1), at(W, x))}, loss, masked=True)) == lines("""
        valid    [1] step = valid()
        h_last   [4] step = shift(h) {1}
        U_h_last [4] step = matmul(U, h_last)
        h_curve  [4] step = squash(U_h_last) {(('tanh', 4),)}
        h_spread [4] step = spread(valid) {(1, (4,))}
        h        [4] step = select(h_spread, h_curve, h_last)
        h_last.2 [4] step = shift(h) {1}
        W_x      [4] step = matmul(W, x)
        z        [4] step = add(h_last.2, W_x)
    """)


def test_a_later_step_is_read_as_it_is_where_all_sequences_are_equally_long() -> None:
    assert lowered(model({"h": tanh(at(U, later(h, 2)))})) == lines("""
        h_next   [4] step = shift(h) {-2}
        U_h_next [4] step = matmul(U, h_next)
        h        [4] step = squash(U_h_next) {(('tanh', 4),)}
    """)


def test_behind_the_end_of_each_sequence_stands_zero() -> None:
    made = lower(model({"h": tanh(at(U, later(h, 2)))}, masked=True))
    wanted = """
        h_next                   [4] step = shift(h_or_start_choice) {-2}
        h_or_start_expand        [1] sequence = expand(0) {sequence}
        h_or_start_spread        [4] sequence = spread(h_or_start_expand) {(1, (4,))}
        h_or_start_spread.2      [4] step = spread(valid) {(1, (4,))}
        h_or_start_expand.2      [4] step = expand(h_or_start_spread) {step}
        h_or_start_choice        [4] step = select(h_or_start_spread.2, h, h_or_start_expand.2)
    """
    assert [line for line in shown(made) if line.startswith(("h_next", "h_or_start"))] == lines(wanted)


def test_behind_the_end_of_each_sequence_stands_its_start() -> None:
    """v[T+1] is given, v[T+2] is zero: two steps, one after the other."""
    starts = [Start("h", 1, p("h_end", H))]
    made = lower(model({"h": tanh(at(U, later(h, 2)))}, starts=starts, masked=True))
    found = [line for line in shown(made) if line.startswith(("valid", "0", "h", "U_h")) and not line.endswith("{True}")]
    assert found == lines("""
        valid             [1] step = valid()
        0                 [1] fixed = constant() {0.0}
        h_expand          [1] sequence = expand(0) {sequence}
        h_spread          [4] sequence = spread(h_expand) {(1, (4,))}
        h_expand.2        [4] sequence = expand(h_end) {sequence}
        h_next            [4] step = shift(h_or_start_choice, h_expand.2) {-1}
        h_spread.2        [4] step = spread(valid) {(1, (4,))}
        h_expand.3        [4] step = expand(h_spread) {step}
        h_choice          [4] step = select(h_spread.2, h_next, h_expand.3)
        h_next.2          [4] step = shift(h_choice, h_spread) {-1}
        U_h_next          [4] step = matmul(U, h_next.2)
        h                 [4] step = squash(U_h_next) {(('tanh', 4),)}
        h_or_start_expand [4] step = expand(h_expand.2) {step}
        h_or_start_choice [4] step = select(h_spread.2, h, h_or_start_expand)
    """)


def test_the_last_step_and_what_is_computed_once() -> None:
    z = Read("z", (H,), "sequence")
    made = model({"h": at(W, x), "z": mul(2, Last("h", (H,)))}, call("mse", z, Read("y", (H,), "sequence")))
    assert lowered(made) == lines("""
        h   [4] step = matmul(W, x)
        h_T [4] sequence = last(h)
        z   [4] sequence = scale(h_T) {2.0}
    """)


def test_whole_numbers_are_read_as_one_hot_vectors() -> None:
    made = model({"h": at(p("E", H, 5), Read("k", (5,), "step"))}, inputs=(Input("k", (5,), "step", "ids"),))
    assert lowered(made) == lines("""
        k   [] step = ids() {5}
        k.2 [5] step = one_hot(k) {5}
        h   [4] step = matmul(E, k.2)
    """)


def test_what_the_script_hands_out_has_storage_of_its_own() -> None:
    """u and v are other steps of h, and only an array can be read at another step."""
    u, v = Read("u", (H,), "step"), Read("v", (H,), "step")
    made = lower(model({"h": at(W, x), "u": later(h, -1), "v": later(u, -1)}, call("mse", v, y)))
    wanted = """
        h      [4] step = matmul(W, x)
        h_last [4] step = shift(h) {1}
        v_copy [4] step = copy(h_last)
        u_last [4] step = shift(v_copy) {1}
        v      [4] step = copy(u_last)
    """
    assert set(lines(wanted)) <= set(shown(made))
    assert [(name, made.values[value].op) for name, value in made.roots.outputs] == [("v", "copy")]


def test_equal_expressions_are_one_value() -> None:
    assert lowered(model({"h": add(tanh(at(W, x)), call("square", tanh(at(W, x))))})) == lines("""
        W_x      [4] step = matmul(W, x)
        h_curve  [4] step = squash(W_x) {(('tanh', 4),)}
        h_square [4] step = square(h_curve)
        h        [4] step = add(h_curve, h_square)
    """)


def test_layer_norm_is_spelled_out() -> None:
    assert lowered(model({"h": call("layer_norm", y, p("g", H), b, eps=1e-5)})) == lines("""
        h_total    [1] step = total(y) {1}
        mean       [1] step = scale(h_total) {0.25}
        h_spread   [4] step = spread(mean) {(1, (4,))}
        centred    [4] step = sub(y, h_spread)
        inv_std    [1] step = inv_rms(centred) {(1, 1e-05)}
        h_spread.2 [4] step = spread(inv_std) {(1, (4,))}
        unit       [4] step = rms_scale(centred, h_spread.2)
        h_expand   [4] step = expand(g) {step}
        scaled     [4] step = mul(unit, h_expand)
        h_expand.2 [4] step = expand(b) {step}
        h          [4] step = add(scaled, h_expand.2)
    """)


def test_dropout_is_a_product_with_what_the_frame_draws() -> None:
    assert lowered(model({"h": call("dropout", y, rate=0.5, place=3)})) == lines("""
        dropout_3 [4] step = drawn() {3}
        h         [4] step = mul(y, dropout_3)
    """)


def test_the_loss_weighs_each_step_by_its_share() -> None:
    assert shown(lower(model({"h": at(W, x)})))[-5:] == lines("""
        difference  [4] step = sub(h, y)
        loss_square [4] step = square(difference)
        loss_total  [1] step = total(loss_square) {1}
        loss_scaled [1] step = scale(loss_total) {0.25}
        loss        [1] fixed = mean_loss(loss_scaled, share)
    """)
