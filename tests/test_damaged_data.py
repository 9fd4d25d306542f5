"""Data files that are damaged or lie about themselves: a message, never a traceback, and nothing is allocated for a lie."""

from __future__ import annotations

import io
import random
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from rnnspec.frontend.check import check
from rnnspec.verify.compare import Array

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
  s[t] = W_s @ h[t]
loss: {loss}(s[t], y[t])
train:
  optimizer: sgd(lr=0.5)
  batch: 4
  steps: 2
"""
STREAM = "  truncation: tbptt(3)\n"
SPECS = {
    "a.npz": SPEC.format(
        source='npz("a.npz", arrays=["ids", "out"])',
        x="one_hot(ids, size=4)",
        y="classes(out, count=4)",
        loss="cross_entropy",
    ),
    "a.csv": SPEC.format(source='csv("a.csv", columns=["u", "v"])', x='columns(["u", "v"])', y='next(["v"])', loss="mse")
    + STREAM,
    "a.txt": SPEC.format(source='text("a.txt")', x="one_hot(ids)", y="next(ids)", loss="cross_entropy") + STREAM,
}


def verdict(folder: Path, name: str, content: bytes) -> str:
    """Write a data file, check the spec that reads it, and give the code of the first error, or `fine`."""
    (folder / name).write_bytes(content)
    checked, found = check(SPECS[name].encode(), name=str(folder / "model.rnn"))
    return "fine" if checked else found[0].code


def archive(compressed: bool = False, /, **arrays: Array) -> bytes:
    """The bytes of an archive of arrays."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


WHOLE = {"ids": np.ones((5, 4), int), "out": np.ones((5, 4), int)}
GOOD = {
    "an archive": ("a.npz", archive(False, **WHOLE)),
    "a compressed archive": ("a.npz", archive(True, **WHOLE)),
    "a table": ("a.csv", b"u,v\n" + b"1,2\n3.5,4e3\n" * 6),
    "a text": ("a.txt", "na\u00efve \U0001f600 text\n".encode()),
}


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A few bits flipped, bytes lost, or bytes put in."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1 if len(data) > 30:
                del data[place : place + chance.randint(1, 20)]
            case _:
                data[place:place] = chance.randbytes(chance.randint(1, 8))
    return bytes(data)


@pytest.mark.parametrize("case", GOOD)
def test_damaged_files(case: str, tmp_path: Path) -> None:
    name, content = GOOD[case]
    assert verdict(tmp_path, name, content) == "fine"
    counts = Counter(verdict(tmp_path, name, damaged(content, random.Random(seed))) for seed in range(400))
    assert set(counts) <= {"fine", "E0703", "E0704"}
    assert counts["E0703"] > 50


def claiming(*shape: int) -> bytes:
    """An archive whose arrays claim a shape, and are in truth only a few bytes."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": shape})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in ("ids.npy", "out.npy"):
            made.writestr(name, header.getvalue() + b"\1" * 10)
    return file.getvalue()


REFUSED = {
    "no bytes": ("a.npz", b""),
    "sizes of a thousand billion": ("a.npz", claiming(10**12, 3)),
    "sizes of 10 ** 30": ("a.npz", claiming(10**30, 3)),
    "steps of a thousand billion": ("a.npz", claiming(3, 10**12)),
    "negative sizes": ("a.npz", claiming(-5, 4)),
    "sixty axes": ("a.npz", claiming(*[5] * 60)),
    "fewer bytes than claimed": ("a.npz", claiming(5, 4)),
    "objects of Python": ("a.npz", archive(ids=np.array([[{}] * 4] * 5), out=np.ones((5, 4), int))),
    "texts": ("a.npz", archive(ids=np.full((5, 4), "a"), out=np.ones((5, 4), int))),
    "no table": ("a.csv", b"\0" * 100),
    "an empty table": ("a.csv", b""),
    "a cell of 200,000 digits": ("a.csv", b"u,v\n" + b"9" * 200_000 + b",1\n"),
    "a quote that is never closed": ("a.csv", b'u,v\n"1,2\n3,4\n'),
    "infinite numbers": ("a.csv", b"u,v\ninf,1\nnan,2\n"),
    "no text": ("a.txt", b""),
    "a text in UTF-16": ("a.txt", "text".encode("utf-16")),
    "a surrogate": ("a.txt", b"text \xed\xa0\x80"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_refused(case: str, tmp_path: Path) -> None:
    name, content = REFUSED[case]
    assert verdict(tmp_path, name, content) == "E0703"


def test_a_missing_file_is_refused() -> None:
    for name, spec in SPECS.items():
        checked, found = check(spec.encode(), name="/nowhere/model.rnn")
        assert checked is None and name in found[0].message
