"""Who is timed: every way to get the same gradients, as something that does one step and tells its gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks.problem import Arrays, Problem, spec_text
from rnnspec import compile_spec
from rnnspec.compiler import Compiled
from rnnspec.script.devices import Name

OURS, CALL, FUSED = "rnnspec", "whole call", "torch.nn"
EAGER, INDEXED, JAX, PRODUCTS = "eager torch", "eager pre[t]", "jax.jit", "products"
"""Names of those who are timed."""


@dataclass(frozen=True)
class Peer:
    """`step` computes loss and gradients once; `gradients` are those of the last step, stacked, if it has any.

    `tolerance` is how far they may be from ours: norm of the difference, by their norm.
    """

    name: str
    step: Callable[[], object]
    gradients: Callable[[], Arrays] | None = None
    tolerance: float = 1e-5


def everyone(problem: Problem) -> list[Peer]:
    """All that are timed for a problem, ours first."""
    from benchmarks import in_jax, in_torch

    return [*ours(problem), *in_torch.peers(problem), in_jax.peer(problem), products(problem)]


def ours(problem: Problem) -> list[Peer]:
    """The script at -O1: its work on storage, and the whole `loss_and_gradients` with the copies at its border."""
    script = script_of(problem)
    params, batch = problem.split(problem.params), problem.batch
    p, g = script.views(params), script.Views(np.float32)
    w = script.prepare(batch, p.vector.dtype)

    def step() -> None:
        script.forward(p, w)
        script.backward(p, w, g)

    return [
        Peer(OURS, step, lambda: problem.join(g.named)),
        Peer(CALL, lambda: script.loss_and_gradients(params, batch)),
    ]


def script_of(problem: Problem) -> ModuleType:
    """The script of a problem's spec for the CPU, at -O1."""
    return compiled(problem).load()


def compiled(problem: Problem, device: Name = "cpu", dtype: str = "float32", level: int = 1) -> Compiled:
    """The spec of a problem, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "data.npz"), X=problem.x[:, :1].swapaxes(0, 1), Y=problem.target[:, :1].swapaxes(0, 1))
        spec = Path(folder, "benchmark.rnn")
        spec.write_text(spec_text(problem.cell, problem.size, dtype), encoding="utf-8")
        return compile_spec(spec, device, level)


def products(problem: Problem) -> Peer:
    """The matrix products of forward and backward alone: what no implementation on this BLAS can do without."""
    size, W, U = problem.size, problem.params["W"], problem.params["U"]
    rows, columns = len(W), size.T * size.B
    x = np.ascontiguousarray(problem.x.swapaxes(1, 2))
    z, h, dh = (np.ones((size.T, n, size.B), np.float32) for n in (rows, size.H, size.H))
    z_flat, x_flat, h_flat = (np.ones((n, columns), np.float32) for n in (rows, size.I, size.H))
    dW, dU, U_T = np.empty_like(W), np.empty_like(U), np.ascontiguousarray(U.T)

    def step() -> None:
        np.matmul(W, x, out=z)
        for zt, ht in zip(z, h, strict=True):
            np.dot(U, ht, out=zt)
        for zt, dht in zip(z, dh, strict=True):
            np.dot(U_T, zt, out=dht)
        np.matmul(z_flat, x_flat.T, out=dW)
        np.matmul(z_flat, h_flat.T, out=dU)

    return Peer(PRODUCTS, step)
