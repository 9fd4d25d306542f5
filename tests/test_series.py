"""Files of the UCR/UEA archive, and data that comes with packages."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnspec.commands.resolved import resolve
from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check
from rnnspec.frontend.packages import PACKAGED

SPEC = """\
rnnspec: 1
data:
  source: {source}
  split: {{train: 0.75, valid: 0.25}}
inputs:
  x: vectors(x, size={size}, length=length)
targets:
  label: {target}
model: |
  h[t] = gru(x[t], units=6)
  s = W_s @ h[T] + b_s
loss: {loss}(s, label)
train:
  optimizer: adam(lr=1e-2)
  batch: 4
  epochs: 2
"""
HEAD = "# made by hand\n@problemName Letters\n@univariate false\n@equalLength false\n@classLabel true up down\n@data\n"


def line(row: int, first: int = 0) -> str:
    """A series of two dimensions: its row, and the steps."""
    steps = range(1, 3 + row % 4)
    return ":".join([",".join(f"{first + row}.5" for _ in steps), ",".join(map(str, steps)), ("up", "down")[row % 3 > 0]])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    (tmp_path / "a_TRAIN.ts").write_text(HEAD + "\n".join(line(row) for row in range(12)))
    (tmp_path / "a_TEST.ts").write_text(HEAD + "\n".join(line(row, 100) for row in range(7)))
    return tmp_path


def text(source: str = 'ts("a_TRAIN.ts", test="a_TEST.ts")', target: str = "classes(label, count=2)", size: int = 2) -> str:
    """A classifier of series, or a regression."""
    return SPEC.format(source=source, target=target, size=size, loss="cross_entropy" if "classes" in target else "mse")


def compiled(folder: Path, **words: str) -> Compiled:
    """The classifier in a folder."""
    (folder / "model.rnn").write_text(text(**words))  # type: ignore[arg-type]
    return compile_spec(folder / "model.rnn")


def test_series_of_unequal_length_with_a_test_part_of_its_own(folder: Path) -> None:
    script = compiled(folder).load()
    columns, parts = script.dataset()
    rows = {split: places.tolist() for split, (places, _) in parts.items()}
    assert [len(rows[split]) for split in ("train", "valid", "test")] == [9, 3, 7]
    assert sorted(rows["train"] + rows["valid"]) == list(range(12)) != rows["train"] + rows["valid"]
    assert rows["test"] == list(range(12, 19))
    for row in range(19):
        first, steps = (row, 2 + row % 4) if row < 12 else (100 + row - 12, 2 + (row - 12) % 4)
        number = row if row < 12 else row - 12
        assert columns["length"][row] == steps and columns["label"][row] == (number % 3 > 0)
        assert columns["x"][row, :steps].tolist() == [[first + 0.5, float(step)] for step in range(1, steps + 1)]
        assert (columns["x"][row, steps:] == 0).all()
    events: list[dict[str, object]] = []
    script.train(report=events.append)
    assert "test/loss" in events[-1]


def test_numbers_as_labels(folder: Path) -> None:
    head = "@problemName Sums\n@univariate true\n@targetlabel true\n@data\n"
    (folder / "a.ts").write_text(head + "".join(f"{row},2,3:{row + 5}.25\n" for row in range(8)))
    found = compiled(folder, source='ts("a.ts")', target="values(y, size=1)", size=1).load().source()  # type: ignore[arg-type]
    assert found["y"].tolist() == [row + 5.25 for row in range(8)] and found["x"].shape == (8, 3, 1)


WRONG = {
    "no data": ("@classLabel true up down\n", "no line `@data`"),
    "time stamps": (HEAD.replace("@data", "@timeStamps true\n@data") + line(0), "time stamps"),
    "no series": (HEAD, "no series"),
    "another class": (HEAD + line(0) + "\n" + line(1).replace("down", "left"), "line 8 of `b.ts` has the class `left`"),
    "a missing value": (HEAD + line(0) + "\n1,?:2,3:up", "line 8 of `b.ts` has `?`"),
    "a dimension that is too short": (HEAD + line(0) + "\n1,2:3:up", "line 8 of `b.ts`"),
    "another number of dimensions": (HEAD + line(0) + "\n1,2:up", "different numbers of dimensions"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(case: str, folder: Path) -> None:
    content, message = WRONG[case]
    (folder / "b.ts").write_text(content)
    checked, found = check(text('ts("b.ts")').encode(), name=str(folder / "model.rnn"))
    assert checked is None and found[0].code == "E0703" and message in render(found[0])


def test_the_test_part_cannot_be_split_off_twice(folder: Path) -> None:
    both = text().replace("valid: 0.25", "valid: 0.15, test: 0.1")
    checked, found = check(both.encode(), name=str(folder / "model.rnn"))
    assert checked is None and found[0].code == "E0606" and "a file of its own" in found[0].message


def test_the_resolved_spec_means_the_same(folder: Path) -> None:
    made = compiled(folder)
    again, found = check(resolve(folder / "model.rnn", [], made.spec).encode(), name=str(folder / "again.rnn"))
    assert again is not None, found
    assert again.data.held_out == 7 and dict(again.data.split) == pytest.approx(dict(made.spec.data.split), abs=1e-9)


# ------------------------------------------------------------------ packages


def made_up(folder: Path, word: str, contents: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that has the files of a word, and cannot be imported."""
    site = folder / "site"
    for file, content in zip(PACKAGED[word], contents, strict=True):
        path = site / file.package / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        (site / file.package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()


def test_data_of_a_package_that_is_not_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [(folder / f"a_{part}.ts").read_bytes() for part in ("TRAIN", "TEST")]
    made_up(folder, "japanese_vowels", contents, monkeypatch)
    made = compiled(folder, source="ts(japanese_vowels)")
    want, got = compiled(folder).load().source(), made.load().source()
    assert all((got[name] == want[name]).all() for name in want)
    assert "aeon" not in sys.modules and "--data" not in made.source


@pytest.mark.parametrize(
    ("source", "install"),
    [("ts(basic_motions)", "aeon"), ('csv(sunspots, columns=["SUNACTIVITY"])', "statsmodels"), ("digits", "scikit-learn")]
    + [('csv(sf_temps, columns=["temp"])', "vega_datasets")],
)
def test_packages_that_are_not_installed(source: str, install: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.frontend.packages.find_spec", lambda name: None)
    checked, found = check(text(source).encode())
    assert checked is None and found[0].code == "E0703" and f"pip install {install}" in render(found[0])


def test_a_script_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [(folder / f"a_{part}.ts").read_bytes() for part in ("TRAIN", "TEST")]
    made_up(folder, "basic_motions", contents, monkeypatch)
    script = compiled(folder, source="ts(basic_motions)").load()
    script.find_spec = lambda name: None  # type: ignore[attr-defined]
    with pytest.raises(SystemExit, match="pip install aeon"):
        script.dataset()


FACTS = {
    "ts(japanese_vowels)": ("aeon", {"x": (640, 29, 12), "length": (640,), "label": (640,)}),
    "ts(basic_motions)": ("aeon", {"x": (80, 100, 6), "length": (80,), "label": (80,)}),
    "digits": ("sklearn", {"x": (1797, 8, 8), "label": (1797,)}),
}


@pytest.mark.parametrize("source", FACTS)
def test_the_real_files(source: str, folder: Path) -> None:
    package, shapes = FACTS[source]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    _, size = shapes["x"][1:]
    count = {"ts(japanese_vowels)": 9, "ts(basic_motions)": 4, "digits": 10}[source]
    words = text(source, f"classes(label, count={count})", size)
    (folder / "model.rnn").write_text(words if "length" in shapes else words.replace(", length=length", ""))
    found = compile_spec(folder / "model.rnn").load().source()
    assert {name: array.shape for name, array in found.items()} == shapes
    assert set(found["label"]) == set(range(count)) and np.isfinite(found["x"]).all()
