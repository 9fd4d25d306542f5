"""Lines of JSON, and arrays that stay in their files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check

SPEC = """\
rnnspec: 1
data:
  source: {source}
inputs:
  x: {x}
targets:
  y: {y}
model: |
  h[t] = rnn(x[t], units=3)
  s = W_s @ h[T] + b_s
loss: cross_entropy(s, y)
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 3
"""
JSONL = {
    "source": 'jsonl("a.jsonl", fields=["ids", "pair", "label"])',
    "x": "one_hot(ids, length=length)",
    "y": "classes(label, count=3)",
}
ROWS = [
    {"ids": [row % 4, 1, *[2] * (row % 3)], "pair": [[row, 0.5]] * (2 + row % 3), "label": "cab"[row % 3], "more": None}
    for row in range(9)
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    return tmp_path


def compiled(folder: Path, **words: str) -> Compiled:
    """A small classifier."""
    (folder / "model.rnn").write_text(SPEC.format(**words))
    return compile_spec(folder / "model.rnn")


def test_lines_of_json(folder: Path) -> None:
    made = compiled(folder, **JSONL)
    script = made.load()
    found = script.source()
    assert made.spec.model.shape_of("x") == (4,)
    for row, given in enumerate(ROWS):
        steps = len(given["ids"])
        assert found["length"][row] == steps and found["label"][row] == "abc".index(given["label"])
        assert found["ids"][row, :steps].tolist() == given["ids"] and (found["ids"][row, steps:] == 0).all()
        assert found["pair"][row, :steps].tolist() == given["pair"] and found["pair"].shape == (9, 4, 2)
    script.train(report=lambda event: None)


WRONG = {
    "no JSON": ('{"ids": [1], "pair": [[1, 2]], "label": "a"}\n{"ids": [1,}', "line 2 of `a.jsonl` is not JSON"),
    "no object": ("[1, 2]", "line 1 of `a.jsonl` must be a JSON object"),
    "a field is missing": ('{"ids": [1], "label": "a"}', "line 1 of `a.jsonl` has no field `pair`"),
    "another kind": (
        '{"ids": [1], "pair": [[1, 2]], "label": "a"}\n{"ids": [1], "pair": [[1, 2]], "label": 1}',
        "`label` in line 2 of `a.jsonl` is a number",
    ),
    "other lengths": ('{"ids": [1, 2], "pair": [[1, 2]], "label": "a"}', "the lists in line 1"),
    "null": ('{"ids": [null], "pair": [[1, 2]], "label": "a"}', "the field `ids` in line 1 of `a.jsonl` cannot be used"),
    "ragged": ('{"ids": [1, 2], "pair": [[1, 2], [1]], "label": "a"}', "the field `pair` in line 1"),
    "nothing": ("\n\n", "has no lines"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_lines(case: str, folder: Path) -> None:
    content, message = WRONG[case]
    (folder / "a.jsonl").write_text(content)
    checked, found = check(SPEC.format(**JSONL).encode(), name=str(folder / "model.rnn"))
    assert checked is None and found[0].code == "E0703" and message in render(found[0])


# ------------------------------------------------------------------ one array a file

NPY = {"source": 'npy(["X.npy", "kind.npy"])', "x": "vectors(X, size=2)", "y": "classes(kind, count=3)"}


def test_arrays_of_files(folder: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {"X": random.standard_normal((8, 5, 2)).astype(np.float32), "kind": random.integers(0, 3, 8)}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    script = compiled(folder, **NPY).load()
    places, steps = script.dataset()[1]["train"]
    found = script.examples("train", np.arange(8), 0, steps)
    assert sorted(places) == list(range(8)) != list(places)
    assert (found["x"] == arrays["X"][places]).all() and (found["y"] == arrays["kind"][places]).all()


WRONG_ARRAYS = {
    "no array": ({"X": b"text"}, "not an array of NumPy"),
    "objects": ({"X": np.array([{}])}, "not an array of NumPy"),
    "texts": ({"X": np.array([["a"]])}, "must hold numbers"),
    "other counts": ({"kind": np.zeros(7, int)}, "different numbers of sequences"),
    "a class too many": ({"kind": np.full(8, 3)}, "does not fit into 3 classes"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays(case: str, folder: Path) -> None:
    wrong, message = WRONG_ARRAYS[case]
    for name, array in ({"X": np.zeros((8, 5, 2)), "kind": np.zeros(8, int)} | wrong).items():
        if isinstance(array, bytes):
            (folder / f"{name}.npy").write_bytes(array)
        else:
            np.save(folder / f"{name}.npy", array)
    checked, found = check(SPEC.format(**NPY).encode(), name=str(folder / "model.rnn"))
    assert checked is None and message in render(found[0])


BATCH = """\
import resource, runpy
resource.setrlimit(resource.RLIMIT_DATA, (300_000_000, 300_000_000))
script = runpy.run_path("train.py")
print(next(script["batches"]("train", seed=1))["x"].shape)
"""


def test_arrays_that_do_not_fit_into_memory_are_drawn_from(folder: Path) -> None:
    np.save(folder / "kind.npy", np.zeros(800, int))
    large = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=(800, 500_000, 2))  # 3.2 GB of holes
    large[:, 0] = 1.0
    del large
    made = compiled(folder, **NPY)
    command = [sys.executable, "-c", BATCH]
    results = []
    for source in (made.source, made.source.replace('mmap_mode="r", ', "")):
        (folder / "train.py").write_text(source)
        results.append(subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"RNNSPEC_DATA": "."}))
    assert results[0].stdout == "(4, 500000, 2)\n", results[0].stderr[-500:]
    assert "MemoryError" in results[1].stderr, "the limit holds"
