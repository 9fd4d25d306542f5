"""Three hundred random models through the whole compiler, and a few that hypothesis makes small where they fail."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings

from rnnspec.ir import products
from rnnspec.passes import hoist, weight_gradients
from rnnspec.script import calls, parts
from tests.fuzz_models import IllConditioned, check_sketch
from tests.models import random_sketch, sketches
from tests.sketch import Sketch

MODELS = 300
PARTS = 15
FIRST = 100
"""Seeds below are those of `test_random_models`."""


@pytest.mark.parametrize("part", range(PARTS))
def test_random_models_agree_with_their_references(part: int) -> None:
    """Textbook, fast script and complex steps; torch for every tenth model."""
    ill_conditioned = 0
    for seed in range(FIRST + part, FIRST + MODELS, PARTS):
        sketch = random_sketch(random.Random(seed))
        try:
            check_sketch(sketch, seed, with_torch=seed % 10 == 0)
        except IllConditioned:
            ill_conditioned += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{sketch.text()}") from error
    assert ill_conditioned <= 2


@pytest.mark.parametrize("seed", range(20))
def test_what_is_faster_for_large_models_is_right_too(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the model: elementwise work stays in loops, products are in groups, sums in parts, ids are sorted."""
    monkeypatch.setattr(hoist, "SMALL", 0)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(products, "UNCOPIED", 40)
    monkeypatch.setattr(products, "FEWEST_ROWS", 1)
    monkeypatch.setattr(weight_gradients, "WIDEST", 0)
    monkeypatch.setattr(calls, "FEW", 0)
    monkeypatch.setitem(calls.HELPERS, "in_parts", parts.HELPER.replace(str(parts.COLUMNS), "7"))
    with suppress(IllConditioned):
        check_sketch(random_sketch(random.Random(seed)), seed)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sketch=sketches())
def test_models_that_shrink(sketch: Sketch) -> None:
    """What fails here is reported as the smallest model that hypothesis can find."""
    with suppress(IllConditioned):
        check_sketch(sketch, seed=0)
