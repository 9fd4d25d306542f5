"""Targets that a loss cannot compare with are refused before training, wherever they come from; so are classes out of range."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check

SPEC = """\
rnnspec: 1
data:
  source: {source}
inputs:
  x: {x}
targets:
  y: {y}
model: |
  h[t] = rnn(x[t], units=3)
  {output}
loss: {loss}
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 3
"""
SIZE = 2


def spec(folder: Path, values: np.ndarray, kind: str, loss: str) -> str:
    """A spec whose targets are (sequence, time, 1) numbers or classes, written into a file of some kind."""
    x, y, length = np.random.default_rng(0).normal(size=(*values.shape, SIZE)), values, np.full(len(values), values.shape[1])
    output, at = "s[t] = W_s @ h[t]", f"{loss}(s[t], y[t])"
    timed = {"x": f"vectors(x, size={SIZE})", "y": "values(y, size=1)"}
    if loss == "cross_entropy":
        timed["y"] = "classes(y, count=3)"
    match kind:
        case "npz":
            np.savez(folder / "a.npz", x=x, y=y)
            source = 'npz("a.npz", arrays=["x", "y"])'
        case "npy":
            np.save(folder / "x.npy", x), np.save(folder / "y.npy", y)
            source = 'npy(["x.npy", "y.npy"])'
        case "jsonl":
            rows = [{"x": a, "y": b} for a, b in zip(x.tolist(), y.tolist(), strict=True)]
            (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
            source, timed["x"] = 'jsonl("a.jsonl", fields=["x", "y"])', f"vectors(x, size={SIZE}, length=length)"
        case "padded":
            y = np.pad(y, ((0, 0), (0, 3)), constant_values=-7)
            np.savez(folder / "a.npz", x=np.pad(x, ((0, 0), (0, 3), (0, 0))), y=y, length=length)
            source, timed["x"] = 'npz("a.npz", arrays=["x", "y", "length"])', f"vectors(x, size={SIZE}, length=length)"
        case "csv":
            (folder / "a.csv").write_text("y\n" + "\n".join(map(str, y.ravel())))
            source = 'csv("a.csv", columns=["y"])\n  sequence: 5'
            timed = {"x": 'columns(["y"])', "y": 'next(["y"])'}
        case "ts":
            head, rows = "@targetLabel true\n@data\n", zip(x[..., 0].tolist(), y.tolist(), strict=True)
            lines = [f"{','.join(map(str, a))}:{b[0]}" for a, b in rows]
            (folder / "a.ts").write_text(head + "\n".join(lines))
            source, output, at = 'ts("a.ts")', "s = W_s @ h[T]", f"{loss}(s, y)"
            timed = {"x": "vectors(x, size=1)", "y": "values(y, size=1)"}
    (folder / "a.rnn").write_text(text := SPEC.format(source=source, **timed, output=output, loss=at))
    return text


RANGES = {"bce": (0.0, 1.0), "poisson_nll": (0.0, 9.0)}
KINDS = ["npz", "npy", "jsonl", "padded", "csv", "ts"]


def found(folder: Path, values: np.ndarray, kind: str, loss: str) -> list[str]:
    """What is wrong with such a spec."""
    text = spec(folder, values, kind, loss)
    return [f"{p.message}\n{render(p)}" for p in check(text.encode(), name=str(folder / "a.rnn"))[1] if p.level == "error"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", RANGES)
def test_targets_out_of_range_are_refused(kind: str, loss: str, tmp_path: Path) -> None:
    low, high = RANGES[loss]
    values = np.random.default_rng(1).uniform(low, high, (6, 5))
    values[0, 0], values[1, 0] = low, high
    assert found(tmp_path, values, kind, loss) == []
    values[2, 0] = -0.5
    (problem,) = found(tmp_path, values, kind, loss)
    needed = "at least 0 and at most 1" if loss == "bce" else "at least 0"
    assert problem.startswith(f"`{loss}` needs targets that are {needed}, but those of `y` are not")
    assert (
        f"the numbers of `y` are from -0.5 to {high:g}" in problem
        and f"  y: {'next' if kind == 'csv' else 'values'}" in problem
    )
    assert found(tmp_path, values, kind, "mse") == []


@pytest.mark.parametrize("loss", RANGES)
def test_numbers_that_are_none_are_refused(loss: str, tmp_path: Path) -> None:
    values = np.full((6, 5), 0.5)
    values[3, 1] = np.nan
    (problem,) = found(tmp_path, values, "npy", loss)
    assert "from nan to nan" in problem


@pytest.mark.parametrize("kind", ["npz", "npy", "jsonl"])
@pytest.mark.parametrize(("wrong", "note"), [(3, "go up to 3, so that is 4 classes"), (-1, "start below 0")])
def test_classes_out_of_range_are_refused(kind: str, wrong: int, note: str, tmp_path: Path) -> None:
    values = np.arange(30).reshape(6, 5) % 3
    assert found(tmp_path, values, kind, "cross_entropy") == []
    values[4, 2] = wrong
    (problem,) = found(tmp_path, values, kind, "cross_entropy")
    assert problem.startswith("the column `y` does not fit into 3 classes") and note in problem


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_was_changed_since_is_refused(kind: str, tmp_path: Path) -> None:
    """And nothing is learned from it."""
    values = np.full((6, 5), 0.5)
    spec(tmp_path, values, kind, "bce")
    made = compile_spec(tmp_path / "a.rnn")
    assert next(made.load(tmp_path).batches("train"))["y"].max() == 0.5
    spec(tmp_path, values + 1, kind, "bce")
    with pytest.raises(SystemExit, match="the numbers of y must be at least 0 and at most 1"):
        made.load(tmp_path).train()


def test_normalised_columns_are_no_chances(tmp_path: Path) -> None:
    values = np.random.default_rng(1).uniform(0, 1, (6, 5))
    text = spec(tmp_path, values, "csv", "bce").replace('columns=["y"])', 'columns=["y"], normalize="zscore")')
    (tmp_path / "a.rnn").write_text(text)
    with pytest.raises(SystemExit, match="the numbers of y must be at least 0 and at most 1"):
        compile_spec(tmp_path / "a.rnn").load(tmp_path).train()


def test_other_losses_are_not_looked_at(tmp_path: Path) -> None:
    spec(tmp_path, np.full((6, 5), 0.5), "npz", "mse")
    assert "means nothing" not in compile_spec(tmp_path / "a.rnn").source
