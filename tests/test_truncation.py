"""Truncation: the gradient of each window is that of torch with its graph cut where the window begins."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.frontend.typed import Model
from rnnspec.verify.compare import GradientMismatch, compare
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import probe
from tests.models import random_sketch
from tests.sketch import Sketch
from tests.windowed import CUTS, OVERLAPPING, Cuts, gradients_agree, window, windows

SPEC = """
rnnspec: 1
name: windows
data:
  source: npz("data.npz", arrays=["x", "ids", "y"])
inputs:
  x: vectors(x, size=3)
  k: one_hot(ids, size=5)
targets:
  target: values(y, size=2)
states: {h: 4, s: 4}
model: |
  h[0] = h_start
  h[-1] = tanh(h_start)
  h[t] = tanh(W_x @ x[t-1] + W_k @ k[t] + W_h @ h[t-1] + V_h @ s[t-2] + b_h)
  s[t] = 0.5 * s[t-1] + dropout(h[t], 0.25) * h[t-2]
  y[t] = W_y @ s[t] + V_y @ h[t-1] + b_y
loss: mse(y[t], target[t])
params:
  h_start: {shape: [4]}
  W_h: {l2: 0.1}
train:
  optimizer: sgd(lr=0.1)
  truncation: tbptt(4)
  batch: 3
  epochs: 1
  dtype: float64
"""
TWO = "tbptt(k1=2, k2=7)"
SHORT: Cuts = ((0, 1), (1, 3), (3, 4), (4, 5), (5, 8))
"""Windows that are shorter than the lags."""
LEVELS = pytest.mark.parametrize("level", [0, 1])


@cache
def compiled(text: str, level: int) -> tuple[ModuleType, Model]:
    """The script of a spec that reads arrays, and its model."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "windows.rnn"
        x, ids, y = np.zeros((6, 10, 3)), np.zeros((6, 10), int), np.zeros((6, 10, 2))
        np.savez(path.with_name("data.npz"), x=x, ids=ids, y=y)
        path.write_text(text)
        made = compile_spec(path, level=level)
    return made.load(), made.spec.model


@LEVELS
@pytest.mark.parametrize("cuts", [CUTS, SHORT], ids=["a shorter last one", "shorter than the lags"])
def test_windows_give_the_gradients_of_torch(level: int, cuts: Cuts) -> None:
    """Two batches of sequences, one after the other: in the middle they begin anew."""
    script, model = compiled(SPEC, level)
    steps = windows(model, seed=1, cuts=cuts)
    assert [at.fresh for at in steps].count(True) == 2
    gradients_agree(script, model, steps)


@LEVELS
def test_overlapping_windows_give_the_gradients_of_torch(level: int) -> None:
    """`tbptt(k1, k2)`: of the steps that the window before had, only the gradient is new."""
    script, model = compiled(SPEC.replace("tbptt(4)", TWO), level)
    gradients_agree(script, model, windows(model, seed=1, cuts=OVERLAPPING))


@LEVELS
def test_the_cut_is_felt(level: int) -> None:
    """The last window of a whole sequence has another gradient than the same steps of a sequence that is not cut."""
    script, model = compiled(SPEC.replace("dropout(h[t], 0.25)", "h[t]"), level)
    whole = probe(model, T=8)
    first, second = (window(model, whole, *cut) for cut in ((0, 4), (4, 8)))
    parts = []
    w = None
    for batch in (first, second):
        loss, gradient = script.loss_and_gradients(whole.params, batch, step=1, state=w)
        w = script.workspace(4, 3, np.dtype(np.float64), "training")
        parts.append((loss, gradient))
    loss, gradient = gradients_by_torch(model, whole.params, whole.batch)
    assert sum(part for part, _ in parts) / 2 == pytest.approx(loss, rel=1e-13)
    with pytest.raises(GradientMismatch):
        compare({name: (parts[0][1][name] + parts[1][1][name]) / 2 for name in gradient}, gradient)


@LEVELS
def test_one_window_of_a_whole_sequence_is_not_truncated(level: int) -> None:
    script, model = compiled(SPEC, level)
    steps = windows(model, seed=2, cuts=[(0, 9)], rounds=2)
    gradients_agree(script, model, steps)


# ------------------------------------------------------------------ random models

RANDOM = 12
LOOSE = 1e-9
"""The tolerance of random models: some make round-off larger."""


def truncated(seed: int) -> Sketch | None:
    """A random model that can be learned in windows: it never looks ahead."""
    sketch = random_sketch(random.Random(seed))
    ahead = any(sign in sketch.text() for sign in ("[t+", "[T]", "[T+", "over_time(", "reverse=true"))
    return None if ahead or sketch.loss.when != "step" else sketch


def check_in_windows(sketch: Sketch, seed: int) -> None:
    """The windows of a random model at both levels; raises GradientMismatch."""
    for level in (0, 1):
        for truncation, several in (("tbptt(4)", (CUTS, SHORT)), (TWO, (OVERLAPPING,))):
            with TemporaryDirectory() as folder:
                path = sketch.write(Path(folder))
                path.write_text(path.read_text() + f"  truncation: {truncation}\n")
                made = compile_spec(path, level=level)
            for cuts in several:
                gradients_agree(made.load(), made.spec.model, windows(made.spec.model, seed, cuts), LOOSE)


@pytest.mark.parametrize("number", range(RANDOM))
def test_random_models_in_windows(number: int) -> None:
    """Each test looks for a suitable model among seeds of its own."""
    seed = next(seed for seed in range(1000 * number, 1000 * number + 1000) if truncated(seed))
    sketch = truncated(seed)
    assert sketch is not None
    check_in_windows(sketch, seed)
