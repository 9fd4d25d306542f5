"""The products of a GPU script: what cuBLAS is told of matrices, however they lie in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rnnspec.script.templates import environment
from rnnspec.script.view_device import Launches
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler
from tests.hand_written import load

pytestmark = needs_compiler
HEAD = """
import ctypes
import os
import re
from functools import lru_cache

import cupy as cp
import numpy as np

MATH = {math!r}
"""
Host = np.ndarray[Any, Any]


def section(math: str = "float32", change: Callable[[str], str] = lambda text: text) -> ModuleType:
    """The functions of a script that start work on the device."""
    everything = Launches(products=True, gram=True, batched=True)
    return load(HEAD.format(math=math) + change(environment("gpu").get_template("device.py.j2").render(launches=everything)))


@pytest.fixture
def cp() -> Iterator[Any]:
    """The stand-in."""
    with cupy_on_host():
        yield sys.modules["cupy"]


def numbers(*shape: int) -> Host:
    """Random ones, of double precision."""
    return np.random.default_rng(len(shape)).standard_normal(shape)


View = Callable[[Any], Any]

ROWS: dict[str, View] = {
    "steps": lambda a: a,
    "one step": lambda a: a[2],
    "one sequence": lambda a: a[2, :1],
    "some features": lambda a: a[..., 1:4],
    "one feature": lambda a: a[..., 3:4],
    "later steps": lambda a: a[1:],
}
"""Parts of an array (time, batch, feature)."""
MATRICES: dict[str, tuple[bool, View]] = {
    "plain": (False, lambda b: b),
    "some columns": (False, lambda b: b[:, 1:3]),
    "one column": (False, lambda b: b[:, 2:3]),
    "turned": (True, lambda b: b.T),
    "some rows, turned": (True, lambda b: b[1:7].T),
    "one row, turned": (True, lambda b: b[3:4].T),
}
"""Parts of a matrix that has so many rows as there are features, or so many columns; they have as many rows."""


def matmul_agrees(script: ModuleType, cp: Any, rows: str, matrix: str, dtype: str = "float64") -> float:
    """How far the product of all rows of an array and a matrix is from NumPy's."""
    turned, view = MATRICES[matrix]
    a = numbers(4, 3, 5).astype(dtype)
    inner = ROWS[rows](a).shape[-1]
    b = numbers(8, inner).astype(dtype) if turned else numbers(inner, 8).astype(dtype)
    want = ROWS[rows](a).astype(float) @ view(b).astype(float)
    out = cp.zeros(want.shape, dtype)
    script.matmul(ROWS[rows](cp.asarray(a)), view(cp.asarray(b)), out)
    return float(np.abs(out.get() - want).max())


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("rows", ROWS)
def test_matmul(rows: str, matrix: str, cp: Any) -> None:
    assert matmul_agrees(section(), cp, rows, matrix) < 1e-13


@pytest.mark.parametrize("right", ["steps", "some features", "one feature"])
@pytest.mark.parametrize("left", ["steps", "some features", "one feature"])
def test_gram(left: str, right: str, cp: Any) -> None:
    a, b = ROWS[left](numbers(4, 3, 5)), ROWS[right](numbers(4, 3, 5) ** 2)
    out = cp.zeros((a.shape[-1], b.shape[-1]))
    section().gram(ROWS[left](cp.asarray(numbers(4, 3, 5))), ROWS[right](cp.asarray(numbers(4, 3, 5) ** 2)), out)
    np.testing.assert_allclose(out.get(), np.tensordot(a, b, ((0, 1), (0, 1))), rtol=1e-13)


@pytest.mark.parametrize("part", [slice(None), slice(1, 4)])
@pytest.mark.parametrize("turned", [False, True])
def test_batched_matmul(turned: bool, part: slice, cp: Any) -> None:
    b = numbers(6, 5, 2)
    inner = b[:, part].shape[1]
    a = numbers(inner, 3) if turned else numbers(3, inner)
    out = cp.zeros((6, 3, 2))
    one = cp.asarray(a).T if turned else cp.asarray(a)
    section().batched_matmul(one, cp.asarray(b)[:, part], out)
    np.testing.assert_allclose(out.get(), (a.T if turned else a) @ b[:, part], rtol=1e-13)


@pytest.mark.parametrize("math, low, high", [("float32", 1e-8, 1e-6), ("tf32", 1e-4, 1e-2), ("bfloat16", 1e-3, 1e-1)])
def test_single_precision_is_multiplied_as_told(math: str, low: float, high: float, cp: Any) -> None:
    assert low < matmul_agrees(section(math), cp, "steps", "turned", "float32") < high
    assert matmul_agrees(section(math), cp, "steps", "turned") < 1e-13  # double precision is never rounded


def test_a_matrix_without_rows_or_columns_in_one_piece_is_refused(cp: Any) -> None:
    with pytest.raises(ValueError, match="side by side"):
        section().matmul(cp.zeros((3, 4)), cp.zeros((8, 12))[::2, ::2], cp.zeros((3, 6)))


def test_what_cublas_refuses_is_an_error(cp: Any) -> None:
    script = section(change=lambda text: text.replace("(ctypes.c_double(0)), 70", "(ctypes.c_double(0)), 71"))
    with pytest.raises(RuntimeError, match="cublasGemmEx failed with status 15"):
        script.matmul(cp.zeros((3, 4)), cp.zeros((4, 6)), cp.zeros((3, 6)))


MISTAKES = {
    "the matrix is not turned": ("return int(flip), ", "return 0, "),
    "rows are as far apart as they are long": ("max(down, a.shape[1])", "a.shape[1]"),
    "the factors are swapped": (
        "flip_b, flip_a, m, n, k, one, *second, *first",
        "flip_a, flip_b, m, n, k, one, *first, *second",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_shows(mistake: str, cp: Any) -> None:
    old, new = MISTAKES[mistake]
    script = section(change=lambda text: text.replace(old, new))

    def wrong(rows: str, matrix: str) -> bool:
        try:
            return not matmul_agrees(script, cp, rows, matrix) < 1e-6
        except RuntimeError:
            return True

    assert old in environment("gpu").get_template("device.py.j2").render(launches=Launches(True, True, True))
    assert any(wrong(rows, matrix) for rows in ROWS for matrix in MATRICES)
