"""The same batch with more padding: what stands after the end of a sequence must change nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnspec.frontend.typed import Model
from rnnspec.verify.reference import Array, data_of

LARGE = 1e3
"""Numbers of this size would show in any sum that they enter."""


def padded(model: Model, batch: Mapping[str, Array], extra: int, seed: int = 0) -> dict[str, Array]:
    """A batch with `extra` more steps, and other numbers at every step after the end of a sequence."""
    random = np.random.Generator(np.random.Philox(seed))
    made = dict(batch)
    for item in data_of(model):
        if item.when != "step":
            continue
        old = batch[item.name]
        shape = (old.shape[0], old.shape[1] + extra, *old.shape[2:])
        whole = item.encoding in ("ids", "classes")
        new = random.integers(0, item.shape[0], shape) if whole else LARGE * random.standard_normal(shape)
        valid = np.arange(old.shape[1]) < batch["length"][:, None]
        new[:, : old.shape[1]][valid] = old[valid]
        made[item.name] = new
    return made
