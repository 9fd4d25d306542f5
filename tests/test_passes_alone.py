"""Each optimisation by itself, and all but one: what a pass does right may not depend on what another one did before."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from rnnspec import compiler
from tests.fuzz_models import IllConditioned, check_sketch
from tests.models import random_sketch

ALL = [name for name, _ in compiler.passes(1, 4)]
NEEDED = ["starts", "differentiate", "materialise", "hoist"]
"""Without these there is no program that can be printed."""
OPTIONAL = [name for name in ALL if name not in NEEDED]
MODELS = 4


def check_models(monkeypatch: pytest.MonkeyPatch, first: int, kept: Callable[[str], bool]) -> None:
    """Random models with some of the passes, against complex steps."""
    right = compiler.passes
    monkeypatch.setattr(compiler, "passes", lambda *asked: [step for step in right(*asked) if kept(step[0])])
    for seed in range(first, first + MODELS):
        try:
            check_sketch(random_sketch(random.Random(seed)), seed, levels=(1,))
        except IllConditioned:
            continue


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_pass_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_models(monkeypatch, 500, lambda other: other in (*NEEDED, name))


@pytest.mark.parametrize("name", OPTIONAL)
def test_all_passes_but_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_models(monkeypatch, 600, lambda other: other != name)


def test_no_optional_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    check_models(monkeypatch, 700, NEEDED.__contains__)
