"""The peer in JAX: `jit` of a `scan`, forward and with its gradient.

JAX has no events, so these times are the host's, from the call until its result is there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.plan import Case, numbers
from benchmarks.gpu.timing import HOST, SETS, Absent, Candidate, measured
from benchmarks.in_jax import loss_of
from benchmarks.problem import Arrays, Problem

MATMUL = {"float32": "float32", "tf32": "tensorfloat32"}


def run(case: Case, device: str) -> Case:
    """Time JAX in a case."""
    if device == "cuda" and jax.default_backend() == "cpu":
        raise Absent(f"jax {jax.__version__} finds no GPU")
    with jax.default_matmul_precision(MATMUL[case["precision"]]):
        return measured(candidate(numbers(case["cell"], case["size"])), HOST)


def candidate(given: Problem) -> Candidate:
    """Loss and gradients, over the sets of inputs; compiled at the first call, which is not timed."""
    loss = loss_of(given)
    forward, training = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    params = jax.device_put(given.params)
    inputs = jax.device_put((given.x, given.target))
    sets = [tuple(jnp.roll(a, k, axis=1) for a in inputs) for k in range(SETS)]
    found: dict[str, jax.Array] = {}

    def train(k: int) -> None:
        found.update(jax.block_until_ready(training(params, *sets[k])[1]))  # type: ignore[no-untyped-call]

    def gradients() -> Arrays:
        return {name: np.asarray(value) for name, value in found.items()}

    return Candidate(lambda k: jax.block_until_ready(forward(params, *sets[k])), train, gradients)  # type: ignore[no-untyped-call]
