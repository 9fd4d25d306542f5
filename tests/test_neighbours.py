"""Neighbouring rows to which the same happens take one call of a step."""

from __future__ import annotations

import re
from pathlib import Path

from rnnspec import compile_spec
from tests.corpus import FOLDER
from tests.faults.sketches import powers, steps_apart


def in_loops(spec: Path, call: str) -> list[str]:
    """The calls of a function in the loops of a fast script."""
    return re.findall(rf"(?m)^        ({call}\(.*\))$", compile_spec(spec).source)


def test_the_gates_of_an_lstm() -> None:
    calls = in_loops(FOLDER / "adding.rnn", "multiply")
    assert "multiply(dh_ifoz_sum, dh_ifoz, dh_ifoz_sum)" in calls  # not one for the sigmoids and one for tanh
    assert len([call for call in calls if "_sum" in call]) == 1


def test_rows_that_wait_for_each_other(tmp_path: Path) -> None:
    assert in_loops(powers().sketch.write(tmp_path), "square") == [
        "square(a, h_square)",
        "square(h_square, h_square_2)",
    ]


def test_rows_of_different_steps(tmp_path: Path) -> None:
    calls = in_loops(steps_apart().sketch.write(tmp_path), "square")
    assert calls == ["square(a_last, h_square)", "square(b_last, h_square_2)"]
