"""Nothing in the compiler knows a name: a cell under other names gives the same code."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from pathlib import Path

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.frontend import cells

LIBRARY = (Path(cells.__path__[0]) / "lstm.rnn").read_text()
SPEC = """
rnnspec: 1
name: renamed
data:
  source: npz("data.npz", arrays=["x", "y"])
inputs:
  x: vectors(x, size=3)
targets:
  target: values(y, size=2)
{cells}
model: |
  h1[t] = lstm(x[t], units=6)
  pred[t] = W_y @ h1[t] + b_y
loss: mse(pred[t], target[t])
train:
  optimizer: sgd(lr=0.1)
  batch: 3
  steps: 1
  truncation: tbptt(3)
"""
CELL_NAMES = {"u": "q", "h": "s", "c": "m", "i": "a", "f": "k", "o": "v", "z": "j", "W": "P", "U": "R", "b": "g"}
NAMES = {"lstm": "cell", "units": "width", "h1": "n7", "x": "r", "pred": "that", "target": "wanted"}
"""New names, as long as the old ones: the textbook breaks long lines."""
KEPT = {*keyword.kwlist, *dir(builtins), *dir(np), "np"}
"""Words of a script that are no names of the spec: a renamed script must have the same ones at the same places."""


def renamed_cell() -> str:
    """The library cell with every name replaced, those of its parameters part by part."""
    code = "\n".join(line for line in LIBRARY.splitlines() if not line.startswith("#"))
    head, equations = code.split("equations: |")
    equations, params = equations.split("params:")
    head = head.replace("lstm:", "cell:").replace("units: int", "width: int").replace("[u]", "[q]")
    head = head.replace("h: units, c: units", "s: width, m: width").replace("output: h", "output: s")
    equations = re.sub(r"[A-Za-z]+", lambda m: CELL_NAMES.get(m[0], m[0]), equations)
    return f"{head}equations: |{equations}params:{params.replace('b_f', 'g_k').replace('U_*', 'R_*')}"


def renamed_spec() -> str:
    """The spec with the renamed cell, and new names for what it has itself."""
    text = re.sub(r"[A-Za-z]\w*", lambda m: NAMES.get(m[0], m[0]), SPEC.replace("{cells}", "{}"))
    text = text.replace('arrays=["r", "y"]', 'arrays=["x", "y"]').replace("vectors(r,", "vectors(x,")
    return text.format(renamed_cell())


def body(text: str, level: int, folder: Path) -> str:
    """The functions that a printer writes, laid out in one way: only the names depend on the names of the spec."""
    np.savez(folder / "data.npz", x=np.zeros((6, 5, 3)), y=np.zeros((6, 5, 2)))
    path = folder / "spec.rnn"
    path.write_text(text)
    tree = ast.parse(compile_spec(path, level=level).source)
    made = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    statements = (line for name in ("allocate", "forward", "backward", "carry") for line in made[name].body[1:])
    return "\n".join(map(ast.unparse, statements))  # the first one of each is its docstring


def numbered(text: str) -> str:
    """A text with all its names replaced by numbers, in the order in which they appear."""
    names: dict[str, str] = {}
    return re.sub(r"[A-Za-z_]\w*", lambda m: m[0] if m[0] in KEPT else names.setdefault(m[0], f"n{len(names)}"), text)


@pytest.mark.parametrize("level", [0, 1])
def test_a_cell_under_other_names_gives_the_same_code(level: int, tmp_path: Path) -> None:
    plain, renamed = body(SPEC.format(cells=""), level, tmp_path), body(renamed_spec(), level, tmp_path)
    assert "h1" in plain and not re.search(r"h1|W_[ifoz]|pred|target", renamed)
    assert numbered(plain) == numbered(renamed)


def test_the_comparison_would_see_another_order_or_another_operation() -> None:
    plain = "add(a, b, out=c)\nmultiply(c, a, out=d)"
    assert numbered(plain) == numbered("add(x, y, out=z)\nmultiply(z, x, out=u)")
    assert numbered(plain) != numbered("add(x, y, out=z)\nmultiply(z, y, out=u)")
    assert numbered(plain) != numbered("multiply(x, y, out=z)\nadd(z, x, out=u)")
