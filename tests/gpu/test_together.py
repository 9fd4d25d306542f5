"""Products of recurrences in their kernels: right gradients, the same bits in any order of threads, no missing wait unseen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.verify.probe import Probe, probe
from tests.corpus import FOLDER, SPECS
from tests.fuzz_models import WAYS
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
WITHOUT = {"custom_cell.rnn", "min_gru.rnn"}  # sums between products, and no products
USING = [name for name in SPECS if name not in WITHOUT]
STEPS, BATCH = 5, 3

MISTAKES: dict[str, Callable[[str], str]] = {
    "no wait after a step": lambda text: text.replace("        if (steps > 1) RS_GRID_SYNC();\n", ""),
    "no wait for the weights": lambda text: text.replace("    __syncthreads();\n    for (int t", "    for (int t"),
    "too few weights": lambda text: text.replace("i < each * 128", "i < each * 127"),
    "weights of another unit": lambda text: text.replace("W_hh[j * 128 + k]", "W_hh[u * 128 + k]"),
    "units behind the last": lambda text: text.replace("            if (j >= 128) continue;\n", "", 1),
    "a step too few": lambda text: text.replace("t < from + steps;", "t < from + steps - 1;"),
    "the step itself instead of the one before": lambda text: text.replace("past = h[s *", "past = h[(s + B) *"),
}


@cache
def compiled(name: str) -> Compiled:
    """A spec of the folder with the products of its recurrences in their kernels."""
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


@pytest.mark.parametrize(("way", "steps"), list(zip(WAYS, (STEPS, 1, 0), strict=True)))
@pytest.mark.parametrize("name", ["elman_char.rnn", "gru_classifier.rnn"])
def test_all_ways_give_the_same(name: str, way: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, at = compiled(name), place(name)
    want = gradients(compile_spec(FOLDER / name).load(), at, "float64")
    with cupy_on_host(schedule=1):
        script = made.load()
        chosen = []
        vars(script).update(WAYS[way])
        right = script.units_and_steps
        monkeypatch.setattr(script, "units_and_steps", lambda *about: chosen.append(right(*about)) or chosen[-1])
        found = gradients(script, at, "float64")
    assert chosen and {number for _, number in chosen} == {steps}
    assert all(np.linalg.norm(found[item] - want[item]) <= 1e-10 * np.linalg.norm(want[item]) for item in want)


def test_weights_that_do_not_fit_at_once_are_shared_by_more_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    with cupy_on_host():
        script = compiled("elman_char.rnn").load()
    gpu = SimpleNamespace(attributes={"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 232_448})
    monkeypatch.setattr(script, "cp", SimpleNamespace(cuda=SimpleNamespace(Device=lambda: gpu)))
    monkeypatch.setattr(script, "PRODUCT", 1.0)
    w = SimpleNamespace(T=STEPS, B=BATCH, loss=np.zeros(1, np.float32))
    assert script.units_and_steps(w, 256, 4, 256) == (2, STEPS)
    assert script.units_and_steps(w, 2048, 4, 2048) == (7, 1)  # 16 units would have to be in a block, and 7 fit
    assert script.units_and_steps(w, 20_000, 4, 20_000) == (0, 0)  # not even one fits


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
