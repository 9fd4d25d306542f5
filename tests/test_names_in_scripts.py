"""A spec may use any word as a name: also those that its script uses for something else."""

from __future__ import annotations

import ast
import builtins
import keyword

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.frontend.functions import ALIASES, FUNCTIONS
from rnnspec.frontend.words import RESERVED
from rnnspec.script.calls import FUNCTIONS as NUMPY_FUNCTIONS

SPEC = """
rnnspec: 1
name: words
data:
  source: adding(length=6, sequences=20)
inputs:
  x: vectors(x, size=2)
targets:
  y: values(y, size=1)
{dims}
model: |
  {first}[t] = tanh(W_1 @ x[t] + U_1 @ {first}[t-1])
{equations}
  out = W_out @ {last}[T]
loss: mse(out, y)
params:
  W_1: {{shape: [3, 2]}}
  U_1: {{shape: [3, 3]}}
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 2
  dtype: float64
"""
TAKEN = {*FUNCTIONS, *RESERVED, *ALIASES, *keyword.kwlist, *keyword.softkwlist, "x", "y", "out"}


def script_words() -> list[str]:
    """The names that a script binds, imports or is given by Python."""
    source = compile_spec(chain(["h"])).source + compile_spec(chain(["h"]), level=0).source
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    names |= {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.arg for node in ast.walk(ast.parse(source)) if isinstance(node, ast.arg)}
    return sorted({*names, *dir(builtins), *NUMPY_FUNCTIONS, "steps_1", "steps_2"} - TAKEN)


def chain(words: list[str], dims: str = "") -> str:
    """A spec whose states have these names, each reading the one before."""
    equations = [f"  {b}[t] = tanh(V_{b} @ {a}[t] + 0.5 * {b}[t-1])" for a, b in zip(words, words[1:], strict=False)]
    states = f"states: {{{', '.join(f'{word}: 3' for word in words)}}}"
    return SPEC.format(dims=dims + states, first=words[0], last=words[-1], equations="\n".join(equations))


def legal(words: list[str]) -> list[str]:
    return [word for word in words if word[0].isalpha() and word.isascii()]


@pytest.mark.parametrize("level", [0, 1])
def test_states_may_be_called_like_anything_in_a_script(level: int) -> None:
    words = legal(script_words())
    assert len(words) > 150 and {"columns", "Exception", "train", "copyto"} <= set(words)
    for first in range(0, len(words), 40):
        compile_spec(chain(words[first : first + 40]), level=level).verify(quick=True).require()


@pytest.mark.parametrize("level", [0, 1])
def test_sizes_may_be_called_like_anything_in_a_script(level: int) -> None:
    words = [word for word in legal(script_words()) if word[0].isupper()]
    assert {"Exception", "SystemExit", "Run", "BATCH"} <= set(words)
    dims = f"dims: {{{', '.join(f'{word}: {k + 40}' for k, word in enumerate(words))}, Q: 3}}\n"
    spec = chain(["h"], dims).replace("states: {h: 3}", "states: {h: Q}")
    script = compile_spec(spec, level=level).load()
    assert script.Q == 3
    params, steps = script.train(report=lambda event: None), script.STEPS
    assert steps == 2 and all(np.isfinite(value).all() for value in params.values())
