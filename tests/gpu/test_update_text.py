"""The text of updates for a GPU: what NVRTC makes of it, and that it is formatted like the rest of a script."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.gpu.marks import needs_nvrtc
from tests.gpu.nvrtc import ARCHITECTURES, compiled
from tests.gpu.updates import Case, case
from tests.test_optimizers import CASES
from tests.test_schedules import CASES as SCHEDULES
from tests.training_specs import ATTRIBUTES, MAX_NORM, RUFF

CLIPPING = ("global_norm(2)", "parameter_norm(1.5)", "value(0.5)", "adaptive(ratio=0.9)", "skip(max=30)")
AVERAGING = ("ema(0.9)", "polyak(start=30)")
TEXTS = {
    **{name: case(ATTRIBUTES + MAX_NORM, optimizer=CASES[name][0]) for name in CASES},
    **{clip: case(clip=clip) for clip in CLIPPING},
    **{f"adafactor, {clip}": case(optimizer="adafactor(lr=0.1)", clip=clip) for clip in CLIPPING},
    **{average: case(optimizer="adamw(lr=0.1)", average=average) for average in AVERAGING},
    "all": case(ATTRIBUTES + MAX_NORM, optimizer="adam(lr=0.1, amsgrad=true)", clip="adaptive", average="ema"),
}


def kernels(chosen: Case) -> str:
    """The CUDA text of an update."""
    return chosen.on_gpu().partition('UPDATE_KERNELS = r"""\n')[2].partition('"""')[0]


@needs_nvrtc
@pytest.mark.parametrize("name", TEXTS)
def test_kernels_fit_into_registers(name: str) -> None:
    text = kernels(TEXTS[name])
    for arch in ARCHITECTURES:
        for real in ("float", "double"):
            reports = {report.name: report for report in compiled(text, arch, ("-std=c++17", f"-Dreal={real}"))}
            assert set(reports) == set(re.findall(r"__global__ void (\w+)\(", text)) >= {"decide", "update"}
            assert all(report.registers <= 64 and report.stack == report.spilled == 0 for report in reports.values())


@pytest.mark.parametrize("name", TEXTS)
def test_lines_are_formatted(name: str, tmp_path: Path) -> None:
    text = TEXTS[name].on_gpu()
    (section,) = (part for part in re.split(r"(?m)^# -{60,} ", text)[1:] if part.startswith("update\n"))
    assert max(map(len, section.split("\n"))) <= 120
    assert not re.search(r"[ \t]$|\n\n\n\n", section, re.MULTILINE) and "\n\n}" not in section and "{\n\n" not in section
    path = tmp_path / "section.py"
    path.write_text(f"# {section.rstrip()}\n")
    command = [RUFF, "format", "--diff", "--isolated", "--no-cache", "--line-length", "120", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_kernel_has_no_more_than_its_optimizer_needs() -> None:
    text = kernels(case(optimizer="sgd(lr=0.1)"))
    assert re.findall(r"__global__ void (\w+)\(", text) == ["measure", "decide", "update"]
    assert "weight = weights[i];" in text and "kept" not in text and "step" not in text.partition("// SGD")[2]
    assert "constexpr real" not in text and "penalt" not in text.replace("PENALTY", "") and "sign" not in text


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_is_found_as_on_a_cpu(name: str) -> None:
    chosen = case(schedule=SCHEDULES[name][0])
    found = [re.findall(r"(?ms)^def (?:learning_rate|look_for_plateau)\(.*?(?=\n\n\n)", text) for text in texts(chosen)]
    assert found[0] == found[1] and len(found[0]) == 1 + (name == "plateau")


def texts(chosen: Case) -> tuple[str, str]:
    """Its scripts for both devices."""
    return chosen.text("cpu"), chosen.text("gpu")
