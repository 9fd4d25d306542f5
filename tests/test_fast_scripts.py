"""What makes a fast script fast: where its arrays lie, how it multiplies, and what it does not do at every step."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.ir.products import groups_of_rows
from rnnspec.ir.program import Value
from tests.corpus import FOLDER

SPEC = """\
rnnspec: 1
name: places
data:
  source: npz("data.npz", arrays=["X", "Y"])
inputs:
  x: vectors(X, size=3)
targets:
  target: values(Y, size=5)
states: {{h: 5}}
model: |
  h[t] = {cell}
loss: mse(h[t], target[t])
train:
  optimizer: sgd(lr=0.1)
  batch: 2
  steps: 1
  dtype: float64
{setting}"""


def script(folder: Path, cell: str, setting: str = "") -> ModuleType:
    """The fast script of a spec with an input of three numbers and five units."""
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", X=rng.normal(size=(4, 8, 3)), Y=rng.normal(size=(4, 8, 5)))
    spec = folder / "spec.rnn"
    spec.write_text(SPEC.format(cell=cell, setting=setting))
    return compile_spec(spec).load()


def batch(steps: int = 4) -> dict[str, Any]:
    """Two sequences."""
    rng = np.random.default_rng(1)
    return {"x": rng.normal(size=(2, steps, 3)), "target": rng.normal(size=(2, steps, 5))}


def test_every_array_of_numbers_begins_a_cache_line_of_one_block() -> None:
    w = compile_spec(FOLDER / "lstm_char.rnn").load().allocate(5, 3, np.dtype(np.float32))
    arrays = [a for a in vars(w).values() if isinstance(a, np.ndarray) and a.dtype == np.float32 and a.flags.c_contiguous]
    blocks = {id(a.base) for a in arrays}
    assert len(arrays) > 20 and len(blocks) == 1
    assert all(a.ctypes.data % 64 == 0 for a in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])


def test_an_input_is_stored_where_its_product_reads_it(tmp_path: Path) -> None:
    made = script(tmp_path, "lstm(x[t], units=5)")
    w = made.prepare(batch(), np.dtype(np.float64))
    assert np.shares_memory(w.x, w.h_last_joined)
    p = made.views(made.init(0))
    assert made.forward(p, w) == made.forward(p, w)


def test_the_next_window_keeps_its_own_input(tmp_path: Path) -> None:
    """States are rows of the array that holds the input, too."""
    made = script(tmp_path, "lstm(x[t], units=5)", "  truncation: tbptt(4)\n")
    old, new = (made.allocate(4, 2, np.dtype(np.float64)) for _ in range(2))
    old.h_last_joined[...] = 1
    made.carry(old, new)
    assert not new.x.any() and new.h_last_joined[0].sum() == 5 * 2
    new.x[...] = 7
    made.forward(made.views(made.init(0)), new)  # a sequence begins: its states are zero, its input is not
    assert (new.x == 7).all() and not new.h_last_joined[0, :5].any()


@pytest.mark.parametrize("cell", ["rnn(x[t] + x[t-1], units=5)", "tanh(W @ x[t] + U @ h[t-1] + sum(x[t-1]) + b)"])
def test_an_input_that_is_read_at_another_step_has_an_array_of_its_own(tmp_path: Path, cell: str) -> None:
    w = script(tmp_path, cell).prepare(batch(), np.dtype(np.float64))
    assert np.shares_memory(w.x, w.x_all)


@pytest.mark.parametrize(
    ("rows", "inner", "sequences", "groups"),
    [
        (256, 97, 16, 1),  # small as it is
        (512, 193, 32, 4),
        (1024, 384, 32, 16),
        (150, 300, 64, 3),  # not by two, which does not suffice, but by three
        (256, 1024, 32, 1),  # nothing is small with 32 rows or more
        (151, 300, 64, 1),  # a prime number
    ],
)
def test_groups_of_rows(rows: int, inner: int, sequences: int, groups: int) -> None:
    values = {
        0: Value(0, "W", "param", (), (rows, inner), "fixed", True),
        1: Value(1, "x", "input", (), (inner,), "step"),
        2: Value(2, "y", "matmul", (0, 1), (rows,), "step"),
    }
    assert groups_of_rows(values[2], values, sequences) == groups


def test_loops_convert_no_numbers() -> None:
    """NumPy takes longer to read a number of Python than to add up a thousand of its own."""
    for spec in sorted(FOLDER.glob("*.rnn")):
        inside = re.findall(r"(?m)^        (?:add|subtract|multiply|divide)\(.*\)$", compile_spec(spec).source)
        assert inside
        assert not [call for call in inside if re.search(r"[(, ][\d.e-]+[,)]", call)], spec.name
