"""Averages of the parameters: against torch, and what is shown, kept and given."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from rnnspec.commands.resolved import resolve
from rnnspec.frontend.check import check
from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.averages import AVERAGES
from tests.training_specs import STEPS, Named, assert_close, script, source, start, text_of

WANTED = {
    "ema(0.9)": (1, {"avg_fn": get_ema_avg_fn(0.9)}),
    "polyak": (1, {}),
    "polyak(start=30)": (30, {}),
}
"""Average -> the first step that torch is told of, and how it averages."""


def test_every_average_is_tested() -> None:
    assert set(AVERAGES) == set(SETTINGS["average"]) == {case.partition("(")[0] for case in WANTED}


@pytest.mark.parametrize("case", WANTED)
def test_average_equals_torch(case: str) -> None:
    made = script(average=case, optimizer="sgd(lr=0.03)")
    first, arguments = WANTED[case]
    p, shown = made.Views(np.float64), made.Views(np.float64)
    p.fill(start(made)), shown.fill(start(made))
    optimizer, model = made.Optimizer(p), torch.nn.ParameterDict({n: torch.tensor(v) for n, v in start(made).items()})
    want = AveragedModel(model, **arguments)
    for step in range(1, STEPS + 1):
        p.vector += np.random.default_rng(step).standard_normal(p.vector.size)
        optimizer.average(shown, p, 0.03, step)
        for name, value in p.named.items():
            model[name].data.copy_(torch.tensor(value))
        if step >= first:
            want.update_parameters(model)
        else:
            assert_close(shown.named, p.named)
    assert_close(shown.named, {name: want.module[name].detach().numpy() for name in shown.named})


def trained(made: ModuleType, **arguments: object) -> tuple[Named, list[dict[str, object]]]:
    """What training gives, and its events."""
    events: list[dict[str, object]] = []
    return made.train(report=lambda event: events.append(json.loads(json.dumps(event))), **arguments), events


@pytest.mark.parametrize("chosen", [{"average": "ema(0.9)"}, {"optimizer": "schedule_free_adamw(lr=0.03)"}])
def test_the_average_is_what_is_validated_kept_and_given(chosen: dict[str, str], tmp_path: Path) -> None:
    made = script(**chosen)
    result, events = trained(made, out=tmp_path, steps=40)
    files = {name: dict(np.load(tmp_path / f"{name}.npz")) for name in ("last", "best")}
    losses = {event["step"]: event["valid/loss"] for event in events if event["event"] == "valid"}
    for entries in files.values():
        named = {name: entries[name] for name in made.PARAMETERS}
        raw = {name: entries[f"raw/{name}"] for name in made.PARAMETERS}
        assert made.measure(made.views(named), "valid")["loss"] == losses[int(entries["step"])]
        assert all((named[name] != raw[name]).any() for name in named)
    assert_close(result, {name: files["best"][name] for name in made.PARAMETERS}, 0.0)
    end = next(event for event in events if event["event"] == "end")
    assert end["test/loss"] == made.measure(made.views(result), "test")["loss"]
    assert end["best"]["valid/loss"] == min(losses.values())  # type: ignore[index]


def test_without_an_average_there_is_none() -> None:
    assert "def average" not in source() and "raw/" not in source() and "run.raw" not in source()


def test_the_resolved_spec_trains_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "training.rnn"
    path.write_text(text_of(average="polyak(3)", clip="adaptive", schedule="plateau(warmup=2)", optimizer="lion(1e-3)"))
    spec, _ = check(path)
    assert spec is not None
    again, _ = check(resolve(path, (), spec))
    assert again is not None and again.train == spec.train and again.train.average is not None
