"""Gradients by complex step: move parameters by a tiny amount along i, and read the derivative from the imaginary part.

Nothing is subtracted, so nothing is lost: f(x + ih) = f(x) + ih f'(x) up to h squared, which is 0 beside f(x) for
h = 1e-30.  This holds only for analytic formulas.  `abs`, `var` and `norm` of NumPy are not, so the rows below avoid
them; whatever must compare (where, maximum, abs ...) compares real parts.  Arrays stay real until they meet a moved
parameter.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnspec.frontend.typed import Model
from rnnspec.verify.reference import Array, Library, Reference, State, data_of

STEP = 1e-30
CHUNK = 500_000
"""Numbers that may be moved in one go."""


def _sigmoid(a: Array) -> Array:
    return 0.5 * np.tanh(0.5 * a) + 0.5


def _abs(a: Array) -> Array:
    return np.where(a.real < 0, -a, a)


def _relu(a: Array) -> Array:
    return np.where(a.real > 0, a, 0)


def _softplus(a: Array) -> Array:
    return _relu(a) + np.log1p(np.exp(-_abs(a)))


def _from_top(a: Array) -> Array:
    """The same values less their largest one, which changes neither a softmax nor its gradient."""
    return a - a.real.max(-1, keepdims=True)


def _softmax(a: Array) -> Array:
    e = np.exp(_from_top(a))
    return e / e.sum(-1, keepdims=True)


def _elu(a: Array, *, alpha: float) -> Array:
    return np.where(a.real > 0, a, alpha * np.expm1(np.where(a.real > 0, 0, a)))


def _gelu(a: Array) -> Array:
    return 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))


def _clamp(a: Array, *, low: float, high: float) -> Array:
    return np.where(a.real < low, low, np.where(a.real > high, high, a))


def _mean_of(a: Array, chosen: Array) -> Array:
    """The mean of the chosen features of each sequence: their derivative is shared among them."""
    return (_features(a) * chosen).sum(1) / chosen.sum(1)


def _max(a: Array) -> Array:
    return _mean_of(a, _features(a.real) == _features(a.real).max(1, keepdims=True))


def _min(a: Array) -> Array:
    return _mean_of(a, _features(a.real) == _features(a.real).min(1, keepdims=True))


def _norm2(a: Array) -> Array:
    squares = (_features(a) ** 2).sum(1)
    return np.where(squares.real > 0, np.sqrt(np.where(squares.real > 0, squares, 1)), 0)


def _log_softmax(a: Array) -> Array:
    scores = _from_top(a)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def _rms_norm(v: Array, g: Array | float = 1.0, *, eps: float) -> Array:
    return v / np.sqrt((v * v).mean(-1, keepdims=True) + eps) * g


def _layer_norm(v: Array, g: Array | float = 1.0, b: Array | float = 0.0, *, eps: float) -> Array:
    centred = v - v.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps) * g + b


def _features(a: Array) -> Array:
    """All features of a sequence in one row."""
    return a.reshape(a.shape[0], -1)


def _concat(*parts: Array) -> Array:
    rows = [_features(part) for part in parts]
    batch = max(len(row) for row in rows)
    return np.concatenate([np.broadcast_to(row, (batch, row.shape[1])) for row in rows], axis=1)


def _chunk(v: Array, *, part: int, parts: int) -> Array:
    return np.split(v, parts, axis=1)[part - 1]


def _product(a: Array, b: Array) -> Array:
    """A matrix product; complex times real is two real products, which spares a complex copy of the matrix."""
    if np.iscomplexobj(a) == np.iscomplexobj(b):
        return a @ b
    out = np.empty(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + (a.shape[-2], b.shape[-1]), complex)
    out.real, out.imag = a.real @ b.real, a.imag @ b.real if np.iscomplexobj(a) else a @ b.imag
    return out


def _matmul(a: Array, b: Array) -> Array:
    """Matrix @ vector, vector @ matrix or matrix @ matrix; one matrix for all sequences makes one product for all."""
    if a.ndim == 2:
        return _matmul(b.swapaxes(1, 2), a)
    if b.ndim == 3:
        return _product(a, b)
    if len(a) == 1:
        return _product(b, a[0].T)
    return _product(a, b[:, :, None])[:, :, 0]


def _mse(prediction: Array, target: Array) -> Array:
    return _features((prediction - target) ** 2).mean(1)


def _mae(prediction: Array, target: Array) -> Array:
    return _features(_abs(prediction - target)).mean(1)


def _huber(prediction: Array, target: Array, *, delta: float) -> Array:
    off = _abs(prediction - target)
    return _features(np.where(off.real < delta, 0.5 * off * off, delta * (off - 0.5 * delta))).mean(1)


def _bce(scores: Array, target: Array) -> Array:
    return _features(target * _softplus(-scores) + (1 - target) * _softplus(scores)).mean(1)


def _poisson_nll(log_rate: Array, target: Array) -> Array:
    return _features(np.exp(log_rate) - target * log_rate).mean(1)


def _gaussian_nll(mean: Array, target: Array, variance: Array, *, eps: float) -> Array:
    variance = np.where(variance.real > eps, variance, eps)
    return _features(0.5 * (np.log(variance) + (mean - target) ** 2 / variance)).mean(1)


def _ctc(scores: Sequence[Array], labels: np.ndarray, lengths: np.ndarray) -> Array:
    """Each sequence by itself: the chances of all prefixes (Graves et al. 2006, section 4.1), which few steps allow."""
    chances = [_softmax(s) for s in scores]
    return np.array([_ctc_of_one([p[b % len(p)] for p in chances[:n]], labels[b]) for b, n in enumerate(lengths)])


def _ctc_of_one(chances: Sequence[Array], labels: np.ndarray) -> Any:
    symbols = [0]
    for label in labels[labels > 0]:
        symbols += [int(label), 0]
    found: list[Any] = [float(k == 0) for k in range(len(symbols))]
    for p in chances:
        skips = [k > 1 and symbols[k] not in (0, symbols[k - 2]) for k in range(len(symbols))]
        came = [found[k] + (found[k - 1] if k else 0) + (found[k - 2] if skips[k] else 0) for k in range(len(symbols))]
        found = [p[symbol] * chance for symbol, chance in zip(symbols, came, strict=True)]
    whole = sum(found[-2:])
    return -np.log(whole) if whole else 0.0


def _cross_entropy(
    prediction: Array, target: Array, *, smoothing: float, weights: Sequence[float] | None, ignore: int | None
) -> Array:
    """`target` holds a 1 at the class."""
    scores, count = _from_top(prediction), target.shape[1]
    terms = np.log(np.exp(scores).sum(1, keepdims=True)) - scores
    each = (np.ones(count) if weights is None else np.array(weights)) * ((1 - smoothing) * target + smoothing / count)
    kept = 1 if ignore is None else 1 - target[:, ignore]
    return kept * (terms * each).sum(1)


LIBRARY = Library(
    np.asarray,
    {
        "neg": operator.neg,
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "matmul": _matmul,
        "transpose": lambda a: a.swapaxes(1, 2),
        "less": lambda a, b: a.real < b.real,
        "less_equal": lambda a, b: a.real <= b.real,
        "greater": lambda a, b: a.real > b.real,
        "greater_equal": lambda a, b: a.real >= b.real,
        "equal": lambda a, b: a.real == b.real,
        "not_equal": lambda a, b: a.real != b.real,
        "and": operator.and_,
        "or": operator.or_,
        "not": operator.invert,
        "where": np.where,
        "minimum": lambda a, b: np.where(a.real <= b.real, a, b),
        "maximum": lambda a, b: np.where(a.real >= b.real, a, b),
        "tanh": np.tanh,
        "sigmoid": _sigmoid,
        "sin": np.sin,
        "cos": np.cos,
        "relu": _relu,
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "abs": _abs,
        "softplus": _softplus,
        "log_sigmoid": lambda a: -_softplus(-a),
        "silu": lambda a: a * _sigmoid(a),
        "gelu": _gelu,
        "elu": _elu,
        "selu": lambda a: 1.0507009873554804934193349852946 * _elu(a, alpha=1.6732632423543772848170429916717),
        "leaky_relu": lambda a, negative_slope: np.where(a.real > 0, a, negative_slope * a),
        "softsign": lambda a: a / (1 + _abs(a)),
        "hard_sigmoid": lambda a: _clamp(a + 3, low=0, high=6) / 6,
        "hard_tanh": lambda a: _clamp(a, low=-1, high=1),
        "clamp": _clamp,
        "stop_gradient": np.real,
        "square": lambda a: a * a,
        "softmax": _softmax,
        "log_softmax": _log_softmax,
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "concat": _concat,
        "chunk": _chunk,
        "sum": lambda a: _features(a).sum(1),
        "mean": lambda a: _features(a).mean(1),
        "max": _max,
        "min": _min,
        "norm2": _norm2,
        "cumsum": lambda a: np.cumsum(a, 1),
        "dot": lambda a, b: (a * b).sum(1),
        "outer": lambda a, b: a[:, :, None] * b[:, None, :],
        "cross_entropy": _cross_entropy,
        "mse": _mse,
        "mae": _mae,
        "ctc": _ctc,
        "huber": _huber,
        "bce": _bce,
        "poisson_nll": _poisson_nll,
        "gaussian_nll": _gaussian_nll,
    },
)


class ComplexStep:
    """Derivatives of the loss of one model for one batch.  The loss itself is in `loss`."""

    def __init__(
        self,
        model: Model,
        params: Mapping[str, Array],
        batch: Mapping[str, Any],
        drawn: Sequence[Array] | None = None,
        state: State | None = None,
    ) -> None:
        self.reference = Reference(model, LIBRARY)
        self.params, self.batch, self.drawn, self.state = params, batch, drawn, state
        self.apart = not any(info.average for info in model.parameters)  # no sequence sees another one
        self.loss = float(self._parts({}, 1).sum())

    def derivatives(self, name: str, moves: Array) -> Array:
        """The derivative of the loss along each of `moves`, (number of moves, *shape of the parameter).

        Many moves of a small parameter are computed at once, as if each had a batch of its own.
        """
        at_once = max(1, CHUNK // (self.params[name].size * self._sequences())) if self.apart else 1
        found = [self._along(name, moves[k : k + at_once]) for k in range(0, len(moves), at_once)]
        return np.concatenate(found) if found else np.zeros(0)

    def gradient(self, name: str) -> Array:
        """The derivative by every element of a parameter."""
        parameter = self.params[name]
        units = np.eye(parameter.size).reshape(parameter.size, *parameter.shape)
        return self.derivatives(name, units).reshape(parameter.shape)

    def _along(self, name: str, moves: Array) -> Array:
        copies = len(moves)
        moved = self.params[name] + 1j * STEP * moves
        if copies > 1:
            moved = np.repeat(moved, self._sequences(), axis=0)
        by_copy = self._parts({name: moved}, copies).reshape(copies, -1).sum(1)
        return by_copy.imag / STEP * copies  # the loss is a mean, here over all copies

    def _parts(self, moved: Mapping[str, Array], copies: int) -> Array:
        params = {name: value[None] for name, value in self.params.items()}
        batch, state = _repeated(self.batch, copies), _repeated(self.state or {}, copies)
        drawn = None if self.drawn is None else [_tiled(numbers, copies) for numbers in self.drawn]
        run = self.reference.run({**params, **moved}, batch, drawn, state)
        return np.asarray(run.loss_parts())

    def _sequences(self) -> int:
        return len(self.batch[data_of(self.reference.model)[0].name])


def _repeated(arrays: Mapping[str, Any], copies: int) -> dict[str, Any]:
    return {name: np.concatenate([value] * copies) for name, value in arrays.items() if isinstance(value, np.ndarray)}


def _tiled(numbers: Array, copies: int) -> Array:
    """Random numbers for every copy of a batch; those that all sequences share stay as they are."""
    return numbers if len(numbers) == 1 else np.concatenate([numbers] * copies)


def trainable(model: Model) -> Iterator[str]:
    """The names of the parameters that have a gradient."""
    return (info.name for info in model.parameters if info.trainable)


def gradients_by_complex_step(
    model: Model, params: Mapping[str, Array], batch: Mapping[str, Any], drawn: Sequence[Array] | None = None
) -> tuple[float, dict[str, Array]]:
    """The loss, and its derivative by every element of every trainable parameter."""
    by_step = ComplexStep(model, params, batch, drawn)
    return by_step.loss, {name: by_step.gradient(name) for name in trainable(model)}


def directional_by_complex_step(
    model: Model,
    params: Mapping[str, Array],
    batch: Mapping[str, Any],
    directions: Mapping[str, Array],
    drawn: Sequence[Array] | None = None,
) -> tuple[float, dict[str, Array]]:
    """The loss, and its derivatives along `directions`: name -> (number of directions, *shape), for big models."""
    by_step = ComplexStep(model, params, batch, drawn)
    return by_step.loss, {name: by_step.derivatives(name, moves) for name, moves in directions.items()}
