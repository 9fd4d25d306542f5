"""A network written by hand runs on the stand-in as it would on a device: the right numbers, the same bits, in a graph too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gpu.elman_run import expected, found, problem
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
TOLERANCE = {"float64": 1e-13, "float32": 1e-6}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("T, B", [(1, 1), (4, 3), (3, 90)])
def test_gradient(T: int, B: int, dtype: str, graph: bool) -> None:
    values = problem(T, B)
    loss, gradients = expected(values)
    got = found(values, dtype, graph=graph)
    assert got.pop("loss") == pytest.approx(loss, rel=TOLERANCE[dtype])
    assert got.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert np.abs(got[name] - gradient).max() <= TOLERANCE[dtype] * np.abs(gradient).max()


def test_same_bits_in_any_order_of_threads() -> None:
    values = problem(T=3, B=90)
    runs = [found(values, "float32", schedule) for schedule in range(6)]
    for run in runs[1:]:
        assert all(run[name].tobytes() == runs[0][name].tobytes() for name in run)
