"""Batch normalisation against torch: values, gradients, running averages and evaluation, in and outside of recurrences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import SpecError
from rnnspec.verify.compare import Array, GradientMismatch, compare
from rnnspec.verify.probe import Probe, probe
from tests.corpus import LEVELS
from tests.test_padding import nothing_changes
from tests.windowed import gradients_agree, windows

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["x", "y", "length"])
  split: {train: 0.7, valid: 0.3}
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
states: {h: 4}
model: |
  h[t] = tanh(batch_norm(W_x @ x[t], momentum=0.3) + batch_norm(W_h @ h[t-1], g_h, eps=1e-3) + b_h)
  y[t] = W_y @ batch_norm(h[t], g_y, b_y) + c_y
loss: mse(y[t], target[t])
params:
  c_y: {shape: [2]}
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  epochs: 2
  dtype: float64
"""
MASKED = SPEC.replace("size=3)", "size=3, length=length)")
WINDOWS = MASKED + "  truncation: tbptt(4)\n"
LAST = MASKED.replace(
    "  y[t] = W_y @ batch_norm(h[t], g_y, b_y) + c_y", "  y = W_y @ batch_norm(h[T], g_y, b_y) + c_y"
).replace("y[t], target[t]", "y, target")
LEVEL = pytest.mark.parametrize("level", LEVELS)
LENGTHS = np.array([6, 3, 6, 5])
"""At least two sequences at each step: torch has no statistics of one."""


def compiled(text: str, level: int) -> Compiled:
    """A spec with arrays beside it."""
    with TemporaryDirectory() as folder:
        data(Path(folder), timed="y[t]" in text)
        path = Path(folder) / "norm.rnn"
        path.write_text(text)
        return compile_spec(path, level=level)


def data(folder: Path, timed: bool = True) -> None:
    """Twenty sequences."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((20, 6, 3)), random.standard_normal((20, 6, 2) if timed else (20, 2))
    np.savez(folder / "data.npz", x=x, y=y, length=random.integers(2, 7, 20))


class InTorch:
    """The model with modules and functions of torch; `valid` are the steps that count."""

    def __init__(self, at: Probe) -> None:
        self.p = {name: torch.tensor(value, requires_grad="running" not in name) for name, value in at.params.items()}
        self.x, self.target = torch.tensor(at.batch["x"]), torch.tensor(at.batch["target"])
        lengths = torch.tensor(at.batch.get("length", np.full(len(self.x), self.x.shape[1])))
        self.valid = torch.arange(self.x.shape[1]) < lengths[:, None]
        self.first, self.third = self.module("h", "", 0.3), self.module("y", "", 0.1)
        self.steps: list[torch.Tensor] = []  # what was normalised inside the recurrence, valid rows of each step

    def module(self, name: str, number: str, momentum: float) -> torch.nn.BatchNorm1d:
        """A module of torch without weights, at the averages of the script."""
        made = torch.nn.BatchNorm1d(4, momentum=momentum, affine=False).double()
        made.running_mean, made.running_var = (self.p[f"{name}.running_{what}{number}"].clone() for what in ("mean", "var"))
        return made

    def of_all(self, module: torch.nn.BatchNorm1d, values: torch.Tensor) -> torch.Tensor:
        """Normalised over all valid steps; zero at the others."""
        out = torch.zeros_like(values)
        out[self.valid] = module(values[self.valid])
        return out

    def of_step(self, values: torch.Tensor, valid: torch.Tensor, training: bool) -> torch.Tensor:
        """Normalised over the valid sequences of one step; zero for the others."""
        self.steps.append(values[valid].detach())
        averages = (self.p["h.running_mean_2"], self.p["h.running_var_2"])
        out = torch.zeros_like(values)
        out[valid] = functional.batch_norm(values[valid], *(a.clone() for a in averages), training=training, eps=1e-3)
        return out

    def loss(self, training: bool) -> torch.Tensor:
        """The loss of a batch."""
        p = self.p
        self.first.train(training)
        self.third.train(training)
        u, h, states = self.of_all(self.first, self.x @ p["W_x"].T), torch.zeros(len(self.x), 4, dtype=torch.float64), []
        for t in range(self.x.shape[1]):
            inner = self.of_step(h @ p["W_h"].T, self.valid[:, t], training) * p["g_h"]
            h = torch.where(self.valid[:, t, None], torch.tanh(u[:, t] + inner + p["b_h"]), h)
            states.append(h)
        if self.target.ndim == 2:
            return ((self.third(h) * p["g_y"] + p["b_y"]) @ p["W_y"].T + p["c_y"] - self.target).square().mean()
        y = (self.of_all(self.third, torch.stack(states, 1)) * p["g_y"] + p["b_y"]) @ p["W_y"].T + p["c_y"]
        return (y - self.target)[self.valid].square().mean()

    def averages(self) -> dict[str, Array]:
        """The running averages after one batch: torch's own; inside the recurrence, pooled over the steps."""
        found = {}
        for name, module in (("h", self.first), ("y", self.third)):
            found |= {f"{name}.running_mean": module.running_mean, f"{name}.running_var": module.running_var}
        rows = torch.cat(self.steps)
        within = sum(((v - v.mean(0)) ** 2).sum(0) for v in self.steps) / (len(rows) - len(self.steps))
        found["h.running_mean_2"] = 0.9 * self.p["h.running_mean_2"] + 0.1 * rows.mean(0)
        found["h.running_var_2"] = 0.9 * self.p["h.running_var_2"] + 0.1 * within
        return {name: value.detach().numpy() for name, value in found.items()}


def place(made: Compiled) -> Probe:
    """Random parameters and a batch."""
    at = probe(made.spec.model, 3, 6, 4)
    return Probe(at.params, {**at.batch, "length": LENGTHS} if made.spec.model.masked else at.batch)


def step_of(script: ModuleType, at: Probe) -> dict[str, Array]:
    """The running averages after a step of training."""
    p, g = script.views(at.params), script.Views(np.float64)
    w = script.prepare(at.batch, np.dtype(float), 1)
    script.forward(p, w)
    script.backward(p, w, g)
    script.update_averages(p, w)
    return {name: value.copy() for name, value in p.named.items() if "running" in name}


def torch_agrees(text: str, level: int) -> None:
    """Training and evaluation: loss, gradients, running averages."""
    made = compiled(text, level)
    script, at = made.load(), place(made)
    for step in (1, None):
        by_torch = InTorch(at)
        loss = by_torch.loss(training=step is not None)
        loss.backward()
        got, gradients = script.loss_and_gradients(at.params, at.batch, step=step)
        assert got == pytest.approx(loss.item(), rel=1e-13)
        want = {n: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for n, v in by_torch.p.items() if "running" not in n}
        compare(gradients, want, 1e-11)
        if step:
            compare(step_of(script, at), by_torch.averages(), 1e-12)
    assert script.loss(at.params, at.batch) == pytest.approx(loss.item(), rel=1e-13)


@LEVEL
@pytest.mark.parametrize("text", [SPEC, MASKED, LAST], ids=["whole", "masked", "last"])
def test_everything_equals_torch(text: str, level: int) -> None:
    torch_agrees(text, level)


@LEVEL
@pytest.mark.parametrize("text", [SPEC, MASKED, LAST], ids=["whole", "masked", "last"])
def test_gradients_equal_both_references(text: str, level: int) -> None:
    compiled(text, level).verify(("complex-step", "torch")).require()


def norm(values: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 over all axes but the last one."""
    return functional.batch_norm(values.reshape(-1, values.shape[-1]), None, None, training=True).reshape(values.shape)


Tensors = dict[str, torch.Tensor]
Formula = Callable[[Tensors, torch.Tensor], Iterator[torch.Tensor]]
"""The states of a cell, from its parameters and inputs (sequence, time, size)."""


def cooijmans(p: Tensors, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """Cooijmans et al. 2017, equations 6-8: statistics of each step, for the input those of all steps."""
    of_input = norm(x @ p["W_x"].T) * p["g_x"] + torch.cat([p[f"b_{gate}"] for gate in "fioz"])
    h = c = torch.zeros(len(x), 4, dtype=torch.float64)
    for t in range(x.shape[1]):
        f, i, o, z = (norm(h @ p["U_h"].T) * p["g_h"] + of_input[:, t]).split(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * z.tanh()
        h = o.sigmoid() * (norm(c) * p["g_c"] + p["b_c"]).tanh()
        yield h


def norm_by_step(values: torch.Tensor) -> torch.Tensor:
    """Each step (axis 1) with statistics of its own."""
    return torch.stack([norm(step) for step in values.unbind(1)], 1)


def ravanelli(p: Tensors, x: torch.Tensor, norm: Callable[[torch.Tensor], torch.Tensor] = norm) -> Iterator[torch.Tensor]:
    """Ravanelli et al. 2018, section III: statistics of all steps."""
    of_z, of_h = (norm(x @ p[f"W_{k}"].T) * p[f"g_{k}"] + p[f"b_{k}"] for k in "zh")
    h = torch.zeros(len(x), 4, dtype=torch.float64)
    for t in range(x.shape[1]):
        z = (of_z[:, t] + h @ p["U_z"].T).sigmoid()
        h = z * h + (1 - z) * (of_h[:, t] + h @ p["U_h"].T).relu()
        yield h


def cell_agrees(name: str, formula: Formula, level: int) -> None:
    """Loss and gradients of a step of training."""
    before, after = SPEC.partition("states:")[0], SPEC[SPEC.index("loss:") :]
    made = compiled(f"{before}model: |\n  h[t] = {name}(x[t], units=4)\n  y[t] = W_y @ h[t] + c_y\n{after}", level)
    at, script = place(made), made.load()
    p = {name.removeprefix("h."): torch.tensor(v, requires_grad="running" not in name) for name, v in at.params.items()}
    x, y = torch.tensor(at.batch["x"]), torch.tensor(at.batch["target"])
    loss = (torch.stack(list(formula(p, x)), 1) @ p["W_y"].T + p["c_y"] - y).square().mean()
    loss.backward()
    got, gradients = script.loss_and_gradients(at.params, at.batch, step=1)
    want = {f"h.{n}" if f"h.{n}" in gradients else n: v.grad.numpy() for n, v in p.items() if v.grad is not None}
    compare({"": np.array(got), **gradients}, {"": np.array(loss.item()), **want}, 1e-10)


@LEVEL
@pytest.mark.parametrize(("name", "formula"), [("bn_lstm", cooijmans), ("bn_light_gru", ravanelli)])
def test_cells_with_batch_norm_while_they_train(name: str, formula: Formula, level: int) -> None:
    cell_agrees(name, formula, level)


def test_statistics_of_each_step_are_caught() -> None:
    with pytest.raises(GradientMismatch):
        cell_agrees("bn_light_gru", partial(ravanelli, norm=norm_by_step), 1)


@LEVEL
def test_padding_changes_nothing(level: int) -> None:
    nothing_changes(compiled(MASKED, level))


@LEVEL
def test_windows(level: int) -> None:
    made = compiled(WINDOWS, level)
    gradients_agree(made.load(), made.spec.model, windows(made.spec.model, seed=3))


def test_one_sequence_has_no_variance() -> None:
    """Its averages stay as they are."""
    made = compiled(SPEC, 1)
    at = probe(made.spec.model, 3, 6, 1)
    moved = step_of(made.load(), at)
    assert (moved["h.running_var_2"] == at.params["h.running_var_2"]).all()
    assert (moved["h.running_var"] != at.params["h.running_var"]).all()


def averages_are_kept(folder: Path, text: str = MASKED) -> None:
    """A resumed run ends bit for bit the same; the best and the last parameters come with their averages."""
    data(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RNNSPEC_DATA", str(folder))
        events: list[dict[str, object]] = []
        whole = compiled(text, 1).load().train(folder / "whole", steps=6, report=events.append)
        script = compiled(text, 1).load()
        script.train(folder / "cut", steps=6, report=events.append, stopping=lambda: True)
        resumed = script.train(folder / "cut", steps=6, report=events.append, resume=True)
        fresh = script.init()
        for name, value in whole.items():
            assert value.tobytes() == resumed[name].tobytes()
            assert "running" not in name or (value != fresh[name]).all()
        best = script.read(folder / "whole" / "best.npz")
        p = script.views({name: best[name] for name in script.PARAMETERS})
        assert script.measure(p, "valid")["loss"] == float(best["best/value"])
        p.named["h.running_mean"][...] += 1
        assert script.measure(p, "valid")["loss"] != float(best["best/value"])


def test_averages_are_kept(tmp_path: Path) -> None:
    averages_are_kept(tmp_path)


def test_averages_are_kept_beside_averaged_weights(tmp_path: Path) -> None:
    """They follow the batches, and not as slowly as the average of the weights."""
    averages_are_kept(tmp_path, MASKED + "  average: ema(0.9)\n")
    last = compiled(MASKED, 1).load().read(tmp_path / "whole" / "last.npz")
    assert (last["h.running_mean"] == last["raw/h.running_mean"]).all() and (last["W_x"] != last["raw/W_x"]).all()


def test_one_sequence_is_enough_outside_of_recurrences() -> None:
    """Statistics over its steps."""
    outside = SPEC.replace("batch_norm(W_h @ h[t-1], g_h, eps=1e-3)", "W_h @ h[t-1]")
    compiled(outside.replace("batch: 4", "batch: 1"), 1).verify().require()


def test_averages_are_parameters_that_are_not_trained() -> None:
    script = compiled(SPEC, 1).load()
    fresh = script.init()
    assert [name for name in fresh if name not in script.TRAINED] == [
        f"{name}.running_{what}{number}" for name, number in (("h", ""), ("h", "_2"), ("y", "")) for what in ("mean", "var")
    ]
    assert (fresh["h.running_mean"] == 0).all() and (fresh["h.running_var"] == 1).all()


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("g_h, eps=1e-3", "g_h, eps=0", "E0602", "`eps` must be greater than 0"),
        ("momentum=0.3", "momentum=1.5", "E0602", "`momentum` must be greater than 0 and at most 1"),
        ("batch_norm(h[t], g_y, b_y)", "(h[t] + batch_norm(b_h))", "E0303", "depends on the data"),
        ("mse(y[t], target[t])", "mse(batch_norm(y[t]), target[t])", "E0205", "belongs in the equations"),
        ("batch: 4", "batch: 1", "E0602", "needs more than one sequence in a batch here"),
        ("batch_norm(h[t], g_y, b_y)", "batchnorm(h[t])", "E0205", "write `batch_norm`"),
    ],
)
def test_misuse(old: str, new: str, code: str, says: str) -> None:
    with pytest.raises(SpecError) as error:
        compiled(SPEC.replace(old, new), 1)
    assert f"error[{code}]" in str(error.value) and says in str(error.value)
