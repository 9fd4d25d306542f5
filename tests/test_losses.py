"""Every loss equals torch's own function of all valid steps: values and gradients, at every step and at the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnnspec.compiler import compile_spec
from rnnspec.verify.compare import Array, compare
from rnnspec.verify.probe import Probe, probe

TOLERANCE = 1e-12
STEPS, SEQUENCES = 6, 4
Tensor = torch.Tensor

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "Y", "C", "length", "Z", "D"])
inputs:
  x: vectors(X, size=2{length})
targets:
  target: {target}
dims: {{H: 5}}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  {y} = W_y @ {h} + b_y
  {v} = softplus(W_v @ {h})
loss: {loss}
params:
  W_v: {{shape: [3, H]}}
train: {{optimizer: sgd(lr=0.1), batch: 3, steps: 1, dtype: float64}}
"""

KINDS: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "numbers": lambda random, like: like,
    "bits": lambda random, like: random.integers(0, 2, like.shape) * 1.0,
    "counts": lambda random, like: random.poisson(1.5, like.shape) * 1.0,
    "classes": lambda random, like: like,
}
"""What a target may be, made from a random array that has its shape."""


@dataclass(frozen=True)
class Case:
    """A loss of y (and v) in the language, what it compares with, and the same in torch for rows of all valid steps."""

    loss: str
    kind: str
    in_torch: Callable[[Tensor, Tensor, Tensor], Tensor]

    def spec(self, place: str, masked: bool) -> str:
        """A recurrent network with this loss at every `step` or at the `last` one."""
        now, array = ("[t]", ("Y", "C")) if place == "step" else ("", ("Z", "D"))
        encoding = "classes({}, count=3)" if self.kind == "classes" else "values({}, size=3)"
        return SPEC.format(
            length=", length=length" if masked else "",
            target=encoding.format(array[self.kind == "classes"]),
            h="h[t]" if place == "step" else "h[T]",
            y=f"y{now}",
            v=f"v{now}",
            loss=self.loss.replace("target", f"target{now}").replace("y,", f"y{now},").replace("v)", f"v{now})"),
        )


WEIGHTS = torch.tensor([1.0, 0.5, 3.0], dtype=torch.float64)


def classes(options: str, **arguments: Any) -> Case:
    """A cross-entropy with options."""
    loss = f"cross_entropy(y, target, {options})" if options else "cross_entropy(y, target)"
    return Case(loss, "classes", lambda y, target, v: functional.cross_entropy(y, target, **arguments))


CASES = {
    "mse": Case("mse(y, target)", "numbers", lambda y, target, v: functional.mse_loss(y, target)),
    "mae": Case("mae(y, target)", "numbers", lambda y, target, v: functional.l1_loss(y, target)),
    "huber": Case("huber(y, target)", "numbers", lambda y, target, v: functional.huber_loss(y, target)),
    "huber with delta": Case(
        "huber(y, target, 0.4)", "numbers", lambda y, target, v: functional.huber_loss(y, target, delta=0.4)
    ),
    "bce": Case("bce(y, target)", "bits", lambda y, target, v: functional.binary_cross_entropy_with_logits(y, target)),
    "poisson_nll": Case("poisson_nll(y, target)", "counts", lambda y, target, v: functional.poisson_nll_loss(y, target)),
    "gaussian_nll": Case(
        "gaussian_nll(y, target, v)", "numbers", lambda y, target, v: functional.gaussian_nll_loss(y, target, v)
    ),
    "cross_entropy": classes(""),
    "label smoothing": classes("smoothing=0.1", label_smoothing=0.1),
    "class weights": classes("weights=[1, 0.5, 3]", weight=WEIGHTS),
    "an ignored class": classes("ignore=1", ignore_index=1),
    "weights and smoothing": classes("smoothing=0.2, weights=[1, 0.5, 3]", weight=WEIGHTS, label_smoothing=0.2),
    "all of cross_entropy": classes("0.2, [1, 0.5, 3], ignore=0", weight=WEIGHTS, label_smoothing=0.2, ignore_index=0),
}


def of_torch(case: Case, place: str, at: Probe) -> tuple[float, dict[str, Array]]:
    """The loss and its gradients by torch."""
    params = {name: torch.tensor(value, requires_grad=True) for name, value in at.params.items()}
    x, target = torch.tensor(at.batch["x"]), torch.tensor(at.batch["target"])
    h, states = torch.zeros(len(x), 5, dtype=torch.float64), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ params["W_x"].T + h @ params["W_h"].T + params["b_h"])
        states.append(h)
    length = torch.tensor(at.batch.get("length", np.full(len(x), x.shape[1])))
    all_steps = torch.stack(states, 1)
    valid = torch.arange(x.shape[1]) < length[:, None]
    rows = all_steps[valid] if place == "step" else all_steps[torch.arange(len(x)), length - 1]
    wanted = target[valid] if place == "step" else target
    loss = case.in_torch(rows @ params["W_y"].T + params["b_y"], wanted, functional.softplus(rows @ params["W_v"].T))
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    zeros = {name: np.zeros(value.shape) for name, value in at.params.items()}
    return loss.item(), zeros | {n: g.numpy() for n, g in zip(params, found, strict=True) if g is not None}


def written(case: Case, place: str, masked: bool, folder: Path) -> Path:
    """A spec with its data."""
    arrays: dict[str, Any] = {"X": np.zeros((6, 4, 2)), "Y": np.zeros((6, 4, 3)), "C": np.zeros((6, 4), int)}
    arrays |= {"length": np.full(6, 4), "Z": np.zeros((6, 3)), "D": np.zeros(6, int)}
    np.savez(folder / "data.npz", **arrays)
    (folder / "model.rnn").write_text(case.spec(place, masked))
    return folder / "model.rnn"


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize("place", ["step", "last"])
@pytest.mark.parametrize("name", CASES)
def test_losses_equal_those_of_torch(name: str, place: str, masked: bool, level: int, tmp_path: Path) -> None:
    loss_equals_torch(CASES[name], place, masked, level, tmp_path)


def loss_equals_torch(case: Case, place: str, masked: bool, level: int, folder: Path) -> None:
    """Compare the script of a case with torch, at a random place."""
    made = compile_spec(written(case, place, masked, folder), level=level)
    at = probe(made.spec.model, seed=7, T=STEPS, B=SEQUENCES)
    at.batch["target"] = KINDS[case.kind](np.random.default_rng(3), at.batch["target"])
    loss, gradients = made.load().loss_and_gradients(at.params, at.batch)
    want, derivatives = of_torch(case, place, at)
    compare({"": np.array(loss), **gradients}, {"": np.array(want), **derivatives}, TOLERANCE)
