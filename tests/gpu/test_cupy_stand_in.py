"""The stand-in takes what CuPy takes, and refuses what CuPy and CUDA refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.device import CUDARuntimeError
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
CODE = """
extern "C" __global__ void __launch_bounds__(128) scale(const real* __restrict__ x, real* y, int n, real factor) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = factor * x[i];
}
"""


@pytest.fixture
def cp() -> Iterator[Any]:
    with cupy_on_host():
        yield sys.modules["cupy"]


def scale(cp: Any, **keywords: Any) -> Any:
    return cp.RawModule(code=CODE, options=("-std=c++17", "-Dreal=float"), **keywords).get_function("scale")


# ------------------------------------------------------------------ arrays


def test_arrays_are_made(cp: Any) -> None:
    assert np.isnan(cp.empty((2, 3)).get()).all()
    assert (cp.empty(3, np.int32).get() > 1_000_000_000).all()
    assert (cp.zeros((2, 2), np.float32).get() == np.zeros((2, 2))).all()
    assert (cp.full(3, 2.5).get() == 2.5).all()
    assert (cp.zeros_like(cp.empty((1, 2))).get() == 0).all()
    host = np.arange(6.0).reshape(2, 3)
    made = cp.asarray(host)
    host[0, 0] = 9  # the device has its own
    assert made.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (made.shape, made.dtype, made.strides, made.size, made.nbytes, len(made)) == ((2, 3), np.float64, (24, 8), 6, 48, 2)
    assert cp.asarray(made) is made
    assert cp.asarray(host, np.float32).dtype == np.float32
    assert made.data.ptr % 256 == 0


def test_views_share_their_elements(cp: Any) -> None:
    a = cp.asarray(np.arange(12.0).reshape(3, 4))
    row, column, turned, flat, one = a[1], a[:, 2], a.T, a.reshape(-1), a[2, 3]
    assert (turned.shape, turned.flags.c_contiguous, turned.flags.f_contiguous) == ((4, 3), False, True)
    assert a[1:].data.ptr == a.data.ptr + 32
    assert column.strides == (32,)
    a[...] = cp.asarray(np.arange(12.0).reshape(3, 4) * 10)
    row += 1
    one[...] = 7
    assert row.get().tolist() == [41, 51, 61, 71]
    assert column.get().tolist() == [20, 61, 100]
    assert flat.get()[-1] == 7
    assert a[None, ..., 0].shape == (1, 3)
    a[:, 1] = column
    assert a[:, 1].get().tolist() == [20, 61, 100]


def test_arithmetic(cp: Any) -> None:
    a, b = cp.asarray(np.array([1.0, -2.0])), cp.asarray(np.array([3.0, 4.0]))
    assert (a + b).get().tolist() == [4, 2]
    assert (1 - a).get().tolist() == [0, 3]
    assert (2 * a / b).get().tolist() == [2 / 3, -1]
    assert (np.float32(2) * a).get().tolist() == [2, -4]
    assert cp.tanh(a).get().tolist() == np.tanh([1, -2]).tolist()
    assert np.tanh(a).get().tolist() == np.tanh([1, -2]).tolist()
    out = cp.empty(2)
    assert cp.multiply(a, b, out=out) is out
    assert out.get().tolist() == [3, -8]
    a *= b
    assert a.get().tolist() == [3, -8]
    assert (a > 0).get().tolist() == [True, False]
    assert (-a).get().tolist() == [-3, 8]
    assert float(cp.sum(a)) == -5
    assert a.max().item() == 3
    assert bool(cp.isfinite(a).all())
    assert (cp.asarray(np.float32([2])) * 0.5).dtype == np.float32
    assert (cp.asarray(np.eye(2)) @ cp.asarray(np.ones((2, 3)))).get().tolist() == np.ones((2, 3)).tolist()


def test_copies_to_the_host_and_back(cp: Any) -> None:
    a, out = cp.zeros((2, 2)), np.empty((2, 2))
    a.set(np.eye(2))
    assert a.get(out=out) is out
    assert out.tolist() == [[1, 0], [0, 1]]
    assert cp.asnumpy(a.T[0]).tolist() == [1, 0]
    a.fill(3)
    cp.cuda.runtime.memsetAsync(a.data.ptr, 0, 16, 0)
    cp.cuda.runtime.memcpyAsync(a.data.ptr + 8, a.data.ptr + 16, 8, cp.cuda.runtime.memcpyDeviceToDevice, 0)
    assert a.get().tolist() == [[0, 3], [3, 3]]


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "a NumPy array made of it": (lambda cp: np.asarray(cp.ones(2)), TypeError, "Implicit conversion"),
    "a NumPy array added": (lambda cp: cp.ones(2) + np.ones(2), TypeError, "Unsupported type"),
    "added to a NumPy array": (lambda cp: np.ones(2) + cp.ones(2), TypeError, "Unsupported type"),
    "a NumPy array as out": (lambda cp: cp.tanh(cp.ones(2), out=np.ones(2)), TypeError, "cupy.ndarray"),
    "a NumPy array assigned": (lambda cp: cp.ones(2).__setitem__(..., np.ones(2)), ValueError, "non-scalar numpy.ndarray"),
    "a list assigned": (lambda cp: cp.ones(2).__setitem__(..., [1, 2]), TypeError, "Unsupported type"),
    "a reduction of a NumPy array": (lambda cp: cp.sum(np.ones(2)), TypeError, "Unsupported type"),
    "assigned into a NumPy array": (lambda cp: np.ones(2).__setitem__(..., cp.ones(2)), TypeError, "Implicit conversion"),
    "an array as index": (lambda cp: cp.ones(2)[cp.zeros(1, int)], TypeError, "numbers and slices"),
    "another shape set": (lambda cp: cp.ones(2).set(np.ones(3)), ValueError, "Shape mismatch"),
    "another type set": (lambda cp: cp.ones(2).set(np.ones(2, "f")), TypeError, "float32 array cannot be set to float64"),
    "a list set": (lambda cp: cp.ones(2).set([1.0, 2.0]), TypeError, "Only numpy.ndarray"),
    "a column set": (lambda cp: cp.ones((2, 2))[:, 0].set(np.ones(2)), RuntimeError, "non-contiguous"),
    "another type gotten": (lambda cp: cp.ones(2).get(out=np.ones(2, "f")), ValueError, "cannot be written into"),
    "a shape that does not fit": (lambda cp: cp.ones(2) + cp.ones(3), ValueError, "broadcast"),
    "memory that is not the device's": (
        lambda cp: cp.cuda.runtime.memsetAsync(np.ones(2).ctypes.data, 0, 16, 0),
        CUDARuntimeError,
        "no memory of the device",
    ),
    "more memory than there is": (
        lambda cp: cp.cuda.runtime.memsetAsync(cp.ones(2).data.ptr, 0, 17, 0),
        CUDARuntimeError,
        "no memory of the device",
    ),
    "a stream that waits for the default one": (lambda cp: cp.cuda.Stream(), NotImplementedError, "non_blocking"),
    "a capture of the default stream": (lambda cp: cp.cuda.Stream.null.begin_capture(), RuntimeError, "default"),
    "the end of no capture": (lambda cp: cp.cuda.Stream(non_blocking=True).end_capture(), CUDARuntimeError, "not captured"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(cp: Any, name: str) -> None:
    act, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        act(cp)


def test_there_is_no_device_outside() -> None:
    with cupy_on_host():
        cp = sys.modules["cupy"]
    assert sys.modules.get("cupy") is not cp
    with pytest.raises(CUDARuntimeError, match="no device"):
        cp.zeros(1)


# ------------------------------------------------------------------ launches

LAUNCHES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "too few arguments": ({"args": lambda a: a[:3]}, TypeError, "takes 4 arguments, not 3"),
    "a Python int": ({"args": lambda a: (*a[:2], 2, a[3])}, TypeError, "n is a numpy.int32, not int"),
    "a Python float": ({"args": lambda a: (*a[:3], 2.0)}, TypeError, "factor is a numpy.float32, not float"),
    "a wider int": ({"args": lambda a: (*a[:2], np.int64(2), a[3])}, TypeError, "n is a numpy.int32, not int64"),
    "a wider float": ({"args": lambda a: (*a[:3], np.float64(2))}, TypeError, "factor is a numpy.float32, not float64"),
    "elements of another type": (
        {"args": lambda a: (a[0].astype(np.float64), *a[1:])},
        TypeError,
        "x has elements of type float32, not float64",
    ),
    "a column": ({"args": lambda a: (a[0].reshape(4, 2)[:, 0], *a[1:])}, TypeError, "x is not contiguous"),
    "an array of the host": ({"args": lambda a: (a[0].get(), *a[1:])}, TypeError, "x is an array of the device"),
    "a number for an array": ({"args": lambda a: (np.float32(1), *a[1:])}, TypeError, "x is an array of the device"),
    "an array for a number": ({"args": lambda a: (*a[:2], a[0], a[3])}, TypeError, "n is a numpy.int32"),
    "no blocks": ({"grid": (0,)}, CUDARuntimeError, r"a grid of \(0,\) blocks"),
    "no threads": ({"block": (0,)}, CUDARuntimeError, r"of \(0,\) threads"),
    "more threads than its bounds": ({"block": (129,)}, CUDARuntimeError, "129 threads a block; the most is 128"),
    "more threads than a block has": (
        {"block": (32, 33), "code": CODE.replace("__launch_bounds__(128) ", "")},
        CUDARuntimeError,
        "1024",
    ),
    "too many blocks": ({"grid": (1, 65536)}, CUDARuntimeError, "the most is"),
    "too much shared memory": ({"shared_mem": 48 * 1024 + 4}, CUDARuntimeError, "bytes of shared memory"),
    "a cooperative grid that may not fit": ({"grid": (133,), "cooperative": True}, CUDARuntimeError, "may not fit 132"),
    "one size of a grid without a tuple": ({"grid": 1}, TypeError, "tuples"),
}


@pytest.mark.parametrize("name", LAUNCHES)
def test_a_launch_is_refused(cp: Any, name: str) -> None:
    change, error, message = LAUNCHES[name]
    module = cp.RawModule(
        code=change.get("code", CODE), options=("-Dreal=float",), enable_cooperative_groups=change.get("cooperative", False)
    )
    kernel = module.get_function("scale")
    x, y = (cp.asarray(np.arange(8, dtype=np.float32)) for _ in range(2))
    right = (x, y, np.int32(8), np.float32(2))
    kernel((1,), (32,), right)
    assert y.get().tolist() == [2.0 * i for i in range(8)]
    with pytest.raises(error, match=message):
        kernel(
            change.get("grid", (1,)),
            change.get("block", (32,)),
            change.get("args", tuple)(right),
            shared_mem=change.get("shared_mem", 0),
        )


def test_modules_are_refused(cp: Any) -> None:
    with pytest.raises(CUDARuntimeError, match="not found: scales"):
        cp.RawModule(code=CODE, options=("-Dreal=float",)).get_function("scales")
    with pytest.raises(ValueError, match="option --extra"):
        cp.RawModule(code=CODE, options=("-Dreal=float", "--extra"))
    with pytest.raises(TypeError, match="tuple"):
        cp.RawModule(code=CODE, options=["-Dreal=float"])
    with pytest.raises(ValueError, match="NVRTC"):
        cp.RawModule(code=CODE, options=("-Dreal=float",), backend="nvcc")
    with pytest.raises(ValueError, match="parameter cannot be read: 'short n'"):
        cp.RawModule(code='extern "C" __global__ void f(short n) {}')


def test_shared_memory_can_be_asked_for(cp: Any) -> None:
    kernel, x = scale(cp), cp.zeros(1, np.float32)
    kernel.max_dynamic_shared_size_bytes = 100_000
    kernel((1,), (1,), (x, cp.empty(1, np.float32), np.int32(1), np.float32(1)), shared_mem=100_000)
    with pytest.raises(CUDARuntimeError, match="a block has 232448"):
        kernel.max_dynamic_shared_size_bytes = 232_449


# ------------------------------------------------------------------ streams and graphs

IN_CAPTURE: dict[str, tuple[Callable[[Any, Any, Any], Any], type[Exception], str]] = {
    "memory": (lambda cp, a, s: cp.empty(2), CUDARuntimeError, "memory is allocated"),
    "memory for a sum of two": (lambda cp, a, s: a + a, CUDARuntimeError, "memory is allocated"),
    "a copy to the host": (lambda cp, a, s: a.get(), CUDARuntimeError, "copied to the host"),
    "a number for the host": (lambda cp, a, s: float(a[0]), CUDARuntimeError, "copied to the host"),
    "an item": (lambda cp, a, s: a[0].item(), CUDARuntimeError, "copied to the host"),
    "a decision": (lambda cp, a, s: bool(a[0] if a[0] else 1), CUDARuntimeError, "copied to the host"),
    "printing": (lambda cp, a, s: repr(a), CUDARuntimeError, "copied to the host"),
    "a copy from the host": (lambda cp, a, s: a.set(np.ones(2)), CUDARuntimeError, "copied from the host"),
    "waiting": (lambda cp, a, s: s.synchronize(), CUDARuntimeError, "the host waits"),
    "waiting for all": (lambda cp, a, s: cp.cuda.runtime.deviceSynchronize(), CUDARuntimeError, "the host waits"),
    "CuPy's matmul": (lambda cp, a, s: cp.matmul(a, a), NotImplementedError, "cuBLAS API during stream capture"),
    "CuPy's @": (lambda cp, a, s: a @ a, NotImplementedError, "cuBLAS API during stream capture"),
    "CuPy's sum": (lambda cp, a, s: cp.sum(a, out=a[0]), CUDARuntimeError, "workspace"),
    "making cuBLAS": (lambda cp, a, s: cp.cuda.device.get_cublas_handle(), CUDARuntimeError, "cuBLAS is initialised"),
    "another capture": (
        lambda cp, a, s: cp.cuda.Stream(non_blocking=True).begin_capture(),
        CUDARuntimeError,
        "another capture",
    ),
    "another stream": (lambda cp, a, s: cp.cuda.Stream.null.use() and a.fill(0), CUDARuntimeError, "is captured"),
}


@pytest.mark.parametrize("name", IN_CAPTURE)
def test_refused_during_a_capture(cp: Any, name: str) -> None:
    act, error, message = IN_CAPTURE[name]
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        a = cp.ones(2)
        stream.begin_capture()
        with pytest.raises(error, match=message):
            act(cp, a, stream)


def test_a_graph_does_its_work_when_it_is_launched(cp: Any) -> None:
    stream, kernel = cp.cuda.Stream(non_blocking=True), scale(cp)
    with stream:
        x, y = cp.ones(4, np.float32), cp.ones(4, np.float32)
        stream.begin_capture()
        assert stream.is_capturing()
        kernel((1,), (32,), (x, y, np.int32(4), np.float32(3)))
        cp.add(x, y, out=x)
        y[1:] = 5
        y[0] = x[0]
        graph = stream.end_capture()
        assert not stream.is_capturing()
        assert x.get().tolist() == [1, 1, 1, 1]
        graph.upload()
        graph.launch()
        assert (x.get().tolist(), y.get().tolist()) == ([4, 4, 4, 4], [4, 5, 5, 5])
        x[...] = 1
        graph.launch(stream)
        assert (x.get().tolist(), y.get().tolist()) == ([4, 4, 4, 4], [4, 5, 5, 5])


def test_a_graph_whose_memory_was_given_back(cp: Any) -> None:
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        x, y = cp.ones(4), cp.ones(4)
        stream.begin_capture()
        y[...] = x
        graph = stream.end_capture()
        graph.launch()
        del x
        with pytest.raises(CUDARuntimeError, match="given back"):
            graph.launch()


def test_streams_must_wait_for_each_other(cp: Any) -> None:
    stream = cp.cuda.Stream(non_blocking=True)
    a, b = cp.ones(2), cp.ones(2)
    cp.cuda.Stream.null.synchronize()
    c = a + b
    with stream:
        a.get()  # both only read it
        with pytest.raises(CUDARuntimeError, match="may still be using"):
            a.fill(2)  # is still being read
        with pytest.raises(CUDARuntimeError, match="may still be using"):
            c.get()  # is still being written
    cp.cuda.Stream.null.synchronize()
    with stream:
        a.fill(2)
        assert c.get().tolist() == [2, 2]
    cp.cuda.runtime.deviceSynchronize()
    assert a.get().tolist() == [2, 2]


def test_the_order_of_threads_changes_with_the_seed() -> None:
    with cupy_on_host(0) as device:
        assert [device.next_seed() for _ in range(3)] == [0, 0, 0]
    with cupy_on_host(2) as device:
        assert len({device.next_seed() for _ in range(100)}) == 100
