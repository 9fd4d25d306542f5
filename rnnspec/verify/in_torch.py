"""Gradients by PyTorch's automatic differentiation, in float64.  Only this file imports torch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rnnspec.frontend.typed import Model
from rnnspec.verify.reference import Library, Reference, State

Tensor = torch.Tensor


def _layer_norm(v: Tensor, g: Tensor | float = 1.0, b: Tensor | float = 0.0, *, eps: float) -> Tensor:
    return functional.layer_norm(v, v.shape[1:], eps=eps) * g + b


def _features(a: Tensor) -> Tensor:
    """All features of a sequence in one row."""
    return a.reshape(a.shape[0], -1)


def _concat(*parts: Tensor) -> Tensor:
    rows = [_features(part) for part in parts]
    batch = max(len(row) for row in rows)
    return torch.cat([row.expand(batch, -1) for row in rows], dim=1)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    if a.ndim == 2:
        return (a[:, None, :] @ b)[:, 0, :]
    if b.ndim == 2:
        return (a @ b[:, :, None])[:, :, 0]
    return a @ b


def _cross_entropy(
    prediction: Tensor, target: Tensor, *, smoothing: float, weights: Sequence[float] | None, ignore: int | None
) -> Tensor:
    """`target` holds a 1 at the class."""
    each = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    scores = prediction.expand(len(target), -1)
    found = functional.cross_entropy(scores, target, each, label_smoothing=smoothing, reduction="none")
    return found if ignore is None else found * (1 - target[:, ignore])


def _ctc(scores: Sequence[Tensor], labels: Any, lengths: Any) -> Tensor:
    batch = len(lengths)
    logs = torch.log_softmax(torch.stack([s.expand(batch, -1) for s in scores]), -1)
    found, counts = torch.as_tensor(labels), torch.as_tensor(labels > 0).sum(1)
    return functional.ctc_loss(logs, found, torch.as_tensor(lengths), counts, reduction="none", zero_infinity=True)


def _mean_of(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of torch for each sequence, as the mean over all features."""

    def mean(*values: Tensor, **options: Any) -> Tensor:
        batch = max(len(value) for value in values)
        rows = (_features(value).expand(batch, -1) for value in values)
        return loss(*rows, reduction="none", **options).mean(1)

    return mean


def _limited(value: Tensor, kind: str, most: float) -> Tensor:
    """A hook sees the whole gradient of a value, from all that read it."""

    def hook(gradient: Tensor) -> Tensor:
        if kind == "value":
            return gradient.clamp(-most, most)
        norms = gradient.reshape(len(gradient), -1).norm(dim=1).reshape(-1, *(1,) * (gradient.ndim - 1))
        return torch.where(norms > most, gradient * (most / norms), gradient)

    if value.requires_grad:
        value.register_hook(hook)  # type: ignore[no-untyped-call]
    return value


LIBRARY = Library(
    lambda values: torch.tensor(values),
    {
        "neg": operator.neg,
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "matmul": _matmul,
        "transpose": lambda a: a.mT,
        "less": torch.lt,
        "less_equal": torch.le,
        "greater": torch.gt,
        "greater_equal": torch.ge,
        "equal": torch.eq,
        "not_equal": torch.ne,
        "and": torch.logical_and,
        "or": torch.logical_or,
        "not": torch.logical_not,
        "where": torch.where,
        "minimum": torch.minimum,
        "maximum": torch.maximum,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "sin": torch.sin,
        "cos": torch.cos,
        "relu": torch.relu,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "abs": torch.abs,
        "softplus": functional.softplus,
        "log_sigmoid": functional.logsigmoid,
        "silu": functional.silu,
        "gelu": lambda a: functional.gelu(a, approximate="tanh"),
        "elu": functional.elu,
        "selu": functional.selu,
        "leaky_relu": functional.leaky_relu,
        "softsign": functional.softsign,
        "hard_sigmoid": lambda a: functional.relu6(a + 3) / 6,  # the gradient of torch's own holds 1 / 6 in float32
        "hard_tanh": functional.hardtanh,
        "clamp": lambda a, low, high: torch.clamp(a, low, high),
        "stop_gradient": torch.detach,
        "square": torch.square,
        "softmax": lambda a: torch.softmax(a, -1),
        "log_softmax": lambda a: torch.log_softmax(a, -1),
        "layer_norm": _layer_norm,
        "rms_norm": lambda v, g=1.0, *, eps: functional.rms_norm(v, v.shape[1:], eps=eps) * g,
        "concat": _concat,
        "chunk": lambda v, part, parts: torch.chunk(v, parts, 1)[part - 1],
        "sum": lambda a: _features(a).sum(1),
        "mean": lambda a: _features(a).mean(1),
        "max": lambda a: _features(a).amax(1),
        "min": lambda a: _features(a).amin(1),
        "norm2": lambda a: torch.linalg.vector_norm(_features(a), dim=1),
        "cumsum": lambda a: torch.cumsum(a, 1),
        "dot": lambda a, b: (a * b).sum(1),
        "outer": lambda a, b: a[:, :, None] * b[:, None, :],
        "cross_entropy": _cross_entropy,
        "mse": _mean_of(functional.mse_loss),
        "mae": _mean_of(functional.l1_loss),
        "ctc": _ctc,
        "huber": _mean_of(functional.huber_loss),
        "bce": _mean_of(functional.binary_cross_entropy_with_logits),
        "poisson_nll": _mean_of(functional.poisson_nll_loss),
        "gaussian_nll": _mean_of(functional.gaussian_nll_loss),
    },
    _limited,
)


def gradients_by_torch(
    model: Model,
    params: Mapping[str, Any],
    batch: Mapping[str, Any],
    drawn: Sequence[Any] | None = None,
    state: State | None = None,
) -> tuple[float, dict[str, Any]]:
    """The loss, and its gradient by every trainable parameter, as NumPy arrays of float64."""
    leaves = {name: torch.tensor(np.asarray(value), dtype=torch.float64) for name, value in params.items()}
    names = [info.name for info in model.parameters if info.trainable]
    for name in names:
        leaves[name].requires_grad_()
    rows = {name: leaf[None] for name, leaf in leaves.items()}
    loss = Reference(model, LIBRARY).run(rows, batch, drawn, state).loss_parts().sum()
    if loss.requires_grad:
        loss.backward()
    found = {name: leaves[name].grad for name in names}
    return loss.item(), {n: np.zeros(params[n].shape) if g is None else g.numpy() for n, g in found.items()}
