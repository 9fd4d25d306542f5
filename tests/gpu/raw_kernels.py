"""CuPy's RawModule: kernels from CUDA text, and launches that are refused where CUDA refuses them or CuPy would go wrong."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.gpu.cuda_source import Parameter
from tests.gpu.device import CUDARuntimeError, device
from tests.gpu.device_array import ndarray
from tests.gpu.host_kernels import HostModule, Launch

THREADS = 1024
"""Threads of a block, at most."""
GRID = (2**31 - 1, 65535, 65535)
"""Blocks along each axis, at most."""
SHARED_BYTES = 48 * 1024
"""Dynamic shared memory of a block, unless a kernel asks for more."""
MOST_SHARED_BYTES = 227 * 1024
"""What a kernel may ask for on compute capability 9.0."""
PROCESSORS = 132
"""Multiprocessors of an H100: a cooperative grid that needs no more than one block on each always fits."""
OPTIONS = ("-D", "-std=c++17", "--std=c++17", "--fmad=")
"""Beginnings of the compiler options that scripts may use."""


class RawModule:
    """Kernels of one CUDA text."""

    def __init__(
        self,
        *,
        code: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        enable_cooperative_groups: bool = False,
    ) -> None:
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        for option in options:
            if not option.startswith(OPTIONS):
                raise ValueError(f"the stand-in knows no compiler option {option}")
        if backend != "nvrtc":
            raise ValueError("scripts are compiled by NVRTC, which needs no CUDA toolkit")
        self._module = HostModule(code, options)
        self._cooperative = enable_cooperative_groups

    def get_function(self, name: str) -> RawKernel:
        """A kernel by its name; CUDARuntimeError if there is none."""
        if name not in self._module.kernels:
            raise CUDARuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return RawKernel(self._module, name, self._cooperative)


class RawKernel:
    """A kernel that can be launched."""

    def __init__(self, module: HostModule, name: str, cooperative: bool) -> None:
        self.name = name
        self._module = module
        self._cooperative = cooperative
        self._shared_limit = SHARED_BYTES

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """Dynamic shared memory that a launch may have."""
        return self._shared_limit

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        if size > MOST_SHARED_BYTES:
            raise CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: {size} bytes of shared memory; a block has {MOST_SHARED_BYTES}")
        self._shared_limit = size

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0, stream: Any = None
    ) -> None:
        self._check_size(grid, block, shared_mem)
        parameters = self._module.kernels[self.name].parameters
        if len(args) != len(parameters):
            raise TypeError(f"{self.name} takes {len(parameters)} arguments, not {len(args)}")
        pairs = list(zip(parameters, args, strict=True))
        for parameter, value in pairs:
            self._check_argument(parameter, value)
        numbers = {parameter.name: np.array(value) for parameter, value in pairs if not parameter.pointer}
        written = {parameter.name: value for parameter, value in pairs if parameter.pointer and not parameter.constant}
        read = {parameter.name: value for parameter, value in pairs if parameter.pointer and parameter.constant}

        def work(*hosts: Any) -> None:
            there = numbers | dict(zip((*written, *read), hosts, strict=True))
            launch = Launch(_three(grid), _three(block), shared_mem, self._cooperative, device().next_seed())
            self._module.run(self.name, launch, [there[parameter.name] for parameter in parameters])

        device().submit(
            work,
            [array.part() for array in written.values()],
            [array.part() for array in read.values()],
            None if stream is None else stream.ptr,
        )

    def _check_size(self, grid: tuple[int, ...], block: tuple[int, ...], shared_mem: int) -> None:
        if not (isinstance(grid, tuple) and isinstance(block, tuple)):
            raise TypeError("grid and block are tuples")
        if min(*grid, *block, 1) < 1:
            raise CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with a grid of {grid} blocks of {block} threads")
        most = min(THREADS, self._module.kernels[self.name].launch_bounds or THREADS)
        if math.prod(block) > most:
            raise CUDARuntimeError(
                f"CUDA_ERROR_INVALID_VALUE: {self.name} with {math.prod(block)} threads a block; the most is {most}"
            )
        if any(blocks > most for blocks, most in zip(grid, GRID, strict=False)):
            raise CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: {self.name} with a grid of {grid}; the most is {GRID}")
        if shared_mem > self._shared_limit:
            raise CUDARuntimeError(
                f"CUDA_ERROR_INVALID_VALUE: {self.name} with {shared_mem} bytes of shared memory, not {self._shared_limit}"
            )
        if self._cooperative and math.prod(grid) > PROCESSORS:
            raise CUDARuntimeError(
                f"{self.name}: a cooperative grid of {math.prod(grid)} blocks may not fit {PROCESSORS} multiprocessors"
            )

    def _check_argument(self, parameter: Parameter, value: Any) -> None:
        where = f"{self.name}: {parameter.name}"
        if not parameter.pointer:
            if type(value) is not parameter.dtype.type:
                raise TypeError(f"{where} is a numpy.{parameter.dtype}, not {type(value).__name__}")
            return
        if not isinstance(value, ndarray):
            raise TypeError(f"{where} is an array of the device, not {type(value).__name__}")
        if value.dtype != parameter.dtype:
            raise TypeError(f"{where} has elements of type {parameter.dtype}, not {value.dtype}")
        if not value.flags.c_contiguous:
            raise TypeError(f"{where} is not contiguous, and a kernel knows no strides")


def _three(sizes: tuple[int, ...]) -> Any:
    return (ctypes.c_uint * 3)(*(*sizes, 1, 1)[:3])
