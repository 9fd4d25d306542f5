"""Who may live where and when: the offers that `place` accepts and refuses, on made-up programs."""

from __future__ import annotations

import pytest

from rnnspec.ir.storage import Buffer, Life, Placement, Region
from rnnspec.passes.place import Placer, place
from tests.programs import read

ALL, LOW, HIGH = Region(99, 0, 4), Region(99, 0, 2), Region(99, 2, 4)


def placer(text: str, windows: bool = False) -> Placer:
    """The placer of a program in blocks."""
    return Placer(read(text), windows)


def named(made: Placer | Placement, name: str) -> int:
    """The value of a name."""
    return next(i for i, value in made.program.values.items() if value.name == name)


def where(made: Placement, name: str) -> tuple[str, int, int]:
    """The buffer of a value and its rows there."""
    region = made.regions[named(made, name)]
    return made.buffers[region.buffer].name, region.low, region.high


# ------------------------------------------------------------------ in place

OPERATIONS = """
    storage and views:
        W     [4, 4] fixed = param() {True}
        x     [4] step = input()
        top   [2] step = rows(a) {(0, 2)}
        part  [2] step = rows(b) {(2, 4)}
    all steps at once:
        a     [4] step = exp(x)
        b     [4] step = exp(a)
        yes   [4] step = less(a, b)
        sum   [4] step = add(a, b)
        twice [4] step = mul(a, a)
        three [4] step = mul(a, b, b)
        four  [4] step = mul(a, b, x, sum)
        views [2] step = mul(part, top, top)
        where [4] step = select(yes, a, b)
        same  [4] step = select(yes, b, b)
        cond  [4] step = select(b, a, b)
        dot   [4] step = matmul(W, b)
        loss  [4] step = softmax(b)
"""
MAY = [("sum", "a"), ("sum", "b"), ("twice", "a"), ("four", "a"), ("four", "b"), ("where", "b"), ("yes", "a")]
MAY_NOT = {
    "an operand that a product of three reads twice": ("three", "b"),
    "the other operand of it: the first two are multiplied before it is overwritten by itself": ("three", "a"),
    "rows of a value that is read twice": ("views", "b"),
    "what a choice reads in its second step": ("where", "a"),
    "the condition of a choice": ("where", "yes"),
    "both operands of a choice": ("same", "b"),
    "the condition is the last operand": ("cond", "b"),
    "a matrix product": ("dot", "b"),
    "a softmax": ("loss", "b"),
}


@pytest.mark.parametrize("new, old", MAY)
def test_an_elementwise_operation_may_run_in_place(new: str, old: str) -> None:
    made = placer(OPERATIONS)
    assert made.in_place(named(made, old), named(made, new), ALL, ALL)
    assert not made.in_place(named(made, old), named(made, new), ALL, LOW)
    assert not made.in_place(named(made, old), named(made, new), LOW, HIGH)


@pytest.mark.parametrize("case", MAY_NOT)
def test_what_may_not_run_in_place(case: str) -> None:
    made = placer(OPERATIONS)
    new, old = MAY_NOT[case]
    assert not made.in_place(named(made, old), named(made, new), ALL, ALL)


# ------------------------------------------------------------------ free


@pytest.mark.parametrize(
    "region, start, end, item, free",
    [
        (ALL, 8, 9, "b", True),  # behind the life
        (ALL, 1, 2, "x", True),  # before it
        (ALL, 4, 5, "b", False),  # in the middle
        (ALL, 1, 9, "b", False),  # around
        (ALL, 6, 9, "b", False),  # begins before the end
        (LOW, 6, 9, "b", True),  # other rows
        (Region(99, 1, 3), 6, 9, "b", False),  # one row in common
        (HIGH, 7, 9, "views", False),  # touches the end, but other rows
        (ALL, 7, 9, "sum", True),  # touches the end: computed in place
        (ALL, 7, 9, "dot", False),  # touches the end, but a product cannot run in place
        (ALL, 7, 9, "three", False),  # touches the end, but reads an operand twice
        (ALL, 2, 3, "a", True),  # touches the start: what lives here is computed from it in place
    ],
)
def test_rows_are_free_beside_a_life(region: Region, start: int, end: int, item: str, free: bool) -> None:
    """Somebody lives in rows 0 to 4, or in the upper two of them, from tick 3 to 7: the value b, made of a."""
    made = placer(OPERATIONS)
    lives = HIGH if region in (LOW, HIGH) else ALL
    made.buffers[99] = Buffer(99, "place", "step", (4,), lives=[Life(lives, 3, 7, named(made, "b"))])
    assert made.free(region, start, end, named(made, item)) == free


def test_all_lives_are_asked() -> None:
    made = placer(OPERATIONS)
    made.buffers[99] = Buffer(99, "place", "step", (4,))
    made.buffers[99].lives += [Life(ALL, 1, 3, named(made, "a")), Life(ALL, 7, 9, named(made, "b"))]
    assert made.free(ALL, 4, 6, named(made, "sum"))
    assert not made.free(ALL, 3, 7, named(made, "dot"))
    assert not made.free(ALL, 4, 8, named(made, "sum"))


# ------------------------------------------------------------------ whole programs

LOOP = """
    storage and views:
        W      [4, 4] fixed = param() {True}
        x      [4] step = input()
        s_last [4] step = shift(s) {1}
        h_old  [4] step = shift(h) {2}
    for t = 1 .. T:
        W_s    [4] step = matmul(W, s_last)
        s      [4] step = add(W_s, h_old)
        h      [4] step = exp(s)
    all steps at once:
        loss   [4] step = mul(h, x)
"""


def test_a_value_of_one_step_before_is_carried_and_one_of_two_steps_before_has_a_history() -> None:
    made = place(read(LOOP))
    assert {made.program.values[a].name: made.program.values[b].name for a, b in made.carried.items()} == {"s": "s_last"}
    assert where(made, "s") == where(made, "s_last") == ("s_last", 0, 4)
    h = made.buffers[made.regions[named(made, "h")].buffer]
    assert (h.storage, h.front, h.back) == ("history", 2, 0)


def test_a_carried_value_that_is_made_while_the_old_one_is_needed_is_copied_in_the_end() -> None:
    made = place(read(LOOP.replace("exp(s)", "mul(s, s_last)")))
    assert where(made, "s") != where(made, "s_last")
    ((value, region, tick),) = [(c.value, c.region, c.tick) for c in made.copies]
    assert (value, region.buffer, tick) == (named(made, "s"), named(made, "s_last"), made.spans[0][1])


def test_an_elementwise_operation_writes_over_its_operand() -> None:
    """The product itself cannot: it reads the place in which s is carried to the end."""
    text = LOOP.replace("        s      [4]", "        curve  [4] step = exp(W_s)\n        s      [4]")
    made = place(read(text.replace("add(W_s, h_old)", "mul(curve, x)")))
    assert where(made, "curve") == where(made, "s") == ("s_last", 0, 4)
    assert where(made, "W_s") == ("W_s", 0, 4)


def test_states_of_windows_outlive_the_program() -> None:
    made = placer(LOOP, windows=True)
    assert made.carried == {}  # the next window reads the last step, so there must be a history
    assert made.storage(named(made, "s")) == "history"
    assert made.last(named(made, "s")) == made.last(named(made, "h")) == made.end


def test_a_lagged_value_lives_to_the_end_of_the_loop() -> None:
    made = placer(LOOP.replace("mul(h, x)", "exp(x)"))
    (_, end) = made.span[0]
    assert made.last(named(made, "h")) == end > made.at[named(made, "h")]


CONCAT = """
    storage and views:
        x    [2] step = input()
        top  [2] step = rows(both) {(0, 2)}
    all steps at once:
        a    [2] step = exp(x)
        b    [2] step = square(a)
        both [6] step = concat(a, x, b)
        loss [2] step = exp(top)
"""


def test_parts_are_computed_where_the_whole_is_and_data_is_copied() -> None:
    made = place(read(CONCAT))
    assert (where(made, "a"), where(made, "b")) == (("both", 0, 2), ("both", 4, 6))
    ((value, low, high),) = [(c.value, c.region.low, c.region.high) for c in made.copies]
    assert (value, low, high) == (named(made, "x"), 2, 4)


def test_a_part_that_stands_twice_in_a_concatenation_is_copied() -> None:
    made = place(read(CONCAT.replace("concat(a, x, b)", "concat(a, b, a)")))
    assert [c.region.low for c in made.copies] == [0, 4]
    assert where(made, "b") == ("both", 2, 4)


def test_a_view_shows_the_rows_of_what_it_reads() -> None:
    made = place(read(CONCAT))
    assert made.resolve(named(made, "top")) == made.regions[named(made, "a")]


# ------------------------------------------------------------------ sums by parts


def test_sums_by_parts_and_what_they_read_are_there_for_all_parts() -> None:
    made = place(
        read("""
        storage and views:
            x      [4] step = input()
        all steps at once:
            h      [4] step = exp(x)
        some steps at a time:
            h_flat [4] flat = flat(h)
            sums   [4] fixed = row_sum(h_flat)
            dW     [4, 4] fixed = gram(h_flat, h_flat)
        all steps at once:
            twice  [4] fixed = scale(sums) {2.0}
            rows   [1] fixed = total(dW) {1}
            all    [1] fixed = total(twice) {1}
            loss   [1] fixed = add(rows, all)
    """)
    )
    lives = {life.value: life for buffer in made.buffers.values() for life in buffer.lives}
    first, last = made.spans[1]
    assert lives[named(made, "h")].end == lives[named(made, "h_flat")].end == last
    assert lives[named(made, "sums")].start == lives[named(made, "dW")].start == first
