"""Every optimizer, schedule and clip of a generated script against torch, or against its formula, in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.frontend.typed import Setting
from rnnspec.script.optimizers import CLIPS, OPTIMIZERS, SCHEDULES
from rnnspec.script.render import render
from tests.hand_written import adam, elman, elman_body, elman_script, load, setting

STEPS = 80
LR = 0.03

Vector = NDArray[np.float64]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Setting:
    return setting("sgd", lr=LR, momentum=momentum, nesterov=nesterov)


def gradient(w: Vector, step: int) -> Vector:
    """A gradient that depends on where one is, and changes its size a lot."""
    noise = np.random.default_rng(step).standard_normal(w.size)
    return (w - 0.3 + 0.5 * noise) * 10.0 ** (step % 3 - 1)


def start(n: int) -> Vector:
    return np.random.default_rng(99).standard_normal(n)


def by_script(script: ModuleType) -> Vector:
    """Where the generated optimizer gets to."""
    optimizer, w = script.Optimizer(np.float64), start(script.TRAINABLE)
    for step in range(1, STEPS + 1):
        optimizer.update(w, gradient(w, step), script.learning_rate(step, STEPS), step)
    return w


def by_torch(n: int, make: type[torch.optim.Optimizer], **arguments: object) -> Vector:
    w = torch.tensor(start(n), requires_grad=True)
    optimizer = make([w], lr=LR, **arguments)  # type: ignore[call-arg]
    for step in range(1, STEPS + 1):
        w.grad = torch.tensor(gradient(w.detach().numpy(), step))
        optimizer.step()
    return w.detach().numpy()


CASES = {
    "sgd": (sgd(), torch.optim.SGD, {}),
    "sgd momentum": (sgd(0.9), torch.optim.SGD, {"momentum": 0.9}),
    "sgd nesterov": (sgd(0.9, True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (adam(lr=LR, beta2=0.99), torch.optim.Adam, {"betas": (0.9, 0.99)}),
    "adam with decay": (adam(lr=LR, decay=0.1), torch.optim.AdamW, {"weight_decay": 0.1}),
    "rmsprop": (setting("rmsprop", lr=LR, rho=0.9, eps=1e-8), torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-8}),
    "adagrad": (setting("adagrad", lr=LR, eps=1e-10), torch.optim.Adagrad, {"eps": 1e-10}),
}


def test_every_optimizer_is_tested() -> None:
    assert set(OPTIMIZERS) <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_optimizer_equals_torch(case: str) -> None:
    chosen, make, arguments = CASES[case]
    script = elman_script(optimizer=chosen, dtype="float64")
    got, want = by_script(script), by_torch(script.TRAINABLE, make, **arguments)
    assert np.linalg.norm(got - want) <= 1e-12 * np.linalg.norm(want)
    assert np.linalg.norm(want - start(script.TRAINABLE)) > 0.1


def test_an_optimizer_step_makes_no_vectors() -> None:
    script = elman_script(optimizer=adam(decay=0.1))
    optimizer = script.Optimizer(np.float32)
    places = {name: vector.ctypes.data for name, vector in vars(optimizer).items()}
    w = np.ones(script.TRAINABLE, np.float32)
    optimizer.update(w, np.ones_like(w), 0.1, 1)
    assert {name: vector.ctypes.data for name, vector in vars(optimizer).items()} == places
    assert all(vector.dtype == np.float32 for vector in vars(optimizer).values())


# ------------------------------------------------------------------ schedules

SCHEDULE_CASES = {
    "constant": (setting("constant"), lambda n: LR),
    "step": (setting("step", every=10, factor=0.5), lambda n: LR * 0.5 ** ((n - 1) // 10)),
    "exponential": (setting("exponential", rate=0.97), lambda n: LR * 0.97 ** (n - 1)),
    "cosine without warmup": (
        setting("cosine", warmup=0, final=0.001),
        lambda n: 0.001 + (LR - 0.001) * (1 + math.cos(math.pi * n / STEPS)) / 2,
    ),
    "cosine": (
        setting("cosine", warmup=20, final=0.001),
        lambda n: LR * n / 20 if n <= 20 else 0.001 + (LR - 0.001) * (1 + math.cos(math.pi * (n - 20) / (STEPS - 20))) / 2,
    ),
}


def test_every_schedule_is_tested() -> None:
    assert set(SCHEDULES) == set(SCHEDULE_CASES)


@pytest.mark.parametrize("case", SCHEDULE_CASES)
def test_schedule(case: str) -> None:
    chosen, formula = SCHEDULE_CASES[case]
    script = elman_script(optimizer=adam(lr=LR), schedule=chosen)
    rates = [script.learning_rate(n, STEPS) for n in range(1, STEPS + 1)]
    np.testing.assert_allclose(rates, [formula(n) for n in range(1, STEPS + 1)], rtol=1e-14)


def rates_of(make: type, **arguments: object) -> list[float]:
    """The learning rate before the first step, and after each of them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer, **arguments)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(STEPS):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return rates


def test_schedules_equal_torch() -> None:
    schedulers = torch.optim.lr_scheduler
    for case, make, arguments, first in (
        ("step", schedulers.StepLR, {"step_size": 10, "gamma": 0.5}, 0),
        ("exponential", schedulers.ExponentialLR, {"gamma": 0.97}, 0),
        ("cosine without warmup", schedulers.CosineAnnealingLR, {"T_max": STEPS, "eta_min": 0.001}, 1),
    ):
        script = elman_script(optimizer=adam(lr=LR), schedule=SCHEDULE_CASES[case][0])
        got = [script.learning_rate(n, STEPS) for n in range(1, STEPS + 1)]
        np.testing.assert_allclose(got, rates_of(make, **arguments)[first : first + STEPS], rtol=1e-11)


# ------------------------------------------------------------------ clips, limits, penalties


def test_global_norm_is_that_of_torch_up_to_its_epsilon() -> None:
    script = elman_script(clip=setting("global_norm", max=0.5))
    dw = gradient(start(script.TRAINABLE), 1)
    want = torch.tensor(dw, requires_grad=True)
    want.grad = torch.tensor(dw)
    norm = torch.nn.utils.clip_grad_norm_([want], 0.5)
    script.clip(dw, float(norm))
    np.testing.assert_allclose(dw, want.grad.numpy(), rtol=2e-6)
    assert np.linalg.norm(dw) == pytest.approx(0.5, rel=1e-14)
    small = np.full(script.TRAINABLE, 1e-3)
    script.clip(small, float(np.linalg.norm(small)))
    assert (small == 1e-3).all()


def test_value_clip_is_that_of_torch() -> None:
    script = elman_script(clip=setting("value", max=0.5))
    dw = gradient(start(script.TRAINABLE), 1)
    want = torch.tensor(dw, requires_grad=True)
    want.grad = torch.tensor(dw)
    torch.nn.utils.clip_grad_value_([want], 0.5)
    script.clip(dw, 1.0)
    assert (dw == want.grad.numpy()).all()


def test_every_clip_is_tested() -> None:
    assert set(CLIPS) == {"none", "global_norm", "value"}
    assert not hasattr(elman_script(clip=setting("none")), "clip")


def changed(**attributes: object) -> ModuleType:
    """The character model with attributes of W_hh changed."""
    spec = elman(optimizer=adam(lr=LR), dtype="float64")
    parameters = tuple(replace(p, **attributes) if p.name == "W_hh" else p for p in spec.model.parameters)
    return load(render(replace(spec, model=replace(spec.model, parameters=parameters)), elman_body()))


def test_lr_scale_multiplies_the_step_of_one_parameter() -> None:
    plain, scaled = elman_script(optimizer=adam(lr=LR), dtype="float64"), changed(lr_scale=0.25)
    before = start(plain.TRAINABLE)
    moves = {}
    for name, script in (("plain", plain), ("scaled", scaled)):
        w = before.copy()
        script.Optimizer(np.float64).update(w, gradient(before, 1), LR, 1)
        move = script.Views(np.float64)
        move.vector[: script.TRAINABLE] = w - before
        moves[name] = move.named
    np.testing.assert_allclose(moves["scaled"]["W_hh"], 0.25 * moves["plain"]["W_hh"], rtol=1e-12)
    np.testing.assert_allclose(moves["scaled"]["W_xh"], moves["plain"]["W_xh"], rtol=1e-12)


def test_max_norm_shortens_long_rows_only() -> None:
    script = changed(max_norm=1.0)
    p = script.Views(np.float64)
    p.named["W_hh"][...] = 0.01
    p.named["W_hh"][2] = 3.0
    p.named["W_xh"][...] = 3.0
    script.limit_norms(p)
    assert np.linalg.norm(p.named["W_hh"][2]) == pytest.approx(1.0)
    assert (p.named["W_hh"][[0, 1, 3]] == 0.01).all()
    assert (p.named["W_xh"] == 3.0).all()


@pytest.mark.parametrize("l1, l2", [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_penalties_are_in_the_loss_and_in_the_gradient(l1: float, l2: float) -> None:
    plain, penalised = elman_script(dtype="float64"), changed(l1=l1, l2=l2)
    params = plain.init(3)
    batch = {"x": np.array([[1, 2, 3]]), "target": np.array([[2, 3, 4]])}
    w = params["W_hh"]
    loss, gradients = plain.loss_and_gradients(params, batch)
    got, penalised_gradients = penalised.loss_and_gradients(params, batch)
    assert got == pytest.approx(loss + l1 * np.abs(w).sum() + l2 * (w * w).sum(), rel=1e-13)
    assert penalised.loss(params, batch) == pytest.approx(got, rel=1e-13)
    np.testing.assert_allclose(penalised_gradients["W_hh"], gradients["W_hh"] + l1 * np.sign(w) + 2 * l2 * w, rtol=1e-12)
    np.testing.assert_allclose(penalised_gradients["W_xh"], gradients["W_xh"], rtol=1e-13)
