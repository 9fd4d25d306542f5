"""What matrix products cost: small ones are multiplied where their operands lie, large ones are copied first.

A large product in groups of rows is one call all the same, of small products.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.ir.program import Shape, Value

UNCOPIED = 1_000_000
"""Multiplications up to which OpenBLAS, for AVX-512, reads matrices where they are.

Those of a larger product it copies first; in groups of rows that are small enough the product takes a fifth less.  For AVX2 it
always copies, and groups cost up to a tenth.
"""

FEWEST_ROWS = 32
"""In a group: fewer take longer than the copies."""


def is_small(matrix: Shape, batch: int) -> bool:
    """Is the product of a matrix with so many columns done without copies?"""
    rows, inner = matrix
    return rows * inner * batch <= UNCOPIED


def groups_of_rows(value: Value, values: Mapping[int, Value], batch: int) -> int:
    """In how many groups of rows a product with a fixed matrix is fast, for so many sequences; 1 if as a whole."""
    left, right = (values[a] for a in value.args)
    if value.time != "step" or left.time != "fixed" or left.op == "transpose" or len(right.shape) > 1:
        return 1
    rows, inner = left.shape
    counts = (n for n in range(1, rows // FEWEST_ROWS + 1) if rows % n == 0 and is_small((rows // n, inner), batch))
    return next(counts, 1)
