"""Kernels on the host do what they would do on a device, and mistakes in them are found, with the line."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler
SCHEDULES = range(5)


def ran(body: str, n: int = 64, *, blocks: int = 1, threads: int = 64, schedule: int = 1, **keywords: Any) -> Any:
    """The floats `y` after a kernel of that body, which has `x` = 0, 1, 2, ... (n of them), `y` (all -1) and `n`."""
    code = f'extern "C" __global__ void tried(const float* __restrict__ x, float* y, int n) {{\n{body}\n}}'
    with cupy_on_host(schedule):
        cp = sys.modules["cupy"]
        kernel = cp.RawModule(code=code, **keywords).get_function("tried")
        y = cp.full(n, -1, np.float32)
        kernel((blocks,), (threads,), (cp.asarray(np.arange(n, dtype=np.float32)), y, np.int32(n)), shared_mem=1024)
        return y.get()


# ------------------------------------------------------------------ what is right


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_thread_runs_once(schedule: int) -> None:
    body = "int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = x[i] + y[i] + gridDim.x;"
    assert (ran(body, 1000, blocks=4, threads=256, schedule=schedule) == np.arange(1000) + 3).all()


def test_blocks_have_memory_of_their_own() -> None:
    body = "__shared__ float kept[1][2];\n kept[0][0] = blockIdx.x; kept[0][0] *= 2; y[blockIdx.x] = kept[0][0];"
    assert (ran(body, 5, blocks=5, threads=1) == [0, 2, 4, 6, 8]).all()


def test_dynamic_shared_memory() -> None:
    body = """
        RS_DYN_SMEM(float, kept);
        kept[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        y[threadIdx.x] = kept[n - 1 - threadIdx.x];
    """
    assert (ran(body) == np.arange(64)[::-1]).all()


@pytest.mark.parametrize(
    "shuffle, source",
    [
        ("__shfl_xor_sync(0xffffffffu, v, 5)", lambda lane: lane ^ 5),
        ("__shfl_down_sync(0xffffffffu, v, 3)", lambda lane: lane + 3 if lane + 3 < 32 else lane),
        ("__shfl_up_sync(0xffffffffu, v, 1)", lambda lane: max(lane - 1, 0)),
        ("__shfl_sync(0xffffffffu, v, 7)", lambda lane: 7),
    ],
)
def test_shuffles(shuffle: str, source: Any) -> None:
    expected = [warp * 32 + source(lane) for warp in range(2) for lane in range(32)]
    assert ran(f"float v = x[threadIdx.x]; v = {shuffle}; y[threadIdx.x] = v;").tolist() == expected


def test_a_lane_that_is_not_there_offers_nothing() -> None:
    got = ran("float v = x[threadIdx.x]; y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, v, 16);", threads=40)
    assert (got[:32] == np.arange(32) ^ 16).all()
    assert np.isnan(got[32:40]).all()


def test_the_whole_grid_waits() -> None:
    body = """
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        y[i] = i;
        RS_GRID_SYNC();
        float v = y[n - 1 - i];
        RS_GRID_SYNC();
        y[i] = v;
    """
    assert (ran(body, 64, blocks=4, threads=16, enable_cooperative_groups=True) == np.arange(64)[::-1]).all()


def test_a_warp_waits_for_itself() -> None:
    body = "y[threadIdx.x] = threadIdx.x; __syncwarp(); float v = y[threadIdx.x ^ 1]; __syncwarp(); y[threadIdx.x] = v;"
    assert (ran(body) == np.arange(64) ^ 1).all()


# ------------------------------------------------------------------ what is wrong

RACE_IN_A_SUM = """
__shared__ float sums[64];
sums[threadIdx.x] = x[threadIdx.x];
for (int half = 32; half > 0; half /= 2) {
    BARRIER
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
}
if (threadIdx.x == 0) y[0] = sums[0];
"""

NO_BARRIER_BEFORE_A_WRITE = """
__shared__ float kept[64];
kept[threadIdx.x] = 0;
__syncthreads();
float v = kept[63 - threadIdx.x];
kept[threadIdx.x] = v;
"""
LANES_APART = """
float v = 0;
if (threadIdx.x % 2) {
    v = __shfl_xor_sync(0xffffffffu, v, 2);
} else {
    v = __shfl_xor_sync(0xffffffffu, v, 2);
}
"""
BACK_TO_FRONT = "int i = blockIdx.x * blockDim.x + threadIdx.x;\ny[i] = i;\ny[i] = y[n - 1 - i];"
GRID = {"blocks": 4, "threads": 16, "enable_cooperative_groups": True}

MISTAKES = {
    "no barrier in a sum": (RACE_IN_A_SUM.replace("BARRIER", ""), {}, r"line [47]: race: sums\[\d+\]"),
    "no barrier before a write": (
        NO_BARRIER_BEFORE_A_WRITE,
        {},
        r"race: kept\[\d+\] is (read|written) here and was (read|written) by block 0, thread \d+ at line [67]",
    ),
    "a barrier of the warp alone": (RACE_IN_A_SUM.replace("BARRIER", "__syncwarp();"), {}, "line 7: race"),
    "an element of two blocks": ("y[threadIdx.x] = blockIdx.x;", {"blocks": 2}, r"line 2: race: y\[\d+\] is written"),
    "a barrier of the block alone": (
        "y[blockIdx.x] = 1; __syncthreads(); y[3 - blockIdx.x] = 2;",
        {"blocks": 4, "threads": 1},
        "race",
    ),
    "no barrier of the grid": (BACK_TO_FRONT, GRID, r"race: y\[\d+\]"),
    "a barrier for some": (
        "if (threadIdx.x < 16) return;\n__syncthreads();",
        {},
        "line 3: divergent __syncthreads: .* has ended",
    ),
    "two barriers for one": (
        "if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n}",
        {},
        "threads of one block wait at lines 3 and 5",
    ),
    "lanes that do not meet": (LANES_APART, {}, "lanes of one warp wait at lines 5 and 7"),
    "a grid barrier for some": ("if (blockIdx.x == 0) return;\nRS_GRID_SYNC();", GRID, "line 3: .* waits for ever"),
    "no guard": (
        "y[threadIdx.x] = 0;",
        {"n": 60},
        r"line 2: y\[6[0-3]\] is outside its 60 elements \(block 0, thread 6[0-3]\)",
    ),
    "one too far": ("y[threadIdx.x] =\nx[threadIdx.x + 1];", {}, r"line 3: x\[64\] is outside its 64 elements"),
    "before the beginning": (
        "const float* p = x + n; p += -n; y[threadIdx.x] = (p + threadIdx.x)[-1];",
        {},
        r"x\[-1\] is outside",
    ),
    "beyond a shared array": (
        "__shared__ float kept[8];\nkept[threadIdx.x] = 0;",
        {"threads": 9},
        r"line 3: kept\[8\] is outside its 8",
    ),
    "beyond an array of a thread": ("float kept[4];\nkept[n] = 0;", {}, "line 3: a local array"),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(name: str, schedule: int) -> None:
    body, keywords, message = MISTAKES[name]
    with pytest.raises(RuntimeError, match=message):
        ran(body, schedule=schedule, **keywords)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_sum_with_its_barriers_is_right(schedule: int) -> None:
    assert ran(RACE_IN_A_SUM.replace("BARRIER", "__syncthreads();"), schedule=schedule)[0] == 64 * 63 / 2


def test_shared_memory_that_nobody_set_is_no_number() -> None:
    assert np.isnan(ran("__shared__ float kept[8]; y[threadIdx.x] = kept[threadIdx.x];", threads=8)[:8]).all()


@pytest.mark.parametrize("restricted", [True, False])
def test_what_is_restricted_is_not_written_by_another_pointer(restricted: bool) -> None:
    pointer = "const float* __restrict__ x" if restricted else "const float* x"
    code = f'extern "C" __global__ void shift({pointer}, float* y) {{\ny[threadIdx.x] = x[threadIdx.x];\n}}'
    with cupy_on_host():
        cp = sys.modules["cupy"]
        kernel, y = cp.RawModule(code=code).get_function("shift"), cp.zeros(64, np.float32)
        kernel((1,), (32,), (y[32:], y[:32]))
        if restricted:
            with pytest.raises(RuntimeError, match=r"line 2: y\[0\] is written as an element of y, but x is __restrict__"):
                kernel((1,), (32,), (y, y))
        else:
            kernel((1,), (32,), (y, y))


def test_a_later_launch_is_no_race() -> None:
    with cupy_on_host():
        cp = sys.modules["cupy"]
        code = 'extern "C" __global__ void add(float* y, int k) { y[(threadIdx.x + k) % 32] += 1; }'
        kernel = cp.RawModule(code=code).get_function("add")
        y = cp.zeros(32, np.float32)
        for k in range(3):
            kernel((1,), (32,), (y, np.int32(k)))
        assert (y.get() == 3).all()


def test_many_elements_are_watched() -> None:
    body = "int i = blockIdx.x * blockDim.x + threadIdx.x; y[i] = x[n - 1 - i]; if (i == n - 1) y[17] = 0;"
    with pytest.raises(RuntimeError, match=r"race: y\[17\]"):
        ran(body, 40 * 256, blocks=40, threads=256)


def test_the_host_compiler_says_what_it_refuses() -> None:
    with pytest.raises(RuntimeError, match="kernels:2:.*undeclared|not declared"):
        ran("y[0] = tannh(x[0]);")
