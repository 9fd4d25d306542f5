"""Texts: by character, word or byte, from one file or several; and one that is larger than the memory of its process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check

SPEC = """\
rnnspec: 1
data:
  source: '{source}'
  sequence: 5
inputs:
  x: one_hot(ids)
targets:
  target: next(ids)
model: |
  h[t] = rnn(x[t], units=3)
  y[t] = W_y @ h[t] + b_y
loss: cross_entropy(y[t], target[t])
train:
  optimizer: sgd(lr=0.1)
  batch: 4
  steps: 3
monitor:
  sample: 7
"""
FIRST = "The cat sat.\nThe dog, too!\n"
SECOND = "Na\u00efve cats sit\u2026 the end\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    (tmp_path / "a.txt").write_text(FIRST, encoding="utf-8")
    (tmp_path / "b.txt").write_text(SECOND, encoding="utf-8")
    return tmp_path


def compiled(folder: Path, source: str) -> Compiled:
    """A small language model of a text."""
    (folder / "model.rnn").write_text(SPEC.format(source=source))
    return compile_spec(folder / "model.rnn")


def stream(made: Compiled, script: ModuleType) -> list[str]:
    """The symbols of a text, one after another, as the script reads them."""
    ids = script.source()["ids"]
    assert made.spec.model.shape_of("y") == (len(made.spec.data.vocabulary),)
    return [made.spec.data.vocabulary[i] for i in ids[np.arange(len(ids))]]


@pytest.mark.parametrize("source", ["a.txt", "b.txt"])
def test_characters_and_bytes(source: str, folder: Path) -> None:
    text = (folder / source).read_text(encoding="utf-8")
    made = compiled(folder, f'text("{source}")')
    assert stream(made, made.load()) == list(text)
    batch = next(made.load().batches("train"))
    assert batch["x"].dtype == batch["target"].dtype == int, "PyTorch would take the small numbers of the column for a mask"
    made = compiled(folder, f'text("{source}", unit="byte")')
    assert stream(made, made.load()) == [chr(byte) for byte in text.encode()]


def test_words(folder: Path) -> None:
    made = compiled(folder, 'text("a.txt", unit="word")')
    script = made.load()
    want = ["The", "cat", "sat", ".", "\n", "The", "dog", ",", "too", "!", "\n"]
    assert stream(made, script) == want and made.spec.data.vocabulary == tuple(sorted(set(want)))
    assert script.spelled(script.numbers(FIRST)) == "The cat sat .\nThe dog , too ! \n"
    assert script.numbers("The elephant").tolist() == [made.spec.data.vocabulary.index("The"), -1]


def test_the_most_frequent_words(folder: Path) -> None:
    (folder / "c.txt").write_text("a a a b b c d e a b")
    made = compiled(folder, 'text("c.txt", unit="word", most=3)')
    script = made.load()
    assert stream(made, script) == ["a", "a", "a", "b", "b", "<unk>", "<unk>", "<unk>", "a", "b"]
    assert script.spelled(script.numbers("b zebra a")) == "b <unk> a"


@pytest.mark.parametrize(("unit", "boundary"), [("char", "|"), ("word", "</s>"), ("byte", "|")])
@pytest.mark.parametrize("files", ['["b.txt", "a.txt"]', '"?.txt"'])
def test_several_files_with_a_boundary(unit: str, boundary: str, files: str, folder: Path) -> None:
    made = compiled(folder, f'text({files}, unit="{unit}", boundary="{boundary}")')
    found, texts = stream(made, made.load()), [SECOND, FIRST] if files.startswith("[") else [FIRST, SECOND]
    cut = {"char": list, "word": re.compile(r"\w+|[^\w\s]|\n").findall, "byte": lambda text: [chr(b) for b in text.encode()]}
    assert found == [symbol for text in texts for symbol in [*cut[unit](text), boundary]]


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
def test_models_of_every_unit_train_and_write(unit: str, folder: Path) -> None:
    events: list[dict[str, object]] = []
    compiled(folder, f'text("b.txt", unit="{unit}")').load().train(report=events.append)
    (sample,) = [event["text"] for event in events if event["event"] == "sample"]
    assert isinstance(sample, str) and sample


@pytest.mark.parametrize(
    ("source", "message", "note"),
    [
        ('text("c.txt")', "`c.txt` does not exist", "relative to the folder of the spec"),
        ('text(["a.txt", "c.txt"], unit="byte")', "`c.txt` does not exist", "relative to the folder of the spec"),
        ('text("no*.txt")', "`no*.txt` does not exist", "relative to the folder of the spec"),
        ('text("bad.txt")', "`bad.txt` is not valid UTF-8", "line 2 has bytes that are not"),
        ('text("empty.txt", unit="byte")', "`empty.txt` is empty", ""),
        ('text("a.txt", most=5)', "`most` is for the words", ""),
        ('text("a.txt", boundary="ab")', "must be one character", ""),
        ('text("a.txt", unit="byte", boundary="\u00e9")', "must be one byte", ""),
        ('text("a.txt", unit="word", boundary="a b")', "must be one word", ""),
        ('text("a.txt", unit="letter")', 'must be "char" or "word" or "byte"', ""),
        ('text(python_docs, unit="byte")', "`python_docs` is no file", ""),
        ("text([])", "must name at least one file", ""),
    ],
)
def test_what_is_refused(source: str, message: str, note: str, folder: Path) -> None:
    (folder / "bad.txt").write_bytes(b"fine\n\xff\xfe\n")
    (folder / "empty.txt").write_bytes(b"")
    checked, found = check(SPEC.format(source=source).encode(), name=str(folder / "model.rnn"))
    assert checked is None
    assert message in found[0].message and note in render(found[0])


def test_words_are_not_cut_where_a_piece_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is a million characters; here it is five, in the compiler and in the script."""
    monkeypatch.setattr("rnnspec.frontend.texts.PIECE", 5)
    made = compiled(folder, 'text(["a.txt", "b.txt"], unit="word", boundary="</s>")')
    whole = made.load()
    small = ModuleType("train")
    exec(made.source.replace("1_000_000", "5"), small.__dict__)
    assert stream(made, small) == stream(made, whole)
    exec(made.source.replace("1_000_000", "5").replace("piece += more", "pass"), small.__dict__)
    with pytest.raises(SystemExit, match="symbols that it did not have"):
        small.source()


@pytest.mark.parametrize(("words", "dtype"), [(256, np.uint8), (257, np.uint16), (65_536, np.uint16), (65_537, np.uint32)])
def test_numbers_need_little_room(words: int, dtype: type, folder: Path) -> None:
    (folder / "c.txt").write_text(" ".join(f"w{number:06}" for number in range(words)))
    made = compiled(folder, 'text("c.txt", unit="word")')
    assert (made.load().source()["ids"] == np.arange(words)).all() and made.load().source()["ids"].dtype == dtype


BATCH = """\
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_DATA, (300_000_000, 300_000_000))
script = runpy.run_path("train.py")
batch = next(script["batches"]("train", seed=1))
print(batch["x"].shape, int(batch["x"].max()))
"""
SPLIT = "'\n  split: {train: 0.9, valid: 0.1}\n  #'"


def draw(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """A batch drawn by a script in a process that may use 300 MB."""
    (folder / "train.py").write_text(source.replace("SEQUENCE = 5 ", "SEQUENCE = 50_000 "))
    command = [sys.executable, "-c", BATCH]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"RNNSPEC_DATA": "."}, timeout=60)


def test_bytes_that_do_not_fit_into_memory_are_drawn_from(folder: Path) -> None:
    with (folder / "large.txt").open("wb") as file:
        file.write(b"some text ")
        file.truncate(2_000_000_000)  # the rest are zeros that take no place on the disk
    made = compiled(folder, f'text("large.txt", unit="byte"){SPLIT}')
    done = draw(folder, made.source)
    assert done.stdout.startswith("(4, 50000)"), done.stderr[-500:]
    mapped, whole = 'np.memmap(data_file("large.txt"), np.uint8, mode="r")', 'data_file("large.txt").read_bytes()'
    assert mapped in made.source
    done = draw(folder, made.source.replace(mapped, whole))
    assert "MemoryError" in done.stderr, "the limit holds"


@pytest.mark.parametrize("unit", ["char", "word"])
def test_texts_that_do_not_fit_into_memory_are_drawn_from(unit: str, folder: Path) -> None:
    (folder / "large.txt").write_text(("abcdefghij" * 10 + "\n") * 1_000_000)
    made = compiled(folder, f'text("large.txt", unit="{unit}"){SPLIT}')
    done = draw(folder, made.source)
    assert done.stdout.startswith("(4, 50000)"), done.stderr[-500:]
    done = draw(folder, made.source.replace("1_000_000", ""))
    assert "MemoryError" in done.stderr, "the limit holds"
