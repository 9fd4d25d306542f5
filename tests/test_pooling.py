"""Sums, means and maxima over time: each sequence has its own steps, and may be compared once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.compiler import compile_spec
from rnnspec.verify.compare import compare
from rnnspec.verify.probe import probe

TOLERANCE = 1e-12
Tensor = torch.Tensor

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "Z", "length"])
inputs:
  x: vectors(X, size=2{length})
targets:
  z: values(Z, size=3)
dims: {{H: 5}}
states: {{h: H, s: [3], a: []}}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  s[t] = W_y @ h[t]
  a[t] = exp(dot(g_a, h[t]))
{model}
loss: {loss}
train: {{optimizer: sgd(lr=0.1), batch: 3, steps: 1, dtype: float64}}
"""

Pool = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The prediction of one sequence, from h, s and a of its valid steps."""


@dataclass(frozen=True)
class Case:
    """Further equations, the loss, and the same in torch."""

    model: str
    loss: str
    in_torch: Pool


CASES = {
    "sum": Case("y = sum_over_time(s[t])", "mse(y, z)", lambda h, s, a: s.sum(0)),
    "mean": Case("y = mean_over_time(s[t])", "mse(y, z)", lambda h, s, a: s.mean(0)),
    "max": Case("y = max_over_time(s[t])", "mse(y, z)", lambda h, s, a: s.amax(0)),
    "max of a state": Case("m = max_over_time(h[t])\n  y = W_y @ m", "mse(y, z)", lambda h, s, a: s[:0].sum(0)),
    "in the loss": Case("", "mse(mean_over_time(s[t]), z)", lambda h, s, a: s.mean(0)),
    "of an expression": Case("y = mean_over_time(s[t] * s[t])", "mse(y, z)", lambda h, s, a: (s * s).mean(0)),
    "attention": Case(
        "y = sum_over_time(a[t] * s[t]) / sum_over_time(a[t])",
        "mse(y, z)",
        lambda h, s, a: (a[:, None] * s).sum(0) / a.sum(),
    ),
    "steps less their mean": Case(
        "d[t] = s[t] - mean_over_time(s[t])\n  y = d[T]", "mse(y, z)", lambda h, s, a: s[-1] - s.mean(0)
    ),
}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize("name", CASES)
def test_pooling_equals_torch(name: str, masked: bool, level: int, tmp_path: Path) -> None:
    pooling_equals_torch(name, masked, level, tmp_path)


def pooling_equals_torch(name: str, masked: bool, level: int, folder: Path) -> None:
    """Compare the script of a case with torch, sequence by sequence."""
    case = CASES[name]
    np.savez(folder / "data.npz", X=np.zeros((6, 4, 2)), Z=np.zeros((6, 3)), length=np.full(6, 4))
    text = SPEC.format(length=", length=length" if masked else "", model=f"  {case.model}", loss=case.loss)
    (folder / "model.rnn").write_text(text)
    made = compile_spec(folder / "model.rnn", level=level)
    at = probe(made.spec.model, seed=4, T=6, B=4)
    loss, gradients = made.load().loss_and_gradients(at.params, at.batch)
    params = {n: torch.tensor(value, requires_grad=True) for n, value in at.params.items()}
    x, z = torch.tensor(at.batch["x"]), torch.tensor(at.batch["z"])
    total = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(at.batch.get("length", np.full(4, 6))):
        h, states = torch.zeros(5, dtype=torch.float64), []
        for t in range(int(length)):
            h = torch.tanh(params["W_x"] @ x[row, t] + params["W_h"] @ h + params["b_h"])
            states.append(h)
        every = torch.stack(states)
        y = case.in_torch(every, every @ params["W_y"].T, torch.exp(every @ params["g_a"]))
        y = params["W_y"] @ every.amax(0) if name == "max of a state" else y
        total = total + ((y - z[row]) ** 2).mean() / 4
    found = torch.autograd.grad(total, list(params.values()), allow_unused=True)
    want = {n: np.zeros(p.shape) if g is None else g.numpy() for (n, p), g in zip(at.params.items(), found, strict=True)}
    compare({"": np.array(loss), **gradients}, {"": np.array(total.item()), **want}, TOLERANCE)
    assert made.verify(("complex-step", "torch")).passed
