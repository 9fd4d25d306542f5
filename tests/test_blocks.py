"""Which loops a program gets: the fast way (`hoist`) and the textbook way (`schedule`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rnnspec.ir.program import Program
from rnnspec.ir.validate import validate
from rnnspec.passes.differentiate import differentiate
from rnnspec.passes.hoist import SMALL, hoist, split
from rnnspec.passes.schedule import schedule
from tests.programs import lines, read, shown

TWO_WAYS = """
    U        [4, 3] fixed = param() {True}
    W        [4, 4] fixed = param() {True}
    b        [4] fixed = param() {True}
    x        [3] step = input()
    U_x      [4] step = matmul(U, x)
    b_all    [4] step = expand(b) {step}
    h_last   [4] step = shift(h) {1}
    W_h      [4] step = matmul(W, h_last)
    sum      [4] step = add(U_x, W_h, b_all)
    h        [4] step = exp(sum)
    out      [4] step = exp(h)
    out_last [4] step = shift(out) {1}
    later    [4] step = shift(back) {-1}
    back     [4] step = mul(later, out_last)
    total    [1] step = total(back) {1}
    share    [1] step = share()
    loss     [1] fixed = mean_loss(total, share)
"""
"""A recurrence forwards, and one backwards that reads what comes of it."""


def blocks(made: Program) -> list[str]:
    """The blocks of a program, checked: headings, and lines without their indentation."""
    validate(made)
    found = shown(made)
    return found[next(k for k, line in enumerate(found) if line.startswith(("all steps", "for t"))) :]


def by_hoist(text: str, batch: int = 1) -> list[str]:
    return blocks(hoist(read(text), batch))


def by_schedule(text: str) -> list[str]:
    return blocks(schedule(read(text)))


def test_only_recurrences_stay_in_loops() -> None:
    assert by_hoist(TWO_WAYS) == lines("""
        all steps at once:
            U_x      [4] step = matmul(U, x)
            sum_free [4] step = add(U_x, b_all)
        for t = 1 .. T:
            W_h [4] step = matmul(W, h_last)
            sum [4] step = add(W_h, sum_free)
            h   [4] step = exp(sum)
        all steps at once:
            out [4] step = exp(h)
        for t = T .. 1:
            back [4] step = mul(later, out_last)
        all steps at once:
            total [1] step = total(back) {1}
            loss  [1] fixed = mean_loss(total, share)
    """)


def test_large_work_stays_in_the_only_loop_that_reads_it() -> None:
    """b is repeated once, in front of it; `out` stays outside all the same: the loop reads it at another step."""
    assert by_hoist(TWO_WAYS, batch=SMALL)[:9] == lines("""
        all steps at once:
            b_all.2  [4] sequence = copy(b_all)
        for t = 1 .. T:
            U_x      [4] step = matmul(U, x)
            W_h      [4] step = matmul(W, h_last)
            sum_free [4] step = add(U_x, b_all.3)
            sum      [4] step = add(W_h, sum_free)
            h        [4] step = exp(sum)
        all steps at once:
    """)


def test_a_sum_is_split_into_what_is_free_and_the_rest() -> None:
    """Two free operands are worth a sum of their own, one is not."""
    made = split(read(TWO_WAYS.replace("mul(later, out_last)", "mul(later, out_last, x_1)").replace(
        "    x  ", "    x_1      [4] step = input()\n    x  ")))  # fmt: skip
    changed = [line for line in shown(made) if "_free" in line or line.startswith(("sum", "back"))]
    assert changed == lines("""
        sum_free  [4] step = add(U_x, b_all)
        sum       [4] step = add(W_h, sum_free)
        back_free [4] step = mul(out_last, x_1)
        back      [4] step = mul(later, back_free)
    """)
    assert not any("_free" in line for line in shown(split(read(TWO_WAYS.replace("W_h, b_all", "W_h")))))


def test_the_textbook_has_one_loop_a_recurrence_and_all_equations_in_loops() -> None:
    assert by_schedule(TWO_WAYS) == lines("""
        for t = 1 .. T:
            U_x   [4] step = matmul(U, x)
            W_h   [4] step = matmul(W, h_last)
            sum   [4] step = add(U_x, W_h, b_all)
            h     [4] step = exp(sum)
            out   [4] step = exp(h)
        for t = T .. 1:
            back  [4] step = mul(later, out_last)
            total [1] step = total(back) {1}
            loss  [1] fixed = mean_loss(total, share)
    """)


def test_the_textbook_gradient_runs_through_the_loops_backwards() -> None:
    made = differentiate(read(TWO_WAYS))
    assert blocks(schedule(made))[10:] == lines("""
        for t = 1 .. T:
            dback    [4] step = add(dtotal_spread, dback_next)
            dlater   [4] step = mul(dback, out_last)
            dout_last [4] step = mul(dback, later)
        for t = T .. 1:
            dh_part  [4] step = mul(dout_next, out)
            dh       [4] step = add(dh_part, dh_next)
            dsum     [4] step = mul(dh, h)
            dh_last  [4] step = matmul(dW_h_transpose, dsum)
            dW       [4, 4] fixed = outer_sum(dsum, h_last)
            db       [4] fixed = batch_sum(dsum)
            dU       [4, 3] fixed = outer_sum(dsum, x)
    """)


def test_sums_over_columns_are_a_block_of_their_own() -> None:
    """What is computed from the same loop, and what reads the sums, stays outside."""
    found = by_hoist("""
        x      [3] step = input()
        h_last [4] step = shift(h) {1}
        h      [4] step = exp(h_last)
        h_flat [4] flat = flat(h)
        sums   [4] fixed = row_sum(h_flat)
        few    [2] flat = rows(h_flat) {(0, 2)}
        out    [4] step = exp(h)
        lines  [3] lines = lines(x)
        dW     [2, 3] fixed = gram(few, lines)
        turned [3, 2] fixed = transpose(dW)
        twice  [3, 2] fixed = scale(turned) {2.0}
        sum    [4] fixed = batch_sum(out)
        both   [1] fixed = total(sums) {1}
        rows   [1] fixed = total(twice) {1}
        all    [1] fixed = total(sum) {1}
        loss   [1] fixed = add(both, rows, all)
    """)
    assert found[found.index("h [4] step = exp(h_last)") + 1 :] == lines("""
        all steps at once:
            out    [4] step = exp(h)
            sum    [4] fixed = batch_sum(out)
            all    [1] fixed = total(sum) {1}
        some steps at a time:
            h_flat [4] flat = flat(h)
            sums   [4] fixed = row_sum(h_flat)
            lines  [3] lines = lines(x)
            dW     [2, 3] fixed = gram(few, lines)
        all steps at once:
            both   [1] fixed = total(sums) {1}
            twice  [3, 2] fixed = scale(turned) {2.0}
            rows   [1] fixed = total(twice) {1}
            loss   [1] fixed = add(both, rows, all)
    """)


BY_LEVEL = pytest.mark.parametrize("way", [by_hoist, by_schedule], ids=["hoist", "schedule"])


@BY_LEVEL
def test_a_later_step_of_a_loop_is_read_behind_it(way: Callable[[str], list[str]]) -> None:
    text = """
        x      [4] step = input()
        h_last [4] step = shift(h) {1}
        h      [4] step = mul(h_last, x)
        h_next [4] step = shift(h) {-1}
        out    [4] step = square(h_next)
        h_T    [4] sequence = last(h)
        both   [4] step = expand(h_T) {step}
        loss   [4] step = mul(out, both)
    """
    found = way(text)
    loop = found.index("for t = 1 .. T:")
    assert found[loop + 1] == "h [4] step = mul(h_last, x)"
    assert found[loop + 2] in ("all steps at once:", "for t = 1 .. T:")
    assert {line.partition(" ")[0] for line in found[loop + 3 :]} >= {"out", "h_T", "loss"}


@BY_LEVEL
def test_two_layers_and_two_directions_are_loops_of_their_own(way: Callable[[str], list[str]]) -> None:
    text = """
        x      [4] step = input()
        a_last [4] step = shift(a) {1}
        a      [4] step = mul(a_last, x)
        b_last [4] step = shift(b) {1}
        b      [4] step = mul(b_last, a)
        c_next [4] step = shift(c) {-1}
        c      [4] step = mul(c_next, x)
        loss   [4] step = add(b, c)
    """
    found = way(text)
    layers = 1 if way is by_schedule else 2  # the textbook computes both layers of one step after the other
    assert found.count("for t = 1 .. T:") == layers
    assert found.count("for t = T .. 1:") == 1
