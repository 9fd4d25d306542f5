"""Can scripts for the GPU run here?  What they need, what is missing, and what to install.

`require` answers for a command that is about to use the GPU, `troubles` for `rnnspec doctor`.
"""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from rnnspec.run.driver import Driver, Gpu, driver

PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")
"""Packages that bring the module `cupy`; there is room for one of them."""

OLDEST_CUPY = (13, 6)
OLDEST_CUDA = 12
OLDEST_GPU_OF_CUDA_13 = (7, 5)
"""Compute capability below which the compiler of CUDA 13 makes no kernels."""


@dataclass(frozen=True)
class Cupy:
    """What is known about CuPy: its packages, the module's version, the CUDA it was built for, and what it lacks."""

    packages: tuple[tuple[str, str], ...]  # name and version
    version: str = ""
    cuda: int = 0  # the major version
    libraries: tuple[tuple[str, str], ...] = ()  # name and version of those of CUDA; the version is empty where one is missing
    problem: str = ""  # why it cannot be imported


@dataclass(frozen=True)
class Trouble:
    """One reason why the GPU cannot be used, and what to do about it."""

    message: str
    help: str


class NoGpu(Exception):
    """The GPU cannot be used here; `trouble` says why."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble.message)


@dataclass(frozen=True)
class Device:
    """The GPU that a script will run on, and the software between them."""

    gpu: Gpu
    driver: Driver
    cupy: Cupy


def require() -> Device:
    """The GPU that scripts will run on; NoGpu with the first thing that is in the way."""
    found, module = driver(), cupy()
    for trouble in troubles(found, module):
        raise NoGpu(trouble)
    assert found is not None and module is not None
    return Device(found.gpus[0], found, module)


def facts(device: Device) -> dict[str, object]:
    """What a run should remember of its device."""
    return {
        "name": "gpu",
        "gpu": device.gpu.name,
        "memory": device.gpu.memory,
        "compute_capability": _dotted(device.gpu.capability),
        "driver": f"CUDA {_dotted(device.driver.cuda)}",
        "cupy": device.cupy.version,
        **{name.lower(): number for name, number in device.cupy.libraries},
    }


# ------------------------------------------------------------------ CuPy


def cupy() -> Cupy | None:
    """What is known about CuPy; None where it is not installed."""
    packages = tuple(_installed())
    if len(packages) > 1:
        return Cupy(packages)  # their files are a mixture: better not to run it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        return None if error.name == "cupy" else Cupy(packages, problem=str(error))
    except Exception as error:  # whatever goes wrong in there is what a user has to know
        return Cupy(packages, problem=_first_line(error.__cause__ or error))
    runtime = module.cuda.runtime.runtimeGetVersion() // 1000
    return Cupy(packages, module.__version__, runtime, tuple(_libraries(module)))


def _first_line(error: BaseException) -> str:
    """What an exception says, without the advice behind it."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _installed() -> Iterator[tuple[str, str]]:
    """Name and version of each installed package of CuPy."""
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _libraries(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The libraries of CUDA that scripts use, which CuPy loads at their first call; both calls work without a GPU."""
    try:
        number = module.cuda.cublas.getVersion(0)
        yield "cuBLAS", f"{number // 10000}.{number // 100 % 100}"
    except (ImportError, RuntimeError):
        yield "cuBLAS", ""
    try:
        yield "NVRTC", ".".join(map(str, module.cuda.nvrtc.getVersion()))
    except (ImportError, RuntimeError):
        yield "NVRTC", ""


# ------------------------------------------------------------------ what is in the way


def troubles(driver: Driver | None, cupy: Cupy | None) -> Iterator[Trouble]:
    """Everything that keeps scripts from the GPU, what must be mended first in front."""
    if driver is None and cupy is None:
        yield Trouble(
            "there is neither an NVIDIA driver nor CuPy", f"for an NVIDIA GPU install its driver, and {install(None)}"
        )
    elif driver is None:
        yield Trouble("there is no NVIDIA driver", "install the driver of your GPU; a container needs `--gpus all`")
    else:
        yield from _of_driver(driver)
        if cupy is None:
            yield Trouble("CuPy is not installed", install(driver))
    if cupy is not None:
        yield from _of_cupy(cupy, driver)
        if driver is not None:
            yield from _between(driver, cupy)
        yield from _missing(cupy)


def _of_driver(driver: Driver) -> Iterator[Trouble]:
    """What is wrong with the driver."""
    if not driver.gpus:
        reason = f" ({driver.problem})" if driver.problem else ""
        yield Trouble(f"the NVIDIA driver sees no GPU{reason}", _visible())
    if 0 < driver.cuda[0] < OLDEST_CUDA:
        message = f"the NVIDIA driver serves CUDA {_dotted(driver.cuda)}, and {OLDEST_CUDA}.0 is needed"
        yield Trouble(message, "install a newer driver")


def _of_cupy(cupy: Cupy, driver: Driver | None) -> Iterator[Trouble]:
    """What is wrong with CuPy."""
    if len(cupy.packages) > 1:
        shown = " and ".join(f"{name} {number}" for name, number in cupy.packages)
        yield Trouble(f"CuPy is installed more than once, one over the other: {shown}", _instead(cupy, driver))
    elif cupy.problem:
        yield Trouble(f"CuPy cannot be imported: {cupy.problem}", install(driver))
    elif _release(cupy.version) < OLDEST_CUPY:
        yield Trouble(f"CuPy {cupy.version} is too old: {_dotted(OLDEST_CUPY)} is needed", install(driver))
    elif cupy.cuda < OLDEST_CUDA:  # its cuBLAS has another name
        yield Trouble(f"CuPy was built for CUDA {cupy.cuda}, and {OLDEST_CUDA} or 13 is needed", _instead(cupy, driver))


def _between(driver: Driver, cupy: Cupy) -> Iterator[Trouble]:
    """What does not fit between a driver with its first GPU and CuPy."""
    if cupy.cuda > driver.cuda[0] >= OLDEST_CUDA:
        message = f"the NVIDIA driver serves CUDA {_dotted(driver.cuda)}, but CuPy was built for CUDA {cupy.cuda}"
        yield Trouble(message, f"install a newer driver, or {_instead(cupy, driver)}")
    elif cupy.cuda == 13 and driver.gpus and driver.gpus[0].capability < OLDEST_GPU_OF_CUDA_13:
        gpu = driver.gpus[0]
        message = f"{gpu.name}, of compute capability {_dotted(gpu.capability)}, is too old for CUDA 13"
        yield Trouble(message, _instead(cupy, driver))


def _missing(cupy: Cupy) -> Iterator[Trouble]:
    """The libraries of CUDA that CuPy does not find, or finds of another version than its own."""
    for name, found in cupy.libraries:
        if found.partition(".")[0] != str(cupy.cuda):
            yield Trouble(f"the library {name} of CUDA {cupy.cuda} is not installed", _package(cupy.cuda))


def _visible() -> str:
    """Where a GPU may have got lost."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        value = f"`{chosen}`" if chosen else "empty"
        return f"the variable CUDA_VISIBLE_DEVICES, which says what programs may see, is {value} here"
    return "`nvidia-smi` must list it; Docker hands it to a container with `--gpus all`"


def _release(number: str) -> tuple[int, ...]:
    """`14.0.0rc1` is (14, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", number)[:2])


def _dotted(number: tuple[int, int]) -> str:
    return f"{number[0]}.{number[1]}"


# ------------------------------------------------------------------ what to install


def install(driver: Driver | None) -> str:
    """The command that installs what fits the driver; both where that is not known."""
    if driver is None or driver.cuda[0] < OLDEST_CUDA:
        return f"{_package(13)}, or {_package(12)} where the driver serves no more than CUDA 12"
    modern = all(gpu.capability >= OLDEST_GPU_OF_CUDA_13 for gpu in driver.gpus)
    return _package(13 if driver.cuda[0] >= 13 and modern else 12)


def _package(cuda: int) -> str:
    return f'`pip install "rnnspec[cuda{cuda}]"`'


def _instead(cupy: Cupy, driver: Driver | None) -> str:
    """How to get another CuPy."""
    names = " ".join(name for name, _ in cupy.packages) or "cupy"
    return f"`pip uninstall -y {names}`, then {install(driver)}"
