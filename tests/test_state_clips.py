"""Clips inside the recurrence (Graves 2013): the backward signal of a state at every step, against hooks of torch."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import cast

import numpy as np
import pytest
import torch

from rnnspec import Compiled, compile_spec
from rnnspec.commands.report import verdict
from rnnspec.compiler import last, programs, script
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Model, Setting
from rnnspec.verify.compare import GradientMismatch, compare
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import probe
from tests.models import random_sketch

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["x", "y"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
states: {h: 4}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  s[t] = lstm(h[t], units=6)
  y[t] = W_y @ s[t] + b_y
loss: mse(y[t], target[t])
train:
  optimizer: sgd(lr=0.1)
  clip: {gradient: global_norm(1.0), state: {h: value(0.01), s.c: norm(0.05)}}
  batch: 3
  epochs: 1
  dtype: float64
"""
B, T = 3, 7
LEVELS = pytest.mark.parametrize("level", [0, 1])


def write(folder: Path) -> Path:
    """The spec in a folder, with data beside it."""
    np.savez(folder / "data.npz", x=np.zeros((6, 12, 3)), y=np.zeros((6, 12, 2)))
    path = folder / "clips.rnn"
    path.write_text(SPEC)
    return path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write(tmp_path)


def by_hand(params: dict[str, np.ndarray], batch: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The gradients of the spec in plain torch, and which share of h (numbers) and of c (lengths) was limited."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    limited = {"grad/state_clipped/h": 0.0, "grad/state_clipped/s.c": 0.0}

    def value(g: torch.Tensor) -> torch.Tensor:
        limited["grad/state_clipped/h"] += int((g.abs() > 0.01).sum()) / (T * B * 4)
        return g.clamp(-0.01, 0.01)

    def norm(g: torch.Tensor) -> torch.Tensor:
        lengths = g.norm(dim=1, keepdim=True)
        limited["grad/state_clipped/s.c"] += int((lengths > 0.05).sum()) / (T * B)
        return g * (0.05 / lengths.clamp(min=0.05))

    h, s, c = (torch.zeros(B, n, dtype=torch.float64) for n in (4, 6, 6))
    losses = []
    for t in range(T):
        h = torch.tanh(torch.tensor(batch["x"][:, t]) @ p["W_x"].T + h @ p["W_h"].T + p["b_h"])
        h.register_hook(value)
        i, f, o, z = (h @ p[f"s.W_{k}"].T + s @ p[f"s.U_{k}"].T + p[f"s.b_{k}"] for k in "ifoz")
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(z)
        c.register_hook(norm)
        s = torch.sigmoid(o) * torch.tanh(c)
        losses.append(((s @ p["W_y"].T + p["b_y"] - torch.tensor(batch["target"][:, t])) ** 2).mean())
    torch.stack(losses).mean().backward()
    return {name: leaf.grad.numpy() for name, leaf in p.items() if leaf.grad is not None}, limited


def shares(made: Compiled, params: dict[str, np.ndarray], batch: dict[str, np.ndarray]) -> dict[str, float]:
    """What the script says about the last step of training."""
    script = made.load()
    w = script.prepare(batch, np.dtype(np.float64))
    script.forward(script.views(params), w)
    script.backward(script.views(params), w, script.Views(np.float64))
    return cast("dict[str, float]", script.limited(w))


def limits_agree(made: Compiled) -> None:
    """The gradients of the compiled spec are those of plain torch, and its loss is that without limits."""
    at = probe(made.spec.model, T=T, B=B)
    loss, got = made.load().loss_and_gradients(at.params, at.batch)
    want, limited = by_hand(at.params, at.batch)
    assert all(0.1 < share < 0.9 for share in limited.values()), "the bounds must be felt"
    compare(got, want, 1e-12)
    assert shares(made, at.params, at.batch) == pytest.approx(limited, rel=1e-12)
    free, _ = made._unlimited().loss_and_gradients(at.params, at.batch)
    assert free == loss, "the loss stays as it is"


@LEVELS
def test_signals_are_limited_as_by_hooks_of_torch(level: int, spec: Path) -> None:
    limits_agree(compile_spec(spec, level=level))


@LEVELS
def test_what_is_checked_is_said(level: int, spec: Path) -> None:
    """Complex steps check the script without its clips, and the verdict says so; torch checks the script itself."""
    made = compile_spec(spec, level=level)
    by_steps, by_both = made.verify(), made.verify(("complex-step", "torch"))
    assert by_steps.passed and by_steps.unproven == ("h", "s.c")
    assert verdict(by_steps).endswith("without the clip of `h`, `s.c`, which only `--against torch` can check")
    assert by_both.passed and by_both.unproven == () and "without" not in verdict(by_both)


def test_wide_bounds_change_nothing(spec: Path) -> None:
    wide = compile_spec(spec, overrides=["train.clip.state.h=value(1e9)", "train.clip.state.s.c=norm(1e9)"])
    at = probe(wide.spec.model, T=T, B=B)
    got, want = (script.loss_and_gradients(at.params, at.batch)[1] for script in (wide.load(), wide._unlimited()))
    compare(got, want, 1e-12)


MASKED = {'arrays=["x", "y"]': 'arrays=["x", "y", "n"]', "size=3)": "size=3, length=n)"}


@LEVELS
def test_steps_behind_the_end_of_a_sequence_do_not_count(level: int, spec: Path) -> None:
    """Sequences that end before their padding give the shares of sequences without any."""
    made = compile_spec(spec, level=level)
    at = probe(made.spec.model, T=T, B=B)
    want = shares(made, at.params, at.batch)
    np.savez(spec.parent / "data.npz", x=np.zeros((6, 12, 3)), y=np.zeros((6, 12, 2)), n=np.full(6, 12))
    text = SPEC
    for old, new in MASKED.items():
        text = text.replace(old, new)
    spec.write_text(text)
    padded = {name: np.pad(array, ((0, 0), (0, 5), (0, 0)), constant_values=1.0) for name, array in at.batch.items()}
    got = shares(compile_spec(spec, level=level), at.params, {**padded, "length": np.full(B, T)})
    assert got == pytest.approx(want, rel=1e-12)


def test_a_run_says_how_much_is_limited(spec: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(spec.parent / "data.npz", x=rng.normal(size=(6, 12, 3)), y=rng.normal(0, 5, size=(6, 12, 2)))
    for clip, names in (({}, ["h", "s.c"]), ({"train.clip": "global_norm(1.0)"}, [])):
        made = compile_spec(spec, overrides=[f"{key}={value}" for key, value in clip.items()])
        events: list[dict[str, float]] = []
        made.load(spec.parent).train(report=events.append)
        step = next(event for event in events if event["event"] == "step")
        said = {name: share for name, share in step.items() if "state_clipped" in name}
        assert list(said) == [f"grad/state_clipped/{name}" for name in names]
        assert all(0 < share < 1 for share in said.values())
        assert "limited" in made.source if names else "limited" not in made.source


def limited_model(model: Model, seed: int) -> Model:
    """Some variables of a model limited, by bounds that are often felt."""
    rng = random.Random(seed)
    timed = [equation.name for equation in model.equations if equation.when == "step"]
    names = rng.sample(timed, rng.randint(1, min(3, len(timed))))
    clips = [(name, Setting(rng.choice(["value", "norm"]), (("max", 10 ** rng.uniform(-3, -1.5)),))) for name in names]
    return replace(model, state_clips=tuple(clips))


def check_limits(seed: int) -> bool:
    """A random model with limits at both levels, against torch; was anything limited?"""
    with TemporaryDirectory() as folder:
        spec, _ = check(random_sketch(random.Random(seed)).write(Path(folder)))
    assert spec is not None
    model = limited_model(spec.model, seed)
    at = probe(model, seed, T=6, B=3)
    for level in (0, 1):
        limited = replace(spec, model=model)
        made = ModuleType("train")
        exec(script(limited, last(programs(limited, level)), level), made.__dict__)
        drawn = list(made.draws(1, 6, 3)) if hasattr(made, "draws") else []
        loss, got = made.loss_and_gradients(at.params, at.batch, step=1)
        want_loss, want = gradients_by_torch(model, at.params, at.batch, drawn)
        compare({"": np.array(loss), **got}, {"": np.array(want_loss), **want}, 1e-9)
    _, free = gradients_by_torch(spec.model, at.params, at.batch, drawn)
    try:
        compare(free, want)
    except GradientMismatch:
        return True
    return False


def test_random_models_are_limited() -> None:
    felt = [check_limits(seed) for seed in range(20)]
    assert sum(felt) >= 10


@pytest.mark.parametrize(
    ("clip", "code", "message"),
    [
        ("{state: {hh: value(1)}}", "E0606", "there is no `hh[t]` whose backward signal could be clipped"),
        ("{state: {h: global_norm(1)}}", "E0603", "there is no clip of a state called `global_norm`"),
        ("{state: {h: value(0)}}", "E0602", "`max` must be greater than 0"),
        ("{states: {h: value(1)}, gradient: value(1)}", "E0003", "`states` is not a setting of `clip`"),
        ("{state: value(1)}", "E0005", "`clip.state` must be a mapping"),
    ],
)
def test_messages(clip: str, code: str, message: str, spec: Path) -> None:
    spec.write_text(SPEC.replace("{gradient: global_norm(1.0), state: {h: value(0.01), s.c: norm(0.05)}}", clip))
    _, found = check(spec)
    assert [(problem.code, problem.message[: len(message)]) for problem in found] == [(code, message)]
