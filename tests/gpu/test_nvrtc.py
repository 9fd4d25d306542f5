"""NVRTC says what a device would make of kernels, and the reports tell good ones from bad ones."""

from __future__ import annotations

import pytest

from tests.gpu.elman_run import KERNELS
from tests.gpu.marks import needs_nvrtc
from tests.gpu.nvrtc import ARCHITECTURES, CompileError, compiled

pytestmark = needs_nvrtc

SPILLING = r"""
extern "C" __global__ void spills(const real* a, real* out) {
    real kept[64];
#pragma unroll
    for (int i = 0; i < 64; ++i) kept[i] = a[i * blockDim.x + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 64; ++i) out[i * blockDim.x + threadIdx.x] = kept[63 - i] * kept[i];
}
"""


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("real", ["float", "double"])
def test_kernels_fit_into_registers(arch: str, real: str) -> None:
    reports = {report.name: report for report in compiled(KERNELS, arch, ("-std=c++17", f"-Dreal={real}"))}
    assert sorted(reports) == ["backward_h", "column_sum", "forward_h", "forward_loss", "forward_y"]
    assert all(0 < report.registers <= 64 and report.stack == report.spilled == 0 for report in reports.values())
    size = {"float": 4, "double": 8}[real]
    assert reports["column_sum"].shared == reports["forward_loss"].shared == 8 * size
    assert reports["forward_h"].shared == 0


def test_spilled_registers_are_counted() -> None:
    (report,) = compiled(SPILLING, "sm_90", ("-Dreal=double", "--maxrregcount=32"))
    assert report.registers <= 32
    assert report.stack > 0
    assert report.spilled > 0


def test_an_error_names_its_line() -> None:
    with pytest.raises(CompileError, match=r'kernels.cu\(19\): error: identifier "tannh" is undefined'):
        compiled(KERNELS.replace("tanh(", "tannh(", 1).replace("tanh(", "tannh("), "sm_90", ("-Dreal=float",))


def test_a_warning_is_an_error() -> None:
    unused = KERNELS.replace("const int b = i / 7, j = i % 7;", "const int b = i / 7, j = i % 7, k = 0;", 1)
    with pytest.raises(CompileError, match='variable "k" was declared but never referenced'):
        compiled(unused, "sm_90", ("-Dreal=float",))


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(CompileError, match="gpu-architecture"):
        compiled(KERNELS, "sm_1", ("-Dreal=float",))
