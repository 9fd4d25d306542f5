"""Every metric equals its formula over all valid steps of a part of the data, however that is cut into batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.verify.compare import Array

SEQUENCES, STEPS, CLASSES, SIZE = 11, 7, 6, 3

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "C", "V", "length"])
inputs:
  x: vectors(X, size=4{length})
targets:
  c: classes(C, count=6)
  v: values(V, size=3)
dims: {{H: 5}}
states: {{h: H}}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  s[t] = W_s @ h[t]
  y[t] = W_y @ h[t]
loss: cross_entropy(s[t], c[t]) + mse(y[t], v[t])
metrics:
{metrics}
train: {{optimizer: sgd(lr=0.1), batch: 4, steps: 1, dtype: float64}}
"""

Rows = tuple[Array, Array, Array, Array]
"""Scores, classes, values and their targets, one row for each valid step."""


def f1(scores: Array, classes: Array) -> float:
    """Of each class by itself, classes that do not occur left out."""
    found, chosen = [], scores.argmax(1)
    for k in sorted({*chosen.tolist(), *classes.tolist()}):
        precise = (classes[chosen == k] == k).mean() if (chosen == k).any() else 0.0
        recalled = (chosen[classes == k] == k).mean() if (classes == k).any() else 0.0
        found.append(2 * precise * recalled / (precise + recalled) if precise + recalled else 0.0)
    return float(np.mean(found))


def surprise(scores: Array, classes: Array) -> float:
    """The mean cross-entropy."""
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return float(-np.log(chances[np.arange(len(classes)), classes]).mean())


def among(scores: Array, classes: Array, k: int) -> float:
    """How often the class is one of the k best."""
    return float(np.mean([c in np.argsort(-row)[:k] for row, c in zip(scores, classes, strict=True)]))


FORMULAS: dict[str, Callable[[Rows], float]] = {
    "cross_entropy(s[t], c[t])": lambda r: surprise(r[0], r[1]),
    "perplexity(s[t], c[t])": lambda r: float(np.exp(surprise(r[0], r[1]))),
    "bits_per_character(s[t], c[t])": lambda r: surprise(r[0], r[1]) / float(np.log(2)),
    "accuracy(s[t], c[t])": lambda r: float((r[0].argmax(1) == r[1]).mean()),
    "top_k(s[t], c[t], k=2)": lambda r: among(r[0], r[1], 2),
    "macro_f1(s[t], c[t])": lambda r: f1(r[0], r[1]),
    "mse(y[t], v[t])": lambda r: float(((r[2] - r[3]) ** 2).mean()),
    "mae(y[t], v[t])": lambda r: float(np.abs(r[2] - r[3]).mean()),
    "rmse(y[t], v[t])": lambda r: float(np.sqrt(((r[2] - r[3]) ** 2).mean())),
    "r2(y[t], v[t])": lambda r: float(np.mean(1 - ((r[2] - r[3]) ** 2).sum(0) / ((r[3] - r[3].mean(0)) ** 2).sum(0))),
    "accuracy(s[t], c[t], ignore=0)": lambda r: float((r[0].argmax(1) == r[1])[r[1] != 0].mean()),
    "perplexity(s[t], c[t], ignore=4)": lambda r: float(np.exp(surprise(r[0][r[1] != 4], r[1][r[1] != 4]))),
    "top_k(s[t], c[t], 3, ignore=1)": lambda r: among(r[0][r[1] != 1], r[1][r[1] != 1], 3),
    "macro_f1(s[t], c[t], ignore=0)": lambda r: f1(r[0][r[1] != 0], r[1][r[1] != 0]),
}


@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
def test_metrics_equal_their_formulas(masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    metrics_agree(masked, tmp_path)


def metrics_agree(masked: bool, folder: Path) -> None:
    """Compare what a script measures with the formulas; data is read from the folder."""
    random = np.random.default_rng(5)
    arrays = {
        "X": random.normal(size=(SEQUENCES, STEPS, 4)),
        "C": random.integers(0, CLASSES - 1, (SEQUENCES, STEPS)),  # the last class never occurs
        "V": random.normal(3, 1, (SEQUENCES, STEPS, SIZE)),
        "length": random.integers(1, STEPS + 1, SEQUENCES),
    }
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    metrics = "\n".join(f"  - {metric}" for metric in FORMULAS)
    (folder / "model.rnn").write_text(SPEC.format(length=", length=length" if masked else "", metrics=metrics))
    script = compile_spec(folder / "model.rnn").load()
    p = script.views({name: 2 * value for name, value in script.init(1).items()})
    found = script.measure(p, "train")
    data = {name: array[script.dataset()[1]["train"][0]] for name, array in arrays.items()}  # a script shuffles a file
    valid = np.arange(STEPS) < (data["length"] if masked else np.full(SEQUENCES, STEPS))[:, None]
    predicted = script.predictions(p, "train")
    rows = (predicted["s"][valid], data["C"][valid], predicted["y"][valid], data["V"][valid])
    assert len(found) == 1 + len(FORMULAS)
    for (name, number), formula in zip(list(found.items())[1:], FORMULAS.values(), strict=True):
        assert number == pytest.approx(formula(rows), rel=1e-12), name
