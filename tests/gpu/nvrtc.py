"""CUDA text compiled for a real device by NVRTC, CuPy's own compiler, which needs neither a GPU nor a driver."""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
from dataclasses import dataclass
from functools import cache

PACKAGE = "nvidia-cuda-nvrtc"
FOLDER = "nvidia/cu13/lib"
LIBRARIES = ("libnvrtc-builtins.so.13.0", "libnvrtc.so.13")
"""In the order in which they must be loaded: the second asks for the first by its name."""
ARCHITECTURES = ("sm_80", "sm_90")
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy adds to the options of a script."""

_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class CompileError(Exception):
    """NVRTC refuses the text; the message is its log, with lines and carets."""


@dataclass(frozen=True)
class KernelReport:
    """What a kernel takes: registers, bytes of stack and of spilled registers of a thread; bytes that a block shares."""

    name: str
    registers: int
    stack: int
    spilled: int
    shared: int


def available() -> bool:
    """Whether the package with NVRTC is installed."""
    try:
        importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@cache
def _library() -> ctypes.CDLL:
    package = importlib.metadata.distribution(PACKAGE)
    loaded = [ctypes.CDLL(str(package.locate_file(f"{FOLDER}/{name}"))) for name in LIBRARIES]
    return loaded[-1]


def compiled(source: str, arch: str, options: tuple[str, ...] = ()) -> list[KernelReport]:
    """A report on each kernel of a text, compiled as CuPy compiles it; CompileError for an error or a warning."""
    program = ctypes.c_void_p()
    _check(_library().nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None))
    try:
        wanted = [option.encode() for option in (*options, *CUPY_OPTIONS, f"-arch={arch}", "--ptxas-options=-v")]
        status = _library().nvrtcCompileProgram(program, len(wanted), (ctypes.c_char_p * len(wanted))(*wanted))
        log = _log(program)
        if status or "warning" in log:
            raise CompileError(log)
        return _reports(log)
    finally:
        _check(_library().nvrtcDestroyProgram(ctypes.byref(program)))


def _log(program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    _check(_library().nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(_library().nvrtcGetProgramLog(program, text))
    return text.value.decode()


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"NVRTC failed with status {status}")


def _reports(log: str) -> list[KernelReport]:
    _, *parts = _ENTRY.split(log)
    reports = []
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        stack, stored, loaded = (int(number) for number in _found(_STACK, text, name).groups())
        shared = _SHARED.search(text)
        registers = int(_found(_USED, text, name)[1])
        reports.append(KernelReport(name, registers, stack, stored + loaded, int(shared[1]) if shared else 0))
    return reports


def _found(pattern: re.Pattern[str], text: str, name: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise RuntimeError(f"NVRTC does not say what {name} uses:\n{text}")
    return match
