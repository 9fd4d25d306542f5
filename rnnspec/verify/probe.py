"""A place to look at a model: random parameters and a small random batch.

Fresh initial values would be a poor place: zero biases and zero starts hide most mistakes in a gradient.  Here every
number is random and of a size that keeps the usual functions away from saturation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import DTypeLike

from rnnspec.frontend.typed import Input, Model, ParameterInfo, Read, Target, walk
from rnnspec.verify.reference import Array, data_of


@dataclass(frozen=True)
class Probe:
    """Parameters by the names of the spec, and a batch in the layout that generated scripts read."""

    params: dict[str, Array]
    batch: dict[str, Array]


def probe(model: Model, seed: int = 0, T: int = 5, B: int = 3, dtype: DTypeLike = np.float64) -> Probe:
    """Random parameters and a batch of B sequences of T steps; the same for the same arguments."""
    random = np.random.Generator(np.random.Philox(seed))
    params = {info.name: _parameter(info, random).astype(dtype) for info in model.parameters}
    batch = {item.name: _data(item, random, T, B, dtype) for item in data_of(model)}
    if model.masked:
        batch["length"] = _lengths(random, T, B)
    return Probe(params, batch)


def longest_lag(model: Model) -> int:
    """How many steps apart a value is read at most: a probe should be longer than that."""
    nodes = (node for equation in model.equations for node in walk(equation.expr))
    return max((abs(node.lag) for node in nodes if isinstance(node, Read)), default=0)


def _parameter(info: ParameterInfo, random: np.random.Generator) -> Array:
    """Around the initial value where that is one number (it may have to be positive), else of the usual size."""
    if info.init.name in ("ones", "constant"):
        middle = 1.0 if info.init.name == "ones" else float(cast(float, info.init["value"]))
        return middle + max(1.0, abs(middle)) * random.uniform(-0.4, 0.4, info.shape)
    inner = info.shape[-1] if len(info.shape) > 1 else 4
    return random.standard_normal(info.shape) / np.sqrt(inner)


def _data(item: Input | Target, random: np.random.Generator, T: int, B: int, dtype: DTypeLike) -> Array:
    if isinstance(item, Target) and item.longest:
        counts = random.integers(0, item.longest + 1, (B, 1))
        return np.where(np.arange(item.longest) < counts, random.integers(1, item.shape[0], (B, item.longest)), 0)
    leading = (B, T) if item.when == "step" else (B,)
    if item.encoding in ("ids", "classes"):
        return random.integers(0, item.shape[0], leading)
    return random.standard_normal((*leading, *item.shape)).astype(dtype)


def _lengths(random: np.random.Generator, T: int, B: int) -> Array:
    """One full sequence, one of a single step, the others in between, in random order."""
    between = random.integers(1, T + 1, max(0, B - 2))
    return random.permutation(np.concatenate([[T, 1], between])[:B])
