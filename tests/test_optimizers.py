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

Step = Callable[[Named, Named, int], None]
"""Changes parameters by their gradients, in place; the step counts from 1."""


def by_script(made: ModuleType) -> Named:
    """Where the generated optimizer gets to, with penalties and limits."""
    p, g = made.Views(np.float64), made.Views(np.float64)
    p.fill(start(made))
    optimizer = made.Optimizer(p)
    for step in range(1, STEPS + 1):
        g.fill(gradient(p.named, step))
        made.penalise(p, g)
        optimizer.update(p, g, LR, step)
        if hasattr(made, "limit_norms"):
            made.limit_norms(p)
    return dict(p.named)


def by_torch(make: Callable[..., torch.optim.Optimizer], **arguments: object) -> Callable[[ModuleType], Named]:
    """Where an optimizer of torch gets to: one group for each parameter, with a learning rate of its own."""

    def run(made: ModuleType) -> Named:
        torch.set_default_dtype(torch.float64)  # NAdam keeps a number in it
        params = {name: torch.tensor(value, requires_grad=True) for name, value in start(made).items()}
        trained = [name for name in params if name != "b_y"]
        groups = [{"params": [params[name]], "lr": LR * (0.25 if name == "W_x" else 1)} for name in trained]
        optimizer = make(groups, **arguments)
        for step in range(1, STEPS + 1):
            found = gradient(numbers(params), step)
            for name in trained:
                value = params[name].detach()
                penalty = {"W_h": 2 * 0.05 * value, "b_h": 0.02 * value.sign()}.get(name, 0)
                params[name].grad = torch.tensor(found[name]) + penalty
            optimizer.step()
            if hasattr(made, "limit_norms"):
                with torch.no_grad():
                    params["W_y"] *= (1.5 / params["W_y"].norm(dim=1, keepdim=True)).clamp(max=1)
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
    for name, value in start(made).items():
        assert (name == "b_y") == bool((want[name] == value).all()), f"{name} should move, unless it is not trained"


@pytest.mark.parametrize("case", CASES)
def test_an_optimizer_step_makes_no_vectors(case: str) -> None:
    made = script(optimizer=CASES[case][0], dtype="float32")
    p, g = made.Views(np.float32), made.Views(np.float32)
    p.vector[:], g.vector[:] = 1, 1
    optimizer = made.Optimizer(p)
    places = {name: array.ctypes.data for name, array in vars(optimizer).items()}
    optimizer.update(p, g, 0.1, 1)
    assert {name: array.ctypes.data for name, array in vars(optimizer).items()} == places
    assert all(array.dtype == np.float32 for array in vars(optimizer).values() if array.ndim)
    assert set(optimizer.saved()) == set(vars(optimizer)) - {"change"}


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
    ],
)
def test_an_optimizer_keeps_only_what_it_needs(case: str, kept: list[str]) -> None:
    made = script(optimizer=CASES[case][0])
    assert sorted(made.Optimizer(made.Views(np.float64)).saved()) == kept


@pytest.mark.parametrize("case", CASES)
def test_lines_are_formatted(case: str, tmp_path: Path) -> None:
    check_format(source(ATTRIBUTES + MAX_NORM, optimizer=CASES[case][0]), tmp_path)
