"""Parameters that are one array, as it is or transposed, against the same network in PyTorch: values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from rnnspec.compiler import compile_spec
from rnnspec.verify.compare import Array, GradientMismatch, compare

SIZE, CLASSES, STEPS, SEQUENCES = 4, 5, 6, 3
SPEC = """
rnnspec: 1
data: {{source: 'recall(symbols=4, length=6, delay=1)'}}
inputs: {{x: one_hot(ids)}}
targets: {{target: 'classes(out, count=5)'}}
states: {{h: 4, g: 4}}
model: |
  e[t] = E @ x[t]
  h[t] = tanh(W_h @ e[t] + U_h @ h[t-1] + b_h)
  g[t] = tanh(W_g @ h[t] + U_g @ g[t-1] + b_g)
  y[t] = W_y @ g[t] + b_y
loss: cross_entropy(y[t], target[t])
params:
  E: {{shape: [4, 5]}}
{ties}
train: {{optimizer: sgd(lr=0.1), batch: 3, steps: 1, dtype: float64}}
"""
TIES = {
    "transposed": ("  W_y: {tie: E.T}", {"W_y": lambda p: p["E"].T}),
    "square, transposed": ("  U_g: {tie: U_h.T}", {"U_g": lambda p: p["U_h"].T}),
    "square": ("  U_g: {tie: U_h}", {"U_g": lambda p: p["U_h"]}),
    "three": ("  U_g: {tie: U_h}\n  W_g: {tie: U_h.T}", {"U_g": lambda p: p["U_h"], "W_g": lambda p: p["U_h"].T}),
    "biases": ("  b_g: {tie: b_h}", {"b_g": lambda p: p["b_h"]}),
    "all": (
        "  W_y: {tie: E.T}\n  U_g: {tie: U_h}\n  b_g: {tie: b_h}",
        {"W_y": lambda p: p["E"].T, "U_g": lambda p: p["U_h"], "b_g": lambda p: p["b_h"]},
    ),
}
Tied = dict[str, Callable[[dict[str, torch.Tensor]], torch.Tensor]]


def in_torch(params: dict[str, Array], tied: Tied, batch: dict[str, Array]) -> dict[str, Array]:
    """The loss (under an empty name) and the gradients of the parameters that are left."""
    own = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    p = own | {name: make(own) for name, make in tied.items()}
    x = torch.nn.functional.one_hot(torch.tensor(batch["x"]), CLASSES).double()
    h = g = torch.zeros(SEQUENCES, SIZE, dtype=torch.float64)
    scores = []
    for t in range(STEPS):
        h = torch.tanh(x[:, t] @ p["E"].T @ p["W_h"].T + h @ p["U_h"].T + p["b_h"])
        g = torch.tanh(h @ p["W_g"].T + g @ p["U_g"].T + p["b_g"])
        scores.append(g @ p["W_y"].T + p["b_y"])
    flat = torch.stack(scores, 1).reshape(-1, CLASSES)
    loss = torch.nn.functional.cross_entropy(flat, torch.tensor(batch["target"]).reshape(-1))
    loss.backward()  # type: ignore[no-untyped-call]
    return {"": np.array(loss.item())} | {name: np.asarray(v.grad) for name, v in own.items()}


def run(ties: str, level: int) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Random parameters, a batch, and what a script finds for them."""
    script, random = compile_spec(SPEC.format(ties=ties), level=level).load(), np.random.default_rng(2)
    params = {name: random.standard_normal(value.shape) for name, value in script.init(0).items()}
    batch = {key: random.integers(0, 4, (SEQUENCES, STEPS)) for key in ("x", "target")}
    loss, gradients = script.loss_and_gradients(params, batch)
    return params, batch, {"": np.array(loss), **gradients}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", TIES)
def test_tied_parameters_are_one(name: str, level: int) -> None:
    ties, tied = TIES[name]
    params, batch, found = run(ties, level)
    assert not set(tied) & set(params)
    compare(found, in_torch(params, tied, batch), 1e-12)


def test_another_tie_is_seen() -> None:
    params, batch, found = run(TIES["square, transposed"][0], 1)
    with pytest.raises(GradientMismatch):
        compare(found, in_torch(params, TIES["square"][1], batch), 1e-12)
