"""Peers in JAX: `jit` of `value_and_grad` of a `scan`, with the product with the input for all steps before it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.nn import sigmoid

from benchmarks.peers import JAX, Peer
from benchmarks.problem import Arrays, Problem

Leaves = dict[str, Array]
Carry = tuple[Array, ...]
Step = Callable[[Leaves, Carry, Array], Carry]
"""Parameters, the carried states (h first) and this step's W @ x to the states of this step; gates as in `in_torch`."""


def lstm(p: Leaves, carry: Carry, pre: Array) -> Carry:
    """Gates i, f, o, z."""
    h, c = carry
    H = h.shape[1]
    a = pre + h @ p["U"].T + p["b"]
    i, f, o = jnp.split(sigmoid(a[:, : 3 * H]), 3, axis=1)
    c = f * c + i * jnp.tanh(a[:, 3 * H :])
    return o * jnp.tanh(c), c


def gru(p: Leaves, carry: Carry, pre: Array) -> Carry:
    """Gates r, z, n."""
    (h,) = carry
    H = h.shape[1]
    pre, a = pre + p["b"], h @ p["U"].T
    r, z = jnp.split(sigmoid(pre[:, : 2 * H] + a[:, : 2 * H]), 2, axis=1)
    n = jnp.tanh(pre[:, 2 * H :] + r * (a[:, 2 * H :] + p["c"]))
    return (n + z * (h - n),)


def elman(p: Leaves, carry: Carry, pre: Array) -> Carry:
    """One gate."""
    return (jnp.tanh(pre + carry[0] @ p["U"].T + p["b"]),)


def normalised(a: Array) -> Array:
    """The last axis with mean 0 and variance 1."""
    centred = a - a.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)


def layer_norm_lstm(p: Leaves, carry: Carry, pre: Array) -> Carry:
    """Gates i, f, o, z, each normalised, and so the cell."""
    h, c = carry
    H = h.shape[1]
    a = normalised((pre + h @ p["U"].T).reshape(-1, 4, H)).reshape(-1, 4 * H) * p["g"] + p["b"]
    i, f, o = jnp.split(sigmoid(a[:, : 3 * H]), 3, axis=1)
    c = f * c + i * jnp.tanh(a[:, 3 * H :])
    return o * jnp.tanh(normalised(c) * p["g_c"] + p["b_c"]), c


def min_gru(p: Leaves, carry: Carry, pre: Array) -> Carry:
    """Gates z, n; neither sees the state."""
    (h,) = carry
    z, n = jnp.split(pre + p["b"], 2, axis=1)
    return (h + sigmoid(z) * (n - h),)


CELLS: dict[str, tuple[Step, int]] = {
    "LSTM": (lstm, 2),
    "GRU": (gru, 1),
    "Elman": (elman, 1),
    "LN-LSTM": (layer_norm_lstm, 2),
    "minGRU": (min_gru, 1),
}
"""A step of each cell, and how many states it has."""


def loss_of(problem: Problem) -> Callable[[Leaves, Array, Array], Array]:
    """The loss as a function of parameters, x and target."""
    step_of, states = CELLS[problem.cell.name]
    size = problem.size

    def loss(p: Leaves, x: Array, target: Array) -> Array:
        def body(carry: Carry, pre: Array) -> tuple[Carry, Array]:
            carry = step_of(p, carry, pre)
            return carry, carry[0]

        start = (jnp.zeros((size.B, size.H), x.dtype),) * states
        _, h = lax.scan(body, start, x @ p["W"].T)
        return jnp.sum(h * target) / (size.T * size.B)

    return loss


def peer(problem: Problem) -> Peer:
    """A cell in JAX; compiled at the first step, which is not timed."""
    compiled = jax.jit(jax.value_and_grad(loss_of(problem)))
    arguments = jax.device_put((problem.params, problem.x, problem.target))

    def step() -> None:
        jax.block_until_ready(compiled(*arguments))  # type: ignore[no-untyped-call]

    def gradients() -> Arrays:
        return {name: np.asarray(value) for name, value in compiled(*arguments)[1].items()}

    return Peer(JAX, step, gradients, tolerance=1e-4)  # over 200 steps its rounding is several times that of the others
