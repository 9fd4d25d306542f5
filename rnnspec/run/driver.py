"""The NVIDIA driver and the GPUs that it offers, asked through its own library, `libcuda`: neither CuPy nor CUDA is needed."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76
"""Numbers of the attributes of a device that hold its compute capability (`CUdevice_attribute`)."""


@dataclass(frozen=True)
class Gpu:
    """One GPU: its name, its memory in bytes, its compute capability."""

    name: str
    memory: int
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """The driver: the newest version of CUDA that it serves, its GPUs, and, where it cannot name them, its own word for why."""

    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


class Failed(Exception):
    """The driver refused a call; the text is its name for the reason, such as CUDA_ERROR_NO_DEVICE."""


def driver() -> Driver | None:
    """The driver of this machine; None where there is none."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    cuda = (0, 0)
    try:
        cuda = divmod(_number(library, "cuDriverGetVersion") // 10, 100)  # 13020 is 13.2
        _call(library, "cuInit", 0)
        count = _number(library, "cuDeviceGetCount")
        return Driver(cuda, tuple(_gpu(library, index) for index in range(count)))
    except Failed as failure:
        return Driver(cuda, problem=str(failure))


def _gpu(library: ctypes.CDLL, index: int) -> Gpu:
    """What the driver says about one GPU."""
    device = _number(library, "cuDeviceGet", index)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    _call(library, "cuDeviceGetName", name, len(name), device)
    _call(library, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    major, minor = (_number(library, "cuDeviceGetAttribute", attribute, device) for attribute in (MAJOR, MINOR))
    return Gpu(name.value.decode(errors="replace"), memory.value, (major, minor))


def _number(library: ctypes.CDLL, function: str, *arguments: int) -> int:
    """The whole number that a function of the driver writes to its first argument."""
    number = ctypes.c_int()
    _call(library, function, ctypes.byref(number), *arguments)
    return number.value


def _call(library: ctypes.CDLL, function: str, *arguments: object) -> None:
    """Call the driver; Failed unless it says that all is well."""
    code = getattr(library, function)(*arguments)
    if code:
        name = ctypes.c_char_p()
        library.cuGetErrorName(code, ctypes.byref(name))
        raise Failed((name.value or f"error {code}".encode()).decode())
