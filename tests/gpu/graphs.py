"""Forward and backward of a script as a graph: recorded once, then repeated."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from rnnspec.verify.compare import Array
from rnnspec.verify.probe import Probe


def replayed(script: ModuleType, at: Probe, times: int, step: int) -> list[dict[str, Array]]:
    """The gradients, the loss under the empty name: called once, then again and again as a graph, out of NaNs each time."""
    p, g = script.views(at.params), script.Views(np.dtype(np.float64))
    w = script.prepare(at.batch, p.vector.dtype, step)
    results = []
    for _ in range(times):
        g.vector.fill(np.nan)
        w.loss.fill(np.nan)
        script.replay(w, forward_and_backward, script, p, g)
        results.append({"": w.loss.get()} | {name: g.named[name].get() for name in script.TRAINED})
    return results


def forward_and_backward(script: ModuleType, p: object, g: object, w: object) -> None:
    """What is recorded: launches, and nothing else."""
    script.forward(p, w)
    script.backward(p, w, g)
