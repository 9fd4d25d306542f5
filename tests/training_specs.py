"""Small specs that differ in how they train, compiled, with gradients that are made up."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from rnnspec.compiler import last, programs
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Spec
from rnnspec.passes.place import place
from rnnspec.script import render
from rnnspec.script.body import Body
from rnnspec.script.fast import fast
from rnnspec.script.windows import carries

Vector = NDArray[np.float64]
Named = dict[str, Vector]

LR = 0.03
RUFF = Path(sys.executable).parent / "ruff"
STEPS = 100
SPEC = """
rnnspec: 1
name: training
data:
  source: recall(symbols=4, length=6, delay=1, sequences=40)
  split: {train: 0.8, valid: 0.1, test: 0.1}
inputs:
  x: one_hot(ids)
targets:
  target: classes(out, count=5)
states: {h: 3}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b_h)
  y[t] = W_y @ h[t] + V_y @ x[t] + b_y
loss: cross_entropy(y[t], target[t])
"""
TRAIN = {"optimizer": f"sgd(lr={LR})", "batch": "4", "steps": str(STEPS), "dtype": "float64"}
ATTRIBUTES = """
params:
  W_x: {lr_scale: 0.25}
  W_h: {l2: 0.05}
  b_h: {l1: 0.02}
  b_y: {trainable: false}
"""
MAX_NORM = "  W_y: {max_norm: 1.5}\n"


def text_of(params: str = "", **train: str) -> str:
    """The text of a spec with these settings of `train:`; what is not given is as in `TRAIN`."""
    lines = [f"  {key}: {value}" for key, value in {**TRAIN, **train}.items()]
    return "\n".join([SPEC.strip(), params.strip("\n"), "train:", *lines]) + "\n"


def spec_of(params: str, train: Mapping[str, str]) -> Spec:
    """The spec, checked."""
    spec, problems = check(text_of(params, **train))
    assert spec is not None, problems
    return spec


@cache
def body_of(params: str) -> Body:
    """The part of a script that does not depend on how it trains."""
    spec = spec_of(params, {})
    program = last(programs(spec, 1))
    return fast(program, spec, place(program, carries(spec)))


def source(params: str = "", **train: str) -> str:
    """The text of its script."""
    return render.render(spec_of(params, train), body_of(params))


def script(params: str = "", **train: str) -> ModuleType:
    """Its script as a module."""
    module = ModuleType("generated")
    exec(compile(source(params, **train), "<generated>", "exec"), module.__dict__)
    return module


def start(made: ModuleType) -> Named:
    """Parameters to start from, none of them 0."""
    rng = np.random.default_rng(99)
    return {name: rng.standard_normal(shape) for name, (_, shape) in made.PARAMETERS.items()}


def gradient(params: Mapping[str, Vector], step: int) -> Named:
    """A gradient that depends on where one is, and changes its size a lot."""
    rng = np.random.default_rng(step)
    return {
        name: (value - 0.3 + 0.5 * rng.standard_normal(value.shape)) * 10.0 ** (step % 3 - 1)
        for name, value in sorted(params.items())
    }


def assert_close(got: Mapping[str, Vector], want: Mapping[str, Vector], limit: float = 1e-12) -> None:
    """The same arrays up to `limit`, by the norm of each."""
    assert set(got) == set(want)
    for name, value in want.items():
        assert np.isfinite(got[name]).all() and got[name].shape == value.shape, name
        assert np.linalg.norm(got[name] - value) <= limit * np.linalg.norm(value), name


def check_format(text: str, folder: Path) -> None:
    """The sections of a script that update parameters are formatted."""
    path = folder / "sections.py"
    sections = re.split(r"(?m)^# -{60,} ", text)[1:]
    path.write_text(
        "".join(f"# {s.rstrip()}\n\n\n" for s in sections if s.startswith(("update\n", "training\n"))).rstrip() + "\n"
    )
    command = [RUFF, "format", "--diff", "--isolated", "--no-cache", "--line-length", "120", path]
    assert "def learn" in path.read_text() and "class Optimizer" in path.read_text()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
