"""Every schedule of a generated script, 100 steps against torch or against its formula, with and without warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.schedules import SCHEDULES
from tests.training_specs import LR, STEPS, check_format, script, source

Make = Callable[[torch.optim.Optimizer, int], schedulers.LRScheduler]
"""A scheduler of torch for a run of so many steps."""

CASES: dict[str, tuple[str, Make]] = {
    "constant": ("constant()", lambda o, n: schedulers.ConstantLR(o, 1.0)),
    "step": ("step(every=7, factor=0.5)", lambda o, n: schedulers.StepLR(o, 7, 0.5)),
    "exponential": ("exponential(rate=0.97)", lambda o, n: schedulers.ExponentialLR(o, 0.97)),
    "linear": (
        "linear(final=0.003)",
        lambda o, n: schedulers.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=n),
    ),
    "inverse_sqrt": (
        "inverse_sqrt(timescale=20)",
        lambda o, n: schedulers.LambdaLR(o, lambda done: (20 / (20 + done)) ** 0.5),
    ),
    "cosine_restarts": (
        "cosine_restarts(every=9, growth=2, final=0.001)",
        lambda o, n: schedulers.CosineAnnealingWarmRestarts(o, 9, 2, 0.001),
    ),
    "one_cycle": (
        "one_cycle(pct_start=0.25, div_factor=10, final_div_factor=50)",
        lambda o, n: schedulers.OneCycleLR(o, LR, n, pct_start=0.25, div_factor=10, final_div_factor=50),
    ),
    "plateau": ("plateau()", lambda o, n: schedulers.ConstantLR(o, 1.0)),
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


@pytest.mark.parametrize("case", [case for case in CASES if case != "one_cycle"])
def test_a_warm_up_comes_first(case: str) -> None:
    schedule, make = CASES[case]
    rise = [LR * step / WARMUP for step in range(1, WARMUP + 1)]
    check(schedule.replace("(", f"(warmup={WARMUP}, "), rise + list(islice(rates_of(make, STEPS - WARMUP), STEPS - WARMUP)))


@pytest.mark.parametrize("case", CASES)
def test_lines_are_formatted(case: str, tmp_path: Path) -> None:
    schedule = CASES[case][0] if case == "one_cycle" else CASES[case][0].replace("(", "(warmup=3, ")
    check_format(source(schedule=schedule), tmp_path)


# ------------------------------------------------------------------ plateau


@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (2, 0), (1, 3)])
def test_plateau_equals_torch(patience: int, cooldown: int) -> None:
    made = script(schedule=f"plateau(factor=0.5, patience={patience}, cooldown={cooldown}, threshold=0.2, final=0.002)")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    want = schedulers.ReduceLROnPlateau(optimizer, "min", 0.5, patience, 0.2, cooldown=cooldown, min_lr=0.002)
    run, rates = made.Run(0), set()
    for loss in np.random.default_rng(1).standard_normal(STEPS) * 0.1 + 3 / np.arange(1, STEPS + 1):
        made.look_for_plateau(run.plateau, loss)
        want.step(loss)
        rates.add(want.get_last_lr()[0])
        assert run.plateau[0] * LR == pytest.approx(want.get_last_lr()[0], rel=1e-12)
    assert len(rates) >= 4


def test_a_run_looks_for_plateaus() -> None:
    made, events = script(schedule="plateau(factor=0.5, patience=0, threshold=0.999, warmup=3)"), []
    made.train(steps=10, report=events.append)  # one validation after each step
    rates = [event["lr"] for event in events if event["event"] == "step"]
    assert rates == pytest.approx([LR * n / 3 * 0.5 ** max(0, n - 2) for n in (1, 2, 3)] + [LR * 0.5**n for n in range(2, 9)])
