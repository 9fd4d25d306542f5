"""`reset_after`: states go back to their start behind a symbol, and no gradient crosses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec import compile_spec
from rnnspec.compiler import last, programs, script
from rnnspec.frontend.check import check
from rnnspec.frontend.resets import with_resets
from rnnspec.frontend.typed import Spec
from rnnspec.verify.compare import compare
from tests.test_truncation import LEVELS, LOOSE, SHORT, truncated
from tests.windowed import CUTS, gradients_agree, windows

TEXT = "to be,\nor not\nto be:\n\nthat is\nthe question\n" * 6
SPEC = """
rnnspec: 1
data:
  source: text("text.txt")
  reset_after: "\\n"
inputs:
  x: one_hot(ids)
targets:
  target: next(ids)
states: {h: 4}
model: |
  h[0] = h_start
  h[t] = tanh(W_x @ x[t] + V_x @ x[t-1] + W_h @ h[t-1] + V_h @ h[t-2] + b_h)
  y[t] = W_y @ h[t] + b_y
loss: cross_entropy(y[t], target[t])
params:
  h_start: {shape: [4], init: normal(std=0.5)}
train:
  optimizer: sgd(lr=0.1)
  truncation: tbptt(5)
  batch: 3
  epochs: 1
  dtype: float64
"""


def compiled(text: str, level: int = 1) -> ModuleType:
    """The script of a spec that reads the text, its data read."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        path = Path(folder) / "resets.rnn"
        path.with_name("text.txt").write_text(TEXT)
        path.write_text(text)
        environment.setenv("RNNSPEC_DATA", folder)
        made = compile_spec(path, level=level).load()
        made.dataset()
    return made


def by_hand(made: ModuleType, params: dict[str, np.ndarray], batch: dict, before: dict) -> tuple[float, dict, dict]:
    """The loss of a window, its gradients, and what the next one goes on with: h and the symbol of its last two steps."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    V, B = len(made.VOCABULARY), len(batch["x"])
    zeros, zero_symbol = torch.zeros(B, 4, dtype=torch.float64), torch.zeros(B, V, dtype=torch.float64)
    if batch["fresh"]:
        before = {"h": [p["h_start"] + zeros, zeros], "x": zero_symbol}
    (h1, h2), x1, losses = before["h"], before["x"], []
    for t, ids in enumerate(torch.tensor(batch["x"]).T):
        new = (x1[:, made.VOCABULARY.index("\n")] == 1)[:, None]  # by what the step before read
        h1, h2 = torch.where(new, p["h_start"] + zeros, h1), torch.where(new, zeros, h2)
        x = torch.eye(V, dtype=torch.float64)[ids]
        seen = torch.where(new, zero_symbol, x1)
        z = x @ p["W_x"].T + seen @ p["V_x"].T + h1 @ p["W_h"].T + h2 @ p["V_h"].T + p["b_h"]
        h1, h2, x1 = torch.tanh(z), h1, x
        target = torch.tensor(batch["target"][:, t]).long()
        losses.append(torch.nn.functional.cross_entropy(h1 @ p["W_y"].T + p["b_y"], target))
    loss = torch.stack(losses).mean()
    loss.backward()
    gradients = {n: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for n, v in p.items()}
    return loss.item(), gradients, {"h": [h1.detach(), h2.detach()], "x": x1}


@LEVELS
@pytest.mark.parametrize("cut", ["windows", "sequences"])
def test_pieces_of_a_text_are_those_of_a_loop_in_torch(cut: str, level: int) -> None:
    """In windows of a stream, and in a stream that is cut into sequences, without truncation."""
    sequences = SPEC.replace("  truncation: tbptt(5)\n", "").replace("data:\n", "data:\n  sequence: 9\n")
    made = compiled(SPEC if cut == "windows" else sequences, level)
    w, before, resets = None, {}, 0
    for number, batch in enumerate(made.batches("train")):
        params = made.init(number)
        loss, gradients = made.loss_and_gradients(params, batch, step=1, state=w)
        if cut == "windows":
            w = made.workspace(batch["x"].shape[1], len(batch["x"]), np.dtype(np.float64), "training")
        want_loss, want, before = by_hand(made, params, {"fresh": True, **batch}, before)
        compare({"": np.array(loss), **gradients}, {"": np.array(want_loss), **want})
        resets += int(batch["begins"].sum())
    assert resets > 20


def check_resets(seed: int) -> None:
    """A random model whose states are set back at random steps, in windows, at both levels."""
    sketch = truncated(seed)
    assert sketch is not None
    with TemporaryDirectory() as folder:
        path = sketch.write(Path(folder))
        path.write_text(path.read_text() + "  truncation: tbptt(4)\n")
        spec, _ = check(path)
    assert isinstance(spec, Spec)
    name = spec.data.encodings[0].name  # what marks the pieces in the data does not matter: the windows are made here
    spec = replace(spec, model=with_resets(spec.model, []), data=replace(spec.data, reset_after=(name, 0)))
    for level in (0, 1):
        made = ModuleType("train")
        exec(script(spec, last(programs(spec, level)), level), made.__dict__)
        for cuts in (CUTS, SHORT):
            gradients_agree(made, spec.model, windows(spec.model, seed, cuts), LOOSE)


@pytest.mark.parametrize("number", range(12))
def test_random_models_are_set_back(number: int) -> None:
    """Each test looks for a suitable model among seeds of its own."""
    check_resets(next(seed for seed in range(500 * number, 500 * number + 500) if truncated(seed)))


def test_a_text_is_written_as_it_is_read() -> None:
    """While a text is written, states go back behind the symbol too."""
    made = compiled(SPEC)
    p = made.views(made.init(1))
    found = made.sample(p, 30, prime="to\nbe\n", seed=3)
    asked: list[bool] = []
    prepare = made.prepare
    made.prepare = lambda batch, *rest, **more: (asked.append(bool(batch["begins"][0, 0])), prepare(batch, *rest, **more))[1]
    assert made.sample(p, 30, prime="to\nbe\n", seed=3) == found
    read = "to\nbe\n" + found[:-1]
    assert asked == [False] + [character == "\n" for character in read[:-1]]


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ('"\\n"', '"#"', "E0606", "`reset_after` does not occur in the text"),
        (
            "one_hot(ids)",
            "one_hot(ids)\n  k: one_hot(ids)",
            "E0606",
            "`reset_after` needs exactly one input that reads a symbol at every step",
        ),
        ("tbptt(5)", "tbptt(5)", "", ""),
        ("W_y @ h[t] + b_y", "W_y @ h[t+1] + b_y", "E0606", "a later step cannot be read where `reset_after` sets states back"),
        (
            "  y[t] = W_y @ h[t] + b_y",
            "  begins[t] = W_b @ h[t]\n  y[t] = W_y @ begins[t] + b_y",
            "E0204",
            "`begins` cannot be",
        ),
    ],
)
def test_messages(old: str, new: str, code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    text = SPEC.replace("  truncation: tbptt(5)\n", "").replace("data:\n", "data:\n  sequence: 9\n").replace(old, new)
    path = tmp_path / "resets.rnn"
    path.write_text(text.replace("states: {h: 4}", "states: {h: 4, begins: 4}" if "begins" in new else "states: {h: 4}"))
    _, found = check(path)
    errors = [problem for problem in found if problem.level == "error"]
    assert [problem.code for problem in errors] == [code][: bool(code)], errors
    assert all(problem.message.startswith(message) for problem in errors)
