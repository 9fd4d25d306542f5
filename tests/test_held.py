"""A state is held behind the end of its sequence: it has no steps there in which it could grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.verify.probe import probe

SPEC = """
rnnspec: 1
name: held
data:
  source: npz("data.npz", arrays=["x", "length", "y"])
inputs:
  x: vectors(x, size=3, length=length)
targets:
  target: values(y, size=4)
states: {h: 4}
model: |
  h[t] = 3 * h[t-1] + U @ h[t-1] + W @ x[t]
  out = h[T]
loss: mse(out, target)
train:
  optimizer: sgd(lr=0.1)
  batch: 3
  steps: 1
  dtype: float64
"""
FULL, LONGEST = 900, 4  # 3 ** 900 is not a number of float64


def states_are_held(level: int, folder: Path) -> None:
    """Much padding gives the loss and gradient of little padding, although the state would overflow in it."""
    np.savez(folder / "data.npz", x=np.zeros((6, 5, 3)), length=np.full(6, 5), y=np.zeros((6, 4)))
    path = folder / "held.rnn"
    path.write_text(SPEC)
    made = compile_spec(path, level=level)
    script, at = made.load(), probe(made.spec.model, T=FULL)
    batch = {**at.batch, "length": np.array([1, LONGEST, 2])}
    short = {**batch, "x": batch["x"][:, :LONGEST]}
    with np.errstate(over="ignore", invalid="ignore"):
        loss, gradients = script.loss_and_gradients(at.params, batch)
    want, wanted = script.loss_and_gradients(at.params, short)
    assert loss == pytest.approx(want, rel=1e-13)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-12)


@pytest.mark.parametrize("level", [0, 1])
def test_states_are_held_behind_the_end(level: int, tmp_path: Path) -> None:
    states_are_held(level, tmp_path)
