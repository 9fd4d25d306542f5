"""CTC equals torch's: values and gradients, for sequences and labels of unequal lengths, repeated labels, no way to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.verify.compare import Array, compare
from rnnspec.verify.probe import Probe, probe

TOLERANCE = 1e-12
STEPS, CLASSES = 7, 5
LABELS = np.array([[1, 2, 3], [2, 2, 0], [4, 0, 0], [0, 0, 0], [1, 1, 1], [3, 2, 3]])
LENGTHS = np.array([7, 6, 1, 4, 4, 5])  # three equal labels need five steps: the last but one cannot fit

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "length", "Y", "n"])
inputs:
  x: vectors(X, size=2{length})
targets:
  target: labels(Y, count=5, length=n)
dims: {{H: 4}}
states: {{h: H}}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  y[t] = W_y @ h[t] + b_y
loss: ctc(y[t], target)
metrics:
  - edit_distance(y[t], target)
train: {{optimizer: sgd(lr=0.1), batch: 4, steps: 2, dtype: float64}}
"""


def compiled(folder: Path, masked: bool, level: int) -> Compiled:
    """The spec with data: labels after the last one of a sequence may be anything."""
    arrays = {"X": np.random.default_rng(1).normal(size=(6, STEPS, 2)), "length": LENGTHS, "n": (LABELS > 0).sum(1)}
    np.savez(folder / "data.npz", **arrays, Y=np.where(LABELS > 0, LABELS, 4))
    (folder / "model.rnn").write_text(SPEC.format(length=", length=length" if masked else ""))
    return compile_spec(folder / "model.rnn", level=level)


def of_torch(at: Probe) -> tuple[float, dict[str, Array]]:
    """The mean over the sequences, and its gradient."""
    params = {name: torch.tensor(value, requires_grad=True) for name, value in at.params.items()}
    x, labels = torch.tensor(at.batch["x"]), torch.tensor(at.batch["target"])
    h, states = torch.zeros(len(x), 4, dtype=torch.float64), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ params["W_x"].T + h @ params["W_h"].T + params["b_h"])
        states.append(h)
    logs = torch.log_softmax(torch.stack(states) @ params["W_y"].T + params["b_y"], -1)
    lengths = torch.tensor(at.batch.get("length", np.full(len(x), x.shape[1])))
    counts = (labels > 0).sum(1)
    loss = functional.ctc_loss(logs, labels, lengths, counts, reduction="none", zero_infinity=True).mean()
    found = torch.autograd.grad(loss, list(params.values()))
    return loss.item(), {name: gradient.numpy() for name, gradient in zip(params, found, strict=True)}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
def test_ctc_equals_that_of_torch(masked: bool, level: int, tmp_path: Path) -> None:
    ctc_equals_torch(masked, level, tmp_path)


def ctc_equals_torch(masked: bool, level: int, folder: Path) -> None:
    """Compare a script with torch, and both with complex steps."""
    made = compiled(folder, masked, level)
    at = probe(made.spec.model, seed=2, T=STEPS, B=6)
    at.batch["target"] = LABELS
    if masked:
        at.batch["length"] = LENGTHS
    loss, gradients = made.load().loss_and_gradients(at.params, at.batch)
    want, derivatives = of_torch(at)
    compare({"": np.array(loss), **gradients}, {"": np.array(want), **derivatives}, TOLERANCE)
    assert made.verify(("complex-step", "torch")).passed


def spelt(classes: Array) -> list[int]:
    """Equal neighbours count once, blanks not at all."""
    kept = [int(c) for k, c in enumerate(classes) if k == 0 or c != classes[k - 1]]
    return [c for c in kept if c != 0]


def distance(a: list[int], b: list[int]) -> int:
    """How many edits turn one into the other, by trying each first step."""
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return distance(a[1:], b[1:])
    return 1 + min(distance(a[1:], b), distance(a, b[1:]), distance(a[1:], b[1:]))


@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
def test_the_edit_distance_counts_all_edits(masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    edit_distance_counts(masked, tmp_path)


def edit_distance_counts(masked: bool, folder: Path) -> None:
    """Compare what a script measures with edits found one by one; the labels of the file are cut at their lengths."""
    script = compiled(folder, masked, 1).load()
    p = script.views({name: 6 * value for name, value in script.init(3).items()})
    batch = script.examples("train", np.arange(6), 0, STEPS)
    assert sorted(map(tuple, batch["target"])) == sorted(map(tuple, LABELS))
    best = script.predict(p.named, batch)["y"].argmax(-1)
    lengths = batch.get("length", np.full(6, STEPS))
    edits = [
        distance(spelt(row[:n]), [int(c) for c in wanted if c])
        for row, n, wanted in zip(best, lengths, batch["target"], strict=True)
    ]
    assert sum(edits) > 3 and len({len(spelt(row[:n])) for row, n in zip(best, lengths, strict=True)}) > 1
    assert script.measure(p, "train")["edit_distance"] == pytest.approx(sum(edits) / (LABELS > 0).sum())


def test_a_blank_among_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    script = compiled(tmp_path, False, 1).load()
    archive = dict(np.load(tmp_path / "data.npz"))
    archive["Y"][0, 1] = 0
    np.savez(tmp_path / "data.npz", **archive)
    with pytest.raises(SystemExit, match="0 is the blank"):
        script.examples("train", np.arange(6), 0, STEPS)
