"""Every cell of the library as a script for a GPU equals the formula of its paper: predictions, loss and all gradients."""

from __future__ import annotations

from functools import partial

import pytest

from rnnspec.verify.compare import GradientMismatch
from tests.cells import ROWS
from tests.cells.harness import Row, check_row, compiled
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler
from tests.test_cells import moved

ROW_OF = {row.cell: row for row in ROWS}
pytestmark = needs_compiler


@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize("row", ROW_OF.values(), ids=str)
def test_a_cell_is_what_its_paper_says(row: Row, masked: bool) -> None:
    """With its dense recurrences in one launch, too, where it has any."""
    levels = [1, 2] if "launch_together(w, " in compiled(row.call, 2, masked, "gpu").source else [1]
    for level in levels:
        with cupy_on_host(schedule=level):
            check_row(row, level, masked, device="gpu")


@pytest.mark.parametrize("level", [1, 2])
def test_a_formula_with_another_parameter_is_caught(level: int) -> None:
    with cupy_on_host(), pytest.raises(GradientMismatch):
        check_row(ROW_OF["gru"], level, change=partial(moved, "h.U_n"), device="gpu")
