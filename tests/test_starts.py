"""Two variables that are one value may begin differently."""

from __future__ import annotations

import pytest

from tests.corpus import LEVELS
from tests.test_draws import SPEC as BASE
from tests.test_draws import compiled
from tests.windowed import gradients_agree, windows

EQUATIONS = """  h[0] = h_start
  g[0] = 0.5
  c[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + 0.5 * c[t-2] + 0.2 * g[t-1] + b_h)
  h[t] = c[t]
  g[t] = c[t]
  y[t] = W_y @ h[t] + b_y
"""
SPEC = BASE.partition("  h[0]")[0].replace("h: 4}", "h: 4, g: 4}") + EQUATIONS + BASE[BASE.index("loss:") :]


def every_start_counts(level: int) -> None:
    """`c` begins with zeros, `h` with what it learns, `g` with a number."""
    compiled(SPEC, level).verify(("complex-step", "torch")).require()
    made = compiled(SPEC + "  truncation: tbptt(4)\n", level)
    gradients_agree(made.load(), made.spec.model, windows(made.spec.model, seed=1))


@pytest.mark.parametrize("level", LEVELS)
def test_names_of_one_value_have_starts_of_their_own(level: int) -> None:
    every_start_counts(level)


@pytest.mark.parametrize("level", LEVELS)
def test_names_that_begin_alike_share_their_storage(level: int) -> None:
    alike = (
        SPEC.replace("  g[0] = 0.5\n", "")
        .replace("  h[0] = h_start\n", "")
        .replace("  h_start: {shape: [4]}", "  W_h: {l2: 0.1}")
    )
    assert "copy" not in [value.op for value in compiled(alike, level).program.values.values() if value.name in ("c", "g", "h")]
