"""What stands behind the end of a sequence changes nothing: no loss, no gradient, no prediction."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.verify.compare import Array, compare
from rnnspec.verify.padding import padded
from rnnspec.verify.probe import Probe, longest_lag, probe
from tests.corpus import LEVELS, SPECS, compiled, model_of

TOLERANCE = 1e-12
STEP = 2

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "ids", "length", "label", "out", "Y"])
inputs:
  {inputs}
targets:
  {target}
states: {states}
model: |
  {model}
loss: {loss}
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 1
"""
X = "x: vectors(X, size=4, length=length)"
CLASS = "label: classes(label, count=3)"
MODELS = {
    "a class at every step": {
        "inputs": "x: one_hot(ids, size=5, length=length)",
        "target": "out: classes(out, count=3)",
        "states": "{}",
        "model": "h[t] = lstm(x[t], units=6)\n  y[t] = W_y @ h[t] + b_y",
        "loss": "cross_entropy(y[t], out[t])",
    },
    "from the end to the start": {
        "inputs": X,
        "target": CLASS,
        "states": "{g: 7}",
        "model": "h[t] = gru(x[t], units=6, reverse=true)\n  g[t] = tanh(W_g @ h[t-1] + U_g @ g[t-1])\n"
        "  y = W_y @ concat(g[T], h[T])",
        "loss": "cross_entropy(y, label)",
    },
    "lags, a start and a sum by the mask": {
        "inputs": X,
        "target": "Y: values(Y, size=2)",
        "states": "{h: 6}",
        "model": "h[0] = b_s\n  h[t] = tanh(W_h @ x[t-1] + U_h @ h[t-2] + b_h)\n"
        "  s[t] = s[t-1] + mask * (W_s @ h[t])\n  y[t] = dropout(s[t], 0.4)",
        "loss": "mse(y[t], Y[t])",
    },
    "attention over what was": {
        "inputs": X,
        "target": CLASS,
        "states": "{A: [6, 7], h: 6}",
        "model": "A[t] = 0.9 * A[t-1] + outer(W_v @ x[t], softmax(W_k @ x[t]))\n"
        "  h[t] = layer_norm(A[t] @ tanh(W_q @ x[t]), g_h, b_h)\n  y = W_y @ h[T]",
        "loss": "cross_entropy(y, label)",
    },
}
MASKED = [name for name in SPECS if model_of(name).masked]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data that the models above read."""
    path, random = tmp_path_factory.mktemp("padding"), np.random.default_rng(0)
    np.savez(
        path / "data.npz",
        X=random.standard_normal((9, 5, 4)),
        Y=random.standard_normal((9, 5, 2)),
        ids=random.integers(0, 3, (9, 5)),
        out=random.integers(0, 3, (9, 5)),
        label=random.integers(0, 3, 9),
        length=np.full(9, 5),
    )
    return path


@cache
def inline(case: str, level: int, folder: Path) -> Compiled:
    """One of the models above, compiled."""
    path = folder / "model.rnn"
    path.write_text(SPEC.format(**MODELS[case]), encoding="utf-8")
    return compile_spec(path, level=level)


def found(script: ModuleType, at: Probe, batch: dict[str, Array]) -> dict[str, Array]:
    """Loss and gradients with dropout, and the loss without it."""
    loss, gradients = script.loss_and_gradients(at.params, batch, step=STEP)
    return {"": np.array(loss), "without dropout": np.array(script.loss(at.params, batch)), **gradients}


def nothing_changes(made: Compiled) -> None:
    """Garbage behind the end, and more of it, gives the same numbers."""
    model = made.spec.model
    at = probe(model, 3, max(7, longest_lag(model) + 2), 5)
    assert len(set(at.batch["length"])) > 2
    want = found(made.load(), at, at.batch)
    for seed, extra in enumerate((0, 1, 4)):
        compare(found(made.load(), at, padded(made.spec.model, at.batch, extra, seed)), want, TOLERANCE)
    shorter = {**at.batch, "length": np.maximum(1, at.batch["length"] - 1)}
    assert abs(found(made.load(), at, shorter)[""] - want[""]) > 1e-6, "the lengths are not seen at all"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", MASKED)
def test_padding_changes_nothing_in_a_spec(name: str, level: int) -> None:
    nothing_changes(compiled(name, level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", MODELS)
def test_padding_changes_nothing_in_a_model(case: str, level: int, folder: Path) -> None:
    nothing_changes(inline(case, level, folder))


def padding_checks(made: Compiled) -> dict[str, bool]:
    """What `verify --padding` finds: the loss and every parameter, and whether it stayed the same."""
    return {c.parameter: c.passed for c in made.verify(padding=True).checks if c.reference == "more padding"}


@pytest.mark.parametrize("case", MODELS)
def test_verify_looks_at_padding(case: str, folder: Path) -> None:
    made = inline(case, 1, folder)
    found = padding_checks(made)
    assert set(found) == {"loss", *(info.name for info in made.spec.model.parameters)} and all(found.values())


def test_verify_looks_at_padding_with_random_numbers(folder: Path) -> None:
    """Those of the first steps may not depend on how many steps there are."""
    made = inline("lags, a start and a sum by the mask", 1, folder)
    drawn = "random((steps, sequences, *size), np.float32)\n        return (numbers.swapaxes(0, 1) >= p)"
    by_sequence = "random((sequences, steps, *size), np.float32)\n        return (numbers >= p)"
    assert drawn in made.source
    assert all(padding_checks(made).values())
    assert not padding_checks(replace(made, source=made.source.replace(drawn, by_sequence)))["loss"]


def test_verify_sees_padding_that_counts(folder: Path) -> None:
    made = inline("a class at every step", 1, folder)
    wrong = made.source.replace("w.share[...] = w.mask / w.mask.sum()", "w.share[...] = 1 / (w.T * w.B)")
    assert wrong != made.source
    assert not any(padding_checks(replace(made, source=wrong)).values())
    wrong = made.source.replace("w.mask[...] = np.arange(len(w.mask))[:, None, None] < w.length", "w.mask[...] = 1")
    assert wrong != made.source and not any(padding_checks(replace(made, source=wrong)).values())
