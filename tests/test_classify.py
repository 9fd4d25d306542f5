"""Recurrences are told apart by how they depend on their past, whatever they are called."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from rnnspec.compiler import last, passes, programs
from rnnspec.frontend.check import check
from rnnspec.ir.program import Program
from rnnspec.passes.classify import classify

SPEC = """rnnspec: 1
name: kinds
data:
  source: adding(length=9, sequences=20)
inputs:
  x: vectors(x, size=2)
targets:
  total: values(y, size=1)
model: |
  {equation}
  y = W_a @ h[T]
loss: mse(y, total)
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 3
"""

CELLS = {
    "linear": ["min_gru", "min_lstm", "qrnn", "lru", "rg_lru", "selective_ssm", "gated_linear_attention"],
    "elementwise": ["indrnn", "sru", "brc"],
    "mixed": ["delta_net", "gated_delta_net"],
    "dense": ["rnn", "lstm", "gru", "ln_lstm", "irnn", "nbrc", "slstm"],
}

EQUATIONS = {
    "h[t] = x[t] + 0.5 * h[t-1]": "linear",
    "h[t] = where(x[t] > 0.1, x[t], -h[t-1])": "linear",
    "h[t] = x[t] * h[t-1] / (1 + x[t] * x[t])": "linear",
    "h[t] = x[t] + h[t-1] * h[t-1]": "elementwise",
    "h[t] = x[t] / (2 + h[t-1])": "elementwise",
    "h[t] = where(h[t-1] > 0.1, x[t], h[t-1])": "elementwise",
    "h[t] = tanh(x[t] + b_u * h[t-1])": "elementwise",
    "h[t] = x[t] + sum(h[t-1]) * h[t-1]": "mixed",
    "h[t] = x[t] + softmax(h[t-1])": "mixed",
    "h[t] = x[t] + W_h @ h[t-1]": "dense",
    "h[t] = x[t] + layer_norm(W_h @ h[t-1])": "dense",
}


def kinds(equation: str, device: str) -> set[str]:
    """The kinds of the forward recurrences of a model with one equation."""
    return {block.recurrence for block in program(equation, device).blocks if block.direction > 0}


def program(equation: str, device: str) -> Program:
    """The program of that model."""
    spec, found = check(SPEC.format(equation=equation))
    assert spec is not None, found
    return last(programs(spec, 1, device))


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind, names in CELLS.items() for name in names])
def test_cells(name: str, kind: str, device: str) -> None:
    assert kinds(f"h[t] = {name}(x[t], units=4)", device) == {kind}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_equations(equation: str) -> None:
    assert kinds(equation, "cpu") == {EQUATIONS[equation]}


def test_what_runs_backwards_is_affine() -> None:
    """The adjoint of a state is affine in the one of the next step, so a bent recurrence has a linear way back."""
    for name in ("indrnn", "sru"):
        blocks = program(f"h[t] = {name}(x[t], units=4)", "cpu").blocks
        assert [block.recurrence for block in blocks if block.kind == "loop"] == ["elementwise", "linear"]


def test_rows_that_reach_other_rows_are_mixed() -> None:
    assert kinds("h[t] = tanh(x[t] + concat(chunk(h[t-1], i=2, n=2), chunk(h[t-1], i=1, n=2)))", "cpu") == {"mixed"}


@pytest.mark.parametrize("equation", [e for e, kind in EQUATIONS.items() if kind == "linear"])
def test_linear_is_affine_in_numbers(equation: str) -> None:
    """f(a s + (1 - a) r) = a f(s) + (1 - a) f(r), with the equation itself as f."""
    step = partial(np_step, equation)
    x, s, r = np.random.default_rng(0).normal(size=(3, 2))
    assert np.allclose(step(x, 0.3 * s + 0.7 * r), 0.3 * step(x, s) + 0.7 * step(x, r), rtol=1e-12)


def np_step(equation: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """One step of an equation, evaluated by Python."""
    right = equation.partition("=")[2].replace("x[t]", "x").replace("h[t-1]", "h").replace("where", "np.where")
    return eval(right, {"np": np, "x": x, "h": h})  # type: ignore[no-any-return]


def test_a_program_without_loops_stays_as_it_is() -> None:
    found = program("h[t] = x[t]", "cpu")
    assert classify(found).blocks == found.blocks
    assert "classify" in [name for name, _ in passes(1, 4)]
