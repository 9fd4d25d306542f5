"""Every cell of the library learns to remember in single precision: a test of the values it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.frontend.cell_definitions import LIBRARY

SPEC = """
rnnspec: 1
data: {{source: 'npz("data.npz", arrays=["X", "Y"])'}}
inputs: {{x: 'vectors(X, size=3)'}}
targets: {{target: 'values(Y, size=2)'}}
model: |
  h[t] = {call}
  y[t] = W_y @ h[t] + b_y
loss: mse(y[t], target[t])
train: {{optimizer: adam(lr=2e-2), batch: 20, steps: 250, seed: 1}}
monitor: {{every: 1}}
"""

MORE = {"jordan": "outputs=3", "lstm_projection": "projection=5", "scrn": "context=6", "cornn": "dt=0.5"}
"""Arguments without a default; and larger steps for a cell whose own are made for longer sequences."""

SEQUENCES, STEPS, KEPT = 400, 8, 0.8


@pytest.mark.parametrize("cell", LIBRARY)
def test_a_cell_learns(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum of all inputs that fades, clearly better than the best guess without memory."""
    x = np.random.default_rng(0).standard_normal((SEQUENCES, STEPS, 3))
    x[..., 2] = 1  # for cells without biases, whose keys and queries are nothing else but products with the input
    y = x[..., :2].copy()
    for t in range(1, STEPS):
        y[:, t] += KEPT * y[:, t - 1]
    without_memory = (y - x[..., :2]).var()
    np.savez(tmp_path / "data.npz", X=x, Y=y)
    path = tmp_path / "cell.rnn"
    call = f"{cell}({', '.join(['x[t]', 'units=12', *MORE.get(cell, '').split()])})"
    path.write_text(SPEC.format(call=call), encoding="utf-8")
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    events: list[dict[str, Any]] = []
    params = compile_spec(path).load().train(report=events.append)
    losses = [event["train/loss"] for event in events if event["event"] == "step"]
    assert all(np.isfinite(value).all() for value in params.values())
    assert np.mean(losses[-10:]) < 0.75 * without_memory
