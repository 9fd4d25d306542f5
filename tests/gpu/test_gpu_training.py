"""Some steps of training on both devices from the same start in float64: the same parameters, and the same numbers reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.script.devices import Name
from rnnspec.verify.compare import Array, GradientMismatch, compare
from tests import test_batch_norm, test_resets, test_state_clips
from tests.corpus import FOLDER
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler
from tests.gpu.test_command_line import measured

pytestmark = needs_compiler
STEPS, TOLERANCE = 4, 1e-10

DROPPING = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["x", "y", "length"])
  split: {train: 0.7, valid: 0.3}
inputs:
  x: vectors(x, size=3, length=length)
targets:
  target: values(y, size=2)
states: {h: 4, n: 4}
model: |
  n[t] = tanh(W_x @ dropout(x[t], 0.3) + W_h @ h[t-1] + b_h)
  h[t] = zoneout(n[t], h[t-1], 0.2)
  y[t] = W_y @ dropout(h[t] + noise(h[t], 0.1), 0.5, shared="time") + b_y
loss: mse(y[t], target[t])
params:
  W_h: {weight_drop: 0.25, l2: 0.01}
train:
  optimizer: adamw(lr=0.01)
  average: ema(0.9)
  schedule: plateau(factor=0.5, patience=1)
  clip: global_norm(0.1)
  batch: 4
  epochs: 2
  dtype: float64
"""

RUNS: dict[str, tuple[Path | str, list[str]]] = {
    "encoder_decoder": (
        FOLDER / "encoder_decoder.rnn",
        ["data.source=recall(symbols=8, length=6, delay=0, sequences=40)", "train.batch=10"],
    ),
    "ctc_figures": (FOLDER / "ctc_figures.rnn", ["train.batch=3", "data.split.train=0.99", "data.split.valid=0.01"]),
    "batch_norm": (test_batch_norm.WINDOWS, ["train.average=ema(0.9)"]),
    "state_clips": (test_state_clips.SPEC, []),
    "resets": (test_resets.SPEC, []),
    "overlapping_windows": (test_resets.SPEC, ["train.truncation=tbptt(k1=2, k2=5)"]),
    "dropping": (DROPPING, []),
}


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the data of all specs that are texts here; those of `specs/` find theirs beside them."""
    monkeypatch.chdir(tmp_path)
    test_batch_norm.data(tmp_path)
    (tmp_path / "text.txt").write_text(test_resets.TEXT)


def made(name: str, device: Name) -> Compiled:
    """A spec of the table in double precision, with a report of every step."""
    spec, overrides = RUNS[name]
    return compile_spec(spec, device, overrides=[*overrides, "train.dtype=float64", "monitor.every=1"])


def trained(script: Compiled) -> tuple[dict[str, Array], dict[str, float]]:
    """The parameters after some steps, and the numbers that were reported on the way."""
    events: list[dict[str, Any]] = []
    params = script.load(FOLDER if script.spec.path.parent == FOLDER else Path()).train(steps=STEPS, report=events.append)
    return params, measured(events)


def check(name: str, script: Compiled) -> None:
    """Demand that a script for a GPU learns what the one for a CPU does."""
    params, reported = trained(made(name, "cpu"))
    with cupy_on_host(schedule=1):
        found, said = trained(script)
    compare(found, params, TOLERANCE)
    assert said == pytest.approx(reported, rel=TOLERANCE, abs=0)
    assert all(np.isfinite(value) for value in said.values())


@pytest.mark.parametrize("name", RUNS)
def test_both_devices_learn_the_same(name: str) -> None:
    check(name, made(name, "gpu"))


@pytest.mark.parametrize("name", ["batch_norm", "overlapping_windows", "dropping"])
def test_an_interrupted_run_goes_on(name: str, tmp_path: Path) -> None:
    """Bit for bit, with the states of its windows, its averages and its learning rate."""
    whole, resumed = interrupted(made(name, "gpu"), tmp_path)
    assert whole == resumed


def interrupted(script: Compiled, folder: Path) -> list[dict[str, bytes]]:
    """The last checkpoint of a whole run, and of one that was interrupted."""
    with cupy_on_host(schedule=1):
        script.load(Path()).train(folder / "whole", steps=2 * STEPS - 1, report=quiet)
        script.load(Path()).train(folder / "parts", steps=STEPS - 1, report=quiet)
        script.load(Path()).train(folder / "parts", steps=2 * STEPS - 1, resume=True, report=quiet)
    found = []
    for run in ("whole", "parts"):
        with np.load(folder / run / "last.npz") as entries:
            found.append({key: entries[key].tobytes() for key in entries})
    return found


def quiet(event: object) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("name", ["batch_norm", "resets"])
def test_both_devices_measure_and_write_the_same(name: str) -> None:
    with cupy_on_host():
        compare(told(made(name, "gpu")), told(made(name, "cpu")), TOLERANCE)


def told(compiled: Compiled) -> dict[str, Array]:
    """What a script says of its data before it has learned anything: numbers, predictions, and a text if it writes any."""
    script = compiled.load(Path())
    p = script.views(script.init(3))
    found = {}
    for split in script.SPLIT:
        parts = {**script.measure(p, split), **script.predictions(p, split)}
        found |= {f"{split}/{name}": np.nan_to_num(value) for name, value in parts.items()}
    if hasattr(script, "sample"):
        found["text"] = np.array([ord(symbol) for symbol in script.sample(p, 40)])
    return found


MISTAKES = {
    "averages that do not follow": ("batch_norm", "mean[i] += momentum *", "mean[i] += 0 *"),
    "a window that begins anew": ("resets", "carry(state, w)", "w.fresh.fill(1)"),
    "the draws of another step": ("dropping", "prepare(batch, DTYPE, step,", "prepare(batch, DTYPE, step + 1,"),
    "another number in a report": ("dropping", '"grad/norm": found["norm"]', '"grad/norm": found["left"]'),
}


def planted(name: str, old: str, new: str) -> Compiled:
    """A script for a GPU with a mistake."""
    right = made(name, "gpu")
    assert old in right.source
    return replace(right, source=right.source.replace(old, new))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught(mistake: str) -> None:
    name, old, new = MISTAKES[mistake]
    with pytest.raises((GradientMismatch, AssertionError)):
        check(name, planted(name, old, new))


def test_states_that_are_not_restored_are_missed(tmp_path: Path) -> None:
    wrong = planted("overlapping_windows", 'entries[f"carried/{name}"])', "0)")
    whole, resumed = interrupted(wrong, tmp_path)
    assert whole != resumed


def test_states_that_are_not_carried_are_missed() -> None:
    wrong = planted("resets", "carry(state, w)", "w.fresh.fill(1)")
    with cupy_on_host(), pytest.raises(GradientMismatch):
        compare(told(wrong), told(made("resets", "cpu")), TOLERANCE)
