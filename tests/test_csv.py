"""Tables: missing numbers, normalisation, forecasts, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check
from tests.hand_written import values

SPEC = """\
rnnspec: 1
data:
  source: csv("a.csv", columns=["u", "v"]{more})
  sequence: 5
  split: {{train: 0.5, valid: 0.5}}
inputs:
  x: columns(["u", "v"])
targets:
  y: next(["v"], steps={steps})
model: |
  h[t] = rnn(x[t], units=3)
  s[t] = W_s @ h[t] + b_s
loss: mse(s[t], y[t])
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    return tmp_path


def compiled(folder: Path, cells: list[str], more: str = "", steps: int = 1) -> Compiled:
    """A forecast from a table: u counts, v has these cells."""
    (folder / "a.csv").write_text("u,other,v\n" + "".join(f"{row},x,{cell}\n" for row, cell in enumerate(cells)))
    (folder / "model.rnn").write_text(SPEC.format(more=more, steps=steps))
    return compile_spec(folder / "model.rnn")


CELLS = ["1", "", "NaN", "7", "?", "3", *(str(row) for row in range(6, 18)), "", "NA"]
FILLED = {
    "forward": [1, 1, 1, 7, 7, 3, *range(6, 18), 17, 17],
    "linear": [1, 3, 5, 7, 5, 3, *range(6, 18), 17, 17],
    "mean": [1, 5.875, 5.875, 7, 5.875, 3, *range(6, 18), 5.875, 5.875],  # (1 + 7 + 3 + 6 + 7 + 8 + 9) / 7 = 41 / 7
}


@pytest.mark.parametrize("fill", FILLED)
def test_missing_numbers(fill: str, folder: Path) -> None:
    found = compiled(folder, CELLS, f', missing="{fill}"').load().source()
    want = [41 / 7 if value == 5.875 else value for value in FILLED[fill]]
    np.testing.assert_allclose(found["v"], want, rtol=1e-12)
    assert found["u"].tolist() == list(range(20))


def test_the_training_part_alone_decides_how_numbers_are_scaled(folder: Path) -> None:
    """What comes after the training part can be anything: inputs of the training part stay the same to the last bit."""
    first = [str(row * row) for row in range(20)]
    one = values(compiled(folder, [*first, *["5"] * 20], ', normalize="zscore"').load())
    other = values(compiled(folder, [*first, *["-900"] * 20], ', normalize="zscore"').load())
    assert (one["x"] == other["x"]).all() and (one["y"] == other["y"]).all()
    fitted = np.array(first, float)
    np.testing.assert_allclose(one["x"][..., 1].ravel(), ((fitted - fitted.mean()) / fitted.std())[:15], rtol=1e-12)


@pytest.mark.parametrize("fill", ["mean", "forward"])
def test_filling_does_not_look_ahead(fill: str, folder: Path) -> None:
    first = ["4", "", *(str(row) for row in range(18))]
    one = values(compiled(folder, [*first, *["5"] * 20], f', missing="{fill}"').load())
    other = values(compiled(folder, [*first, *["-900"] * 20], f', missing="{fill}"').load())
    assert (one["x"] == other["x"]).all()


def test_a_forecast_over_several_steps(folder: Path) -> None:
    found = values(compiled(folder, [str(row * 10) for row in range(40)], steps=3).load())
    assert found["y"].shape == (3, 5, 3)  # 20 steps, of which the last 3 have no target, in sequences of 5
    for start in range(3):
        for t in range(5):
            step = 5 * start + t
            assert found["x"][start, t].tolist() == [step, 10 * step]
            assert found["y"][start, t].tolist() == [10 * (step + 1), 10 * (step + 2), 10 * (step + 3)]


@pytest.mark.parametrize(
    ("cells", "more", "note"),
    [
        (["1", "", "3"], "", 'line 3 has nothing: fill it in, or write `missing="forward"`'),
        (["1", "NA", "3"], "", "line 3 has `NA`"),
        (["", "2", "3"], ', missing="forward"', "line 2 has nothing, and there is no number before it"),
        (["1", "2", "n/a"], ', missing="mean"', "line 4 has `n/a`: write a number there"),
        (["1", "2", "inf"], ', missing="mean"', "line 4 has `inf`"),
        (["", "", ""], ', missing="linear"', "has no number at all"),
        (["1"], "", "fewer than two rows"),
    ],
)
def test_what_is_refused(cells: list[str], more: str, note: str, folder: Path) -> None:
    (folder / "a.csv").write_text("u,v\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))
    checked, found = check(SPEC.format(more=more, steps=1).encode(), name=str(folder / "model.rnn"))
    assert checked is None and found[0].code == "E0703" and note in render(found[0])


@pytest.mark.parametrize(
    ("cell", "note"), [("1,", None), ("1, ", None), ("1,2", "line 4 has more than the 3 of the first line")]
)
def test_a_row_with_too_many_values_is_refused(folder: Path, cell: str, note: str | None) -> None:
    cells = [str(row) for row in range(20)]
    compiled(folder, cells)
    (folder / "a.csv").write_text("u,other,v\n" + "".join(f"1,x,{cell if row == 2 else row}\n" for row in range(20)))
    _, found = check(folder / "model.rnn")
    assert [(error.message, error.notes) for error in found] == (
        [("a row of `a.csv` has too many values", (("note", note),))] if note else []
    )


def test_a_folder_is_no_data_file(folder: Path) -> None:
    (folder / "a.csv").mkdir()
    _, (found,) = check(SPEC.format(more="", steps=1).encode(), name=str(folder / "model.rnn"))
    assert found.message == f"`{folder / 'a.csv'}` is a folder, not a data file"
