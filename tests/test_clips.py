"""Every clip of a generated script against torch, the limits of single parameters, and penalties, in float64."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.clips import CLIPS
from tests.training_specs import ATTRIBUTES, MAX_NORM, Named, assert_close, check_format, gradient, script, source, start


def clipped(made: ModuleType, step: int = 1) -> tuple[Named, Named]:
    """A gradient before and after it is clipped."""
    p, g = made.Views(np.float64), made.Views(np.float64)
    p.fill(start(made))
    g.fill(gradient(start(made), step))
    before = {name: array.copy() for name, array in g.named.items()}
    made.clip(p, g, float(np.linalg.norm(g.trained)))
    return before, dict(g.named)


def test_every_clip_is_tested() -> None:
    assert set(CLIPS) == set(SETTINGS["clip"]) == {"none", "skip", *CASES}
    assert "def clip" not in source(clip="none")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_global_norm(step: int) -> None:
    before, after = clipped(script(clip="global_norm(0.5)"), step)
    norm = torch.linalg.vector_norm(torch.cat([torch.tensor(g).flatten() for g in before.values()]))
    assert_close(after, {name: g * min(1, 0.5 / float(norm)) for name, g in before.items()})
    tensors = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in before.values()]
    for tensor, g in zip(tensors, before.values(), strict=True):
        tensor.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(tensors, 0.5)  # adds 1e-6 to the norm
    assert_close(after, dict(zip(before, [t.grad.numpy() for t in tensors if t.grad is not None], strict=True)), 1e-5)


def test_a_short_gradient_stays_as_it_is() -> None:
    before, after = clipped(script(clip="global_norm(1000)"))
    assert all((before[name] == after[name]).all() for name in before)


def test_value() -> None:
    before, after = clipped(script(clip="value(0.5)"))
    tensors = {name: torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for name, g in before.items()}
    for name, g in before.items():
        tensors[name].grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_(tensors.values(), 0.5)
    assert all((after[name] == tensor.grad.numpy()).all() for name, tensor in tensors.items() if tensor.grad is not None)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_parameter_norm(step: int) -> None:
    before, after = clipped(script(clip="parameter_norm(2.5)"), step)
    norms = {name: float(torch.tensor(g).norm()) for name, g in before.items()}
    assert_close(after, {name: g * min(1, 2.5 / norms[name]) for name, g in before.items()})
    assert step != 1 or len({norm > 2.5 for norm in norms.values()}) == 2  # some are clipped, and some are not


@pytest.mark.parametrize("step", [1, 2, 3])
def test_adaptive(step: int) -> None:
    made = script(clip="adaptive(ratio=0.9, eps=0.9)")
    before, after = clipped(made, step)
    want, kinds = {}, set()
    for name, g in before.items():
        want[name] = g.copy()
        for unit in range(len(g)) if g.ndim == 2 else [...]:
            # equation 3 of Brock et al. 2021: G * lambda * |W| / |G| where |G| / |W| > lambda, with |W| at least eps
            allowed = 0.9 * max(np.sqrt(np.sum(start(made)[name][unit] ** 2)), 0.9)
            length = np.sqrt(np.sum(g[unit] ** 2))
            want[name][unit] *= allowed / length if length > allowed else 1
            kinds.add(length > allowed)
    assert_close(after, want)
    assert step != 1 or kinds == {True, False}


def test_only_what_is_trained_is_clipped() -> None:
    made = script("params:\n  W_y: {trainable: false}", clip="parameter_norm(0.5)")
    before, after = clipped(made, 2)
    assert (after["W_y"] == before["W_y"]).all() and (after["W_x"] != before["W_x"]).any()


CASES = ("global_norm", "parameter_norm", "value", "adaptive")
"""Clips that are compared with a formula above."""

# ------------------------------------------------------------------ in a run


def events_of(made: ModuleType, **arguments: object) -> list[dict[str, float]]:
    """What a run reports of each step."""
    events: list[dict[str, float]] = []
    made.train(report=events.append, **arguments)
    return [event for event in events if event["event"] == "step"]


CLIPPING = ("global_norm(0.3)", "parameter_norm(0.15)", "value(0.05)", "adaptive(0.1)")


@pytest.mark.parametrize("clip", [*CLIPPING, "skip(0.5)"])
def test_lines_are_formatted(clip: str, tmp_path: Path) -> None:
    check_format(source(ATTRIBUTES + MAX_NORM, clip=clip, average="ema(0.9)"), tmp_path)


@pytest.mark.parametrize("clip", CLIPPING)
def test_a_run_says_what_it_clips(clip: str) -> None:
    events, count = events_of(script(clip=clip), steps=30), 0
    for step, event in enumerate(events, start=1):
        count += event["grad/clipped_norm"] < event["grad/norm"]
        assert event["grad/clipped"] == count / step
    assert 0 < events[0]["grad/clipped_norm"] < events[0]["grad/norm"]
    assert clip[:6] != "global" or events[0]["grad/clipped_norm"] == pytest.approx(0.3, rel=1e-12)


def test_nothing_is_said_about_a_clip_that_is_not_there() -> None:
    (event,) = events_of(script(), steps=1)
    assert [name for name in event if name.startswith("grad/")] == ["grad/norm"]


@pytest.mark.parametrize("optimizer", ["adam(lr=0.03)", "nadam(lr=0.03)", "sgd(lr=0.1, momentum=0.9)"])
def test_a_skipped_step_changes_nothing(optimizer: str) -> None:
    """As if the batches of those steps were not there, for the parameters, for the optimizer and its count of steps."""
    made = script(optimizer=optimizer, clip="skip(max=0.45)", average="polyak(start=5)")
    run, plain = made.Run(0), made.Run(0)
    taken = []
    for batch in run.batches(40):
        numbers = made.learn(run, batch, 40)
        taken += [] if numbers["grad/skipped"] * run.step > run.step - 1 - len(taken) else [batch]
        assert numbers["grad/clipped_norm"] in (0.0, numbers["grad/norm"])
    assert 5 < len(taken) < 35
    for step, batch in enumerate(taken, start=1):
        plain.w = made.prepare(batch, np.float64, step, plain.w, 0)
        made.forward(plain.raw, plain.w), made.backward(plain.raw, plain.w, plain.g)
        plain.optimizer.update(plain.raw, plain.g, LR_OF[optimizer], step)
        plain.optimizer.average(plain.p, plain.raw, LR_OF[optimizer], step)
    assert (run.p.vector == plain.p.vector).all() and (run.raw.vector == plain.raw.vector).all()


LR_OF = {"adam(lr=0.03)": 0.03, "nadam(lr=0.03)": 0.03, "sgd(lr=0.1, momentum=0.9)": 0.1}

# ------------------------------------------------------------------ parameters


def test_max_norm_shortens_long_rows_only() -> None:
    made = script("params:\n  W_h: {max_norm: 1.0}")
    p = made.Views(np.float64)
    p.named["W_h"][...] = 0.01
    p.named["W_h"][2] = 3.0
    p.named["W_x"][...] = 3.0
    made.limit_norms(p)
    assert np.linalg.norm(p.named["W_h"][2]) == pytest.approx(1.0)
    assert (p.named["W_h"][:2] == 0.01).all()
    assert (p.named["W_x"] == 3.0).all()


def test_max_norm_leaves_alone_what_is_not_trained() -> None:
    made = script("params:\n  '*': {max_norm: 1.0}\n  W_h: {trainable: false}")
    p = made.Views(np.float64)
    p.vector[:] = 3.0
    made.limit_norms(p)
    assert (p.named["W_h"] == 3.0).all() and (p.named["W_x"] < 3.0).all()


@pytest.mark.parametrize("l1, l2", [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_penalties_are_in_the_loss_and_in_the_gradient(l1: float, l2: float) -> None:
    plain, penalised = script(), script(f"params:\n  W_h: {{l1: {l1}, l2: {l2}}}")
    params, batch = plain.init(3), next(plain.batches("train"))
    w = params["W_h"]
    loss, gradients = plain.loss_and_gradients(params, batch)
    got, found = penalised.loss_and_gradients(params, batch)
    assert got == pytest.approx(loss + l1 * np.abs(w).sum() + l2 * (w * w).sum(), rel=1e-13)
    assert penalised.loss(params, batch) == pytest.approx(got, rel=1e-13)
    assert_close(found, {**gradients, "W_h": gradients["W_h"] + l1 * np.sign(w) + 2 * l2 * w})
