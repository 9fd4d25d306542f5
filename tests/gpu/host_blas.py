"""The library that stands in for cuBLAS: made, loaded under its name, and joined to a device."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.gpu.host_kernels import built

NAME = "libcublas.so.13"
FAILED = 13
"""CUBLAS_STATUS_EXECUTION_FAILED."""


class Product(ctypes.Structure):
    """One matrix product, or as many alike as `batch` says; the same layout in blas_on_host.cpp."""

    _fields_ = [
        ("transpose_a", ctypes.c_int),
        ("transpose_b", ctypes.c_int),
        ("m", ctypes.c_int),
        ("n", ctypes.c_int),
        ("k", ctypes.c_int),
        ("alpha", ctypes.c_double),
        ("beta", ctypes.c_double),
        ("a", ctypes.c_void_p),
        ("lda", ctypes.c_int),
        ("stride_a", ctypes.c_longlong),
        ("b", ctypes.c_void_p),
        ("ldb", ctypes.c_int),
        ("stride_b", ctypes.c_longlong),
        ("c", ctypes.c_void_p),
        ("ldc", ctypes.c_int),
        ("stride_c", ctypes.c_longlong),
        ("batch", ctypes.c_int),
        ("data_type", ctypes.c_int),
        ("compute_type", ctypes.c_int),
    ]

    def matrices(self) -> dict[str, tuple[int, tuple[int, ...], tuple[int, ...], np.dtype[Any]]]:
        """Address, shape, strides and type of each matrix: (number in the batch, column, row)."""
        dtype = np.dtype(np.float64 if self.data_type else np.float32)
        sizes = {
            "a": (self.k, self.m) if self.transpose_a else (self.m, self.k),
            "b": (self.n, self.k) if self.transpose_b else (self.k, self.n),
            "c": (self.m, self.n),
        }
        found = {}
        for name, (rows, columns) in sizes.items():
            stride, leading = getattr(self, f"stride_{name}"), getattr(self, f"ld{name}")
            strides = (stride * dtype.itemsize, leading * dtype.itemsize, dtype.itemsize)
            found[name] = (getattr(self, name) or 0, (self.batch, columns, rows), strides, dtype)
        return found


_Submit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Product))
_SetStream = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_SetWorkspace = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)


@cache
def library() -> ctypes.CDLL:
    """The library; from then on a script that loads it by its name is given this one."""
    return ctypes.CDLL(str(built('#include "blas_on_host.cpp"\n', NAME, "-O2")))


def join(
    submit: Callable[[Product], None], set_stream: Callable[[int], None], set_workspace: Callable[[int, int], None]
) -> Any:
    """Let the library ask these functions; what is returned must be kept as long as they are asked.

    A function that raises makes cuBLAS fail, and its message goes to stderr, since a status is all that a script is told.
    """

    def status(work: Callable[[], None]) -> int:
        try:
            work()
        except Exception as error:
            print(f"cuBLAS: {error}", file=sys.stderr)
            return FAILED
        return 0

    callbacks = (
        _Submit(lambda product: status(lambda: submit(Product.from_buffer_copy(product.contents)))),
        _SetStream(lambda stream: status(lambda: set_stream(stream or 0))),
        _SetWorkspace(lambda at, size: status(lambda: set_workspace(at or 0, size))),
    )
    for name, callback in zip(("rs_submit", "rs_set_stream", "rs_set_workspace"), callbacks, strict=True):
        ctypes.c_void_p.in_dll(library(), name).value = ctypes.cast(callback, ctypes.c_void_p).value
    return callbacks


def run(product: Product) -> None:
    """Do the arithmetic of a product."""
    library().rs_run_product(ctypes.byref(product))
