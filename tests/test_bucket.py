"""`bucket: true`: batches of similar lengths, with the same result and less padding."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.diagnostics import SpecError

SPEC = """\
rnnspec: 1
data:
  source: reber(longest=40, sequences=230)
  split: {split: 0.8, valid: 0.2}
inputs:
  x: one_hot(ids{length})
targets:
  target: classes(out, count=7)
model: |
  h[t] = gru(x[t], units=5)
  y[t] = W_y @ h[t] + b_y
loss: cross_entropy(y[t], target[t])
metrics:
  - accuracy(y[t], target[t])
train:
  optimizer: adam(lr=1e-2)
  batch: 12
  epochs: 2
  dtype: float64
"""


def text(bucket: bool, length: str = ", length=length") -> str:
    """The spec with or without `bucket`."""
    made = SPEC.replace("{length}", length).replace("split: 0.8", "train: 0.8")
    return made.replace("  split:", "  bucket: true\n  split:") if bucket else made


@cache
def script(bucket: bool, truncation: bool = False) -> ModuleType:
    """A classifier of words of different lengths."""
    windows = "  truncation: tbptt(8)\n" if truncation else ""
    return compile_spec(text(bucket) + windows).load()


def drawn(made: ModuleType, epoch: int = 0, seed: int = 0, split: str = "train") -> list[list[int]]:
    """The sequences of each batch of an epoch."""
    return [rows.tolist() for rows, first, _ in made.plan(split, seed, epoch) if first == 0]


def steps(made: ModuleType) -> int:
    """The steps that an epoch computes, padding included."""
    return sum(len(rows) * (last - first) for rows, first, last in made.plan("train", 0, 0))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_every_sequence_is_drawn_once(split: str) -> None:
    batches = drawn(script(True), split=split)
    assert sorted(row for batch in batches for row in batch) == list(range(184 if split == "train" else 46))
    assert {len(batch) for batch in batches} <= {12, 184 % 12, 46 % 12}


def test_less_padding() -> None:
    lengths = script(True).source()["length"][:184]
    assert lengths.sum() <= steps(script(True)) < 1.1 * lengths.sum() < 1.6 * lengths.sum() < steps(script(False))


def test_the_order_is_random_and_repeatable() -> None:
    made = script(True)
    assert drawn(made) == drawn(made) != drawn(made, epoch=1) != drawn(made, seed=1)
    lengths = [made.source()["length"][batch].max() for batch in drawn(made)]
    assert lengths != sorted(lengths), "short sequences would always come first"
    assert {frozenset(batch) for batch in drawn(made)} != {frozenset(batch) for batch in drawn(made, epoch=1)}


def test_the_same_measurements() -> None:
    plain, bucketed = script(False), script(True)
    params = plain.init(3)
    want, got = (made.measure(made.views(params), "valid") for made in (plain, bucketed))
    assert got == pytest.approx(want, rel=1e-12)
    want, got = (made.predictions(made.views(params), "valid")["y"] for made in (plain, bucketed))
    lengths = plain.source()["length"][184:]
    valid = np.arange(39) < lengths[:, None]
    np.testing.assert_allclose(got[valid], want[valid], rtol=1e-12)


def test_windows_of_a_batch_follow_each_other() -> None:
    plan = script(True, truncation=True).plan("train", 0, 0)
    for before, after in zip(plan, plan[1:], strict=False):
        assert after[1] == 0 or (after[1] == before[2] and (after[0] == before[0]).all())
    assert sorted(row for batch in drawn(script(True, truncation=True)) for row in batch) == list(range(184))


def test_sequences_that_are_equally_long_need_none() -> None:
    with pytest.raises(SpecError) as error:
        compile_spec(text(True, length=""))
    (found,) = error.value.diagnostics
    assert found.code == "E0606" and "different lengths" in found.message
