"""What must hold of every program holds behind every pass, and what is broken is refused."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rnnspec.compiler import programs
from rnnspec.frontend.check import check
from rnnspec.ir.program import Program
from rnnspec.ir.text import text, unique_names
from rnnspec.ir.validate import validate
from tests.models import random_sketch
from tests.programs import read, shown

MODELS = 40
BLOCKS = """
    storage and views:
        W      [4, 4] fixed = param() {True}
        x      [4] step = input()
        share  [1] step = share()
        h_last [4] step = shift(h) {1}
    all steps at once:
        a      [4] step = exp(x)
    for t = 1 .. T:
        W_h    [4] step = matmul(W, h_last)
        h      [4] step = add(W_h, a)
    all steps at once:
        h_T    [4] sequence = last(h)
        total  [1] step = total(h) {1}
        loss   [1] fixed = mean_loss(total, share)
        dW     [4, 4] fixed = outer_sum(h, a)
"""


def good() -> Program:
    """A program in blocks that is well formed; its values stand in an order of dependency."""
    return read(BLOCKS, outputs=["h_T"], gradients=[("W", "dW")])


@pytest.mark.parametrize("seed", range(MODELS))
def test_programs_are_well_formed_behind_every_pass(seed: int, tmp_path: Path) -> None:
    spec, _ = check(random_sketch(random.Random(seed)).write(tmp_path))
    assert spec is not None
    for level in (0, 1):
        for name, program in programs(spec, level):
            try:
                validate(program)
            except ValueError as error:
                raise AssertionError(f"behind {name} of level {level}: {error}") from None
            again = read(text(program), loss=unique_names(program)[program.roots.loss])
            assert shown(again) == shown(program)


def test_the_good_program_is_accepted() -> None:
    validate(good())


BROKEN = {
    "an unknown operation": (r"= exp\(x\)", "= expo(x)", "bad identity"),
    "an operand behind its reader": (r"= exp\(x\)", "= exp(W_h)", "comes later"),
    "operands of two shapes": (r"add\(W_h, a\)", "add(W_h, share)", "shapes differ"),
    "a product of sizes that do not match": (r"W      \[4, 4\]", "W [4, 3]", "sizes do not match"),
    "a wrong shape": (r"total  \[1\]", "total [2]", "should be"),
    "a wrong time": (r"\[4\] sequence = last", "[4] step = last", "should be"),
    "a gradient of another shape": (r"outer_sum\(h, a\)", "outer_sum(h, total)", "should be"),
    "the last step read in its own loop": (r"all steps at once:\s+h_T", "h_T", "before it is computed"),
    "a later step read in its own loop": (r"shift\(h\) \{1\}", "shift(h) {-1}", "before it is computed"),
    "a value read before its block": (r"exp\(x\)", "exp(h_last)", "before it is computed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_programs_are_refused(case: str) -> None:
    old, put, message = BROKEN[case]
    broken, count = re.subn(old, put, BLOCKS)
    assert count == 1
    with pytest.raises(ValueError, match=message):
        validate(read(broken, outputs=["h_T"], gradients=[("W", "dW")]))


PARTS = """
    storage and views:
        a      [2] step = input()
        b      [3] step = input()
    some steps at a time:
        a_flat [2] flat = flat(a)
        lines  [3] lines = lines(b)
        dW     [2, 3] fixed = gram(a_flat, lines)
        dV     [2, 2] fixed = gram(a_flat, a_flat)
    all steps at once:
        loss   [1] fixed = total(dW) {1}
        more   [1] fixed = total(dV) {1}
"""
"""Sums by parts, and what is made of them."""
BROKEN_PARTS = {
    "something else in parts": (
        r"lines  \[3\] lines = lines\(b\)",
        "c [3] step = exp(b)\n lines [3] lines = lines(c)",
        "only sums",
    ),
    "a sum read in its parts": (r"    all steps at once:\n", "", "only sums|before it is computed"),
    "columns read behind their parts": (
        r"more   \[1\] fixed = total\(dV\) \{1\}",
        "more [2] fixed = row_sum(a_flat)",
        "one part",
    ),
}


@pytest.mark.parametrize("case", BROKEN_PARTS)
def test_broken_parts_are_refused(case: str) -> None:
    validate(read(PARTS, outputs=["more"]))
    old, put, message = BROKEN_PARTS[case]
    broken, count = re.subn(old, put, PARTS)
    assert count == 1
    with pytest.raises(ValueError, match=message):
        validate(read(broken, outputs=["more"]))


def test_a_gradient_has_the_shape_of_its_parameter() -> None:
    program = good()
    wrong = replace(program.roots, gradients=((program.roots.gradients[0][0], program.roots.loss),))
    with pytest.raises(ValueError, match="not a gradient of"):
        validate(replace(program, roots=wrong))


def test_an_operand_must_exist() -> None:
    program = good()
    values = {i: value for i, value in program.values.items() if value.name != "x"}
    with pytest.raises(ValueError, match="does not exist"):
        validate(replace(program, values=values))


def test_an_identity_is_the_key() -> None:
    program = good()
    values = {i: replace(value, id=99) if value.name == "a" else value for i, value in program.values.items()}
    with pytest.raises(ValueError, match="bad identity"):
        validate(replace(program, values=values))


def test_blocks_hold_every_computed_value_once() -> None:
    program = good()
    first, *rest = program.blocks
    for blocks in (rest, (first, *program.blocks)):
        with pytest.raises(ValueError, match="every computed value once"):
            validate(replace(program, blocks=tuple(blocks)))


def test_a_recurrence_has_one_direction() -> None:
    with pytest.raises(ValueError, match="looks both ways"):
        validate(
            read("""
                before [4] step = shift(h) {1}
                behind [4] step = shift(h) {-1}
                h      [4] step = add(before, behind)
            """)
        )
