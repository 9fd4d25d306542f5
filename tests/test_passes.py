"""The passes up to the gradient and behind it, each on a small program: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rnnspec.frontend.typed import Expr, Read
from rnnspec.ir import products
from rnnspec.ir.program import Program
from rnnspec.ir.validate import validate
from rnnspec.passes.differentiate import differentiate
from rnnspec.passes.join import join
from rnnspec.passes.lookups import lookups
from rnnspec.passes.loss_dots import loss_dots
from rnnspec.passes.lower import lower
from rnnspec.passes.materialise import materialise
from rnnspec.passes.names import common_name
from rnnspec.passes.past_products import past_products
from rnnspec.passes.reductions import reductions
from rnnspec.passes.simplify import simplify
from rnnspec.passes.stack import stack
from rnnspec.passes.weight_gradients import weight_gradients
from tests.nodes import add, at, call, mul, sigmoid, tanh
from tests.programs import H, X, h, later, lines, model, new, p, read, shown, x

LOSS = """
    total [1] step = total(h) {1}
    share [1] step = share()
    loss  [1] fixed = mean_loss(total, share)
"""
"""The loss of programs written by hand: the sum of all features of h."""
RECURRENCE = """
    W      [4, 4] fixed = param() {True}
    U      [4, 3] fixed = param() {True}
    h_0    [4] sequence = param() {True}
    x      [3] step = input()
    h_last [4] step = shift(h, h_0) {1}
    a      [4] step = matmul(U, x)
    b      [4] step = matmul(W, h_last)
    h      [4] step = add(a, b)
"""


def program(text: str) -> Program:
    """A program with the usual loss, checked."""
    made = read(text + LOSS)
    validate(made)
    return made


def body(made: Program) -> list[str]:
    """The lines before the usual loss."""
    return shown(made)[: -len(lines(LOSS))]


# ------------------------------------------------------------------ simplify, lookups


def test_simplify_joins_sums_and_factors_and_drops_what_nobody_reads() -> None:
    """abc keeps its own sum: two others read it."""
    made = program("""
        a     [4] step = input()
        b     [4] step = input()
        c     [4] step = input()
        ab    [4] step = add(a, b)
        abc   [4] step = add(ab, c)
        twice [4] step = scale(abc) {2.0}
        six   [4] step = scale(twice) {3.0}
        cab   [4] step = add(abc, c)
        kept  [4] step = add(cab, b)
        dead  [4] step = exp(a)
        h     [4] step = mul(six, kept)
    """)
    assert body(simplify(made)) == lines("""
        a    [4] step = input()
        b    [4] step = input()
        c    [4] step = input()
        abc  [4] step = add(a, b, c)
        six  [4] step = scale(abc) {6.0}
        kept [4] step = add(abc, c, b)
        h    [4] step = mul(six, kept)
    """)


def test_simplify_leaves_outputs_alone() -> None:
    text = """
        a [4] step = input()
        s [4] step = add(a, a)
        h [4] step = add(s, a)
    """
    made = read(text + LOSS, outputs=["s"])
    assert shown(simplify(made)) == shown(made)


def test_rows_of_rows_and_of_concatenations_are_rows() -> None:
    made = program("""
        a    [4] step = input()
        b    [2] step = input()
        both [6] step = concat(a, b)
        low  [3] step = rows(both) {(3, 6)}
        last [2] step = rows(low) {(1, 3)}
        one  [1] step = rows(a) {(2, 3)}
        two  [1] step = rows(a) {(3, 4)}
        h    [4] step = concat(last, one, two)
    """)
    assert body(simplify(made)) == lines("""
        a     [4] step = input()
        b     [2] step = input()
        one   [1] step = rows(a) {(2, 3)}
        two   [1] step = rows(a) {(3, 4)}
        h     [4] step = concat(b, one, two)
    """)


def test_a_product_with_a_one_hot_vector_is_a_look_up() -> None:
    made = program("""
        W   [4, 6] fixed = param() {True}
        V   [6, 4] fixed = param() {True}
        ids [] step = ids() {6}
        x   [6] step = one_hot(ids) {6}
        V_T [4, 6] fixed = transpose(V)
        a   [4] step = matmul(W, x)
        b   [4] step = matmul(V_T, x)
        h   [4] step = add(a, b)
    """)
    assert body(lookups(made)) == lines("""
        W   [4, 6] fixed = param() {True}
        V   [6, 4] fixed = param() {True}
        ids [] step = ids() {6}
        V_T [4, 6] fixed = transpose(V)
        a   [4] step = lookup(W, ids)
        b   [4] step = lookup(V_T, ids)
        h   [4] step = add(a, b)
    """)


# ------------------------------------------------------------------ stack


def gate(name: str) -> Expr:
    """W x + U h + b."""
    return add(at(p(f"W_{name}", H, X), x), at(p(f"U_{name}", H, H), later(h, -1)), p(f"b_{name}", H))


def stacked(equations: Mapping[str, Expr]) -> list[str]:
    """What `stack` makes of a model, without its leaves and its loss."""
    made = simplify(stack(simplify(lower(model(equations)))))
    validate(made)
    found = shown(made)
    end = next(k for k, line in enumerate(found) if line.startswith("difference"))
    leaves = ("= param(", "= input(", "= share(")
    return [line for line in found[:end] if not any(leaf in line for leaf in leaves)]


def test_the_gates_of_an_lstm_are_one_product_and_the_sigmoids_stand_together() -> None:
    """z is written between i and f, and stored behind o."""
    i, z, f, o, c = (Read(name, (H,), "step") for name in "izfoc")
    equations = {"i": sigmoid(gate("i")), "z": tanh(gate("z")), "f": sigmoid(gate("f")), "o": sigmoid(gate("o"))}
    equations |= {"c": add(mul(f, later(c, -1)), mul(i, z)), "h": mul(o, tanh(c))}
    assert stacked(equations) == lines("""
        W_ifoz        [16, 3] fixed = stacked(W_i, W_f, W_o, W_z)
        W_ifoz_x      [16] step = matmul(W_ifoz, x)
        h_last        [4] step = shift(h) {1}
        U_ifoz        [16, 4] fixed = stacked(U_i, U_f, U_o, U_z)
        U_ifoz_h_last [16] step = matmul(U_ifoz, h_last)
        b_ifoz        [16] fixed = stacked(b_i, b_f, b_o, b_z)
        ifoz_expand   [16] step = expand(b_ifoz) {step}
        ifoz_sum      [16] step = add(W_ifoz_x, U_ifoz_h_last, ifoz_expand)
        ifoz          [16] step = squash(ifoz_sum) {(('sigmoid', 12), ('tanh', 4))}
        i             [4] step = rows(ifoz) {(0, 4)}
        z             [4] step = rows(ifoz) {(12, 16)}
        f             [4] step = rows(ifoz) {(4, 8)}
        o             [4] step = rows(ifoz) {(8, 12)}
        c_last        [4] step = shift(c) {1}
        c_product     [4] step = mul(f, c_last)
        c_product.2   [4] step = mul(i, z)
        c             [4] step = add(c_product, c_product.2)
        h_curve       [4] step = squash(c) {(('tanh', 4),)}
        h             [4] step = mul(o, h_curve)
    """)


def test_layer_norms_are_one_with_a_group_for_each() -> None:
    def normed(name: str) -> Expr:
        return call("layer_norm", at(p(f"W_{name}", H, X), x), p(f"g_{name}", H), eps=0.1)

    assert stacked({"h": mul(sigmoid(normed("i")), tanh(normed("z")))}) == lines("""
        W_iz      [8, 3] fixed = stacked(W_i, W_z)
        W_iz_x    [8] step = matmul(W_iz, x)
        h_totals  [2] step = total(W_iz_x) {2}
        means     [2] step = scale(h_totals) {0.25}
        h_spreads [8] step = spread(means) {(2, (8,))}
        centreds  [8] step = sub(W_iz_x, h_spreads)
        inv_stds  [2] step = inv_rms(centreds) {(2, 0.1)}
        h_spreads.2 [8] step = spread(inv_stds) {(2, (8,))}
        units     [8] step = rms_scale(centreds, h_spreads.2)
        g_iz      [8] fixed = stacked(g_i, g_z)
        h_expands [8] step = expand(g_iz) {step}
        scaleds   [8] step = mul(units, h_expands)
        h_curves  [8] step = squash(scaleds) {(('sigmoid', 4), ('tanh', 4))}
        h_curve   [4] step = rows(h_curves) {(0, 4)}
        h_curve.2 [4] step = rows(h_curves) {(4, 8)}
        h         [4] step = mul(h_curve, h_curve.2)
    """)


def dropped(name: str, place: int) -> Expr:
    """U h, the elements of U with weight-drop."""
    return at(call("dropout", p(f"U_{name}", H, H), rate=0.5, place=place, shared=None), later(h, -1))


def test_matrices_with_weight_drop_are_one_product_with_their_random_numbers_side_by_side() -> None:
    assert stacked({"h": mul(sigmoid(dropped("i", 0)), sigmoid(dropped("z", 1)))}) == lines("""
        dropout_0      [4, 4] fixed = drawn() {0}
        h_last         [4] step = shift(h) {1}
        U_iz           [8, 4] fixed = stacked(U_i, U_z)
        dropout_1      [4, 4] fixed = drawn() {1}
        dropout_01     [8, 4] fixed = concat(dropout_0, dropout_1)
        U_iz_dropped   [8, 4] fixed = mul(U_iz, dropout_01)
        U_iz_dropped_h_last [8] step = matmul(U_iz_dropped, h_last)
        h_curves       [8] step = squash(U_iz_dropped_h_last) {(('sigmoid', 8),)}
        h_curve        [4] step = rows(h_curves) {(0, 4)}
        h_curve.2      [4] step = rows(h_curves) {(4, 8)}
        h              [4] step = mul(h_curve, h_curve.2)
    """)


W, V, U = p("W", H, X), p("V", H, X), p("U", H, H)
NOT_STACKED = {
    "with weight-drop and without": {"h": mul(dropped("i", 0), at(U, later(h, -1)))},
    "a parameter with two readers keeps its own storage": {"h": mul(add(at(W, x), at(V, x)), mul(2, at(V, later(x, -1))))},
    "a product that needs the other one": {"h": mul(at(U, tanh(at(W, x))), at(p("R", H, H), at(W, x)))},
    "different vectors": {"h": mul(at(W, x), at(V, later(x, -1)))},
}


@pytest.mark.parametrize("case", NOT_STACKED)
def test_what_is_not_stacked(case: str) -> None:
    assert not any("stacked(" in line for line in stacked(NOT_STACKED[case]))


def test_a_sum_of_both_gates_is_not_part_of_a_pack() -> None:
    """h reads both halves of the stack, so it cannot be one operation on it."""
    assert stacked({"h": add(tanh(at(W, x)), tanh(at(V, x)))})[-1] == "h [4] step = add(h_curve, h_curve.2)"


@pytest.mark.parametrize(
    "names, name",
    [
        (["W_i", "W_f"], "W_if"),
        (["h1.b_i", "h1.b_f"], "h1.b_if"),
        (["r", "z"], "rz"),
        (["mean", "mean"], "means"),
        (["one", "other_one"], "one_to_other_one"),
    ],
)
def test_names_of_stacks(names: list[str], name: str) -> None:
    assert common_name(names) == name


# ------------------------------------------------------------------ the gradient


def test_the_adjoint_of_a_recurrence_is_a_recurrence_the_other_way() -> None:
    before = program(RECURRENCE)
    after = differentiate(before)
    validate(after)
    assert new(before, after) == lines("""
        dtotal_spread [4] step = spread(share) {(1, (4,))}
        dh_next       [4] step = shift(dh_last) {-1}
        dh            [4] step = add(dtotal_spread, dh_next)
        db_transpose  [4, 4] fixed = transpose(W)
        dh_last       [4] step = matmul(db_transpose, dh)
        dW            [4, 4] fixed = outer_sum(dh, h_last)
        dU            [4, 3] fixed = outer_sum(dh, x)
        dh_0          [4] sequence = step_at(dh_last) {1}
    """)
    named = {before.values[a].name: after.values[g].name for a, g in after.roots.gradients}
    assert named == {"h_0": "dh_0", "U": "dU", "W": "dW"}


def test_what_is_not_trained_or_not_read_has_no_gradient() -> None:
    made = read(
        """
        W      [4, 3] fixed = param() {False}
        b      [4] fixed = param() {True}
        x      [3] step = input()
        h      [4] step = matmul(W, x)
        b_all  [4] step = expand(b) {step}
        unread [4] step = add(h, b_all)
        """
        + LOSS,
        outputs=["unread"],
    )
    assert differentiate(made).roots.gradients == ()


def test_adjoints_of_overlapping_rows_are_added_and_gaps_are_zero() -> None:
    before = program("""
        a     [6] fixed = param() {True}
        v     [6] fixed = exp(a)
        top   [4] fixed = rows(v) {(0, 4)}
        low   [4] fixed = rows(v) {(2, 6)}
        both  [4] fixed = mul(top, low)
        h     [4] step = expand(both) {step}
    """)
    assert new(before, differentiate(before)) == lines("""
        dtotal_spread [4] step = spread(share) {(1, (4,))}
        dboth   [4] fixed = batch_sum(dtotal_spread)
        dtop    [4] fixed = mul(dboth, low)
        dlow    [4] fixed = mul(dboth, top)
        dv_rows [2] fixed = rows(v) {(4, 6)}
        zero    [2] fixed = scale(dv_rows) {0.0}
        dv      [6] fixed = concat(dtop, zero)
        dv_rows.2 [2] fixed = rows(v) {(0, 2)}
        zero.2  [2] fixed = scale(dv_rows.2) {0.0}
        dv.2    [6] fixed = concat(zero.2, dlow)
        dv.3    [6] fixed = add(dv, dv.2)
        da      [6] fixed = mul(dv.3, v)
    """)


SUM_OF_PRODUCTS = """
    W      [4, 4] fixed = param() {True}
    U      [4, 3] fixed = param() {True}
    b      [4] fixed = param() {True}
    x      [3] step = input()
    h_last [4] step = shift(h) {1}
    a      [4] step = matmul(U, x)
    c      [4] step = matmul(W, h_last)
    b_all  [4] step = expand(b) {'step'}
    d      [4] step = add(a, c, b_all)
    h      [4] step = exp(d)
"""


def test_a_sum_of_products_in_a_recurrence_is_one_product_and_so_are_its_gradients() -> None:
    before = simplify(differentiate(program(SUM_OF_PRODUCTS)))
    after = join(before)
    validate(after)
    assert new(before, after) == lines("""
        1             [1] fixed = constant() {1.0}
        one           [1] step = expand(1) {step}
        W_joined      [4, 8] fixed = beside(W, U, b)
        h_last_joined [8] step = concat(h_last, x, one)
        d             [4] step = matmul(W_joined, h_last_joined)
        db_joined     [4, 8] fixed = outer_sum(dd, h_last_joined)
        db            [4] fixed = columns(db_joined) {(7, (4,))}
        dW            [4, 4] fixed = columns(db_joined) {(0, (4, 4))}
        dU            [4, 3] fixed = columns(db_joined) {(4, (4, 3))}
    """)


@pytest.mark.parametrize(
    "text",
    [
        SUM_OF_PRODUCTS.replace("shift(h)", "shift(x_0)").replace("x      [3]", "x_0    [4] step = input()\n    x      [3]"),
        SUM_OF_PRODUCTS.replace("add(a, c, b_all)", "add(c, b_all)"),
        SUM_OF_PRODUCTS.replace("exp(d)", "mul(d, a)"),
        SUM_OF_PRODUCTS.replace("x      [3]", "x      [30]").replace("[4, 3]", "[4, 30]"),
    ],
    ids=["no recurrence", "one product", "a product is read elsewhere", "more to copy than to save"],
)
def test_what_is_not_joined(text: str) -> None:
    before = simplify(differentiate(program(text)))
    assert shown(join(before)) == shown(before)


SHIFTED_PRODUCT = """
    W      [4, 4] fixed = param() {True}
    x      [4] step = input()
    q_last [4] step = shift(q) {1}
    h      [4] step = add(x, q_last)
    p      [4] step = matmul(W, h)
"""
"""A product that the next step reads, as `q`: by itself, or in a sum with something else."""


def test_a_product_for_the_next_step_is_one_of_the_step_before() -> None:
    made = program(SHIFTED_PRODUCT.replace("shift(q)", "shift(p)"))
    assert body(simplify(past_products(made))) == lines("""
        W      [4, 4] fixed = param() {True}
        x      [4] step = input()
        h_last [4] step = shift(h) {1}
        p      [4] step = matmul(W, h_last)
        h      [4] step = add(x, p)
    """)


def test_so_is_one_in_a_sum() -> None:
    made = program(SHIFTED_PRODUCT + "    part   [4] step = mul(h, x)\n    q      [4] step = add(p, part)\n")
    assert body(simplify(past_products(made))) == lines("""
        W         [4, 4] fixed = param() {True}
        x         [4] step = input()
        h_last    [4] step = shift(h) {1}
        p         [4] step = matmul(W, h_last)
        part_last [4] step = shift(part) {1}
        h         [4] step = add(x, p, part_last)
        part      [4] step = mul(h, x)
    """)


def test_a_sum_that_others_read_stays() -> None:
    text = SHIFTED_PRODUCT + "    part   [4] step = mul(h, x)\n    q      [4] step = add(p, part)\n"
    made = read(text + LOSS, outputs=["q"])
    assert shown(past_products(made)) == shown(made)


def test_sums_over_time_become_one_product() -> None:
    before = differentiate(program(RECURRENCE))
    after = weight_gradients(before, batch=1)
    validate(after)
    assert new(before, after) == lines("""
        dh_flat      [4] flat = flat(dh)
        h_last_lines [4] lines = lines(h_last)
        dW           [4, 4] fixed = gram(dh_flat, h_last_lines)
        x_lines      [3] lines = lines(x)
        dU           [4, 3] fixed = gram(dh_flat, x_lines)
    """)


def test_the_matrix_of_a_large_product_is_transposed_once() -> None:
    before = differentiate(program(RECURRENCE))
    assert new(before, weight_gradients(before, batch=products.UNCOPIED))[:2] == lines("""
        W_T          [4, 4] fixed = copy(db_transpose)
        dh_last      [4] step = matmul(W_T, dh)
    """)


def test_the_narrower_operand_of_a_sum_over_time_becomes_lines() -> None:
    """If it is the left one, the product is that of the transposes; too many features stay columns."""
    before = read(
        """
        a    [4] step = input()
        b    [6] step = input()
        c    [300] step = input()
        loss [4, 6] fixed = outer_sum(a, b)
        dW   [300, 300] fixed = outer_sum(c, c)
    """,
        outputs=["dW"],
    )
    assert new(before, weight_gradients(before, batch=1)) == lines("""
        b_flat  [6] flat = flat(b)
        a_lines [4] lines = lines(a)
        loss_T  [6, 4] fixed = gram(b_flat, a_lines)
        loss    [4, 6] fixed = transpose(loss_T)
        c_flat  [300] flat = flat(c)
        dW      [300, 300] fixed = gram(c_flat, c_flat)
    """)


def test_an_operand_is_not_stored_as_columns_and_as_lines() -> None:
    """b meets the narrow a, and c, which is wider: it becomes lines for both."""
    before = read(
        """
        a    [4] step = input()
        b    [6] step = input()
        c    [8] step = input()
        loss [4, 6] fixed = outer_sum(a, b)
        dW   [8, 6] fixed = outer_sum(c, b)
    """,
        outputs=["dW"],
    )
    assert new(before, weight_gradients(before, batch=1)) == lines("""
        a_flat  [4] flat = flat(a)
        b_lines [6] lines = lines(b)
        loss    [4, 6] fixed = gram(a_flat, b_lines)
        c_flat  [8] flat = flat(c)
        dW      [8, 6] fixed = gram(c_flat, b_lines)
    """)


def test_a_concatenation_for_weight_gradients_alone_is_not_made() -> None:
    """Each part has its rows of the gradient."""
    made = read("""
        a    [4] step = input()
        b    [2] step = input()
        both [6] step = concat(a, b)
        loss [6, 4] fixed = outer_sum(both, a)
    """)
    assert shown(weight_gradients(made, batch=1)) == lines("""
        a      [4] step = input()
        b      [2] step = input()
        a_flat [4] flat = flat(a)
        b_flat [2] flat = flat(b)
        loss   [4, 4] fixed = gram(a_flat, a_flat)
        loss.2 [2, 4] fixed = gram(b_flat, a_flat)
        loss.3 [6, 4] fixed = concat(loss, loss.2)
    """)


def test_parts_of_what_is_flattened_anyway_are_rows_of_it() -> None:
    before = read("""
        W    [4, 6] fixed = param() {True}
        a    [4] step = input()
        b    [2] step = input()
        both [6] step = concat(a, b)
        c    [4] step = matmul(W, both)
        db   [4] fixed = batch_sum(a)
        dV   [2, 4] fixed = outer_sum(b, a)
        dW   [4, 6] fixed = outer_sum(c, both)
    """)
    before = replace(before, roots=replace(before.roots, outputs=tuple(("", i) for i in before.values)))
    assert new(before, weight_gradients(before, batch=1)) == lines("""
        both_flat [6] flat = flat(both)
        a_flat    [4] flat = rows(both_flat) {(0, 4)}
        db        [4] fixed = row_sum(a_flat)
        b_flat    [2] flat = rows(both_flat) {(4, 6)}
        dV        [2, 4] fixed = gram(b_flat, a_flat)
        c_lines   [4] lines = lines(c)
        dW_T      [6, 4] fixed = gram(both_flat, c_lines)
        dW        [4, 6] fixed = transpose(dW_T)
    """)


def test_factors_before_and_behind_a_sum_are_its_weight() -> None:
    made = program("""
        a     [4] step = input()
        b     [4] step = input()
        half  [4] step = scale(a) {0.5}
        sum   [1] step = total(half) {1}
        less  [1] step = scale(sum) {-0.5}
        again [1] step = total(b) {1}
        twice [1] step = scale(again) {2.0}
        both  [1] step = add(again, twice)
        one   [1] step = mul(less, both)
        h     [4] step = spread(one) {(1, (4,))}
    """)
    assert body(simplify(reductions(made))) == lines("""
        a     [4] step = input()
        b     [4] step = input()
        less  [1] step = weighted_total(a) {(1, -0.25)}
        again [1] step = total(b) {1}
        twice [1] step = scale(again) {2.0}
        both  [1] step = add(again, twice)
        one   [1] step = mul(less, both)
        h     [4] step = spread(one) {(1, (4,))}
    """)


def test_a_loss_of_products_is_one_operation() -> None:
    """Not of three, not in groups, not of what is only repeated, and not where the products or their sum are read elsewhere."""
    text = """
        a     [4] step = input()
        b     [4] step = input()
        ab    [4] step = mul(a, b)
        total [1] step = total(ab) {1}
        share [1] step = share()
        loss  [1] fixed = mean_loss(total, share)
    """
    alike = lines("""
        a     [4] step = input()
        b     [4] step = input()
        share [1] step = share()
        loss  [1] fixed = mean_dot(a, b, share) {1.0}
    """)
    assert shown(loss_dots(read(text))) == alike
    square = text.replace("mul(a, b)", "square(a)").replace("total(ab) {1}", "weighted_total(ab) {(1, 0.25)}")
    assert shown(loss_dots(read(square)))[-1] == "loss [1] fixed = mean_dot(a, a, share) {0.25}"
    for changed in (
        text.replace("mul(a, b)", "mul(a, b, b)"),
        text.replace("mul(a, b)", "add(a, b)"),
        text.replace("total [1]", "total [2]").replace("{1}", "{2}"),
        text.replace("b     [4] step = input()", "c [1] step = input()\n b [4] step = spread(c) {(1, (4,))}"),
    ):
        assert shown(loss_dots(read(changed))) == shown(read(changed))
    for item, size in {"ab": 4, "total": 1}.items():
        assert shown(loss_dots(read(text, outputs=[item]))) == shown(read(text))
        twice = read(text.replace("share [", f"other [{size}] step = exp({item})\n share ["), outputs=["other"])
        assert shown(loss_dots(twice)) == shown(twice)


def test_what_is_repeated_gets_storage_only_where_a_product_reads_it() -> None:
    """exp repeats by itself: nothing of it has the full shape."""
    before = program("""
        W     [4, 4] fixed = param() {True}
        b     [4] fixed = param() {True}
        x     [4] step = input()
        b_all [4] step = expand(b) {step}
        curve [4] step = exp(b_all)
        a     [4] step = matmul(W, curve)
        h     [4] step = mul(a, x, b_all)
    """)
    assert new(before, materialise(before)) == lines("""
        curve_all [4] step = copy(curve)
        a         [4] step = matmul(W, curve_all)
    """)
