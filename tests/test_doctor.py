"""`rnnspec doctor`: what it finds, what it advises, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rnnspec.cli import commands
from rnnspec.commands import doctor
from rnnspec.run.blas import Blas, blas
from rnnspec.run.driver import Driver, Gpu
from rnnspec.run.gpu import Cupy

CUPY = Cupy((("cupy-cuda13x", "14.2.0"),), "14.2.0", 13, (("cuBLAS", "13.0"), ("NVRTC", "13.0")))
DRIVER = Driver((13, 0), (Gpu("NVIDIA H100 80GB HBM3", 79 * 2**30, (9, 0)),))

Ask = Callable[..., Result]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run the command on a machine with this driver and this CuPy."""

    def run(driver: Driver | None, cupy: Cupy | None, *words: str) -> Result:
        monkeypatch.setattr(doctor, "driver", lambda: driver)
        monkeypatch.setattr(doctor, "cupy", lambda: cupy)
        return CliRunner().invoke(commands, ["doctor", *words], standalone_mode=False)

    return run


def rows(output: str) -> dict[str, str]:
    """What was found, by name."""
    table, _, _ = output.partition("\n\n")
    return {line[:15].strip(): line[15:] for line in table.splitlines()}


def test_a_machine_without_a_gpu_is_well(ask: Ask) -> None:
    result = ask(None, None)
    assert result.return_value == 0
    found = rows(result.output)
    assert list(found) == ["Python", "rnnspec", "NumPy", "PyTorch", "NVIDIA driver", "GPU", "CuPy"]
    assert found["NVIDIA driver"] == found["GPU"] == found["CuPy"] == "not found"
    assert found["NumPy"].startswith(f"{np.__version__} with ")
    assert (
        "The CPU is ready.\nThe GPU cannot be used:\n  there is neither an NVIDIA driver nor CuPy\n    help: " in result.output
    )
    assert '`pip install "rnnspec[cuda13]"`' in result.output


def test_a_machine_with_a_gpu(ask: Ask) -> None:
    result = ask(DRIVER, CUPY)
    found = rows(result.output)
    assert found["NVIDIA driver"] == "for CUDA 13.0"
    assert found["GPU"] == "NVIDIA H100 80GB HBM3, 79.0 GiB, compute capability 9.0"
    assert found["CuPy"] == "cupy-cuda13x 14.2.0, for CUDA 13"
    assert (found["cuBLAS"], found["NVRTC"]) == ("13.0", "13.0")
    assert "The CPU is ready.\nThe GPU is ready" in result.output and "cannot" not in result.output


def test_every_trouble_is_listed(ask: Ask) -> None:
    lacking = Cupy(CUPY.packages, "14.2.0", 13, (("cuBLAS", ""), ("NVRTC", "")))
    output = ask(Driver((12, 4), DRIVER.gpus), lacking).output
    told = [line.strip() for line in output.partition("cannot be used:\n")[2].splitlines() if "help: " not in line]
    assert told == [
        "the NVIDIA driver serves CUDA 12.4, but CuPy was built for CUDA 13",
        "the library cuBLAS of CUDA 13 is not installed",
        "the library NVRTC of CUDA 13 is not installed",
    ]
    assert output.count("    help: ") == 3


def test_json_says_the_same(ask: Ask) -> None:
    told = json.loads(ask(DRIVER, None, "--format", "json").output)
    assert {"name": "rnnspec", "found": "0.1.0"} in told["found"] and {"name": "CuPy", "found": None} in told["found"]
    assert told["devices"]["cpu"] == {"ready": True, "troubles": []}
    trouble = {"message": "CuPy is not installed", "help": '`pip install "rnnspec[cuda13]"`'}
    assert told["devices"]["gpu"] == {"ready": False, "troubles": [trouble]}
    assert json.loads(ask(DRIVER, CUPY, "--format", "json").output)["devices"]["gpu"] == {"ready": True, "troubles": []}


def test_pytorch_is_optional(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "For `rnnspec verify --against torch`: `pip install torch`."
    assert advice not in ask(None, None).output
    monkeypatch.setattr(doctor, "installed", lambda package: "")
    result = ask(None, None)
    assert rows(result.output)["PyTorch"] == "not found" and advice in result.output and result.return_value == 0


def test_without_numpy_nothing_works(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    result = ask(None, None)
    assert result.return_value == 1
    assert rows(result.output)["NumPy"] == "not found"
    assert "The CPU cannot be used:\n  NumPy cannot be imported: " in result.output


def test_the_threads_are_those_that_numpy_uses(tmp_path: Path) -> None:
    if not blas().threads:
        pytest.skip("this BLAS does not tell")
    words = [sys.executable, "-c", "from rnnspec.run.blas import blas; print(blas().threads)"]
    limited = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "BLIS_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    assert subprocess.run(words, env=limited, capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_blas_in_words() -> None:
    assert str(Blas("openblas", "0.3.31", "SkylakeX", 2)) == "openblas 0.3.31, code for SkylakeX, 2 threads"
    assert str(Blas("mkl", "2025.0", "", 1)) == "mkl 2025.0, 1 thread"
    assert str(Blas("accelerate", "", "", 0)) == "accelerate"
