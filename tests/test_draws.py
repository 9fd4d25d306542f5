"""Functions that draw random numbers while training: what they compute, from which numbers, and when."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import SpecError
from rnnspec.verify.certificate import verify
from rnnspec.verify.compare import Array, compare
from rnnspec.verify.probe import Probe, probe
from tests.corpus import LEVELS
from tests.test_padding import nothing_changes
from tests.windowed import gradients_agree, windows

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["x", "y", "length"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
states: {c: 4, h: 4}
model: |
  h[0] = h_start
  c[t] = tanh(W_x @ noise(x[t], 0.3) + W_h @ h[t-1] + b_h)
  h[t] = zoneout(c[t], h[t-1], 0.25)
  y[t] = W_y @ dropout(h[t], 0.5, shared="time") + b_y
loss: mse(y[t], target[t])
params:
  h_start: {shape: [4]}
train:
  optimizer: sgd(lr=0.1)
  batch: 3
  epochs: 1
  dtype: float64
"""
MASKED = SPEC.replace("size=3)", "size=3, length=length)")
WINDOWS = SPEC + "  truncation: tbptt(4)\n"
LEVEL = pytest.mark.parametrize("level", LEVELS)
STEP = 5


def compiled(text: str, level: int) -> Compiled:
    """A spec with arrays beside it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "draws.rnn"
        np.savez(path.with_name("data.npz"), x=np.zeros((6, 10, 3)), y=np.zeros((6, 10, 2)), length=np.full(6, 10))
        path.write_text(text)
        return compile_spec(path, level=level)


def by_formula(at: Probe, drawn: list[Array] | None) -> float:
    """The loss, with zoneout as in Krueger et al. 2017: d * old + (1 - d) * new in training, d's mean in evaluation."""
    x, y, p = at.batch["x"], at.batch["target"], at.params
    h, losses = np.broadcast_to(p["h_start"], (len(x), 4)), []
    for t in range(x.shape[1]):
        added, kept, scale = (0, 0.25, 1) if drawn is None else (drawn[0][:, t], drawn[1][:, t], drawn[2][:, 0])
        new = np.tanh((x[:, t] + added) @ p["W_x"].T + h @ p["W_h"].T + p["b_h"])
        h = kept * h + (1 - kept) * new
        losses.append(((h * scale) @ p["W_y"].T + p["b_y"] - y[:, t]) ** 2)
    return float(np.mean(losses))


def formula_agrees(level: int) -> None:
    """Training with what was drawn, evaluation with its mean."""
    made = compiled(SPEC, level)
    script, at = made.load(), probe(made.spec.model, 1, 5, 3)
    drawn = script.draws(STEP, 5, 3)
    assert script.loss_and_gradients(at.params, at.batch, step=STEP)[0] == pytest.approx(by_formula(at, drawn), rel=1e-13)
    assert script.loss(at.params, at.batch) == pytest.approx(by_formula(at, None), rel=1e-13)
    assert script.loss_and_gradients(at.params, at.batch)[0] == pytest.approx(by_formula(at, None), rel=1e-13)


@LEVEL
def test_the_formula_of_the_paper(level: int) -> None:
    formula_agrees(level)


@LEVEL
@pytest.mark.parametrize("text", [SPEC, MASKED])
def test_gradients_with_the_same_numbers(text: str, level: int) -> None:
    certificate = compiled(text, level).verify(("complex-step", "torch"))
    certificate.require()
    assert certificate.drawn


@pytest.mark.parametrize("reference", ["complex-step", "torch"])
def test_a_script_that_forgets_to_draw_is_not_proven(reference: str) -> None:
    """Nor is one that would be right in evaluation: numbers that no script has drawn are none that could be drawn."""
    forgetful = SPEC.replace("noise(x[t], 0.3)", "x[t]").replace("zoneout(c[t], h[t-1], 0.25)", "0.25 * h[t-1] + 0.75 * c[t]")
    script = compiled(forgetful.replace('dropout(h[t], 0.5, shared="time")', "h[t]"), 1).load()
    certificate = verify(script, compiled(SPEC, 1).spec, (reference,))
    assert not certificate.passed and not certificate.drawn


@LEVEL
def test_windows_draw_anew(level: int) -> None:
    made = compiled(WINDOWS, level)
    gradients_agree(made.load(), made.spec.model, windows(made.spec.model, seed=3))


@LEVEL
def test_padding_changes_nothing(level: int) -> None:
    nothing_changes(compiled(MASKED, level))


def numbers_are_right() -> None:
    """Shares of zeros and ones, mean and deviation, and that every step and seed has numbers of its own."""
    script = compiled(SPEC, 1).load()
    noise, zoneout, dropout = script.draws(STEP, 200, 400)
    assert noise.shape == (400, 200, 3) and zoneout.shape == (400, 200, 4) and dropout.shape == (400, 1, 4)
    assert abs(noise.mean()) < 0.003 and abs(noise.std() - 0.3) < 0.003
    assert set(np.unique(zoneout)) == {0.0, 1.0} and abs(zoneout.mean() - 0.25) < 0.005
    assert set(np.unique(dropout)) == {0.0, 2.0} and abs(dropout.mean() - 1) < 0.1
    again, later, other = script.draws(STEP, 200, 400), script.draws(STEP + 1, 200, 400), script.draws(STEP, 200, 400, 9)
    for k, numbers in enumerate((noise, zoneout, dropout)):
        assert (again[k] == numbers).all() and (later[k] != numbers).any() and (other[k] != numbers).any()


def test_numbers() -> None:
    numbers_are_right()


def test_two_runs_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((6, 10, 3)), random.standard_normal((6, 10, 2))
    np.savez(tmp_path / "data.npz", x=x, y=y, length=np.full(6, 10))
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    first, second, other = (compiled(SPEC, 1).load().train(steps=3, seed=seed, report=lambda _: None) for seed in (0, 0, 1))
    assert all(first[name].tobytes() == second[name].tobytes() != other[name].tobytes() for name in first)


def test_a_script_draws_only_what_it_uses() -> None:
    only = compiled(SPEC.replace("noise(x[t], 0.3)", "x[t]").replace('dropout(h[t], 0.5, shared="time")', "h[t]"), 1)
    assert "def zoneout" in only.source and "def noise" not in only.source and "def dropout" not in only.source


WEIGHTS = (
    SPEC.replace("W_h @ h[t-1] + b_h)", "W_h @ h[t-1] + 0.5 * (W_h @ c[t-2]) + b_h)")
    .replace("noise(x[t], 0.3)", "x[t]")
    .replace("zoneout(c[t], h[t-1], 0.25)", "c[t] + 0.1 * h[t-1]")
    .replace("mse(y[t], target[t])", "mse(y[t], target[t]) + 0.2 * mean(square(h[t])) + 0.3 * mean(square(h[t] - h[t-1]))")
    .replace("params:\n", "params:\n  W_h: {weight_drop: 0.5}\n")
)


def weights_agree(level: int) -> None:
    """Weight-drop (Merity et al. 2018), AR and TAR (Merity et al. 2017, eq. 4 and 5) with torch's own operations."""
    made = compiled(WEIGHTS, level)
    at, script = probe(made.spec.model, 4, 6, 3), made.load()
    drawn = script.draws(STEP, 6, 3)
    scale, mask = torch.tensor(drawn[0][:, 0]), torch.tensor(drawn[1][0, 0])
    assert drawn[1].shape == (1, 1, 4, 4) and set(np.unique(drawn[1])) == {0.0, 2.0}
    for step, factors in ((STEP, (mask, scale)), (None, (1, 1))):
        p = {name: torch.tensor(value, requires_grad=True) for name, value in at.params.items()}
        x, y = torch.tensor(at.batch["x"]), torch.tensor(at.batch["target"])
        matrix, states, outputs = p["W_h"] * factors[0], [p["h_start"].expand(3, 4)], []
        before = [torch.zeros(3, 4, dtype=torch.float64)] * 2
        for t in range(6):
            before.append(torch.tanh(x[:, t] @ p["W_x"].T + states[-1] @ matrix.T + 0.5 * before[-2] @ matrix.T + p["b_h"]))
            states.append(before[-1] + 0.1 * states[-1])
            outputs.append((states[-1] * factors[1]) @ p["W_y"].T + p["b_y"])
        h, last = torch.stack(states[1:], 1), torch.stack(states[:-1], 1)
        loss = ((torch.stack(outputs, 1) - y) ** 2).mean() + 0.2 * (h**2).mean() + 0.3 * ((h - last) ** 2).mean()
        loss.backward()
        got, gradients = script.loss_and_gradients(at.params, at.batch, step=step)
        assert got == pytest.approx(loss.item(), rel=1e-14)
        compare(gradients, {name: value.grad.numpy() for name, value in p.items() if value.grad is not None}, 1e-12)


@LEVEL
def test_weight_drop_and_activity_penalties(level: int) -> None:
    weights_agree(level)
    compiled(WEIGHTS, level).verify(("complex-step", "torch")).require()


@LEVEL
def test_weight_drop_in_windows(level: int) -> None:
    made = compiled(WEIGHTS + "  truncation: tbptt(4)\n", level)
    gradients_agree(made.load(), made.spec.model, windows(made.spec.model, seed=3))


def test_zoneout_against_torch_in_a_loop() -> None:
    """A zoneout of the state with torch's own operations."""
    made = compiled(SPEC, 1)
    at, script = probe(made.spec.model, 4, 6, 3), made.load()
    noise, kept, scale = (torch.tensor(numbers) for numbers in script.draws(STEP, 6, 3))
    p = {name: torch.tensor(value, requires_grad=True) for name, value in at.params.items()}
    x, y = torch.tensor(at.batch["x"]) + noise, torch.tensor(at.batch["target"])
    h, out = p["h_start"].expand(3, 4), []
    for t in range(6):
        new = torch.tanh(x[:, t] @ p["W_x"].T + h @ p["W_h"].T + p["b_h"])
        h = torch.where(kept[:, t] == 1, h, new)
        out.append((h * scale[:, 0]) @ p["W_y"].T + p["b_y"])
    loss = ((torch.stack(out, 1) - y) ** 2).mean()
    loss.backward()
    got, gradients = script.loss_and_gradients(at.params, at.batch, step=STEP)
    assert got == pytest.approx(loss.item(), rel=1e-14)
    compare(gradients, {name: value.grad.numpy() for name, value in p.items() if value.grad is not None}, 1e-12)


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("zoneout(c[t], h[t-1], 0.25)", "zoneout(c[t], h[t-1], 25)", "E0602", "write 0.25 for 25 percent"),
        ("zoneout(c[t], h[t-1], 0.25)", "zoneout(c[t], h[t-1])", "E0605", "write `zoneout(c[t], h[t-1], 0.2)`"),
        ("zoneout(c[t], h[t-1], 0.25)", "c[t] + zoneout(b_h, b_h, 0.25)", "E0303", "depends on the data"),
        ("zoneout(c[t], h[t-1], 0.25)", 'zoneout(c[t], h[t-1], 0.25, shared="time")', "E0604", "no argument `shared`"),
        ("zoneout(c[t], h[t-1], 0.25)", "zoneout(c[t], x[t], 0.25)", "E0301", "[4]"),
        ("noise(x[t], 0.3)", "noise(x[t], -1)", "E0602", "the size of noise"),
        ("{shape: [4]}", "{shape: [4], weight_drop: 1.5}", "E0602", "`weight_drop` must be at least 0 and below 1"),
        ("mse(y[t], target[t])", "mse(noise(y[t], 0.1), target[t])", "E0205", "belongs in the equations"),
    ],
)
def test_misuse(old: str, new: str, code: str, says: str) -> None:
    with pytest.raises(SpecError) as error:
        compiled(SPEC.replace(old, new), 1)
    assert f"error[{code}]" in str(error.value) and says in str(error.value)
