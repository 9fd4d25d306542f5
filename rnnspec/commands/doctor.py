"""`rnnspec doctor`: what is installed here, what can be used, and what to install for the rest."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from rnnspec import __version__
from rnnspec.run.blas import blas
from rnnspec.run.driver import Driver, driver
from rnnspec.run.gpu import Cupy, Trouble, cupy, troubles

NOTHING = "not found"


@dataclass(frozen=True)
class Row:
    """One thing that rnnspec can use: what was found of it; empty where there is none."""

    name: str
    found: str


@dataclass(frozen=True)
class Health:
    """All that was found, and for each device what keeps scripts from it: nothing where it is ready."""

    rows: tuple[Row, ...]
    cpu: tuple[Trouble, ...]
    gpu: tuple[Trouble, ...]


def examine() -> Health:
    """Look at this machine; nothing raises."""
    numpy, without_numpy = numpy_row()
    found, module = driver(), cupy()
    rows = [
        Row("Python", f"{platform.python_version()}, {sys.executable}"),
        Row("rnnspec", __version__),
        numpy,
        Row("PyTorch", installed("torch")),
        Row("NVIDIA driver", served(found)),
        *gpus(found),
        Row("CuPy", packages(module)),
        *(Row(name, number) for name, number in (module.libraries if module else ())),
    ]
    return Health(tuple(rows), without_numpy, tuple(troubles(found, module)))


# ------------------------------------------------------------------ the CPU


def numpy_row() -> tuple[Row, tuple[Trouble, ...]]:
    """NumPy and its BLAS, and what is wrong with them."""
    try:
        import numpy

        return Row("NumPy", f"{numpy.__version__} with {blas()}"), ()
    except Exception as error:  # a broken installation may raise anything
        return Row("NumPy", ""), (Trouble(f"NumPy cannot be imported: {error}", "`pip install --force-reinstall numpy`"),)


def installed(package: str) -> str:
    """The version of a package; empty if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# ------------------------------------------------------------------ the GPU


def served(driver: Driver | None) -> str:
    """The driver in words."""
    if driver is None:
        return ""
    return f"for CUDA {driver.cuda[0]}.{driver.cuda[1]}" if driver.cuda[0] else driver.problem


def gpus(driver: Driver | None) -> Iterator[Row]:
    """A row for each GPU, or one that says that there is none."""
    if driver is None or not driver.gpus:
        yield Row("GPU", "")
        return
    for gpu in driver.gpus:
        major, minor = gpu.capability
        yield Row("GPU", f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute capability {major}.{minor}")


def packages(cupy: Cupy | None) -> str:
    """CuPy in words."""
    if cupy is None:
        return ""
    names = ", ".join(f"{name} {number}" for name, number in cupy.packages) or f"cupy {cupy.version}"
    return f"{names}, for CUDA {cupy.cuda}" if cupy.cuda else names


# ------------------------------------------------------------------ what is printed


def text(health: Health) -> str:
    """The rows, and for each device whether it is ready, or what to do."""
    width = max(len(row.name) for row in health.rows)
    rows = [f"{row.name:<{width}}  {row.found or NOTHING}" for row in health.rows]
    torch = next(row.found for row in health.rows if row.name == "PyTorch")
    optional = [] if torch else ["", "For `rnnspec verify --against torch`: `pip install torch`."]
    cpu = verdict("The CPU", "", health.cpu)
    return "\n".join([*rows, *optional, "", *cpu, *verdict("The GPU", "", health.gpu)])


def verdict(device: str, ready: str, troubles: Sequence[Trouble]) -> Iterator[str]:
    """Whether a device is ready."""
    if not troubles:
        yield f"{device} is ready{ready}."
        return
    yield f"{device} cannot be used:"
    for trouble in troubles:
        yield f"  {trouble.message}"
        yield f"    help: {trouble.help}"


def to_json(health: Health) -> str:
    """Everything, for programs."""
    devices = {
        name: {"ready": not found, "troubles": [asdict(trouble) for trouble in found]}
        for name, found in (("cpu", health.cpu), ("gpu", health.gpu))
    }
    rows = [{"name": row.name, "found": row.found or None} for row in health.rows]
    return json.dumps({"format_version": 1, "found": rows, "devices": devices}, indent=2)
