"""Scripts for the GPU that are made of the specs of the folder `specs/`, and what they compute on the stand-in."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType

import numpy as np

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.script.windows import carries
from rnnspec.verify.compare import Array
from rnnspec.verify.probe import Probe
from tests.corpus import FOLDER, SPECS
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.hand_written import load
from tests.windowed import Window

STEP = 3
"""The training step whose random numbers are used."""


@cache
def compiled(name: str, level: int = 1) -> Compiled:
    """A spec of the folder, compiled for the GPU."""
    return compile_spec(FOLDER / name, device="gpu", level=level)


CARRIED = [name for name in SPECS if carries(compiled(name).spec)]
"""Specs whose states go on from one batch to the next."""


def texts(source: str) -> dict[str, str]:
    """The CUDA texts of a script, by the names that they have there."""
    found = re.findall(r'^([A-Z_]+) = r"""(.*?)"""$', source, re.DOTALL | re.MULTILINE)
    return {name: text for name, text in found if "__global__" in text}


def of_type(params: dict[str, Array], dtype: str) -> dict[str, Array]:
    """The same parameters as numbers of another type."""
    return {name: value.astype(dtype) for name, value in params.items()}


def gradients(source: str, at: Probe, dtype: str = "float64", schedule: int = 0) -> dict[str, Array]:
    """The gradients at a place, and the loss under the empty name."""
    with cupy_on_host(schedule):
        loss, found = load(source).loss_and_gradients(of_type(at.params, dtype), at.batch, step=STEP)
    return {"": np.array(loss), **found}


def through_windows(script: ModuleType, steps: list[Window]) -> list[dict[str, Array]]:
    """The gradients of windows, each of which goes on where the one before ended; by any script."""
    state, found = None, []
    for at in steps:
        p, g = script.views(at.params), script.Views(np.dtype(np.float64))
        state = script.prepare(at.batch, np.dtype(np.float64), at.step, state)
        script.forward(p, state)
        script.backward(p, state, g)
        found.append({name: getattr(g.named[name], "get", g.named[name].copy)() for name in script.TRAINED})
    return found
