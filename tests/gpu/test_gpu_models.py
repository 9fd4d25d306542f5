"""Random models as scripts for a GPU: their gradients on the stand-in against references made from the equations."""

from __future__ import annotations

import itertools
import random

import pytest

from rnnspec.passes import vjps
from rnnspec.verify.compare import GradientMismatch
from tests.corpus import place
from tests.fuzz_models import check_sketch, repeats
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.gpu_scripts import compiled
from tests.gpu.marks import needs_compiler
from tests.models import random_sketch
from tests.test_random_models import FOUND

pytestmark = needs_compiler


@pytest.mark.parametrize("name", FOUND)
def test_what_failed_once(name: str) -> None:
    check_sketch(FOUND[name], seed=1, device="gpu")


@pytest.mark.parametrize("seed", range(12))
def test_random_models(seed: int) -> None:
    check_sketch(random_sketch(random.Random(seed)), seed, device="gpu")


# ------------------------------------------------------------------ the checks bite


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vjps.VJPS, "squash", lambda graph, y, dy: [(y.args[0], dy)])
    with pytest.raises(GradientMismatch, match="level 1 against complex steps"):
        check_sketch(FOUND["same_for_all_steps"], seed=1, device="gpu")


def test_what_a_graph_does_not_repeat_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)
    with cupy_on_host():
        script = compiled("adding.rnn").load()
        repeats(script, place("adding.rnn"), step=1)
        monkeypatch.setattr(script, "forward", lambda p, w: w.loss.fill(next(calls)))
        with pytest.raises(GradientMismatch, match="a recorded step gives another result"):
            repeats(script, place("adding.rnn"), step=1)
