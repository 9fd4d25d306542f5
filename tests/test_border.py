"""What scripts refuse at their border: arrays of another shape, numbers that are no class, a loss without targets."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rnnspec.script.windows import carries
from tests.corpus import LEVELS, place, script
from tests.corpus import compiled as on_cpu
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.gpu_scripts import compiled
from tests.gpu.marks import needs_compiler

Arrays = dict[str, Any]
Wrong = tuple[str, Callable[[Arrays, Arrays], Arrays], str]
"""A spec, what is changed in parameters and batch, and the message."""

WRONG: dict[str, Wrong] = {
    "ids": (
        "elman_char.rnn",
        lambda p, b: {"target": b["target"][:, :1]},
        "target should be an array of shape (3, 4), not (3, 1)",
    ),
    "numbers": (
        "gru_classifier.rnn",
        lambda p, b: {"x": b["x"][..., :1]},
        "x should be an array of shape (3, 4, 2), not (3, 4, 1)",
    ),
    "lengths": (
        "gru_classifier.rnn",
        lambda p, b: {"length": b["length"][:1]},
        "length should be an array of shape (3,), not (1,)",
    ),
    "labels": (
        "ctc_figures.rnn",
        lambda p, b: {"figures": b["figures"][:, :1]},
        "figures should be an array of shape (3, 4), not (3, 1)",
    ),
    "a parameter": (
        "elman_char.rnn",
        lambda p, b: p.update(b_h=np.ones(1)) or b,
        "b_h should be an array of shape (128,), not (1,)",
    ),
    "a matrix": (
        "elman_char.rnn",
        lambda p, b: p.update(W_hh=np.ones((1, 1))) or b,
        "W_hh should be an array of shape (128, 128), not (1, 1)",
    ),
    "below 0": (
        "elman_char.rnn",
        lambda p, b: {"x": b["x"] * 0 - 1},
        "x should hold whole numbers from 0 to 102, not -1 to -1",
    ),
    "no class": (
        "elman_char.rnn",
        lambda p, b: {"target": b["target"] * 0 + 103},
        "target should hold whole numbers from 0 to 102, not 103 to 103",
    ),
    "too long": (
        "gru_classifier.rnn",
        lambda p, b: {"length": b["length"] * 0 + 5},
        "length should hold whole numbers from 0 to 4, not 5 to 5",
    ),
}


def refused(made: ModuleType, case: Wrong) -> None:
    """The script refuses the case in every function that reads the array, and takes the batch as it was."""
    name, change, message = case
    at = place(name)
    params, batch = dict(at.params), dict(at.batch)
    for ask in (made.loss_and_gradients, made.loss, made.predict):
        ask(params, batch)
    wrong = {**batch, **change(params, batch)}
    for ask in (made.loss_and_gradients, made.loss):
        with pytest.raises(ValueError) as found:
            ask(params, wrong)
        assert str(found.value) == message


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_by_name(case: str, level: int) -> None:
    refused(script(WRONG[case][0], level), WRONG[case])


@needs_compiler
@pytest.mark.parametrize("case", ["numbers", "lengths", "a matrix", "below 0"])
def test_what_does_not_fit_is_refused_before_it_is_on_the_gpu(case: str) -> None:
    with cupy_on_host():
        refused(compiled(WRONG[case][0]).load(), WRONG[case])


def test_only_predictions_need_no_targets() -> None:
    made, at = script("elman_char.rnn", 1), place("elman_char.rnn")
    whole = made.predict(at.params, at.batch)["y"]
    made.loss_and_gradients(at.params, at.batch)  # leaves a target in storage
    inputs = {"x": at.batch["x"]}
    for ask in (made.loss_and_gradients, made.loss):
        with pytest.raises(KeyError, match="target"):
            ask(at.params, inputs)
    assert (made.predict(at.params, inputs)["y"] == whole).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["gru_classifier.rnn", "lstm_char.rnn"])
def test_only_scripts_that_go_on_from_batch_to_batch_know_how(name: str, level: int) -> None:
    made = on_cpu(name, level)
    goes_on = carries(made.spec)
    assert goes_on == (name == "lstm_char.rnn")
    for word in ("def carry(", "w.fresh", "carry(state, w)"):
        assert (word in made.source) == goes_on, word
