"""The examples of `rnnspec explain`: the wrong one gives its code, the right one no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnspec.diagnostics import CATALOGUE, Entry, render
from rnnspec.frontend.check import check

BASE = """\
rnnspec: 1
data:
  source: recall(symbols=8, length=20, delay=3)
inputs:
  x: one_hot(ids, size=9)
targets:
  target: classes(out, count=9)
dims: {H: 16}
states: {h: H}
model: |
  h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
  y[t] = W_hy @ h[t] + b_y
loss: cross_entropy(y[t], target[t])
train:
  optimizer: adam(lr=1e-3)
  batch: 64
  steps: 100
"""
"""A spec that works; the examples replace some of its sections or add new ones."""


def sections(text: str) -> dict[str, str]:
    """A text cut before every line that starts with a key."""
    parts = re.split(r"(?m)^(?=\w+:)", text)
    return {part.partition(":")[0]: part.rstrip("\n") + "\n" for part in parts if part}


def complete(example: str) -> bytes:
    """An example as a whole spec."""
    return "".join((sections(BASE) | sections(example)).values()).encode()


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_wrong_example_gives_its_code_and_no_other(code: str) -> None:
    _, diagnostics = check(complete(CATALOGUE[code].wrong))
    assert {found.code for found in diagnostics} == {code}, "\n".join(map(render, diagnostics))


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_right_example_is_right(code: str) -> None:
    spec, diagnostics = check(complete(CATALOGUE[code].right))
    assert spec is not None and not diagnostics, "\n".join(map(render, diagnostics))


def test_every_code_of_the_front_end_is_explained() -> None:
    files = (Path(__file__).parent.parent / "rnnspec" / "frontend").rglob("*.py")
    used = {code for file in files for code in re.findall(r'"([EW]\d{4})"', file.read_text(encoding="utf-8"))}
    assert used == set(CATALOGUE)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_entries_are_sentences(entry: Entry) -> None:
    assert entry.title and not entry.title.endswith(".")
    assert entry.cause.endswith(".") and entry.wrong != entry.right
