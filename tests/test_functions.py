"""Functions of the language against PyTorch's own: in a recurrence, at both levels, values and gradients.

`a[t]` is what a function is given; `h[t]`, which the next step reads, is made from it.  Each case is also computed where
every feature is 0, which is a kink or a tie of many functions, and where the features are so large that exp overflows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.compiler import compile_spec
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.verify.compare import Array, compare
from tests import test_batch_norm, test_ctc, test_draws, test_losses, test_metrics, test_pooling

B, T, X, H, Y = 3, 4, 2, 5, 7
TOLERANCE = 1e-13
SPEC = """
rnnspec: 1
data: {{source: 'npz("data.npz", arrays=["X", "Y"])'}}
inputs: {{x: 'vectors(X, size={x})'}}
targets: {{target: 'values(Y, size={y})'}}
states: {{h: {h}, a: {h}}}
model: |
  a[t] = W @ x[t] + U @ h[t-1] + b
  h[t] = {expression}
  y[t] = W_y @ h[t]
loss: mse(y[t], target[t])
train: {{optimizer: sgd(lr=0.1), batch: {batch}, steps: 1, dtype: float64}}
"""

Meaning = Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]
"""h[t] from a[t], h[t-1] (sequence, feature) and the parameters."""

CASES: dict[str, Meaning] = {
    "sigmoid(a[t])": lambda a, h, p: torch.sigmoid(a),
    "softplus(a[t])": lambda a, h, p: functional.softplus(a),
    "sin(a[t])": lambda a, h, p: torch.sin(a),
    "cos(a[t])": lambda a, h, p: torch.cos(a),
    "log(1 + square(a[t]))": lambda a, h, p: torch.log(1 + torch.square(a)),
    "sqrt(1 + square(a[t])) - abs(a[t])": lambda a, h, p: torch.sqrt(1 + torch.square(a)) - torch.abs(a),
    "layer_norm(a[t])": lambda a, h, p: functional.layer_norm(a, (H,)),
    "layer_norm(a[t], g, beta, eps=0.1)": lambda a, h, p: functional.layer_norm(a, (H,), p["g"], p["beta"], 0.1),
    "tanh(V_v @ concat(chunk(a[t], 5, 5), x[t], a[t]))": lambda a, h, p: torch.tanh(
        torch.cat([a.chunk(5, 1)[4], p["x"], a], 1) @ p["V_v"].T
    ),
    "tanh(a[t] + sum(a[t]) - mean(a[t]))": lambda a, h, p: torch.tanh(a + a.sum(1, True) - a.mean(1, keepdim=True)),
    "tanh(a[t] * dot(a[t], h[t-1]))": lambda a, h, p: torch.tanh(a * torch.linalg.vecdot(a, h)[:, None]),
    "silu(a[t])": lambda a, h, p: functional.silu(a),
    "gelu(a[t])": lambda a, h, p: functional.gelu(a, approximate="tanh"),
    "elu(a[t])": lambda a, h, p: functional.elu(a),
    "elu(a[t], 0.7)": lambda a, h, p: functional.elu(a, 0.7),
    "elu(a[t], alpha=1.5)": lambda a, h, p: functional.elu(a, 1.5),
    "selu(a[t])": lambda a, h, p: functional.selu(a),
    "leaky_relu(a[t])": lambda a, h, p: functional.leaky_relu(a),
    "leaky_relu(a[t], 0.3)": lambda a, h, p: functional.leaky_relu(a, 0.3),
    "softsign(a[t])": lambda a, h, p: functional.softsign(a),
    "log_sigmoid(a[t])": lambda a, h, p: functional.logsigmoid(a),
    "hard_sigmoid(a[t])": lambda a, h, p: functional.relu6(a + 3) / 6,
    "hard_tanh(a[t])": lambda a, h, p: functional.hardtanh(a),
    "clamp(a[t], -0.5, 2)": lambda a, h, p: torch.clamp(a, -0.5, 2),
    "maximum(a[t], 0)": lambda a, h, p: torch.where(a >= 0, a, 0),
    "minimum(a[t], 0)": lambda a, h, p: torch.where(a <= 0, a, 0),
    "relu(a[t]) + exp(minimum(a[t], 0)) - 1": lambda a, h, p: functional.elu(a),
    "where(relu(a[t]) == 0, 0.5 * a[t], 2 * a[t])": lambda a, h, p: torch.where(a > 0, 2 * a, a / 2),
    "where(relu(a[t]) != 0 and not a[t] > 1 or a[t] <= -1, a[t], tanh(h[t-1]))": lambda a, h, p: torch.where(
        (a > 0) & (a <= 1) | (a <= -1), a, torch.tanh(h)
    ),
    "where(0 <= a[t] and a[t] < 1 or not (a[t] >= -1), a[t], h[t-1] / 2)": lambda a, h, p: torch.where(
        torch.logical_or((a >= 0) & (a < 1), a < -1), a, h / 2
    ),
    "softmax(a[t])": lambda a, h, p: torch.softmax(a, 1),
    "log_softmax(a[t])": lambda a, h, p: torch.log_softmax(a, 1),
    "cumsum(a[t])": lambda a, h, p: torch.cumsum(a, 1),
    "cumsum(softmax(a[t]))": lambda a, h, p: torch.cumsum(torch.softmax(a, 1), 1),
    "rms_norm(a[t])": lambda a, h, p: functional.rms_norm(a, (H,), eps=1e-5),
    "rms_norm(a[t], g, eps=0.1)": lambda a, h, p: functional.rms_norm(a, (H,), p["g"], 0.1),
    "tanh(a[t] * max(a[t]))": lambda a, h, p: torch.tanh(a * a.amax(1, keepdim=True)),
    "tanh(a[t] * min(a[t]) + a[t])": lambda a, h, p: torch.tanh(a * a.amin(1, keepdim=True) + a),
    "tanh(a[t] + norm2(a[t]))": lambda a, h, p: torch.tanh(a + torch.linalg.vector_norm(a, dim=1, keepdim=True)),
    "tanh(a[t] + max(outer(a[t], x[t])))": lambda a, h, p: torch.tanh(a + products(a, p).amax((1, 2))[:, None]),
    "tanh(a[t] + norm2(outer(a[t], x[t])))": lambda a, h, p: torch.tanh(
        a + torch.linalg.vector_norm(products(a, p), dim=(1, 2))[:, None]
    ),
    "tanh(a[t] + norm2(W) - max(b) * min(U))": lambda a, h, p: torch.tanh(
        a + torch.linalg.norm(p["W"]) - p["b"].amax() * p["U"].amin()
    ),
    "tanh(a[t]) * stop_gradient(a[t] + b)": lambda a, h, p: torch.tanh(a) * (a + p["b"]).detach(),
    "tanh(a[t] + stop_gradient(h[t-1]))": lambda a, h, p: torch.tanh(a + h.detach()),
    "stop_gradient(tanh(a[t])) * b": lambda a, h, p: torch.tanh(a).detach() * p["b"],
    "a[t] + stop_gradient(where(a[t] > 0, 1, 0) - a[t])": lambda a, h, p: a + ((a > 0).double() - a).detach(),
}
"""The expression of h[t] in the language, and in PyTorch."""


NEAR = re.compile(r"sum|outer|sin|cos|dot")
"""Functions in which so large a number loses the digits that count."""

ELSEWHERE = {
    "batch_norm": test_batch_norm.test_everything_equals_torch,
    "dropout": test_draws.test_gradients_with_the_same_numbers,
    "noise": test_draws.test_gradients_with_the_same_numbers,
    "zoneout": test_draws.test_zoneout_against_torch_in_a_loop,
    "sum_over_time": test_pooling.test_pooling_equals_torch,
    "mean_over_time": test_pooling.test_pooling_equals_torch,
    "max_over_time": test_pooling.test_pooling_equals_torch,
    "ctc": test_ctc.test_ctc_equals_that_of_torch,
    "edit_distance": test_ctc.test_the_edit_distance_counts_all_edits,
}
"""Functions that have a test of their own."""


def test_every_function_is_compared_with_one_that_is_not_ours() -> None:
    written = [*CASES, *(case.loss for case in test_losses.CASES.values()), *test_metrics.FORMULAS]
    assert set(FUNCTIONS) - set(re.findall(r"\w+", " ".join(written))) == set(ELSEWHERE)


def products(a: Tensor, p: Mapping[str, Tensor]) -> Tensor:
    """outer(a[t], x[t]); the input of the step stands among the parameters."""
    return a[:, :, None] * p["x"][:, None, :]


def compiled(expression: str, level: int) -> ModuleType:
    """The script of a model with one case."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "function.rnn")
        path.write_text(SPEC.format(expression=expression, x=X, y=Y, h=H, batch=B))
        np.savez(Path(folder, "data.npz"), X=np.zeros((B, T, X)), Y=np.zeros((B, T, Y)))
        return compile_spec(path, level=level).load()


def in_torch(meaning: Meaning, params: Mapping[str, Array], batch: Mapping[str, Array]) -> dict[str, Array]:
    """The loss (under an empty name) and its gradients, as PyTorch finds them."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    x, h, outputs = torch.tensor(batch["x"]), torch.zeros(B, H, dtype=torch.float64), []
    for t in range(T):
        a = x[:, t] @ p["W"].T + h @ p["U"].T + p["b"]
        h = meaning(a, h, {**p, "x": x[:, t]})
        outputs.append(h @ p["W_y"].T)
    loss = functional.mse_loss(torch.stack(outputs, 1), torch.tensor(batch["target"]))
    loss.backward()  # type: ignore[no-untyped-call]
    return {"": loss.detach().numpy()} | {n: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for n, v in p.items()}


def check(expression: str, level: int, change: Callable[[str, Array], Array], tolerance: float) -> None:
    """Demand that the script agrees with PyTorch where `change` has moved the parameters to."""
    script, random = compiled(expression, level), np.random.default_rng(7)
    params = {name: change(name, random.standard_normal(value.shape)) for name, value in script.init(0).items()}
    batch = {"x": random.standard_normal((B, T, X)), "target": random.standard_normal((B, T, Y))}
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, gradients = script.loss_and_gradients(params, batch)
    compare({"": np.array(loss), **gradients}, in_torch(CASES[expression], params, batch), tolerance)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("expression", CASES)
def test_function_is_that_of_torch(expression: str, level: int) -> None:
    check(expression, level, lambda name, value: 0.6 * value if name == "U" else value, TOLERANCE)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("expression", CASES)
def test_function_is_that_of_torch_at_zero(expression: str, level: int) -> None:
    check(expression, level, lambda name, value: 0 * value if name in ("W", "U", "b") else value, TOLERANCE)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("expression", [e for e in CASES if not NEAR.search(e)])
def test_function_is_that_of_torch_far_out(expression: str, level: int) -> None:
    """In float64, exp overflows at 710."""
    moves = {"U": 0.0, "b": 3000.0}
    check(expression, level, lambda name, value: moves.get(name, 1.0) * value, TOLERANCE)


def test_hard_sigmoid_is_that_of_torch() -> None:
    """Up to 3e-8 in the gradient, where PyTorch has 1 / 6 in float32."""
    a, b = (torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ours, theirs = functional.relu6(a + 3) / 6, functional.hardsigmoid(b)
    ours.sum().backward()  # type: ignore[no-untyped-call]
    theirs.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(ours, theirs)
    assert a.grad is not None and b.grad is not None
    assert 1e-9 < (a.grad - b.grad).abs().max() < 1e-8


def test_a_case_can_fail() -> None:
    """The check sees another function: elu for selu, and a gradient that should have stopped."""
    for right, wrong in (("selu(a[t])", "elu(a[t])"), ("tanh(a[t] + stop_gradient(h[t-1]))", "silu(a[t])")):
        script = compiled(right, 1)
        random = np.random.default_rng(7)
        params = {name: random.standard_normal(value.shape) for name, value in script.init(0).items()}
        batch = {"x": random.standard_normal((B, T, X)), "target": random.standard_normal((B, T, Y))}
        loss, gradients = script.loss_and_gradients(params, batch)
        with pytest.raises(AssertionError):
            compare({"": np.array(loss), **gradients}, in_torch(CASES[wrong], params, batch), 1e-3)
