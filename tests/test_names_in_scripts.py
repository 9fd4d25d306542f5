"""A spec may use any word as a name: also those that its script uses for something else."""

from __future__ import annotations

import ast
import builtins
import keyword
from types import ModuleType

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.frontend.functions import ALIASES, FUNCTIONS
from rnnspec.frontend.typed import Model
from rnnspec.frontend.words import RESERVED
from rnnspec.script.calls import FEW, HELPERS, TEMPORARIES
from rnnspec.script.calls import FUNCTIONS as NUMPY_FUNCTIONS
from rnnspec.script.expressions import HELPERS as TEXTBOOK_HELPERS
from rnnspec.script.names import USED, VIEWS, is_constant
from tests.corpus import FOLDER, SPECS

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


@pytest.mark.parametrize("ids", [9, FEW + 1])
def test_states_may_be_called_like_what_a_call_binds(ids: int) -> None:
    """The gradient of a matrix that is read by ids takes a few arrays that only this call knows."""
    words = sorted(TEMPORARIES)
    spec = chain(words).replace("adding(length=6,", f"recall(symbols={ids - 1}, length=6, delay=1,")
    spec = spec.replace("vectors(x, size=2)", "one_hot(ids)").replace("values(y, size=1)", f"classes(out, count={ids})")
    spec = spec.replace("[3, 2]", f"[3, {ids}]").replace("mse(out, y)", "cross_entropy(out[t], y[t])")
    compiled = compile_spec(spec.replace(f"out = W_out @ {words[-1]}[T]", f"out[t] = W_out @ {words[-1]}[t]"))
    body = compiled.source.partition("def forward")[2].partition("\n# -----")[0]
    bound = {word for word in words if f"\n    {word} = " in body}
    assert all(f"{word}_2" in body for word in words), "a word has one meaning"
    assert bound == ({"one_hot"} if ids <= FEW else TEMPORARIES - {"one_hot"})
    compiled.verify(quick=True).require()


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", SPECS)
def test_what_forward_and_backward_use_is_reserved(name: str, level: int) -> None:
    """A state may have any other name: nothing but these words has a meaning in both functions."""
    compiled = compile_spec(FOLDER / name, level=level)
    reserved = USED | (set(TEXTBOOK_HELPERS) if level == 0 else NUMPY_FUNCTIONS | set(HELPERS) | TEMPORARIES)
    for node in ast.parse(compiled.source).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("forward", "backward"):
            names = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
            bound = {inner.id for inner in names if isinstance(inner.ctx, ast.Store)}
            read = {inner.id for inner in names if isinstance(inner.ctx, ast.Load)}
            assert read - bound <= reserved | dict(compiled.spec.model.sizes).keys()


def test_views_have_what_is_reserved_and_the_parameters() -> None:
    script = compile_spec(chain(["h"])).load()
    assert {name for name in dir(script.Views(np.float64)) if not name.startswith("_")} == VIEWS | {"W_1", "U_1", "W_out"}


def many_sizes(words: list[str]) -> str:
    """A spec with sizes of these names, one of which it uses, by another name."""
    dims = f"dims: {{{', '.join(f'{word}: {k + 40}' for k, word in enumerate(words))}, Q: 3}}\n"
    return chain(["h"], dims).replace("states: {h: 3}", "states: {h: Q}")


def sizes_are_themselves(script: ModuleType, model: Model) -> bool:
    """Whether every size that the script has as a constant still is that number when all of it has been read."""
    return all(getattr(script, name) == size for name, size in dict(model.sizes).items() if is_constant(name))


@pytest.mark.parametrize("level", [0, 1])
def test_sizes_may_be_called_like_anything_in_a_script(level: int) -> None:
    words = [word for word in legal(script_words()) if word[0].isupper()]
    assert {"Exception", "SystemExit", "Run", "BATCH", "Workspace"} <= set(words)
    made = compile_spec(many_sizes(words), level=level)
    script = made.load()
    assert script.Q == 3 and sizes_are_themselves(script, made.spec.model)
    params, steps = script.train(report=lambda event: None), script.STEPS
    assert steps == 2 and all(np.isfinite(value).all() for value in params.values())
