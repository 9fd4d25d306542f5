"""Dense recurrences in one launch: the right gradients, the same bits in any order of threads, and no missing wait unseen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.verify.probe import Probe, probe
from tests.corpus import FOLDER
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
USING = ["elman_char.rnn", "adding.rnn", "bidirectional.rnn", "gru_classifier.rnn"]
STEPS, BATCH = 5, 3

MISTAKES: dict[str, Callable[[str], str]] = {
    "no wait after a step": lambda text: text.replace("        RS_GRID_SYNC();\n", ""),
    "no wait for the weights": lambda text: text.replace("    __syncthreads();\n    for (int t", "    for (int t"),
    "too few weights": lambda text: text.replace("i < each * 128", "i < each * 127"),
    "weights of another unit": lambda text: text.replace("W_hh[j * 128 + k]", "W_hh[u * 128 + k]"),
    "units behind the last": lambda text: text.replace("            if (j >= 128) continue;\n", "", 1),
    "the step itself instead of the one before": lambda text: text.replace("past = h[s *", "past = h[(s + B) *"),
}


@cache
def compiled(name: str) -> Compiled:
    """A spec of the folder with its dense recurrences in one launch."""
    return compile_spec(FOLDER / name, device="gpu", level=2)


def gradients(source: ModuleType, at: Probe, dtype: str) -> dict[str, np.ndarray]:
    """Loss and gradients, in double or single precision."""
    params = {name: np.asarray(value, dtype) for name, value in at.params.items()}
    loss, found = source.loss_and_gradients(params, at.batch)
    return {"": np.array(loss), **found}


def on_the_stand_in(made: Compiled, at: Probe, dtype: str = "float64", schedule: int = 0) -> dict[str, np.ndarray]:
    """The same, on the stand-in for a GPU."""
    with cupy_on_host(schedule):
        return gradients(made.load(), at, dtype)


def place(name: str) -> Probe:
    """Where a spec is looked at; lengths differ where they may."""
    return probe(compiled(name).spec.model, 1, STEPS, BATCH)


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("name", USING)
def test_gradients(name: str, dtype: str, most: float) -> None:
    made, at = compiled(name), place(name)
    assert "launch_together(w, " in made.source
    want = gradients(compile_spec(FOLDER / name).load(), at, "float64")
    for item, got in on_the_stand_in(made, at, dtype).items():
        assert np.linalg.norm(got - want[item]) <= most * np.linalg.norm(want[item]), item


def test_same_bits_in_any_order_of_threads() -> None:
    made, at = compiled("gru_classifier.rnn"), place("gru_classifier.rnn")
    runs = [on_the_stand_in(made, at, schedule=schedule) for schedule in range(3)]
    for run in runs[1:]:
        assert all(run[name].tobytes() == runs[0][name].tobytes() for name in run)


def test_weights_that_do_not_fit_are_multiplied_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    made, at = compiled("elman_char.rnn"), place("elman_char.rnn")
    want = gradients(compile_spec(FOLDER / "elman_char.rnn").load(), at, "float64")
    with cupy_on_host():
        script = made.load()
        monkeypatch.setattr(script, "LAUNCHES", 0.0)  # then it never pays
        found = gradients(script, at, "float64")
    assert all(np.linalg.norm(found[name] - want[name]) <= 1e-10 * np.linalg.norm(want[name]) for name in want)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_caught(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, at = compiled("elman_char.rnn"), place("elman_char.rnn")
    want = gradients(compile_spec(FOLDER / "elman_char.rnn").load(), at, "float64")
    with cupy_on_host(schedule=3):
        script = made.load()
        wrong = MISTAKES[mistake](script.TOGETHER)
        assert wrong != script.TOGETHER
        monkeypatch.setattr(script, "TOGETHER", wrong)
        try:
            found = gradients(script, at, "float64")
        except RuntimeError:
            return  # a race, memory that nobody wrote, or an index outside
    assert any(not np.linalg.norm(found[name] - want[name]) <= 1e-10 * np.linalg.norm(want[name]) for name in want)
