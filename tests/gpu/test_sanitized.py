"""Generated scripts under the sanitizers of the compiler: no access outside an array, and one that is planted is reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.corpus import place
from tests.gpu import sanitized
from tests.gpu.gpu_scripts import compiled
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
BATCH = 5

RIGHT = [
    ("elman_char.rnn", 1),  # a kernel between two products
    ("elman_char.rnn", 2),  # blocks that wait for each other
    ("gru_classifier.rnn", 2),  # sequences of unequal length
    ("custom_cell.rnn", 1),  # sums that a block shares
    ("min_gru.rnn", 1),  # a thread that goes through time
    ("fast_weights.rnn", 1),  # a matrix as state
    ("ctc_figures.rnn", 1),  # labels, and a loss that goes through time
]

OUTSIDE = "AddressSanitizer: heap-buffer-overflow"
WRONG = {
    "a guard that is one too late": ("gru_classifier.rnn", 1, r"if \(i >= B \* 48\)", "if (i > B * 48)", OUTSIDE),
    "a step too far": ("min_gru.rnn", 1, r"t < T; t\+\+", "t <= T; t++", OUTSIDE),
    "too few parts of a sum": ("custom_cell.rnn", 1, r"real part\[32\]", "real part[1]", "runtime error: index"),
    "one row of weights too many": ("elman_char.rnn", 2, r"i < each \* 128;", "i < (each + 1) * 128;", OUTSIDE),
}
"""Spec, level, a pattern in its script, what it becomes, and what is said then."""


def said(source: str, name: str, folder: Path) -> str:
    """What the sanitizers report."""
    done = sanitized.run(source, place(name, batch=BATCH), folder)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


@pytest.mark.parametrize(("name", "level"), RIGHT)
def test_nothing_to_say_about_a_right_script(name: str, level: int, tmp_path: Path) -> None:
    source = compiled(name, level).source
    assert ("launch_together(w, " in source) == (level == 2)
    assert said(source, name, tmp_path) == ""


@pytest.mark.parametrize("mistake", WRONG)
def test_an_access_outside_is_reported(mistake: str, tmp_path: Path) -> None:
    name, level, old, new, message = WRONG[mistake]
    source, count = re.subn(old, new, compiled(name, level).source)
    assert count
    assert message in said(source, name, tmp_path) and "kernels:" in said(source, name, tmp_path)
