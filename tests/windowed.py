"""Windows of a sequence: what a script learns in each, against torch with its graph cut between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rnnspec.frontend.typed import Model
from rnnspec.verify.compare import compare
from rnnspec.verify.in_complex import LIBRARY
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import Probe, probe
from rnnspec.verify.reference import Reference, State, data_of

CUTS = ((0, 4), (4, 8), (8, 10))
"""First step and end of each window of a sequence of 10 steps: the last one is shorter."""


@dataclass(frozen=True)
class Window:
    """The parameters and the batch of one training step."""

    params: dict[str, Any]
    batch: dict[str, Any]
    step: int

    @property
    def fresh(self) -> bool:
        """Do its sequences begin here?"""
        return bool(self.batch["fresh"])


def windows(model: Model, seed: int, cuts: Iterable[tuple[int, int]] = CUTS, rounds: int = 2) -> list[Window]:
    """Two batches of sequences in windows, one behind the other; parameters change from window to window."""
    cuts = tuple(cuts)
    made: list[Window] = []
    for number in range(rounds):
        whole = probe(model, seed + number, max(end for _, end in cuts))
        for first, end in cuts:
            params = probe(model, 1000 * seed + len(made)).params
            made.append(Window(params, window(model, whole, first, end), len(made) + 1))
    return made


def window(model: Model, whole: Probe, first: int, end: int) -> dict[str, Any]:
    """The batch of steps `first` to `end` of whole sequences."""
    timed = {item.name for item in data_of(model) if item.when == "step"}
    batch = {name: value[:, first:end] if name in timed else value for name, value in whole.batch.items()}
    if model.masked:
        batch["length"] = np.clip(whole.batch["length"] - first, 0, end - first)
    return {**batch, "fresh": first == 0}


def gradients_agree(script: ModuleType, model: Model, steps: Sequence[Window], tolerance: float = 1e-11) -> None:
    """Go through the windows as training does; raises GradientMismatch where loss or gradient is another one."""
    w, state = None, None
    for at in steps:
        p, g = script.views(at.params), script.Views(np.float64)
        w = script.prepare(at.batch, np.dtype(np.float64), at.step, w)
        loss = script.forward(p, w)
        script.backward(p, w, g)
        if hasattr(script, "penalise"):
            loss += script.penalise(p, g)
        state = None if at.fresh else state
        want_loss, want = gradients_by_torch(model, at.params, at.batch, drawn(script, at), state)
        got = {name: g.named[name] for name in script.TRAINED}
        compare({"": np.array(loss), **got}, {"": np.array(want_loss), **want}, tolerance)
        state = left_behind(script, model, at, state)


def left_behind(script: ModuleType, model: Model, at: Window, state: State | None) -> State:
    """The states with which the next window goes on."""
    params = {name: value[None] for name, value in at.params.items()}
    return Reference(model, LIBRARY).run(params, at.batch, drawn(script, at), state).state()


def drawn(script: ModuleType, at: Window) -> list[Any]:
    """The random numbers of a window."""
    if not hasattr(script, "draws"):
        return []
    B, T = next(value.shape[:2] for value in at.batch.values() if np.ndim(value) > 1)
    return list(script.draws(at.step, T, B))
