"""Every data source and every encoding, in generated scripts: what comes out as batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest

from rnnspec.frontend.columns import SOURCES
from rnnspec.frontend.encodings import ENCODINGS
from rnnspec.frontend.settings import SETTINGS
from rnnspec.frontend.typed import Data, Encoding, Input, Model, Number, Setting, Target
from rnnspec.script.body import Body
from rnnspec.script.encodings import ROWS
from rnnspec.script.layout import Layout
from rnnspec.script.render import render
from rnnspec.script.sources import CONVENTIONS
from tests.hand_written import elman, load, setting, values
from tests.test_script_frame import TEMPLATES, uses
from tests.test_tasks import EVERY

SEQUENCES = 60

EMPTY = Body(
    functions=(),
    text="def allocate(T, B, dtype):\n    return None\n\n\ndef carry(old, new):\n    pass",
    layout=Layout({}, (), (), (), trainable=0, size=0),
    outputs=(),
    inputs=(),
    reads=frozenset(),
    carried=(),
)
"""Nothing is computed: these tests look at the data only."""

Kind = Literal["ids", "real", "classes"]


def one_hot(column: str = "ids", size: int | None = None) -> Setting:
    return setting("one_hot", column=column, size=size, length=None)


def script(
    source: Setting,
    x: tuple[Setting, Kind, int],
    y: tuple[Setting, Kind, int],
    *more: tuple[str, Setting, Kind, int, str],
    y_when: Literal["step", "sequence"] = "step",
    **data: Any,
) -> ModuleType:
    """A script that reads x and y, and `more` inputs (name, call, encoding, size, when), from a source."""
    inputs = [Input("x", (x[2],), "step", x[1])]  # type: ignore[arg-type]
    inputs += [Input(name, (size,), when, kind) for name, _, kind, size, when in more]  # type: ignore[arg-type]
    target = Target("y", (y[2],), y_when, y[1])  # type: ignore[arg-type]
    encodings = [Encoding("x", x[0]), *(Encoding(name, call) for name, call, *_ in more), Encoding("y", y[0])]
    masked = bool(dict(x[0].arguments).get("length"))
    model = Model(tuple(inputs), (target,), (), (), (), Number(0.0, when="sequence"), masked=masked)
    base = elman()
    train = replace(base.train, batch=7, truncation=data.pop("truncation", None))
    stream = source.name in ("text", "csv")
    given = dict(source.arguments).get("path", ())
    files = given if isinstance(given, tuple) else (given,) if isinstance(given, Path) else ()
    made = Data(source, tuple(encodings), stream=stream, files=files, **data)
    spec = replace(base, model=model, data=made, train=train, path=Path("/nowhere/a.rnn"))
    return load(render(spec, EMPTY))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    return tmp_path


def test_every_source_and_encoding_is_tested() -> None:
    tested = Path(__file__).read_text()
    for name in {*SETTINGS["source"], *ROWS}:
        assert f'setting("{name}"' in tested or name in {*EVERY, "ts", "digits", "npy", "jsonl", "labels"}, name


FACTS = {"vocabulary", "file", "files", "whole", "dtype", "labels", *CONVENTIONS}
"""What templates of sources may name beside the arguments."""


def test_a_source_has_a_row_in_each_table() -> None:
    templates = {path.name.partition(".")[0]: path for path in TEMPLATES if path.parent.name == "sources"}
    assert list(SETTINGS["source"]) == list(SOURCES)
    assert set(SOURCES) == set(templates)
    assert set(ROWS) == set(ENCODINGS) == {*SETTINGS["inputs"], *SETTINGS["targets"]}
    for name, row in SETTINGS["source"].items():
        assert set(uses(templates[name].read_text())) <= {argument.name for argument in row.arguments} | FACTS


# ------------------------------------------------------------------ streams


def text_script(folder: Path, content: str, vocabulary: str, **data: Any) -> ModuleType:
    (folder / "a.txt").write_text(content, encoding="utf-8")
    size = len(vocabulary)
    source = setting("text", path=(Path("/nowhere/a.txt"),), unit="char", boundary=None, most=None)
    y = setting("next", columns="ids", steps=1)
    return script(source, (one_hot(), "ids", size), (y, "classes", size), vocabulary=tuple(vocabulary), **data)


def test_text_in_sequences(folder: Path) -> None:
    found = values(text_script(folder, "abcd" * 30 + "\u00e9\U0001f600", "abcd\u00e9\U0001f600", sequence=8))
    assert found["x"].shape == (15, 8)
    assert found["x"].ravel().tolist() == [0, 1, 2, 3] * 30
    assert found["y"].ravel().tolist() == ([0, 1, 2, 3] * 30)[1:] + [4]


def test_text_in_lanes_and_windows(folder: Path) -> None:
    content = "".join("abcde"[k * k % 5] for k in range(100))
    made = text_script(folder, content, "abcde", truncation=setting("tbptt", k1=5, k2=None))
    windows = list(made.batches("train"))
    assert [w["x"].shape for w in windows] == [(7, 5), (7, 5), (7, 4)]
    assert [w["fresh"] for w in windows] == [True, False, False]
    lanes = np.concatenate([w["x"] for w in windows], axis=1)
    assert ["abcde"[i] for i in lanes.ravel()] == list(content[:98])
    assert [w["x"].tolist() for w in made.batches("train", epoch=1)] == [w["x"].tolist() for w in windows]


def test_split_cuts_a_stream_in_order(folder: Path) -> None:
    split = (("train", 0.6), ("valid", 0.3), ("test", 0.1))
    made = text_script(folder, "a" * 60 + "b" * 30 + "c" * 10, "abc", sequence=3, split=split)
    for number, name in enumerate(("train", "valid", "test")):
        assert set(values(made, name)["x"].ravel()) == {number} == set(values(made, name)["y"].ravel())


def test_text_with_unknown_characters_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match="symbols"):
        values(text_script(folder, "abcx" * 10, "abc", sequence=2))


def test_missing_file_and_too_little_data(folder: Path) -> None:
    made = text_script(folder, "abc", "abc", sequence=10)
    with pytest.raises(SystemExit, match="too little data"):
        values(made)
    (folder / "a.txt").unlink()
    with pytest.raises(SystemExit, match="--data"):
        values(made)


def test_python_docs() -> None:
    from pydoc_data.topics import topics

    vocabulary = "".join(sorted(set("".join(topics.values())) | {"\n"}))
    source = setting("text", path="python_docs", unit="char", boundary=None, most=None)
    y = setting("next", columns="ids", steps=1)
    size = len(vocabulary)
    made = script(source, (one_hot(), "ids", size), (y, "classes", size), vocabulary=tuple(vocabulary), sequence=50)
    assert values(made)["x"].size > 100_000


def csv_script(folder: Path, normalize: str, steps: int, **data: Any) -> ModuleType:
    rows = [f"{k},{k * k / 10},{-k}" for k in range(100)]
    (folder / "a.csv").write_text("\n".join(["load,temp,other", *rows]))
    source = setting("csv", path=Path("/nowhere/a.csv"), columns=["load", "temp"], normalize=normalize, missing="refuse")
    x = setting("columns", names=["load", "temp"])
    y = setting("next", columns=["load", "temp"], steps=steps)
    return script(source, (x, "real", 2), (y, "real", 2 * steps), **data)


def test_csv_in_sequences_with_several_steps_ahead(folder: Path) -> None:
    found = values(csv_script(folder, "none", 3, sequence=10))
    assert found["x"].shape == (9, 10, 2) and found["x"].dtype == np.float64
    assert found["x"][4, 7].tolist() == [47.0, 220.9]
    want = [48, 230.4, 49, 240.1, 50, 250]
    np.testing.assert_allclose(found["y"][4, 7], want, rtol=1e-6)


def test_csv_is_normalised_by_its_training_part(folder: Path) -> None:
    made = csv_script(folder, "zscore", 1, sequence=5, split=(("train", 0.5), ("valid", 0.5)))
    column = np.arange(100.0)
    mean, std = column[:50].mean(), column[:50].std()
    np.testing.assert_allclose(values(made)["x"][..., 0].ravel(), (column[:45] - mean) / std, rtol=1e-5)
    np.testing.assert_allclose(values(made, "valid")["y"][0, :, 0], (column[51:56] - mean) / std, rtol=1e-5)


# ------------------------------------------------------------------ sets of sequences


def test_adding() -> None:
    x, y = setting("vectors", array="x", size=2, length=None), setting("values", array="y", size=1)
    found = values(script(setting("adding", length=10, sequences=SEQUENCES), (x, "real", 2), (y, "real", 1), y_when="sequence"))
    numbers, marks = found["x"][..., 0], found["x"][..., 1]
    assert found["x"].shape == (SEQUENCES, 10, 2) and found["y"].shape == (SEQUENCES, 1)
    assert (marks[:, :5].sum(1) == 1).all() and (marks[:, 5:].sum(1) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(1), found["y"][:, 0], rtol=1e-6)


@pytest.mark.parametrize("delay", [0, 4])
def test_copy_task(delay: int) -> None:
    source = setting("copy_task", symbols=5, length=3, delay=delay, sequences=SEQUENCES)
    found = values(script(source, (one_hot(size=7), "ids", 7), (setting("classes", array="out", count=7), "classes", 7)))
    ids, out = found["x"], found["y"]
    assert ids.shape == out.shape == (SEQUENCES, 6 + delay)
    assert (ids[:, :3] == out[:, -3:]).all() and set(ids[:, :3].ravel()) == {1, 2, 3, 4, 5}
    assert (ids[:, 3 + delay] == 6).all() and (out[:, : 3 + delay] == 0).all()


@pytest.mark.parametrize("delay", [0, 2, 7])
def test_recall(delay: int) -> None:
    source = setting("recall", symbols=4, length=8, delay=delay, sequences=SEQUENCES)
    y = setting("classes", array="out", count=5)
    found = values(script(source, (one_hot(size=5), "ids", 5), (y, "classes", 5)))
    ids, out = found["x"], found["y"]
    for step in range(8):
        assert (out[:, step] == (ids[:, step - delay] if step >= delay else 0)).all()


def test_teacher_forcing_reads_the_targets_own_column() -> None:
    source = setting("recall", symbols=4, length=8, delay=2, sequences=SEQUENCES)
    y, prev = setting("classes", array="out", count=5), setting("current", column="out")
    found = values(script(source, (one_hot(size=5), "ids", 5), (y, "classes", 5), ("prev", prev, "ids", 5, "step")))
    assert (found["prev"] == found["y"]).all()


def test_next_in_a_set_of_sequences_ends_one_step_early() -> None:
    source = setting("recall", symbols=4, length=8, delay=2, sequences=SEQUENCES)
    y = setting("next", columns="ids", steps=1)
    found = values(script(source, (one_hot(size=5), "ids", 5), (y, "classes", 5)))
    assert found["x"].shape == found["y"].shape == (SEQUENCES, 7)
    assert (found["x"][:, 1:] == found["y"][:, :-1]).all()


def npz_script(folder: Path, **arrays: Any) -> ModuleType:
    rng = np.random.default_rng(0)
    content = {"X": rng.standard_normal((20, 6, 3)), "length": 1 + np.arange(20) % 6, "label": np.repeat([0, 1], 10)}
    content["a"] = content["X"][:, 0] * 10
    np.savez(folder / "a.npz", **{**content, **arrays})
    source = setting("npz", path=Path("/nowhere/a.npz"), arrays=["X", "length", "label", "a"])
    x, y = setting("vectors", array="X", size=3, length="length"), setting("classes", array="label", count=2)
    a = setting("vector", array="a", size=3)
    split = (("train", 0.5), ("valid", 0.5))
    more: tuple[str, Setting, Kind, int, str] = ("a", a, "real", 3, "sequence")
    return script(source, (x, "real", 3), (y, "classes", 2), more, y_when="sequence", split=split)


def test_npz_with_lengths(folder: Path) -> None:
    made = npz_script(folder)
    train = values(made)
    np.testing.assert_allclose(train["a"], train["x"][:, 0] * 10, rtol=1e-6)  # rows stay together
    assert set(train["y"]) == {0, 1}, "a sorted file must be shuffled before it is cut"
    outside = np.arange(6) >= train["length"][:, None]
    assert (train["x"][outside] == 0).all() and (train["x"][~outside] != 0).all()
    batches = list(made.batches("train", seed=1, epoch=2))
    assert [len(b["x"]) for b in batches] == [7, 3]
    assert all(b["x"].shape[1] == b["length"].max() for b in batches)
    again, other = (np.concatenate([b["length"] for b in made.batches("train", 1, e)]) for e in (2, 3))
    assert (np.concatenate([b["length"] for b in batches]) == again).all() and (again != other).any()


@pytest.mark.parametrize(
    "wrong",
    [{"length": np.full(20, 7)}, {"length": np.zeros(20)}, {"label": np.full(20, 2)}, {"label": np.full(20, -1)}],
    ids=["too long", "no steps", "class too high", "class below 0"],
)
def test_npz_with_wrong_numbers_is_refused(wrong: dict[str, np.ndarray], folder: Path) -> None:
    with pytest.raises(SystemExit, match="length|whole numbers"):
        values(npz_script(folder, **wrong))


def test_windows_of_sequences(folder: Path) -> None:
    source = setting("recall", symbols=4, length=8, delay=2, sequences=9)
    y = setting("classes", array="out", count=5)
    made = script(source, (one_hot(size=5), "ids", 5), (y, "classes", 5), truncation=setting("tbptt", k1=3, k2=None))
    found = list(made.batches("train"))
    assert [(b["x"].shape, b["fresh"]) for b in found] == [
        ((7, 3), True), ((7, 3), False), ((7, 2), False), ((2, 3), True), ((2, 3), False), ((2, 2), False)
    ]  # fmt: skip
