"""`tbptt(k1, k2)` of Williams and Peng (1990): training equals a plain loop in torch that cuts its graph by `detach`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec import Compiled, compile_spec
from rnnspec.diagnostics import SpecError
from rnnspec.verify.compare import compare

N, T, B, LR = 5, 11, 3, 0.05
SPEC = """
rnnspec: 1
name: reach
data:
  source: npz("data.npz", arrays=["x", "y"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
model: |
  h[0] = h_start
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + V_h @ h[t-2] + V_x @ x[t-1] + b_h)
  y[t] = W_y @ h[t] + b_y
loss: mse(y[t], target[t])
states: {h: 4}
params:
  h_start: {shape: [4], init: normal(std=0.5)}
  b_*: {init: normal(std=0.5)}
train:
  optimizer: sgd(lr=0.05)
  truncation: tbptt(k1=2, k2=5)
  batch: 3
  epochs: 2
  seed: 4
  dtype: float64
"""
Batches = list[dict[str, np.ndarray]] | None
LEVELS = pytest.mark.parametrize("level", [0, 1])


def data() -> dict[str, np.ndarray]:
    """Sequences with targets that a tanh cannot reach easily, so that every step moves far."""
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((N, T, 3)), "y": 2 * rng.standard_normal((N, T, 2))}


@cache
def compiled(truncation: str = "tbptt(k1=2, k2=5)", level: int = 1) -> Compiled:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reach.rnn"
        np.savez(path.with_name("data.npz"), **data())
        path.write_text(SPEC.replace("tbptt(k1=2, k2=5)", truncation))
        return compile_spec(path, level=level)


def loaded(truncation: str, level: int) -> ModuleType:
    """The script, its data read."""
    script = compiled(truncation, level).load()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        np.savez(Path(folder) / "data.npz", **data())
        environment.setenv("RNNSPEC_DATA", folder)
        script.dataset()
    return script


def trained(
    script: ModuleType, out: Path | None = None, steps: int | None = None, resume: bool = False
) -> dict[str, np.ndarray]:
    """The parameters behind the training of a script."""
    return script.train(out, steps, resume=resume, report=lambda event: None)  # type: ignore[no-any-return]


def window_loss(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor, past: list[torch.Tensor], first: int, end: int,
                learned: int) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:  # fmt: skip
    """The loss of steps `learned` to `end` and the states from `first` on; past: h of the steps first-1 and first-2."""
    h, losses = {first - 1: past[0], first - 2: past[1]}, []
    for t in range(first, end):
        before = x[:, t - 1] if t else torch.zeros_like(x[:, 0])
        z = x[:, t] @ p["W_x"].T + h[t - 1] @ p["W_h"].T + h[t - 2] @ p["V_h"].T + before @ p["V_x"].T + p["b_h"]
        h[t] = torch.tanh(z)
        losses.append(((h[t] @ p["W_y"].T + p["b_y"] - y[:, t]) ** 2).mean(1))
    return torch.stack(losses[learned - first :]).mean(), h


def whole_batches(script: ModuleType) -> Iterator[dict[str, np.ndarray]]:
    """The batches of two epochs, whole sequences, in the order of training."""
    for epoch in range(2):
        order = script.generator(4, "order", epoch).permutation(N)
        for rows in (order[:B], order[B:]):
            yield script.examples("train", rows, 0, T)


def by_hand(
    script: ModuleType, k1: int, k2: int, batches: Batches = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The parameters behind two epochs, and the sum of the gradients of all windows; no updates for given batches."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in script.init(4).items()}
    total = {name: np.zeros(value.shape) for name, value in p.items()}
    for batch in batches or whole_batches(script):
        x, y = (torch.tensor(batch[name]) for name in ("x", "target"))
        zeros = torch.zeros(len(x), 4, dtype=torch.float64)
        h: dict[int, torch.Tensor] = {}
        for learned in range(0, T, k1):
            end, first = min(learned + k1, T), max(0, learned + k1 - k2)
            past = [p["h_start"] + zeros, zeros] if first == 0 else [h[first - k].detach() for k in (1, 2)]
            loss, h = window_loss(p, x, y, past, first, end, learned)
            loss.backward()
            with torch.no_grad():
                for name, value in p.items():
                    gradient = torch.zeros_like(value) if value.grad is None else value.grad
                    total[name] += gradient.numpy() * (end - learned) / T
                    value -= LR * gradient * (batches is None)
                    value.grad = None
    return {name: value.detach().numpy() for name, value in p.items()}, total


@LEVELS
@pytest.mark.parametrize(("k1", "k2"), [(2, 5), (1, 4), (3, 3), (2, 20), (4, 5)])
def test_training_equals_a_loop_in_torch(k1: int, k2: int, level: int) -> None:
    script = loaded(f"tbptt(k1={k1}, k2={k2})", level)
    want, _ = by_hand(script, k1, k2)
    compare(trained(script), want)


@LEVELS
def test_a_resumed_run_ends_bit_for_bit_the_same(level: int, tmp_path: Path) -> None:
    script = loaded("tbptt(k1=2, k2=5)", level)
    want = trained(script)
    trained(script, tmp_path, steps=4)
    got = trained(loaded("tbptt(k1=2, k2=5)", level), tmp_path, resume=True)
    assert all((got[name] == want[name]).all() for name in want)


@LEVELS
def test_a_reach_beyond_the_sequence_is_the_full_gradient(level: int) -> None:
    script = loaded("tbptt(k1=2, k2=20)", level)
    params = script.init(4)
    _, truncated = by_hand(script, 2, 20, list(whole_batches(script)))
    found = [script.loss_and_gradients(params, batch)[1] for batch in whole_batches(script)]
    compare({name: sum(gradients[name] for gradients in found) for name in params}, truncated)


def test_equal_numbers_are_one_number() -> None:
    """tbptt(4) and tbptt(k1=4, k2=4) give the same script but for the digest of the spec."""
    one, two = (re.sub(r"sha256 \w+", "", compiled(text).source) for text in ("tbptt(4)", "tbptt(k1=4, k2=4)"))
    assert one == two
    assert "BACK" not in one and "seen" not in one


def test_a_gradient_reaches_all_steps_that_are_learned() -> None:
    with pytest.raises(SpecError) as caught:
        compiled("tbptt(k1=40, k2=10)")
    (found,) = caught.value.diagnostics
    assert found.code == "E0606" and found.span and found.span.text == "tbptt(k1=40, k2=10)"
    assert dict(found.notes)["help"] == "write `tbptt(k1=10, k2=40)`"
