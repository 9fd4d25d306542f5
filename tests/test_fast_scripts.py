"""What makes a fast script fast: where its arrays lie, how it multiplies, and what it does not do at every step."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.ir.products import groups_of_rows
from rnnspec.ir.program import Value
from rnnspec.passes import hoist
from rnnspec.verify.probe import probe
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


PARTS = {
    (64, 16): [64],
    (100, 32): [25] * 4,
    (65, 32): [21, 22, 22],  # as even as can be
    (3, 5000): [1, 1, 1],  # one step at least
}
"""The steps of each part, by steps and sequences."""


@pytest.mark.parametrize(("shape", "expected"), PARTS.items())
def test_weight_gradients_are_summed_some_in_parts(tmp_path: Path, shape: tuple[int, int], expected: list[int]) -> None:
    steps, sequences = shape
    w = script(tmp_path, "lstm(x[t], units=5)").allocate(steps, sequences, np.dtype(np.float32))
    assert [step for part, _ in w.parts for step in range(steps)[part]] == list(range(steps))
    assert [len(range(steps)[part]) for part, _ in w.parts] == [length for _, length in w.parts] == expected
    assert w.h_last_joined_lines.shape == (max(expected), sequences, 9)


def parts_add_up(cell: str, folder: Path) -> None:
    """The gradient of six parts is that of one, whatever was in its place before."""
    made = script(folder, cell)
    params, given = made.init(0), batch(steps=11)
    _, whole = made.loss_and_gradients(params, given)
    made.in_parts = lambda T, B: [(slice(k, min(k + 2, T)), min(2, T - k)) for k in range(0, T, 2)]
    made.workspace.cache_clear()
    p, w, g = made.views(params), made.prepare(given, np.dtype(np.float64)), made.Views(np.float64)
    for _ in range(2):
        g.vector[...] = 1
        made.forward(p, w)
        made.backward(p, w, g)
        for name, gradient in whole.items():
            assert np.linalg.norm(g.named[name] - gradient) <= 1e-13 * np.linalg.norm(gradient) > 0, name


BOTH_WAYS = "a[t] + b[t]\n  a[t] = gru(x[t], units=5)\n  b[t] = gru(x[t], units=5, reverse=true)"
"""Two loops whose gradients read the same copy of the input."""


@pytest.mark.parametrize("cell", ["lstm(x[t], units=5)", "tanh(W @ x[t-2] + U @ h[t-1] + b)", BOTH_WAYS])
def test_the_parts_of_a_gradient_add_up(cell: str, tmp_path: Path) -> None:
    parts_add_up(cell, tmp_path)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            "",
            "loss = float(matmul(w.ddifference.reshape(w.T, 1, -1), w.ddifference.reshape(w.T, -1, 1)).sum() * w.share * 0.2)",
        ),
        (
            "  truncation: tbptt(2, 4)\n",  # where steps differ in what they weigh
            'loss = float((einsum("tnb,tnb->tb", w.ddifference, w.ddifference) * w.share[:, 0]).sum() * 0.2)',
        ),
    ],
)
def test_a_loss_of_squares_is_one_operation(tmp_path: Path, setting: str, line: str) -> None:
    made = script(tmp_path, "rnn(x[t], units=5)", setting)
    assert line in inspect.getsource(made.forward)
    given, params = batch(), made.init(0)
    wanted = np.mean((made.predict(params, {"x": given["x"]})["h"] - given["target"]) ** 2)
    assert made.loss(params, given) == pytest.approx(wanted, rel=1e-14)


def unequal(folder: Path) -> Path:
    """A spec whose sequences differ in length, and whose loss is a product with the state."""
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", X=rng.normal(size=(4, 8, 3)), Y=rng.normal(size=(4, 8, 5)), L=rng.integers(2, 9, 4))
    text = (
        SPEC.format(cell="gru(x[t], units=5)", setting="").replace('"Y"]', '"Y", "L"]').replace("size=3)", "size=3, length=L)")
    )
    spec = folder / "spec.rnn"
    spec.write_text(text.replace("mse(", "dot("))
    return spec


def weighed_in_a_loop(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The gradient of such sequences, where a loop reads what their steps weigh."""
    patch.setattr(hoist, "SMALL", 0)
    compiled = compile_spec(unequal(folder))
    assert re.search(r"(?m)^        multiply\(share, target, \w+\)$", compiled.source)
    compiled.verify(quick=True).require()


def test_a_loop_reads_what_the_steps_of_this_batch_weigh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed_in_a_loop(tmp_path, monkeypatch)


@pytest.mark.parametrize("spec", [*sorted(FOLDER.glob("*.rnn")), None], ids=lambda spec: spec.stem if spec else "unequal")
def test_a_batch_is_copied_into_arrays_that_loops_hold_views_of(spec: Path | None, tmp_path: Path) -> None:
    """No array of a workspace is ever another one: only numbers are new in each batch."""
    compiled = compile_spec(spec or unequal(tmp_path))
    made, at = compiled.load(), probe(compiled.spec.model, 0, 7, 2)
    first = dict(vars(made.prepare(at.batch, np.dtype(np.float64), step=1)))
    again = vars(made.prepare(at.batch, np.dtype(np.float64), step=2))
    arrays = [name for name, value in first.items() if isinstance(value, np.ndarray)]
    assert len(arrays) > 5
    assert all(again[name] is first[name] for name in arrays)


def test_loops_convert_no_numbers() -> None:
    """NumPy takes longer to read a number of Python than to add up a thousand of its own."""
    for spec in sorted(FOLDER.glob("*.rnn")):
        inside = re.findall(r"(?m)^        (?:add|subtract|multiply|divide)\(.*\)$", compile_spec(spec).source)
        assert inside
        assert not [call for call in inside if re.search(r"[(, ][\d.e-]+[,)]", call)], spec.name
