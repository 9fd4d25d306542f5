"""Every clip of a generated script against torch, the limits of single parameters, and penalties, in float64."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.clips import CLIPS
from tests.training_specs import Named, assert_close, gradient, script, source, start


def clipped(made: ModuleType, step: int = 1) -> tuple[Named, Named]:
    """A gradient before and after it is clipped."""
    g = made.Views(np.float64)
    g.fill(gradient(start(made), step))
    before = {name: array.copy() for name, array in g.named.items()}
    made.clip(g.trained, float(np.linalg.norm(g.trained)))
    return before, dict(g.named)


def test_every_clip_is_tested() -> None:
    assert set(CLIPS) == set(SETTINGS["clip"]) == {"none", "global_norm", "value"}
    assert "def clip" not in source(clip="none")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_global_norm(step: int) -> None:
    before, after = clipped(script(clip="global_norm(0.5)"), step)
    norm = torch.linalg.vector_norm(torch.cat([torch.tensor(g).flatten() for g in before.values()]))
    assert_close(after, {name: g * min(1, 0.5 / float(norm)) for name, g in before.items()})
    tensors = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in before.values()]
    for tensor, g in zip(tensors, before.values(), strict=True):
        tensor.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(tensors, 0.5)  # adds 1e-6 to the norm
    assert_close(after, dict(zip(before, [t.grad.numpy() for t in tensors if t.grad is not None], strict=True)), 1e-5)


def test_a_short_gradient_stays_as_it_is() -> None:
    before, after = clipped(script(clip="global_norm(1000)"))
    assert all((before[name] == after[name]).all() for name in before)


def test_value() -> None:
    before, after = clipped(script(clip="value(0.5)"))
    tensors = {name: torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for name, g in before.items()}
    for name, g in before.items():
        tensors[name].grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_(tensors.values(), 0.5)
    assert all((after[name] == tensor.grad.numpy()).all() for name, tensor in tensors.items() if tensor.grad is not None)


# ------------------------------------------------------------------ parameters


def test_max_norm_shortens_long_rows_only() -> None:
    made = script("params:\n  W_h: {max_norm: 1.0}")
    p = made.Views(np.float64)
    p.named["W_h"][...] = 0.01
    p.named["W_h"][2] = 3.0
    p.named["W_x"][...] = 3.0
    made.limit_norms(p)
    assert np.linalg.norm(p.named["W_h"][2]) == pytest.approx(1.0)
    assert (p.named["W_h"][:2] == 0.01).all()
    assert (p.named["W_x"] == 3.0).all()


@pytest.mark.parametrize("l1, l2", [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_penalties_are_in_the_loss_and_in_the_gradient(l1: float, l2: float) -> None:
    plain, penalised = script(), script(f"params:\n  W_h: {{l1: {l1}, l2: {l2}}}")
    params, batch = plain.init(3), next(plain.batches("train"))
    w = params["W_h"]
    loss, gradients = plain.loss_and_gradients(params, batch)
    got, found = penalised.loss_and_gradients(params, batch)
    assert got == pytest.approx(loss + l1 * np.abs(w).sum() + l2 * (w * w).sum(), rel=1e-13)
    assert penalised.loss(params, batch) == pytest.approx(got, rel=1e-13)
    assert_close(found, {**gradients, "W_h": gradients["W_h"] + l1 * np.sign(w) + 2 * l2 * w})
