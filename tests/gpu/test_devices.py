"""Whether the GPU can be used: what the driver says, what CuPy says, and the advice where something is missing."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rnnspec.commands.trouble import explain
from rnnspec.run import driver as driver_module
from rnnspec.run import gpu as gpu_module
from rnnspec.run.driver import Driver, Gpu, driver
from rnnspec.run.gpu import Cupy, Device, NoGpu, cupy, facts, install, require, troubles

H100 = Gpu("NVIDIA H100 80GB HBM3", 85_000_000_000, (9, 0))
V100 = Gpu("Tesla V100", 16_000_000_000, (7, 0))
DRIVER = Driver((13, 0), (H100,))
CUPY = Cupy((("cupy-cuda13x", "14.2.0"),), "14.2.0", 13, (("cuBLAS", "13.0"), ("NVRTC", "13.0")))
LIBRARIES_12 = (("cuBLAS", "12.9"), ("NVRTC", "12.9"))
CUPY_12 = Cupy((("cupy-cuda12x", "13.6.0"),), "13.6.0", 12, LIBRARIES_12)

# ------------------------------------------------------------------ the driver


class FakeLibrary:
    """`libcuda` with one GPU; `codes` says which functions fail, and with which number."""

    def __init__(self, version: int = 13000, codes: Mapping[str, int] | None = None) -> None:
        self.version, self.codes = version, dict(codes or {})

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            if name not in self.codes:
                getattr(type(self), f"_{name}")(self, *arguments)
            return self.codes.get(name, 0)

        return function

    def _cuDriverGetVersion(self, number: Any) -> None:
        number._obj.value = self.version

    def _cuInit(self, flags: int) -> None:
        assert flags == 0

    def _cuDeviceGetCount(self, number: Any) -> None:
        number._obj.value = 1

    def _cuDeviceGet(self, number: Any, index: int) -> None:
        number._obj.value = 40 + index

    def _cuDeviceGetName(self, name: Any, size: int, device: int) -> None:
        assert (size, device) == (256, 40)
        name.value = H100.name.encode()

    def _cuDeviceTotalMem_v2(self, memory: Any, device: int) -> None:
        memory._obj.value = H100.memory

    def _cuDeviceGetAttribute(self, number: Any, attribute: int, device: int) -> None:
        number._obj.value = {75: 9, 76: 0}[attribute]

    def _cuGetErrorName(self, code: int, name: Any) -> None:
        name._obj.value = {100: b"CUDA_ERROR_NO_DEVICE"}.get(code)


def with_library(monkeypatch: pytest.MonkeyPatch, library: FakeLibrary) -> Driver | None:
    """What is found where `libcuda` is this one."""
    monkeypatch.setattr(driver_module, "ctypes", SimpleNamespace(**{**vars(ctypes), "CDLL": lambda name: library}))
    return driver()


def test_the_driver_tells_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_library(monkeypatch, FakeLibrary(13020)) == Driver((13, 2), (H100,))


@pytest.mark.parametrize(("code", "name"), [(100, "CUDA_ERROR_NO_DEVICE"), (802, "error 802")])
def test_a_driver_without_gpus_says_why(monkeypatch: pytest.MonkeyPatch, code: int, name: str) -> None:
    assert with_library(monkeypatch, FakeLibrary(12040, {"cuInit": code})) == Driver((12, 4), problem=name)
    assert with_library(monkeypatch, FakeLibrary(12040, {"cuDeviceGetName": code})) == Driver((12, 4), problem=name)
    assert with_library(monkeypatch, FakeLibrary(codes={"cuDriverGetVersion": code})) == Driver((0, 0), problem=name)


def test_there_may_be_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "LIBRARY", "libcuda-that-nobody-has.so.1")
    assert driver() is None


# ------------------------------------------------------------------ CuPy


def fake_cupy(cublas: Exception | int = 130001, nvrtc: Exception | tuple[int, int] = (13, 0)) -> ModuleType:
    """A module with what is asked of CuPy; the libraries that are exceptions raise them."""

    def get(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = ModuleType("cupy")
    runtime = SimpleNamespace(runtimeGetVersion=lambda: 13020)
    libraries = {"cublas": SimpleNamespace(getVersion=lambda handle: get(cublas)),
                 "nvrtc": SimpleNamespace(getVersion=lambda: get(nvrtc))}  # fmt: skip
    module.__dict__.update(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime, **libraries))
    return module


def with_cupy(monkeypatch: pytest.MonkeyPatch, module: ModuleType | Exception, **packages: str) -> Cupy | None:
    """What is found where these packages are installed, and `import cupy` gives the module or raises."""

    def version(name: str) -> str:
        if name.replace("-", "_") not in packages:
            raise PackageNotFoundError(name)
        return packages[name.replace("-", "_")]

    def load(name: str) -> ModuleType:
        assert name == "cupy"
        if isinstance(module, Exception):
            raise module
        return module

    monkeypatch.setattr(gpu_module, "version", version)
    monkeypatch.setattr(importlib, "import_module", load)
    return cupy()


def test_cupy_and_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_cupy(monkeypatch, fake_cupy(), cupy_cuda13x="14.2.0") == CUPY


def test_libraries_that_cupy_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_cupy(ImportError("no libcublas"), RuntimeError("no libnvrtc"))
    found = with_cupy(monkeypatch, module, cupy_cuda13x="14.2.0")
    assert found is not None and found.libraries == (("cuBLAS", ""), ("NVRTC", ""))


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_cupy(monkeypatch, ModuleNotFoundError("No module named 'cupy'", name="cupy")) is None


def test_cupy_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ImportError("\n====\nFailed to import CuPy.\n====\n")
    error.__cause__ = ImportError("libcublas.so.12: cannot open shared object file\nand advice")
    found = with_cupy(monkeypatch, error, cupy_cuda12x="13.6.0")
    assert found is not None and found.problem == "libcublas.so.12: cannot open shared object file"
    missing = with_cupy(
        monkeypatch, ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"), cupy_cuda12x="13.6.0"
    )
    assert missing is not None and missing.problem == "No module named 'fastrlock'"


def test_two_packages_of_cupy_are_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_cupy(monkeypatch, AssertionError("imported"), cupy_cuda12x="13.6.0", cupy_cuda13x="14.2.0")
    assert found == Cupy((("cupy-cuda13x", "14.2.0"), ("cupy-cuda12x", "13.6.0")))


# ------------------------------------------------------------------ what is in the way

BOTH = '`pip install "rnnspec[cuda13]"`, or `pip install "rnnspec[cuda12]"` where the driver serves no more than CUDA 12'
NEWER = "install a newer driver"


@pytest.mark.parametrize(
    ("driver", "cupy", "message", "help"),
    [
        (None, None, "there is neither an NVIDIA driver nor CuPy", f"for an NVIDIA GPU install its driver, and {BOTH}"),
        (None, CUPY, "there is no NVIDIA driver", "install the driver of your GPU; a container needs `--gpus all`"),
        (DRIVER, None, "CuPy is not installed", '`pip install "rnnspec[cuda13]"`'),
        (Driver((12, 4), (H100,)), None, "CuPy is not installed", '`pip install "rnnspec[cuda12]"`'),
        (Driver((13, 0), (V100,)), None, "CuPy is not installed", '`pip install "rnnspec[cuda12]"`'),
        (Driver((11, 8), (H100,)), None, "the NVIDIA driver serves CUDA 11.8, and 12.0 is needed", NEWER),
        (
            Driver((13, 0), problem="CUDA_ERROR_NO_DEVICE"), CUPY, "the NVIDIA driver sees no GPU (CUDA_ERROR_NO_DEVICE)",
            "`nvidia-smi` must list it; Docker hands it to a container with `--gpus all`",
        ),
        (
            Driver((12, 4), (H100,)), CUPY, "the NVIDIA driver serves CUDA 12.4, but CuPy was built for CUDA 13",
            'install a newer driver, or `pip uninstall -y cupy-cuda13x`, then `pip install "rnnspec[cuda12]"`',
        ),
        (
            Driver((13, 0), (V100,)), CUPY, "Tesla V100, of compute capability 7.0, is too old for CUDA 13",
            '`pip uninstall -y cupy-cuda13x`, then `pip install "rnnspec[cuda12]"`',
        ),
        (
            DRIVER, Cupy((("cupy-cuda13x", "14.2.0"), ("cupy-cuda12x", "13.6.0"))),
            "CuPy is installed more than once, one over the other: cupy-cuda13x 14.2.0 and cupy-cuda12x 13.6.0",
            '`pip uninstall -y cupy-cuda13x cupy-cuda12x`, then `pip install "rnnspec[cuda13]"`',
        ),
        (
            DRIVER, Cupy((("cupy-cuda13x", "14.2.0"),), problem="numpy.core failed"),
            "CuPy cannot be imported: numpy.core failed", '`pip install "rnnspec[cuda13]"`',
        ),
        (
            DRIVER, replace(CUPY, version="13.5.1"), "CuPy 13.5.1 is too old: 13.6 is needed",
            '`pip install "rnnspec[cuda13]"`',
        ),
        (
            DRIVER, replace(CUPY, packages=(("cupy-cuda11x", "13.6.0"),), version="13.6.0", cuda=11),
            "CuPy was built for CUDA 11, and 12 or 13 is needed",
            '`pip uninstall -y cupy-cuda11x`, then `pip install "rnnspec[cuda13]"`',
        ),
        (
            DRIVER, replace(CUPY_12, libraries=(("cuBLAS", ""), ("NVRTC", "12.9"))),
            "the library cuBLAS of CUDA 12 is not installed", '`pip install "rnnspec[cuda12]"`',
        ),
        (
            DRIVER, replace(CUPY, libraries=(("cuBLAS", "13.0"), ("NVRTC", ""))),
            "the library NVRTC of CUDA 13 is not installed", '`pip install "rnnspec[cuda13]"`',
        ),
        (
            DRIVER, replace(CUPY, libraries=LIBRARIES_12),
            "the library cuBLAS of CUDA 13 is not installed", '`pip install "rnnspec[cuda13]"`',
        ),
    ],
)  # fmt: skip
def test_each_trouble_has_its_advice(
    driver: Driver | None, cupy: Cupy | None, message: str, help: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, *_ = troubles(driver, cupy)
    assert (first.message, first.help) == (message, help)


@pytest.mark.parametrize(
    ("driver", "cupy"),
    [(DRIVER, CUPY), (DRIVER, CUPY_12), (Driver((12, 4), (H100,)), CUPY_12), (Driver((13, 0), (V100,)), CUPY_12),
     (DRIVER, replace(CUPY, version="15.0.0rc1")), (DRIVER, replace(CUPY, packages=(("cupy", "14.2.0"),)))],
)  # fmt: skip
def test_what_fits_together_is_no_trouble(driver: Driver, cupy: Cupy) -> None:
    assert list(troubles(driver, cupy)) == []


@pytest.mark.parametrize(("value", "shown"), [("", "empty"), ("7", "`7`")])
def test_a_variable_may_hide_the_gpu(monkeypatch: pytest.MonkeyPatch, value: str, shown: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    (found,) = troubles(Driver((13, 0), problem="CUDA_ERROR_NO_DEVICE"), CUPY)
    assert found.help == f"the variable CUDA_VISIBLE_DEVICES, which says what programs may see, is {shown} here"


def test_all_troubles_are_told_what_matters_most_first() -> None:
    lacking = replace(CUPY, libraries=(("cuBLAS", ""), ("NVRTC", "")))
    messages = [found.message for found in troubles(None, lacking)]
    assert [message.partition(" of CUDA")[0] for message in messages] == [
        "there is no NVIDIA driver",
        "the library cuBLAS",
        "the library NVRTC",
    ]


def test_an_old_driver_is_no_reason_to_choose_a_package() -> None:
    assert install(Driver((11, 8), (H100,))) == install(None) == BOTH


# ------------------------------------------------------------------ require


def test_require_gives_the_first_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_module, "driver", lambda: Driver((13, 0), (H100, V100)))
    monkeypatch.setattr(gpu_module, "cupy", lambda: CUPY)
    device = require()
    assert device == Device(H100, Driver((13, 0), (H100, V100)), CUPY)
    assert facts(device) == {
        "name": "gpu", "gpu": "NVIDIA H100 80GB HBM3", "memory": 85_000_000_000, "compute_capability": "9.0",
        "driver": "CUDA 13.0", "cupy": "14.2.0", "cublas": "13.0", "nvrtc": "13.0",
    }  # fmt: skip


def test_require_refuses_with_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_module, "driver", lambda: DRIVER)
    monkeypatch.setattr(gpu_module, "cupy", lambda: None)
    with pytest.raises(NoGpu) as caught:
        require()
    assert explain(caught.value, []) == (
        2,
        "error: the GPU cannot be used: CuPy is not installed\n"
        '  help: `pip install "rnnspec[cuda13]"`\n'
        "  note: `rnnspec doctor` shows what was found; `rnnspec compile --device gpu` works without a GPU",
    )
