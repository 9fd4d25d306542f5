"""Truncated training: each window must give what the equations give from the state that the window before left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.frontend.typed import Model
from rnnspec.verify.compare import compare
from rnnspec.verify.in_complex import LIBRARY, ComplexStep
from rnnspec.verify.probe import Probe, probe
from rnnspec.verify.reference import Reference

SPEC = """
rnnspec: 1
name: windows
data:
  source: npz("data.npz", arrays=["x", "y"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
states: {h: 4, M: [4, 6]}
model: |
  h[0] = h_start
  h[-1] = h_before
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + V_h @ h[t-2] + W_p @ x[t-2] + b_h)
  M[t] = sigmoid(dot(a, h[t])) * M[t-1] + outer(h[t], W_k @ x[t])
  c[t] = lstm(M[t] @ q, units=7)
  y[t] = W_y @ c[t-1] + V_y @ h[t]
loss: mse(y[t], target[t])
params:
  h_start: {shape: [4]}
  h_before: {shape: [4]}
  a: {shape: [4], l2: 0.1}
  q: {shape: [6]}
train:
  optimizer: sgd(lr=0.1)
  truncation: tbptt(4)
  batch: 3
  epochs: 1
  dtype: float64
"""
WINDOWS = (4, 4, 1, 1, 2, 4)  # also shorter than the longest lag


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 12, 3)), y=np.zeros((6, 12, 2)))
    path = tmp_path / "windows.rnn"
    path.write_text(SPEC)
    return path


def window(model: Model, at: Probe, first: int, steps: int) -> dict[str, np.ndarray]:
    return {item.name: at.batch[item.name][:, first : first + steps] for item in (*model.inputs, *model.targets)}


@pytest.mark.parametrize("level", [0, 1])
def test_windows_carry_their_state_and_no_gradient(spec: Path, level: int) -> None:
    compiled = compile_spec(spec, level=level)
    model, script = compiled.spec.model, compiled.load()
    at, reference = probe(model, T=sum(WINDOWS)), Reference(model, LIBRARY)
    params = {name: value[None] for name, value in at.params.items()}
    before, state, first = None, None, 0
    for steps in WINDOWS:
        batch = window(model, at, first, steps)
        loss, gradients = script.loss_and_gradients(at.params, {**batch, "fresh": first == 0}, step=1, state=before)
        by_step = ComplexStep(model, at.params, batch, state=state)
        compare({"loss": np.array(loss)}, {"loss": np.array(by_step.loss)})
        compare(gradients, {name: by_step.gradient(name) for name in at.params})
        before = script.workspace(steps, 3, np.dtype(np.float64), "training")
        state = reference.run(params, batch, state=state).state()
        first += steps


@pytest.mark.parametrize("level", [0, 1])
def test_a_fresh_window_forgets_what_was_before(spec: Path, level: int) -> None:
    compiled = compile_spec(spec, level=level)
    model, script = compiled.spec.model, compiled.load()
    at = probe(model, T=8)
    batches = [window(model, at, first, 4) for first in (0, 4)]
    alone, _ = script.loss_and_gradients(at.params, {**batches[1], "fresh": True}, step=1)
    script.loss_and_gradients(at.params, {**batches[0], "fresh": True}, step=1)
    before = script.workspace(4, 3, np.dtype(np.float64), "training")
    again, _ = script.loss_and_gradients(at.params, {**batches[1], "fresh": True}, step=1, state=before)
    assert again == alone
