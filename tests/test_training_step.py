"""Steps of training put together by hand: gradient, penalties, clip, learning rate and optimizer, all from torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
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


Gradients = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A spec, and what its settings mean: the optimizer, the learning rates, the clip, the longest row, the average."""

    spec: str
    optimizer: Callable[..., torch.optim.Optimizer]
    rates: list[float]
    clip: Callable[[Gradients], Gradients]
    max_norm: float = math.inf
    average: float = 0.0


def together(gradients: Gradients) -> Gradients:
    """All of them as one vector of the length 0.2."""
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    assert norm > 0.3  # each step is clipped
    return {name: g * 0.2 / norm for name, g in gradients.items()}


def each(gradients: Gradients) -> Gradients:
    """Each of the length 0.02 at most."""
    return {name: g * min(1, 0.02 / np.linalg.norm(g)) for name, g in gradients.items()}


FURTHER = {
    "adam(lr=0.05, beta2=0.9)": "adamw(lr=0.05, beta2=0.9, decay=0.2)",
    "exponential(rate=0.8)": "cosine(warmup=2, final=0.01)",
    "global_norm(0.2)": "parameter_norm(0.02)\n  average: ema(0.75)",
    "{l1: 0.01}": "{l1: 0.01, max_norm: 0.9}",
}
CASES = {
    "adam": Case(SPEC, partial(torch.optim.Adam, betas=(0.9, 0.9)), [0.05 * 0.8**n for n in range(STEPS)], together),
    "adamw": Case(
        reduce(lambda text, old: text.replace(old, FURTHER[old]), FURTHER, SPEC),
        partial(torch.optim.AdamW, betas=(0.9, 0.9), weight_decay=0.2),
        [0.025, 0.05, 0.05, (0.05 + 0.01) / 2],
        each,
        max_norm=0.9,
        average=0.75,
    ),
}


def compiled(folder: Path, spec: str = SPEC) -> tuple[ModuleType, Model]:
    """The script of the spec, with random data beside it, and its model."""
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.standard_normal((20, 5, 3)), y=3 * rng.standard_normal((20, 5, 2)))
    path = folder / "steps.rnn"
    path.write_text(spec)
    made = compile_spec(path)
    return made.load(), made.spec.model


def by_hand(script: ModuleType, model: Model, case: Case) -> dict[str, np.ndarray]:
    """The parameters after some steps, or their average, from the equations and torch's optimizer."""
    params = {name: torch.tensor(value) for name, value in script.init(7).items()}
    optimizer = case.optimizer([{"params": [value]} for value in params.values()])
    average: dict[str, np.ndarray] = {}
    for step, batch in enumerate(islice(script.batches("train", 7), STEPS), start=1):
        gradients = case.clip(gradients_by_torch(model, params, batch, script.draws(step, 5, 4, 7))[1])
        for group, (name, value) in zip(optimizer.param_groups, params.items(), strict=True):
            group["lr"] = case.rates[step - 1] * (0.5 if name == "b_y" else 1)
            value.grad = torch.tensor(gradients[name])
        optimizer.step()
        params["W_y"].data *= torch.clamp(case.max_norm / params["W_y"].data.norm(dim=1, keepdim=True), max=1)
        now = {name: value.detach().numpy().copy() for name, value in params.items()}
        average = {name: case.average * average.get(name, now[name]) + (1 - case.average) * now[name] for name in now}
    return average


def steps_agree(folder: Path, name: str) -> None:
    """What training gives is what is put together by hand."""
    script, model = compiled(folder, CASES[name].spec)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RNNSPEC_DATA", str(folder))
        got, want = script.train(report=lambda event: None), by_hand(script, model, CASES[name])
    for parameter, value in script.init(7).items():
        moved = np.linalg.norm(want[parameter] - value)
        assert np.linalg.norm(got[parameter] - want[parameter]) <= 1e-9 * moved, parameter
        assert moved > 0.01, parameter


@pytest.mark.parametrize("name", CASES)
def test_training_is_what_is_put_together_by_hand(name: str, tmp_path: Path) -> None:
    steps_agree(tmp_path, name)
