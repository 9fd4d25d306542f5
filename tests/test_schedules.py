"""Every schedule of a generated script, 100 steps against torch or against its formula, with and without warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.schedules import SCHEDULES
from tests.training_specs import LR, STEPS, script

Make = Callable[[torch.optim.Optimizer, int], schedulers.LRScheduler]
"""A scheduler of torch for a run of so many steps."""

CASES: dict[str, tuple[str, Make]] = {
    "constant": ("constant()", lambda o, n: schedulers.ConstantLR(o, 1.0)),
    "step": ("step(every=7, factor=0.5)", lambda o, n: schedulers.StepLR(o, 7, 0.5)),
    "exponential": ("exponential(rate=0.97)", lambda o, n: schedulers.ExponentialLR(o, 0.97)),
    "cosine": ("cosine(final=0.001)", lambda o, n: schedulers.CosineAnnealingLR(o, n, 0.001)),
}
WARMUP = 20


def rates_of(make: Make, steps: int) -> Iterator[float]:
    """The learning rates that torch takes, without end."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer, steps)
    while True:
        yield scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()


def check(schedule: str, want: list[float]) -> None:
    """The rates of a generated script are these."""
    made = script(schedule=schedule)
    got = [made.learning_rate(step, STEPS) for step in range(1, STEPS + 1)]
    assert got == pytest.approx(want, rel=1e-12, abs=0)


def test_every_schedule_is_tested() -> None:
    assert set(SCHEDULES) == set(SETTINGS["schedule"]) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_schedule_equals_torch(case: str) -> None:
    schedule, make = CASES[case]
    check(schedule, list(islice(rates_of(make, STEPS), STEPS)))


@pytest.mark.parametrize("case", CASES)
def test_a_warm_up_comes_first(case: str) -> None:
    schedule, make = CASES[case]
    rise = [LR * step / WARMUP for step in range(1, WARMUP + 1)]
    check(schedule.replace("(", f"(warmup={WARMUP}, "), rise + list(islice(rates_of(make, STEPS - WARMUP), STEPS - WARMUP)))
