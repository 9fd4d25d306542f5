"""Every value is where its readers look for it: placed programs run with tags instead of numbers (see tenants.py)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rnnspec.compiler import last, programs
from rnnspec.frontend.check import check
from rnnspec.ir.program import Program
from rnnspec.passes.place import place
from tests.faults import FAULTS
from tests.faults.sketches import lagged
from tests.models import random_sketch
from tests.tenants import WrongTenant, audit
from tests.test_random_models import FOUND

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("**/*.rnn"))
PLACED_WRONGLY = [
    "every place is free",
    "lagged reads end with their step",
    "old and new value share a place",
    "parts of a concatenation are not copied",
    "a concatenation in another one has no place",
    "a joined operand is read a step late",
]
MODELS = [lagged().sketch, *FOUND.values(), *(random_sketch(random.Random(seed)) for seed in range(12))]


def scheduled(path: Path) -> Program:
    """The program of a spec behind the last pass of level 1."""
    spec, _ = check(path)
    assert spec is not None
    return last(programs(spec, 1))


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_reads_what_it_means(path: Path, windows: bool) -> None:
    audit(place(scheduled(path), windows))


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("number", range(len(MODELS)))
def test_a_model_reads_what_it_means(number: int, windows: bool, tmp_path: Path) -> None:
    audit(place(scheduled(MODELS[number].write(tmp_path)), windows))


@pytest.mark.parametrize("fault", PLACED_WRONGLY)
def test_what_is_placed_wrongly_is_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [scheduled(path) for path in SPECS] + [scheduled(model.write(tmp_path)) for model in MODELS]
    FAULTS[fault].plant(monkeypatch)
    with pytest.raises(WrongTenant):
        for program in made:
            audit(place(program))
