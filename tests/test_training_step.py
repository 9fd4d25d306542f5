"""Steps of training put together by hand: gradient, penalties, clip, learning rate and optimizer, all from torch."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec import compile_spec
from rnnspec.frontend.typed import Model
from rnnspec.verify.in_torch import gradients_by_torch

STEPS = 4
SPEC = """
rnnspec: 1
name: steps
data:
  source: npz("data.npz", arrays=["x", "y"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
model: |
  h[t] = gru(x[t], units=6)
  y[t] = W_y @ dropout(h[t], 0.25) + b_y
loss: mse(y[t], target[t])
params:
  W_y: {l1: 0.01}
  h.U_*: {l2: 0.02}
  b_y: {lr_scale: 0.5}
train:
  optimizer: adam(lr=0.05, beta2=0.9)
  schedule: exponential(rate=0.8)
  clip: global_norm(0.2)
  batch: 4
  steps: 4
  seed: 7
  dtype: float64
"""


def compiled(folder: Path) -> tuple[ModuleType, Model]:
    """The script of the spec, with random data beside it, and its model."""
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.standard_normal((20, 5, 3)), y=3 * rng.standard_normal((20, 5, 2)))
    path = folder / "steps.rnn"
    path.write_text(SPEC)
    made = compile_spec(path)
    return made.load(), made.spec.model


def by_hand(script: ModuleType, model: Model) -> dict[str, np.ndarray]:
    """The parameters after some steps, from the equations and torch's optimizer."""
    params = {name: torch.tensor(value) for name, value in script.init(7).items()}
    groups = [{"params": [value], "lr": 0.05 * (0.5 if name == "b_y" else 1)} for name, value in params.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.9))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
    norms = []
    for step, batch in enumerate(islice(script.batches("train", 7), STEPS), start=1):
        _, gradients = gradients_by_torch(model, params, batch, script.draws(step, 5, 4, 7))
        norms.append(np.sqrt(sum((g**2).sum() for g in gradients.values())))
        for name, value in params.items():
            value.grad = torch.tensor(gradients[name] * min(1, 0.2 / norms[-1]))
        optimizer.step()
        schedule.step()
    assert min(norms) > 0.3  # each step is clipped
    return {name: value.numpy() for name, value in params.items()}


def steps_agree(folder: Path) -> None:
    """What training gives is what is put together by hand."""
    script, model = compiled(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RNNSPEC_DATA", str(folder))
        got, want = script.train(report=lambda event: None), by_hand(script, model)
    for name, value in script.init(7).items():
        moved = np.linalg.norm(want[name] - value)
        assert np.linalg.norm(got[name] - want[name]) <= 1e-9 * moved, name
        assert moved > 0.01, name


def test_training_is_what_is_put_together_by_hand(tmp_path: Path) -> None:
    steps_agree(tmp_path)
