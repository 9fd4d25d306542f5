"""Kernels compiled for the host: a shared library for each module, and launches of what is in it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.gpu.cuda_source import for_the_host, kernels

Host = np.ndarray[Any, Any]

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
FLAGS = ("-std=c++17", "-O0", "-fPIC", "-shared", "-fno-gnu-unique", "-fvisibility=hidden")

SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


class Launch(ctypes.Structure):
    """How a kernel is launched; the same layout in threads.h."""

    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("cooperative", ctypes.c_int),
        ("seed", ctypes.c_uint64),
    ]


class Argument(ctypes.Structure):
    """One argument of a kernel; the same layout in cuda_on_host.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("restricted", ctypes.c_int),
    ]


def built(text: str, name: str, *flags: str) -> Path:
    """The shared library `name` made of a text, which may include what lies in this folder; made before, if nothing changed.

    RuntimeError with the compiler's words if it refuses.
    """
    sources = sorted(path for path in HERE.iterdir() if path.suffix in (".h", ".cpp"))
    parts = [text.encode(), name.encode(), " ".join((*FLAGS, *flags)).encode(), *(source.read_bytes() for source in sources)]
    folder = _cache() / hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    library = folder / name
    if not library.exists():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            source, made = Path(temporary) / "source.cpp", Path(temporary) / name
            source.write_text(text)
            command = [COMPILER or "g++", *FLAGS, f"-I{HERE}", str(source), "-o", str(made), f"-Wl,-soname,{name}", *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"the host compiler refuses the source:\n{done.stderr}")
            os.replace(made, library)  # at once, since others may be waiting for it
    return library


@cache
def runtime(sanitized: bool) -> Path:
    """The library that runs the threads of all kernels, loaded."""
    flags = SANITIZERS if sanitized else ["-O2"]
    path = built('#include "threads.cpp"\n#include "races.cpp"\n', "libthreads_on_host.so", *flags)
    ctypes.CDLL(str(path))
    return path


def _cache() -> Path:
    """A folder that nobody else can write to: what lies there is loaded and run."""
    folder = Path(tempfile.gettempdir()) / f"rnnspec-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise RuntimeError(f"{folder} does not belong to this user alone")
    return folder


class HostModule:
    """The kernels of one CUDA text; `kernels` says what each of them takes.

    Where `sanitized` is set, pointers are plain ones, and the sanitizers of the compiler watch them instead.
    """

    sanitized = False

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        self.kernels = kernels(code, options)
        flags = [option for option in options if option.startswith("-D")]
        flags += SANITIZERS if self.sanitized else []
        text = for_the_host(code, list(self.kernels), checked=not self.sanitized)
        self._library = ctypes.CDLL(str(built(text, "kernels.so", *flags, str(runtime(self.sanitized)))))

    def run(self, name: str, launch: Launch, arguments: Sequence[Host]) -> None:
        """Run a kernel to its end, a number being an array of one; RuntimeError if it does what a kernel must not do."""
        packed = (Argument * len(arguments))()
        for place, parameter, array in zip(packed, self.kernels[name].parameters, arguments, strict=True):
            place.name, place.restricted = parameter.name.encode(), parameter.restricted
            place.address, place.size = array.ctypes.data, array.size
        report = ctypes.create_string_buffer(1000)
        if not self._library[f"rs_launch_{name}"](ctypes.byref(launch), packed, report, ctypes.c_size_t(len(report))):
            raise RuntimeError(f"kernel {name}, {report.value.decode()}")
