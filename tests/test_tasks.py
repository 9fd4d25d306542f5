"""Tasks that are made up: each has the property that defines it, and what the front end promises about its columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.diagnostics import SpecError

SPEC = """
rnnspec: 1
data:
  source: {source}
inputs:
  x: {x}
targets:
  y: {y}
model: |
  h[t] = rnn(x[t], units=3)
  s{when} = W_s @ h{last} + b_s
loss: {loss}(s{when}, y{when})
train:
  optimizer: sgd(lr=0.1)
  batch: 10
  steps: 2
"""
CLASSES = {"x": "one_hot(ids)", "loss": "cross_entropy", "when": "[t]", "last": "[t]"}
PER_SEQUENCE = {**CLASSES, "when": "", "last": "[T]"}
NUMBERS = {**CLASSES, "x": 'columns(["x"])', "loss": "mse"}


@cache
def compiled(source: str, y: str, kind: str = "classes", **more: str) -> Compiled:
    """A small model of a task."""
    words = {"classes": CLASSES, "per sequence": PER_SEQUENCE, "numbers": NUMBERS}[kind]
    return compile_spec(SPEC.format(**{**words, "source": source, "y": y, **more}))


def columns_of(made: Compiled) -> dict[str, np.ndarray]:
    """All columns of a task."""
    found: dict[str, np.ndarray] = made.load().source()
    return found


def trains(made: Compiled) -> None:
    """The batches of a task fit the model."""
    script = made.load()
    script.train(report=lambda event: None)


EVERY: dict[str, Callable[[], Compiled]] = {
    "parity": lambda: compiled("parity(length=9, sequences=40)", "classes(label, count=2)", "per sequence"),
    "dyck": lambda: compiled("dyck(pairs=3, length=12, faulty=0.5, sequences=300)", "classes(out, count=5)"),
    "anbn": lambda: compiled(
        "anbn(letters=3, longest=6, sequences=80)", "classes(out, count=4)", x="one_hot(ids, length=length)"
    ),
    "reber": lambda: compiled("reber(longest=20, sequences=200)", "classes(out, count=7)", x="one_hot(ids, length=length)"),
    "sine": lambda: compiled("sine(length=30, sequences=20)", "next(x)", "numbers", x="vectors(x, size=1)"),
    "mackey_glass": lambda: compiled("mackey_glass(steps=300)\n  sequence: 20", "next(x)", "numbers"),
    "lorenz": lambda: compiled("lorenz(steps=300)\n  sequence: 20", "next([x, z])", "numbers", x='columns(["x", "y", "z"])'),
}


@pytest.mark.parametrize("name", EVERY)
def test_tasks_are_trained_on_and_are_always_the_same(name: str) -> None:
    made = EVERY[name]()
    trains(made)
    first, again = columns_of(made), columns_of(made)
    assert all((first[column] == again[column]).all() for column in first)
    offered = made.load().examples("train", np.arange(2), 0, 3)
    assert all(np.isfinite(array).all() for array in offered.values())


def test_parity() -> None:
    found = columns_of(EVERY["parity"]())
    for bits, out, label in zip(found["ids"], found["out"], found["label"], strict=True):
        assert [sum(bits[: t + 1]) % 2 for t in range(9)] == out.tolist() and label == out[-1]
    assert 0.3 < found["label"].mean() < 0.7


BRACKETS = "([{)]}"


def opened(word: str) -> list[str]:
    """What stays of each beginning of a word after neighbouring brackets that match are taken out, again and again."""
    found = []
    for end in range(1, len(word) + 1):
        rest, before = word[:end], ""
        while rest != before:
            rest, before = re.sub(r"\(\)|\[\]|\{\}", "", rest), rest
        found.append(rest)
    return found


def test_words_of_brackets() -> None:
    found = columns_of(EVERY["dyck"]())
    words = ["".join(BRACKETS[i] for i in ids) for ids in found["ids"]]
    for word, out, label in zip(words, found["out"], found["label"], strict=True):
        for rest, inner in zip(opened(word), out, strict=True):
            if any(closing in rest for closing in ")]}"):
                assert inner == 4, "after a mistake"
            else:
                assert inner == (1 + BRACKETS.index(rest[-1]) if rest else 0)
        assert label == (opened(word)[-1] == "")
    assert 0.35 < found["label"].mean() < 0.65
    assert len(set(words)) > 290 and max(len(rest) for word in words for rest in opened(word)) > 4


def test_words_of_brackets_without_mistakes() -> None:
    found = columns_of(compiled("dyck(sequences=50)", "classes(out, count=4)"))
    assert found["label"].all() and (found["out"] < 3).all()


def test_equally_many_letters() -> None:
    found = columns_of(EVERY["anbn"]())
    seen = set()
    for ids, out, length in zip(found["ids"], found["out"], found["length"], strict=True):
        n, rest = divmod(length - 1, 3)
        assert rest == 0 and 1 <= n <= 6
        word = [0, *[1] * n, *[2] * n, *[3] * n, 0]
        assert ids[:length].tolist() == word[:-1] and out[:length].tolist() == word[1:]
        seen.add(n)
    assert seen == {1, 2, 3, 4, 5, 6}


def accepted(word: str) -> bool:
    """Whether the diagram of the grammar has a path with these symbols: arcs from node to node, as it is drawn."""
    arcs = ["0B1", "1T2", "1P3", "2S2", "2X4", "3T3", "3V5", "4X3", "4S6", "5P4", "5V6", "6E7"]
    nodes = {"0"}
    for symbol in word:
        nodes = {arc[2] for arc in arcs if arc[0] in nodes and arc[1] == symbol}
    return nodes == {"7"}


@pytest.mark.parametrize("embedded", [True, False])
def test_reber_words(embedded: bool) -> None:
    source = f"reber(embedded={str(embedded).lower()}, longest=20, sequences=200)"
    found = columns_of(compiled(source, "classes(out, count=7)", x="one_hot(ids, length=length)"))
    lengths = found["length"]
    assert lengths.max() <= 19 and lengths.min() == (8 if embedded else 4) and len(set(lengths)) > 5
    for ids, out, allowed, length in zip(found["ids"], found["out"], found["allowed"], lengths, strict=True):
        assert (ids[1:length] == out[: length - 1]).all()
        word = "".join("BTPSXVE"[i] for i in [*ids[:length], out[length - 1]])
        assert accepted(word[2:-2]) and word[1] == word[-2] and word[0] + word[-1] == "BE" if embedded else accepted(word)
        assert (allowed[np.arange(length), out[:length]] == 1).all() and (allowed[length:] == 0).all()
        counts = allowed[:length].sum(1)
        assert counts[-1] == 1 and set(counts) <= {1, 2}


def test_sine_waves() -> None:
    x = columns_of(EVERY["sine"]())["x"][..., 0]
    twice_cosine = (x[:, 2:] + x[:, :-2]) / x[:, 1:-1]  # of the angle of one step: the same everywhere in a wave
    periods = 2 * np.pi / np.arccos(np.median(twice_cosine, axis=1) / 2)
    np.testing.assert_allclose(x[:, 2:] + x[:, :-2], 2 * np.cos(2 * np.pi / periods)[:, None] * x[:, 1:-1], atol=1e-9)
    assert 8 <= periods.min() < 15 and 30 < periods.max() <= 40


def order(solve: Callable[[int], Any]) -> float:
    """How fast an integrator converges: by which power of the step its distance to a much finer solution falls."""
    best = solve(64)
    coarse, fine = (np.abs(solve(refined) - best).max() for refined in (1, 2))
    return float(np.log2(coarse / fine))


def by_heun(steps: int, tau: int, start: float, per_unit: int = 1000) -> np.ndarray:
    """The Mackey-Glass equation by the trapezoid rule in tiny steps."""
    x = [start] * (tau * per_unit + 1)
    for k in range(steps * per_unit):
        first, second = (0.2 * late / (1 + late**10) for late in x[k : k + 2])
        guess = x[-1] + (first - x[-1] / 10) / per_unit
        x.append(x[-1] + (first - x[-1] / 10 + second - guess / 10) / (2 * per_unit))
    return np.array(x[tau * per_unit + per_unit :: per_unit])


def test_mackey_glass() -> None:
    script = EVERY["mackey_glass"]().load()
    np.testing.assert_allclose(script.mackey_glass(80, 17, 0.9), by_heun(80, 17, 0.9), rtol=2e-5)
    x = columns_of(EVERY["mackey_glass"]())["x"]
    assert x.shape == (300,) and 0.2 < x.min() < 0.6 and 1.1 < x.max() < 1.5
    # while x(t - tau) is the constant start s, x' = a - x / 10 has a solution that can be written down
    s = 1.2
    a, t = 0.2 * s / (1 + s**10), np.arange(1, 17)  # the middle of a step looks a little further than tau
    np.testing.assert_allclose(script.mackey_glass(16, 17, s), 10 * a + (s - 10 * a) * np.exp(-t / 10), rtol=1e-8)
    assert script.mackey_glass(18, 17, s)[-1] != pytest.approx(10 * a + (s - 10 * a) * np.exp(-1.8), rel=1e-6)


def test_lorenz() -> None:
    script = EVERY["lorenz"]().load()
    assert order(lambda refined: script.lorenz(50 * refined, 0.02 / refined, (1.0, 2.0, 20.0))[-1]) > 3.8
    found = columns_of(EVERY["lorenz"]())
    assert all(len(found[name]) == 300 for name in "xyz") and found["z"].min() > 0 and np.abs(found["x"]).max() < 25
    x, y, z = (np.array(found[name]) for name in "xyz")
    middle = slice(1, -1)
    for slope, column in ((10 * (y - x), x), (x * (28 - z) - y, y), (x * y - 8 / 3 * z, z)):
        by_difference = (column[2:] - column[:-2]) / 0.04
        assert np.abs(by_difference - slope[middle]).max() < 0.05 * np.abs(slope).max()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dyck(length=7)", "even length"),
        ("reber(longest=8)", "at least 9"),
        ("sine(shortest=30.0, longest=20.0)", "shortest period"),
        ("recall(length=5, delay=5)", "shorter than its sequences"),
    ],
)
def test_tasks_that_make_no_sense(source: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        compiled(source, "classes(out, count=9)")
    assert message in error.value.diagnostics[0].message
