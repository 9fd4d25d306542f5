"""Scripts of small specs, and their updates on both devices from gradients that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from rnnspec.compiler import last, programs, script
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Spec
from rnnspec.ir.program import Program
from rnnspec.script.devices import Name
from tests.training_specs import LR, STEPS, Named, gradient, start, text_of

RISE = np.minimum(1, np.arange(1, STEPS + 1) / 7)
"""What the learning rate of each step is multiplied by."""


@dataclass(frozen=True)
class Case:
    """The spec of `training_specs` with attributes of parameters, settings of `train:`, and so many hidden units."""

    params: str = ""
    train: tuple[tuple[str, str], ...] = ()
    units: int = 3

    @property
    def spec(self) -> Spec:
        """The spec, checked."""
        text = text_of(self.params, **dict(self.train)).replace("{h: 3}", f"{{h: {self.units}}}")
        spec, problems = check(text)
        assert spec is not None, problems
        return spec

    def on_cpu(self) -> ModuleType:
        """Its script for a CPU."""
        return loaded(self.text("cpu"))

    def on_gpu(self) -> str:
        """The text of its script for a GPU."""
        return self.text("gpu")

    def text(self, device: Name) -> str:
        """The text of its script for a device."""
        return script(self.spec, _program(replace(self, train=()), device), 1, device)


@cache
def _program(case: Case, device: Name) -> Program:
    """What does not depend on how it trains."""
    return last(programs(case.spec, 1, device))


def loaded(text: str) -> ModuleType:
    """A script as a module."""
    module = ModuleType("generated")
    exec(compile(text, "<generated>", "exec"), module.__dict__)
    return module


def case(params: str = "", units: int = 3, **train: str) -> Case:
    """A case by the settings that are not as in `training_specs`."""
    return Case(params, tuple(train.items()), units)


# ------------------------------------------------------------------ runs

Gradients = Callable[[Mapping[str, Any], int], Named]
"""What the gradient is at some parameters in a step."""


@dataclass
class Result:
    """Where a run got to, what its optimizer keeps, and what was reported of each step."""

    shown: Named
    raw: Named
    saved: Named
    reports: list[dict[str, float]]


def on_cpu(
    made: ModuleType, skips: bool = False, gradients: Gradients = gradient, steps: int = STEPS, lr: float = LR
) -> Result:
    """Steps of a script for a CPU, as its `learn` takes them; `skips`: where its clip bites, nothing is learned."""
    p, g, shown = (made.Views(np.float64) for _ in range(3))
    p.fill(start(made)), shown.fill(start(made))
    optimizer = made.Optimizer(shown)
    reports, clipped = [], 0
    for step in range(1, steps + 1):
        g.fill(gradients(p.named, step))
        penalty = made.penalise(p, g) if hasattr(made, "penalise") else 0.0
        norm = float(np.linalg.norm(g.trained))
        if hasattr(made, "clip"):
            made.clip(p, g, norm)
        left = float(np.linalg.norm(g.trained))
        clipped += left < norm
        if not (skips and left < norm):
            apply_on_cpu(made, optimizer, p, g, shown, lr * RISE[step - 1], step - clipped * skips)
        applied = step - clipped * skips
        numbers = {"loss": step, "penalty": penalty, "norm": norm, "left": left, "clipped": clipped, "applied": applied}
        reports.append({**numbers, "bad_step": 0, "bad_place": 0})
    averaged = hasattr(optimizer, "average")
    return Result(dict((shown if averaged else p).named), dict(p.named), optimizer.saved(), reports)


def apply_on_cpu(made: ModuleType, optimizer: Any, p: Any, g: Any, shown: Any, lr: float, step: int) -> None:
    """What a step does with a gradient that counts."""
    optimizer.update(p, g, lr, step)
    if hasattr(made, "limit_norms"):
        made.limit_norms(p)
    if hasattr(optimizer, "average"):
        optimizer.average(shown, p, lr, step)


class DeviceRun:
    """What the update of a script for a GPU knows of a run; there must be a device."""

    def __init__(self, text: str, dtype: Any = np.float64, lr: float = LR) -> None:
        self.made, self.lr = loaded(text), lr
        made = self.made
        self.p, self.g = made.Views(dtype), made.Views(dtype)
        self.raw = made.Views(dtype) if "run.raw" in text else self.p
        self.p.fill(start(made)), self.raw.fill(start(made))
        self.optimizer = made.Optimizer(self.p)
        self.w = SimpleNamespace(loss=made.cp.zeros(1, dtype))
        self.rates, self.report = made.cp.zeros(2), made.cp.zeros(len(made.REPORT))

    def bring(self, step: int, gradients: Named, loss: float | None = None) -> None:
        """What a step finds on the device."""
        self.g.fill(gradients)
        self.made.upload(self.w.loss, step if loss is None else loss)
        self.made.upload(self.rates, [self.lr * RISE[step - 1], step])

    def learn(self, step: int, gradients: Gradients = gradient, loss: float | None = None) -> dict[str, float]:
        """One step; gives its report."""
        self.bring(step, gradients(on_host(self.raw.named), step), loss)
        self.optimizer.update(self)
        return self.reported()

    def reported(self) -> dict[str, float]:
        """What was reported last."""
        return dict(zip(self.made.REPORT, self.report.tolist(), strict=True))

    def result(self, reports: Iterable[dict[str, float]] = ()) -> Result:
        """Where it is now."""
        named = (self.p.named, self.raw.named, self.optimizer.saved())
        return Result(*(on_host(arrays) for arrays in named), list(reports))


def on_host(named: Mapping[str, Any]) -> Named:
    """Copies of arrays of the device."""
    return {name: array.get() for name, array in named.items()}


def on_gpu(text: str, gradients: Gradients = gradient, steps: int = STEPS, lr: float = LR) -> Result:
    """The same steps on the device."""
    run = DeviceRun(text, lr=lr)
    return run.result([run.learn(step, gradients) for step in range(1, steps + 1)])
