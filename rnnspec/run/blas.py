"""The library that multiplies NumPy's matrices."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

OPENBLAS = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
"""How builds of OpenBLAS call their functions."""
THREADS = (*(name.format("get_num_threads") for name in OPENBLAS), "MKL_Get_Max_Threads", "bli_thread_get_num_threads")
CORES = tuple(name.format("get_corename") for name in OPENBLAS)


@dataclass(frozen=True)
class Blas:
    """A library: its name and version, the processor that its code is for, how many threads it uses."""

    name: str
    version: str
    core: str  # of OpenBLAS, which has code for several; empty for others
    threads: int  # 0 where it does not tell

    def __str__(self) -> str:
        parts = [f"{self.name} {self.version}".strip()]
        parts += [f"code for {self.core}"] if self.core else []
        parts += [f"{self.threads} thread{'s' if self.threads > 1 else ''}"] if self.threads else []
        return ", ".join(parts)


def blas() -> Blas:
    """The library that NumPy uses in this process."""
    import numpy
    import numpy.linalg._umath_linalg as linked

    built = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    library = ctypes.CDLL(linked.__file__)  # a name is looked for in what a library is linked with, too
    threads = next((getattr(library, name) for name in THREADS if hasattr(library, name)), None)
    core = next((getattr(library, name) for name in CORES if hasattr(library, name)), None)
    return Blas(built["name"], built["version"], text_of(core) if core else "", int(threads()) if threads else 0)


def text_of(function: ctypes._NamedFuncPointer) -> str:
    """The text that a function of C without arguments gives."""
    function.restype = ctypes.c_char_p
    said = function()
    return said.decode() if said else ""
