"""Every optimizer of a generated script, 100 steps against torch or against its formula, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.optimizers import OPTIMIZERS
from tests.training_specs import (
    ATTRIBUTES,
    LR,
    MAX_NORM,
    STEPS,
    Named,
    assert_close,
    check_format,
    gradient,
    script,
    source,
    start,
)

RISE = np.minimum(1, np.arange(1, STEPS + 1) / 7)
"""What the learning rate of each step is multiplied by."""


def by_script(made: ModuleType) -> Named:
    """Where the generated optimizer gets to, with penalties and limits; the average if it has one."""
    p, g, shown = (made.Views(np.float64) for _ in range(3))
    p.fill(start(made)), shown.fill(start(made))
    optimizer = made.Optimizer(p)
    for step in range(1, STEPS + 1):
        g.fill(gradient(p.named, step))
        made.penalise(p, g)
        optimizer.update(p, g, LR * RISE[step - 1], step)
        if hasattr(made, "limit_norms"):
            made.limit_norms(p)
        if hasattr(optimizer, "average"):
            optimizer.average(shown, p, LR * RISE[step - 1], step)
    return dict(shown.named if hasattr(optimizer, "average") else p.named)


def by_torch(make: Callable[..., torch.optim.Optimizer], **arguments: object) -> Callable[[ModuleType], Named]:
    """Where an optimizer of torch gets to: one group for each parameter, with a learning rate of its own."""

    def run(made: ModuleType) -> Named:
        torch.set_default_dtype(torch.float64)  # NAdam keeps a number in it
        params = {name: torch.tensor(value, requires_grad=True) for name, value in start(made).items()}
        trained = [name for name in params if name != "b_y"]
        optimizer = make([{"params": [params[name]], "lr": LR} for name in trained], **arguments)
        for step in range(1, STEPS + 1):
            found = gradient(numbers(params), step)
            for name in trained:
                value = params[name].detach()
                params[name].grad = torch.tensor(found[name]) + penalty(name, value)
            for group in optimizer.param_groups:
                group["lr"] = LR * RISE[step - 1] * (0.25 if group["params"][0] is params["W_x"] else 1)
            optimizer.step()
            if hasattr(made, "limit_norms"):
                params["W_y"].data = limited(params["W_y"].data)
        return numbers(params)

    return run


@pytest.fixture(autouse=True)
def default_type() -> Iterator[None]:
    """What a test changes does not last."""
    yield
    torch.set_default_dtype(torch.float32)


def numbers(params: Mapping[str, torch.Tensor]) -> Named:
    """Tensors as arrays."""
    return {name: value.detach().numpy() for name, value in params.items()}


def limited(value: torch.Tensor) -> torch.Tensor:
    """A matrix whose rows are no longer than the spec allows."""
    return value * (1.5 / value.norm(dim=1, keepdim=True)).clamp(max=1)


def penalty(name: str, value: torch.Tensor) -> torch.Tensor:
    """The gradient of the penalties of the spec."""
    factors = {"W_h": 2 * 0.05 * value, "b_h": 0.02 * value.sign()}
    return factors.get(name, torch.zeros_like(value))


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023."""

    def __init__(self, groups: object, beta1: float, beta2: float, decay: float) -> None:
        super().__init__(groups, {"beta1": beta1, "beta2": beta2, "decay": decay, "lr": 0.0})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """One step."""
        for group in self.param_groups:
            for theta in group["params"]:
                g, state = theta.grad, self.state[theta]
                m = state.get("m", torch.zeros_like(theta))
                c = group["beta1"] * m + (1 - group["beta1"]) * g
                theta -= group["lr"] * (torch.sign(c) + group["decay"] * theta)
                state["m"] = group["beta2"] * m + (1 - group["beta2"]) * g


def schedule_free(beta: float, beta2: float = 0.0, decay: float = 0.0) -> Callable[[ModuleType], Named]:
    """Defazio et al. 2024: Algorithm 1 with `beta2`, and without it the method of equations 5 to 7; gives x."""

    def run(made: ModuleType) -> Named:
        x = {name: torch.tensor(value) for name, value in start(made).items()}
        z, y = {name: value.clone() for name, value in x.items()}, {name: value.clone() for name, value in x.items()}
        v, squares = {name: torch.zeros_like(value) for name, value in x.items()}, 0.0
        for t in range(1, STEPS + 1):
            found, gamma = gradient(numbers(y), t), LR * float(RISE[t - 1])
            squares += gamma**2
            for name in (name for name in x if name != "b_y"):
                g, own = torch.tensor(found[name]) + penalty(name, y[name]), gamma * (0.25 if name == "W_x" else 1)
                v[name] = beta2 * v[name] + (1 - beta2) * g**2
                step = g / (torch.sqrt(v[name] / (1 - beta2**t)) + 1e-8) if beta2 else g
                z[name] = z[name] - own * step - own * decay * y[name]
                z[name] = limited(z[name]) if name == "W_y" and hasattr(made, "limit_norms") else z[name]
                c = gamma**2 / squares
                x[name] = (1 - c) * x[name] + c * z[name]
                y[name] = (1 - beta) * z[name] + beta * x[name]
        return numbers(x)

    return run


OPTIM = torch.optim
CASES = {
    "sgd": ("sgd(lr=0.03)", by_torch(OPTIM.SGD)),
    "sgd momentum": ("sgd(lr=0.03, momentum=0.9)", by_torch(OPTIM.SGD, momentum=0.9)),
    "sgd nesterov": ("sgd(lr=0.03, momentum=0.9, nesterov=true)", by_torch(OPTIM.SGD, momentum=0.9, nesterov=True)),
    "adam": ("adam(lr=0.03, beta2=0.99)", by_torch(OPTIM.Adam, betas=(0.9, 0.99))),
    "adam amsgrad": ("adam(lr=0.03, beta2=0.9, amsgrad=true)", by_torch(OPTIM.Adam, betas=(0.9, 0.9), amsgrad=True)),
    "adamw": ("adamw(lr=0.03, decay=0.1)", by_torch(OPTIM.AdamW, weight_decay=0.1)),
    "adamw amsgrad": (
        "adamw(lr=0.03, beta2=0.9, amsgrad=true)",
        by_torch(OPTIM.AdamW, betas=(0.9, 0.9), amsgrad=True, weight_decay=0.01),
    ),
    "nadam": ("nadam(lr=0.03)", by_torch(OPTIM.NAdam)),
    "radam": ("radam(lr=0.03)", by_torch(OPTIM.RAdam)),
    "rmsprop": ("rmsprop(lr=0.03)", by_torch(OPTIM.RMSprop, alpha=0.9)),
    "rmsprop centered": ("rmsprop(lr=0.03, centered=true)", by_torch(OPTIM.RMSprop, alpha=0.9, centered=True)),
    "rmsprop momentum": ("rmsprop(lr=0.03, momentum=0.8)", by_torch(OPTIM.RMSprop, alpha=0.9, momentum=0.8)),
    "rmsprop centered momentum": (
        "rmsprop(lr=0.03, rho=0.95, momentum=0.8, centered=true)",
        by_torch(OPTIM.RMSprop, alpha=0.95, centered=True, momentum=0.8),
    ),
    "adagrad": ("adagrad(lr=0.03)", by_torch(OPTIM.Adagrad)),
    "adadelta": ("adadelta(lr=0.03)", by_torch(OPTIM.Adadelta)),
    "adafactor": ("adafactor(lr=0.03, beta2_decay=-0.7)", by_torch(OPTIM.Adafactor, beta2_decay=-0.7)),
    "schedule_free_sgd": ("schedule_free_sgd(lr=0.03, momentum=0.8)", schedule_free(0.8)),
    "schedule_free_adamw": (
        "schedule_free_adamw(lr=0.03, beta2=0.99, decay=0.1)",
        schedule_free(0.9, beta2=0.99, decay=0.1),
    ),
    "lion": ("lion(lr=0.03, decay=0.1)", by_torch(Lion, beta1=0.9, beta2=0.99, decay=0.1)),
}


def test_every_optimizer_is_tested() -> None:
    assert set(OPTIMIZERS) == set(SETTINGS["optimizer"]) == {case.partition(" ")[0] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_optimizer_equals_torch(case: str) -> None:
    chosen, reference = CASES[case]
    made = script(ATTRIBUTES + MAX_NORM, optimizer=chosen)
    got, want = by_script(made), reference(made)
    assert_close(got, want)
    assert np.linalg.norm(got["W_y"], axis=1).max() <= 1.5 * (1 + 1e-12)
    for name, value in start(made).items():
        assert (name == "b_y") == bool((want[name] == value).all()), f"{name} should move, unless it is not trained"


@pytest.mark.parametrize("case", [case for case in CASES if case != "adafactor"])
def test_an_optimizer_step_makes_no_vectors(case: str) -> None:
    made = script(optimizer=CASES[case][0], dtype="float32")
    p, g = made.Views(np.float32), made.Views(np.float32)
    p.fill({name: np.ones(shape) for name, (_, shape) in made.PARAMETERS.items()})
    g.fill(p.named)
    gaps = p.vector == 0
    optimizer = made.Optimizer(p)
    places = {name: array.ctypes.data for name, array in vars(optimizer).items()}
    optimizer.update(p, g, 0.1, 1)
    assert {name: array.ctypes.data for name, array in vars(optimizer).items()} == places
    assert gaps.any() and not g.vector[gaps].any() and not p.vector[gaps].any()
    assert all(array.dtype == np.float32 for array in vars(optimizer).values() if array.ndim)
    assert set(optimizer.saved()) == set(vars(optimizer)) - {"change"}


MATRICES = ("V_y", "W_h", "W_x", "W_y")


@pytest.mark.parametrize(
    ("case", "kept"),
    [
        ("sgd", []),
        ("sgd momentum", ["velocity"]),
        ("adam", ["m", "v"]),
        ("adamw amsgrad", ["m", "v", "v_max"]),
        ("rmsprop", ["v"]),
        ("rmsprop centered", ["m", "v"]),
        ("rmsprop momentum", ["v", "velocity"]),
        ("schedule_free_sgd", ["total", "z"]),
        ("adafactor", sorted([f"{kind}/{name}" for kind in ("rows", "columns") for name in MATRICES] + ["v/b_h", "v/b_y"])),
    ],
)
def test_an_optimizer_keeps_only_what_it_needs(case: str, kept: list[str]) -> None:
    made = script(optimizer=CASES[case][0])
    assert sorted(made.Optimizer(made.Views(np.float64)).saved()) == kept


@pytest.mark.parametrize("case", CASES)
def test_lines_are_formatted(case: str, tmp_path: Path) -> None:
    check_format(source(ATTRIBUTES + MAX_NORM, optimizer=CASES[case][0]), tmp_path)
