"""The library in the place of cuBLAS multiplies as cuBLAS does, and refuses what cuBLAS refuses."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.device import Device
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
FLOAT32, FLOAT64 = 0, 1
IN_FLOAT32, IN_FLOAT64, FAST_16BF, FAST_TF32 = 68, 70, 75, 77
REAL = {FLOAT32: (np.float32, ctypes.c_float), FLOAT64: (np.float64, ctypes.c_double)}
INVALID_VALUE, EXECUTION_FAILED, NOT_SUPPORTED = 7, 13, 15


@pytest.fixture
def device() -> Iterator[Device]:
    with cupy_on_host() as found:
        yield found


def gemm(
    a: Any,
    b: Any,
    c: Any,
    m: int,
    n: int,
    k: int,
    *,
    kind: int = FLOAT64,
    compute: int = IN_FLOAT64,
    ops: tuple[int, int] = (0, 0),
    ld: tuple[int, int, int],
    scale: tuple[float, float] = (1, 0),
    strides: tuple[int, int, int] | None = None,
    batch: int = 1,
    types: tuple[int, int, int] | None = None,
) -> int:
    """The status of one call."""
    library = ctypes.CDLL("libcublas.so.13")
    handle = ctypes.c_void_p(sys.modules["cupy"].cuda.device.get_cublas_handle())
    alpha, beta = (ctypes.byref(REAL[kind][1](number)) for number in scale)
    kinds = types or (kind, kind, kind)
    at = [ctypes.c_void_p(array.data.ptr) for array in (a, b, c)]
    if strides is None:
        return library.cublasGemmEx(
            handle,
            *ops,
            m,
            n,
            k,
            alpha,
            at[0],
            kinds[0],
            ld[0],
            at[1],
            kinds[1],
            ld[1],
            beta,
            at[2],
            kinds[2],
            ld[2],
            compute,
            -1,
        )
    far = [ctypes.c_longlong(stride) for stride in strides]
    return library.cublasGemmStridedBatchedEx(
        *(handle, *ops, m, n, k, alpha, at[0], kinds[0], ld[0], far[0], at[1], kinds[1], ld[1], far[1], beta),
        *(at[2], kinds[2], ld[2], far[2], batch, compute, -1),
    )


def columns(matrix: Any, leading: int) -> Any:
    """A matrix as cuBLAS stores it: column after column, each with room for so many rows."""
    stored = np.full((matrix.shape[1], leading), np.nan, matrix.dtype)
    stored[:, : matrix.shape[0]] = matrix.T
    return stored


@pytest.mark.parametrize("kind", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("ops", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, -0.5])
def test_products(device: Device, kind: int, ops: tuple[int, int], beta: float) -> None:
    cp, rng, (m, n, k) = sys.modules["cupy"], np.random.default_rng(0), (4, 3, 5)
    dtype = REAL[kind][0]
    a, b, c = (rng.normal(size=size).astype(dtype) for size in ((m, k), (k, n), (m, n)))
    stored = [columns(a.T if ops[0] else a, 7), columns(b.T if ops[1] else b, 6), columns(c, 5)]
    if beta == 0:
        stored[2].fill(np.nan)  # what was there must not be read
    on_device = [cp.asarray(matrix) for matrix in stored]
    compute = {FLOAT32: IN_FLOAT32, FLOAT64: IN_FLOAT64}[kind]
    assert gemm(*on_device, m, n, k, kind=kind, compute=compute, ops=ops, ld=(7, 6, 5), scale=(2.0, beta)) == 0
    expected = 2 * a @ b + (beta * c if beta else 0)
    np.testing.assert_allclose(on_device[2].get()[:, :m].T, expected, rtol=1e-5 if kind == FLOAT32 else 1e-13)
    assert np.isnan(on_device[2].get()[:, m:]).all()


def test_a_batch_of_products(device: Device) -> None:
    cp, rng, (m, n, k) = sys.modules["cupy"], np.random.default_rng(1), (2, 3, 4)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(5, k, n))
    out = cp.empty((5, n, m))
    stored = [cp.asarray(columns(a, m)), cp.asarray(np.stack([columns(one, k) for one in b]))]
    assert gemm(*stored, out, m, n, k, ld=(m, k, m), strides=(0, k * n, m * n), batch=5) == 0
    np.testing.assert_allclose(out.get().transpose(0, 2, 1), a @ b, rtol=1e-13)


def test_nothing_to_add_up(device: Device) -> None:
    out = sys.modules["cupy"].full((3, 2), 2.0)
    assert gemm(out, out, out, 2, 3, 0, ld=(2, 1, 2), scale=(1, 0.5)) == 0
    assert (out.get() == 1).all()


@pytest.mark.parametrize("compute, bits", [(FAST_TF32, 10), (FAST_16BF, 7)])
def test_operands_are_rounded(device: Device, compute: int, bits: int) -> None:
    cp, one = sys.modules["cupy"], np.float32(1)
    step = np.float32(2.0**-bits)
    numbers = np.array([one + step / 2, one + step * 1.5, one + step * 0.51, -one - step * 0.49, 3e38, 1e-42], np.float32)
    expected = np.array([1, 1 + 2 * step, 1 + step, -1, *rounded(numbers[4:], bits)], np.float32)
    out = cp.empty(6, np.float32)
    assert gemm(cp.asarray(numbers), cp.ones(1, np.float32), out, 6, 1, 1, kind=FLOAT32, compute=compute, ld=(6, 1, 6)) == 0
    assert out.get().tolist() == expected.tolist()


def rounded(numbers: Any, bits: int) -> Any:
    """So many bits of the mantissa, by PyTorch for bfloat16 and by arithmetic otherwise."""
    if bits == 7:
        return torch.from_numpy(numbers).to(torch.bfloat16).to(torch.float32).numpy()
    unit = 2.0 ** (np.maximum(np.floor(np.log2(np.abs(numbers.astype(float)))), -126) - bits)
    return (np.rint(numbers / unit) * unit).astype(np.float32)


def test_bfloat16_is_pytorchs(device: Device) -> None:
    cp, numbers = sys.modules["cupy"], np.random.default_rng(2).normal(size=1000).astype(np.float32)
    out = cp.empty(1000, np.float32)
    assert (
        gemm(cp.asarray(numbers), cp.ones(1, np.float32), out, 1000, 1, 1, kind=FLOAT32, compute=FAST_16BF, ld=(1000, 1, 1000))
        == 0
    )
    assert (out.get() == rounded(numbers, 7)).all()


@pytest.mark.parametrize(
    "change, status",
    [
        ({"m": -1}, INVALID_VALUE),
        ({"k": -1}, INVALID_VALUE),
        ({"ld": (3, 4, 4)}, INVALID_VALUE),
        ({"ld": (4, 3, 4)}, INVALID_VALUE),
        ({"ld": (4, 4, 3)}, INVALID_VALUE),
        ({"ops": (1, 0), "k": 5}, INVALID_VALUE),
        ({"ops": (3, 0)}, INVALID_VALUE),
        ({"compute": IN_FLOAT32}, NOT_SUPPORTED),
        ({"kind": FLOAT32, "compute": IN_FLOAT64}, NOT_SUPPORTED),
        ({"types": (FLOAT32, FLOAT64, FLOAT64)}, NOT_SUPPORTED),
        ({"types": (FLOAT64, FLOAT64, FLOAT32)}, NOT_SUPPORTED),
        ({"n": 5}, EXECUTION_FAILED),
        ({"ld": (4, 4, 5)}, EXECUTION_FAILED),
    ],
)
def test_refused(device: Device, change: dict[str, Any], status: int) -> None:
    sizes = {"m": 4, "n": 4, "k": 4, "ld": (4, 4, 4)}
    a, b, c = (sys.modules["cupy"].zeros((4, 4)) for _ in range(3))
    assert gemm(a, b, c, **sizes) == 0  # type: ignore[arg-type]
    assert gemm(a, b, c, **(sizes | change)) == status


def test_an_operand_is_not_written_over(device: Device, capfd: pytest.CaptureFixture[str]) -> None:
    cp = sys.modules["cupy"]
    a, b = cp.zeros((4, 8)), cp.zeros((4, 4))
    assert gemm(a, b, a[:, 4:], 4, 4, 4, ld=(8, 4, 8)) == 0
    assert gemm(a, b, a[:, 3:], 4, 4, 4, ld=(8, 4, 8)) == EXECUTION_FAILED
    assert "written over its own operand a" in capfd.readouterr().err


def test_streams_and_workspace(device: Device, capfd: pytest.CaptureFixture[str]) -> None:
    cp, library = sys.modules["cupy"], ctypes.CDLL("libcublas.so.13")
    stream = cp.cuda.Stream(non_blocking=True)
    handle, at = ctypes.c_void_p(cp.cuda.device.get_cublas_handle()), ctypes.c_void_p(stream.ptr)
    a, b, c = (cp.zeros((4, 4)) for _ in range(3))
    room = cp.empty(4096, np.uint8)
    cp.cuda.Stream.null.synchronize()

    def on_the_stream() -> int:
        return gemm(a, b, c, 4, 4, 4, ld=(4, 4, 4))

    with stream:
        assert on_the_stream() == EXECUTION_FAILED
        assert "its stream is 0" in capfd.readouterr().err
        assert library.cublasSetStream_v2(handle, at) == 0
        assert on_the_stream() == 0
        stream.begin_capture()
        assert on_the_stream() == EXECUTION_FAILED
        assert "no workspace of its own" in capfd.readouterr().err
        assert library.cublasSetWorkspace_v2(handle, ctypes.c_void_p(room.data.ptr + 8), ctypes.c_size_t(1024)) == INVALID_VALUE
        assert library.cublasSetWorkspace_v2(handle, ctypes.c_void_p(room.data.ptr), ctypes.c_size_t(4096)) == 0
        assert on_the_stream() == 0
        assert library.cublasSetStream_v2(handle, at) == 0  # forgets the workspace
        assert on_the_stream() == EXECUTION_FAILED
        stream.end_capture().launch()


def test_a_graph_repeats_products(device: Device) -> None:
    cp, library = sys.modules["cupy"], ctypes.CDLL("libcublas.so.13")
    stream, handle = cp.cuda.Stream(non_blocking=True), ctypes.c_void_p(cp.cuda.device.get_cublas_handle())
    with stream:
        x, y, room = cp.full((1, 1), 3.0), cp.full((1, 1), 2.0), cp.empty(256, np.uint8)
        library.cublasSetStream_v2(handle, ctypes.c_void_p(stream.ptr))
        library.cublasSetWorkspace_v2(handle, ctypes.c_void_p(room.data.ptr), ctypes.c_size_t(256))
        stream.begin_capture()
        assert gemm(x, x, y, 1, 1, 1, ld=(1, 1, 1), scale=(1, 1)) == 0
        graph = stream.end_capture()
        assert y.get() == 2
        graph.launch()
        assert y.get() == 11
        x.fill(1)
        graph.launch()
        assert y.get() == 12
