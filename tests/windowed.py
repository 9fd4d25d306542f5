"""Windows of a sequence: what a script learns in each, against torch with its graph cut between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rnnspec.frontend.typed import Model
from rnnspec.verify.compare import compare
from rnnspec.verify.in_complex import LIBRARY
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import Probe, probe
from rnnspec.verify.reference import Reference, Run, State, data_of

Cuts = Sequence[tuple[int, ...]]
"""First step and end of each window of a sequence, and how many of its steps the window before had too."""
CUTS: Cuts = ((0, 4), (4, 8), (8, 10))
"""A sequence of 10 steps: the last window is shorter."""
OVERLAPPING: Cuts = ((0, 2), (0, 4, 2), (0, 6, 4), (1, 8, 5), (3, 10, 5), (5, 11, 5))
"""`tbptt(k1=2, k2=7)` in a sequence of 11 steps."""


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


def windows(model: Model, seed: int, cuts: Cuts = CUTS, rounds: int = 2) -> list[Window]:
    """Two batches of sequences in windows, one behind the other; parameters change from window to window."""
    made: list[Window] = []
    for number in range(rounds):
        whole = probe(model, seed + number, max(cut[1] for cut in cuts))
        for cut in cuts:
            params = probe(model, 1000 * seed + len(made)).params
            made.append(Window(params, window(model, whole, *cut), len(made) + 1))
    return made


def window(model: Model, whole: Probe, first: int, end: int, seen: int = 0) -> dict[str, Any]:
    """The batch of steps `first` to `end` of whole sequences, of which the window before had some."""
    timed = {item.name for item in data_of(model) if item.when == "step"}
    batch = {name: value[:, first:end] if name in timed else value for name, value in whole.batch.items()}
    if model.masked:
        batch["length"] = np.clip(whole.batch["length"] - first, 0, end - first)
    return {**batch, "fresh": first == 0, "seen": seen}


def gradients_agree(script: ModuleType, model: Model, steps: Sequence[Window], tolerance: float = 1e-11) -> None:
    """Go through the windows as training does; raises GradientMismatch where loss or gradient is another one."""
    w, before = None, None
    for at in steps:
        p, g = script.views(at.params), script.Views(np.float64)
        w = script.prepare(at.batch, np.dtype(np.float64), at.step, w)
        loss = script.forward(p, w)
        script.backward(p, w, g)
        if hasattr(script, "penalise"):
            loss += script.penalise(p, g)
        state = None if at.fresh or before is None else before.state(before.last_step - at.batch["seen"])
        want_loss, want = gradients_by_torch(model, at.params, at.batch, drawn(script, at), state)
        got = {name: g.named[name] for name in script.TRAINED}
        compare({"": np.array(loss), **got}, {"": np.array(want_loss), **want}, tolerance)
        before = values(script, model, at, state)


def values(script: ModuleType, model: Model, at: Window, state: State | None) -> Run:
    """All values of a window: with those of its last steps, or of earlier ones, the next window goes on."""
    params = {name: value[None] for name, value in at.params.items()}
    return Reference(model, LIBRARY).run(params, at.batch, drawn(script, at), state)


def drawn(script: ModuleType, at: Window) -> list[Any]:
    """The random numbers of a window."""
    if not hasattr(script, "draws"):
        return []
    B, T = next(value.shape[:2] for value in at.batch.values() if np.ndim(value) > 1)
    return list(script.draws(at.step, T, B))
