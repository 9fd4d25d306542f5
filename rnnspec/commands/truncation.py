"""`rnnspec truncation`: what is lost when a gradient reaches back over some steps only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import is_zipfile

import click
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import Diagnostic, SpecError, problem
from rnnspec.frontend.typed import Setting
from rnnspec.verify.truncation import Cost, Truncated

ENOUGH = 0.1
"""A relative error that training does not notice: the noise of a batch is larger."""
LANES = 4
"""Of an endless stream so many times the longest reach is looked at."""
EXACT = "train.dtype=float64"
OVERLAPPING = "train.truncation=tbptt(k1=1, k2=2)"


def measured(spec: Path, overrides: Sequence[str], reaches: Sequence[int], weights: Path | None) -> list[Cost]:
    """What each reach costs on the first training batch of a spec; SpecError where it cannot be truncated."""
    asked = compile_spec(spec, overrides=[*overrides, EXACT]).spec.train.truncation
    try:
        compiled = compile_spec(spec, overrides=[*overrides, EXACT, OVERLAPPING])
    except SpecError as error:
        raise SpecError([no_truncation(error.diagnostics[0])]) from None
    probe = first_batch(compiled, spec, max(reaches), weights)
    costs = []
    for k2 in sorted(set(reaches)):
        costs.append(probe.cost(learned(asked, k2), k2))
        if k2 >= probe.steps:
            break
    return costs


def no_truncation(found: Diagnostic) -> Diagnostic:
    """What to say of a spec that is right, but not with windows: nobody has written the truncation that it cannot have."""
    message = f"there is no truncation to measure: {found.message}"
    help = "leave it as it is: this model learns from whole sequences, and nothing of its gradient is cut off"
    assert found.span is not None
    return problem(found.code, message, found.span, help=help)


def learned(asked: Setting | None, k2: int) -> int:
    """Steps that are learned at a time: those of the spec where it tells them from the reach, else the whole reach."""
    k1 = asked["k1"] if asked and asked["k2"] else k2
    return min(k1, k2) if isinstance(k1, int) else k2


def first_batch(compiled: Compiled, spec: Path, longest: int, weights: Path | None) -> Truncated:
    """The sequences of the first training batch, and the parameters of a file or of the start."""
    script, seed = compiled.load(data=spec.parent), compiled.spec.train.seed
    rows, _, _ = script.plan("train", seed, 0)[0]
    steps = script.dataset()[1]["train"][1]
    endless = compiled.spec.data.stream and compiled.spec.data.sequence is None
    batch = script.examples("train", rows, 0, min(steps, LANES * longest) if endless else steps)
    found = script.init(seed) if weights is None else trained(script, weights)
    params = {name: np.asarray(found[name], np.float64) for name in script.PARAMETERS}
    return Truncated(script, compiled.spec.model, params, batch)


def trained(script: ModuleType, path: Path) -> dict[str, Any]:
    """The parameters in a file of a run, or an error that says why they cannot be had."""
    if path.exists() and not is_zipfile(path):
        raise click.ClickException(f"`{path}` holds no parameters; name a file of a run, such as run/best.npz")
    try:
        return dict(script.read(path))
    except SystemExit as problem:
        raise click.ClickException(str(problem)) from None


def call(cost: Cost) -> str:
    """The setting as a spec has it."""
    return f"tbptt({cost.k2})" if cost.k1 == cost.k2 else f"tbptt(k1={cost.k1}, k2={cost.k2})"


def show(costs: Sequence[Cost], trained: bool) -> None:
    """A table, and one sentence of advice."""
    table = Table(box=SIMPLE)
    for heading in ("truncation", "angle", "relative error", "worst parameter"):
        table.add_column(heading, justify="left" if heading in ("truncation", "worst parameter") else "right")
    for cost in costs:
        worst = max(cost.parameters, key=cost.parameters.__getitem__, default="")
        parameter = f"{worst} ({percent(cost.parameters[worst])})" if worst else ""
        table.add_row(call(cost), f"{cost.angle:.1f}°", percent(cost.error), parameter)
    console = Console(highlight=False)
    console.print(table)
    console.print(advice(costs, trained), soft_wrap=True)


def percent(error: float) -> str:
    """`12 %`, or `3.2e-05 %` of what is small."""
    return f"{100 * error:.3g} %"


def advice(costs: Sequence[Cost], trained: bool) -> str:
    """Which setting to take."""
    chosen = next((cost for cost in costs if cost.error <= ENOUGH), costs[-1])
    where = "" if trained else " A trained model may look further back: measure again with `--from`."
    name, lost = call(chosen), percent(chosen.error)
    if chosen.error == 0 and chosen is costs[0]:
        return f"`{name}` reaches over the whole sequence and loses nothing; try a smaller `--k2`, too."
    if chosen.error == 0:
        keeps = f"keeps {percent(1 - ENOUGH)} of the gradient"
        return f"Only `{name}`, which reaches over the whole sequence, {keeps}; nothing shorter here does.{where}"
    if chosen.error <= ENOUGH:
        return f"`{name}` is enough here: it loses {lost} of the gradient.{where}"
    return f"Even `{name}` loses {lost} of the gradient: try a larger `--k2`.{where}"


def to_json(costs: Sequence[Cost]) -> str:
    """All numbers."""
    return json.dumps([asdict(cost) for cost in costs], indent=2)
