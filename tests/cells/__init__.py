"""The cells of the library beside what their papers say: one row a cell, in the order of these files."""

from __future__ import annotations

from tests.cells import classic, gated, memories, modern
from tests.cells.harness import Row

ROWS: tuple[Row, ...] = (*classic.ROWS, *gated.ROWS, *modern.ROWS, *memories.ROWS)
