"""A run that was interrupted and resumed ends with the same bytes as one that was not, whatever it keeps from step to step."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_averages import WANTED
from tests.test_optimizers import CASES as OPTIMIZERS
from tests.test_schedules import CASES as SCHEDULES
from tests.training_specs import ATTRIBUTES, MAX_NORM, script

ADAM = "adam(lr=0.03)"
RUNS = {
    **{case: (ATTRIBUTES + MAX_NORM, {"optimizer": call}) for case, (call, _) in OPTIMIZERS.items()},
    **{case: ("", {"optimizer": ADAM, "schedule": call}) for case, (call, _) in SCHEDULES.items()},
    **{case: ("", {"optimizer": ADAM, "average": case}) for case in WANTED},
    "plateau that acts": ("", {"optimizer": ADAM, "schedule": "plateau(factor=0.5, patience=0, threshold=0.5, cooldown=1)"}),
    "skip": ("", {"optimizer": "nadam(lr=0.03)", "clip": "skip(max=0.45)", "average": "ema(0.9)"}),
    "schedule-free with warm-up": (
        "",
        {"optimizer": "schedule_free_sgd(lr=0.03)", "schedule": "constant(warmup=20)", "clip": "global_norm(0.1)"},
    ),
}
STEPS, CUT = 40, 17
"""17 is in the middle of an epoch (8 steps), and no validation (each 4 steps) has just been."""


def files(folder: Path) -> dict[str, bytes]:
    """The arrays of a run, byte for byte."""
    return {
        f"{name} {key}": array.tobytes() for name in ("last", "best") for key, array in np.load(folder / f"{name}.npz").items()
    }


def trained(case: str, **arguments: Any) -> list[dict[str, object]]:
    """The events of a run in a process of its own, as it were."""
    params, settings = RUNS[case]
    made, events = script(params, **settings, dtype="float32"), []
    made.train(report=events.append, steps=STEPS, **arguments)
    return events


@pytest.mark.parametrize("case", RUNS)
def test_a_resumed_run_ends_with_the_same_bytes(case: str, tmp_path: Path) -> None:
    whole, parts, done = tmp_path / "whole", tmp_path / "parts", count(1)
    want = trained(case, out=whole)
    trained(case, out=parts, stopping=lambda: next(done) >= CUT)
    assert int(np.load(parts / "last.npz")["step"]) == CUT
    got = trained(case, out=parts, resume=True)
    assert files(parts) == files(whole)
    numbers = [{k: v for k, v in event.items() if k not in ("time/step_ms", "seconds")} for event in want]
    again = [{k: v for k, v in event.items() if k not in ("time/step_ms", "seconds")} for event in got]
    assert again[1:] == numbers[-len(again) + 1 :]
