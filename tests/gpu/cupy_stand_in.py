"""The part of CuPy that generated scripts use, on a machine without a GPU.

`cupy_on_host` puts this module in the place of `cupy`.  It takes what CuPy takes and refuses what CuPy and CUDA refuse; a
name that is not here has not been needed yet.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.gpu import host_blas
from tests.gpu.device import NULL_STREAM, CUDARuntimeError, Device, Node, device, present
from tests.gpu.device_array import assign, elementwise, empty, ndarray, product, reduction
from tests.gpu.host_blas import Product
from tests.gpu.raw_kernels import RawKernel, RawModule

__all__ = ["RawKernel", "RawModule", "cupy_on_host", "empty", "ndarray"]

__version__ = "stand-in"
float32, float64, int32, int64, bool_ = np.float32, np.float64, np.int32, np.int64, np.bool_
matmul = product

ELEMENTWISE = """
    absolute add ceil cos divide equal exp expm1 floor fmax fmin greater greater_equal isfinite isinf isnan less less_equal
    log log1p logical_and logical_not logical_or maximum minimum multiply negative not_equal power rint sign sin sqrt square
    subtract tanh true_divide
"""
REDUCTIONS = "all any argmax max mean min sum"
globals().update({name: elementwise(getattr(np, name)) for name in ELEMENTWISE.split()})
globals().update({name: reduction(getattr(np, name)) for name in REDUCTIONS.split()})


# ------------------------------------------------------------------ making arrays


def full(shape: Any, fill_value: Any, dtype: Any = None) -> ndarray:
    """An array of one number."""
    made = empty(shape, np.asarray(fill_value).dtype if dtype is None else dtype)
    assign(made, fill_value)
    return made


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    """An array of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = float) -> ndarray:
    """An array of ones."""
    return full(shape, 1, dtype)


def empty_like(a: ndarray) -> ndarray:
    """An array of the same shape and type."""
    return empty(a.shape, a.dtype)


def zeros_like(a: ndarray) -> ndarray:
    """Zeros of the same shape and type."""
    return zeros(a.shape, a.dtype)


def asarray(a: Any, dtype: Any = None) -> ndarray:
    """An array of the device as it is, unless it has another type; everything else is copied to the device."""
    if isinstance(a, ndarray):
        return a.astype(dtype or a.dtype, copy=False)
    host = np.asarray(a, dtype)
    made = empty(host.shape, host.dtype)
    made._take(np.array(host, order="C"))  # copied aside first, so that nobody waits
    return made


def array(a: Any, dtype: Any = None) -> ndarray:
    """A copy on the device."""
    return asarray(a, dtype).copy() if isinstance(a, ndarray) else asarray(a, dtype)


def asnumpy(a: Any) -> Any:
    """A copy on the host."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def copyto(dst: ndarray, src: Any) -> None:
    """Copy an array of the device, or a number."""
    dst[...] = src


# ------------------------------------------------------------------ streams and graphs


class Stream:
    """A queue of work; work of one stream is in order, work of two streams is not."""

    null: Stream
    _made = 0

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        if not null and not non_blocking:
            raise NotImplementedError("the stand-in knows streams that do not wait for the default one: non_blocking=True")
        Stream._made += not null
        self.ptr = NULL_STREAM if null else 0x5000 + Stream._made
        self._outer: list[int] = []

    def __enter__(self) -> Stream:
        self._outer.append(device().stream)
        return self.use()

    def __exit__(self, *_: Any) -> None:
        device().stream = self._outer.pop()

    def use(self) -> Stream:
        """Make it the current stream."""
        device().stream = self.ptr
        return self

    def synchronize(self) -> None:
        """Wait until all of its work is done."""
        device().synchronise(self.ptr, "the host waits")

    def begin_capture(self, mode: int | None = None) -> None:
        """From now on its work is not done, but becomes a graph."""
        device().begin_capture(self.ptr)

    def end_capture(self) -> Graph:
        """The graph of the work since `begin_capture`."""
        return Graph(device().end_capture(self.ptr))

    def is_capturing(self) -> bool:
        """Whether its work becomes a graph."""
        return device().capturing


Stream.null = Stream(null=True)


class Graph:
    """Work that can be done again and again, with the same memory."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes

    def launch(self, stream: Stream | None = None) -> None:
        """Do the work on a stream, or on the current one."""
        device().refuse_in_capture("a graph is launched")
        for node in self._nodes:
            node.run(device().stream if stream is None else stream.ptr)

    def upload(self, stream: Stream | None = None) -> None:
        """Bring the graph to the device, so that its first launch takes no longer than the others."""


# ------------------------------------------------------------------ CUDA by its own names


def _memset_async(ptr: int, value: int, size: int, stream: int) -> None:
    part = device().bytes_at(ptr, size, "memsetAsync")
    device().submit(lambda to: to.fill(value), [part], [], stream)


def _memcpy_async(dst: int, src: int, size: int, kind: int, stream: int) -> None:
    if kind != runtime.memcpyDeviceToDevice:
        raise NotImplementedError("the stand-in copies between host and device by get and set")
    to, source = (device().bytes_at(at, size, "memcpyAsync") for at in (dst, src))
    device().submit(np.copyto, [to], [source], stream)


def _cublas_handle() -> int:
    if not device().cublas_exists:
        device().refuse_in_capture("cuBLAS is initialised")
    device().cublas_exists = True
    return 0xB1A5


def _submit_product(product: Product) -> None:
    here = device()
    if here.cublas_stream != here.stream:
        raise CUDARuntimeError(f"its stream is {here.cublas_stream}, the current one is {here.stream}")
    if here.capturing and (here.cublas_workspace is None or here.cublas_workspace() is None):
        raise CUDARuntimeError("it has no workspace of its own, and must allocate one while a stream is captured")
    parts = {name: here.part_at(*place, f"matrix {name}") for name, place in product.matrices().items()}
    for name in "ab":
        if np.shares_memory(parts["c"].elements(), parts[name].elements()):
            raise CUDARuntimeError(f"the product is written over its own operand {name}")
    read = [parts["a"], parts["b"]] + ([parts["c"]] if product.beta else [])
    here.submit(lambda *_: host_blas.run(product), [parts["c"]], read)


def _set_cublas_stream(stream: int) -> None:
    device().cublas_stream = stream
    device().cublas_workspace = None  # as cuBLAS does


def _set_cublas_workspace(address: int, size: int) -> None:
    device().cublas_workspace = device().bytes_at(address, size, "the workspace").memory


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    runtimeGetVersion=lambda: 13000,
    deviceSynchronize=lambda: device().synchronise(None, "the host waits"),
    memsetAsync=_memset_async,
    memcpyAsync=_memcpy_async,
    memcpyDeviceToDevice=3,
)
ATTRIBUTES = {"MultiProcessorCount": 5, "MaxSharedMemoryPerBlockOptin": 232448}
"""Of a small device: few processors, so that each has several units of a network to compute."""
cuda = SimpleNamespace(
    Device=lambda: SimpleNamespace(attributes=ATTRIBUTES),
    Graph=Graph,
    Stream=Stream,
    device=SimpleNamespace(get_cublas_handle=_cublas_handle),
    get_current_stream=lambda: SimpleNamespace(ptr=device().stream),
    is_available=lambda: True,
    runtime=runtime,
)


@contextmanager
def cupy_on_host(schedule: int = 0) -> Iterator[Device]:
    """A device, which scripts that import `cupy` and load cuBLAS find; `schedule` orders the threads of its kernels."""
    callbacks = host_blas.join(_submit_product, _set_cublas_stream, _set_cublas_workspace)
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = sys.modules[__name__]
    try:
        with present(Device(schedule)) as found:
            yield found
    finally:  # this one name, not all modules as they were: what was imported meanwhile, such as torch, must stay
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
    del callbacks
