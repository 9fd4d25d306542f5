"""What truncation costs: the gradient of a batch in windows beside the gradient of its whole sequences.

Both come from the functions of a generated script, at the same parameters: nothing is updated between the windows, and
nothing random is drawn.  Penalties are left out, because truncation does not change their gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rnnspec.frontend.typed import Model
from rnnspec.verify.reference import Array, data_of


@dataclass(frozen=True)
class Cost:
    """How far a truncated gradient is from the full one."""

    k1: int
    k2: int
    angle: float  # between the two, in degrees; 90 where nothing is left
    error: float  # |truncated - full| / |full|
    parameters: Mapping[str, float]  # the same error for each parameter; those without a gradient are left out


@dataclass(frozen=True)
class Truncated:
    """A batch of whole sequences, and the parameters at which a script is asked for gradients."""

    script: ModuleType  # of a spec with `tbptt(k1, k2)`, k1 < k2: its windows may overlap
    model: Model
    params: Mapping[str, Array]
    batch: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """The steps of the batch."""
        return int(next(np.shape(self.batch[i.name])[1] for i in data_of(self.model) if i.when == "step"))

    def cost(self, k1: int, k2: int) -> Cost:
        """What `tbptt(k1, k2)` loses."""
        full, cut = self.gradient(self.steps, self.steps), self.gradient(k1, k2)
        errors = {name: _length(cut[name] - full[name]) / _length(full[name]) for name in full if np.any(full[name])}
        a, b = (np.concatenate([np.ravel(g[name]) for name in full]) for g in (full, cut))
        lengths = _length(a) * _length(b)
        cosine = float(a @ b) / lengths if lengths else 0.0
        angle = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
        return Cost(k1, k2, angle, _length(b - a) / _length(a) if np.any(a) else 0.0, errors)

    def gradient(self, k1: int, k2: int) -> dict[str, Array]:
        """The gradient of the loss of the whole batch, learned in windows as in training."""
        p, g, w = self.script.views(self.params), self.script.Views(np.float64), None
        total: dict[str, Array] = {name: np.zeros(np.shape(g.named[name])) for name in self.script.TRAINED}
        for window, share in self._windows(k1, k2):
            w = self.script.prepare(window, np.dtype(np.float64), state=w)
            self.script.forward(p, w)
            self.script.backward(p, w, g)
            for name, value in total.items():
                value += share * g.named[name]
        return total

    def _windows(self, k1: int, k2: int) -> Iterator[tuple[dict[str, Any], float]]:
        """The windows, and what the mean over the new steps of each weighs in the mean over all steps."""
        timed = {item.name for item in data_of(self.model) if item.when == "step"}
        for new in range(0, self.steps, k1):
            first, last = max(0, new + k1 - k2), min(new + k1, self.steps)
            window = {name: value[:, first:last] if name in timed else value for name, value in self.batch.items()}
            share = (last - new) / self.steps
            if self.model.masked:
                length = self.batch["length"]
                window["length"] = np.clip(length - first, 0, last - first)
                share = float(np.clip(length - new, 0, last - new).sum() / length.sum())
            if share:
                yield {**window, "fresh": first == 0, "seen": new - first}, share


def _length(vector: Array) -> float:
    return float(np.linalg.norm(vector))
