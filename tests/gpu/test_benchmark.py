"""The benchmark's own scripts and latencies, on the stand-in: what runs on a GPU has run here, but for the times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.gpu import plan
from benchmarks.gpu.plan import FUSED, GRAPH, LAUNCHES, STEPS, TOGETHER, TOLERANCES
from benchmarks.gpu.timing import Absent
from tests.gpu import cupy_stand_in
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler

pytestmark = needs_compiler

SIZE = (4, 6, 32)
CHIP = {"MultiProcessorCount": 5, "MaxSharedMemoryPerBlockOptin": 232_448}
DEVICE = SimpleNamespace(compute_capability="90", attributes=CHIP)
MODULES = ("ours", "check", "latencies")


class Event:
    """A moment on the host, where all work is done at once."""

    def record(self) -> None:
        self.at = time.perf_counter()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The modules that need CuPy, with the stand-in for it and what it lacks: events, and facts about a device."""
    monkeypatch.setattr(cupy_stand_in.cuda, "Event", Event, raising=False)
    elapsed = lambda start, end: 1e3 * (end.at - start.at)  # noqa: E731
    monkeypatch.setattr(cupy_stand_in.cuda, "get_elapsed_time", elapsed, raising=False)
    monkeypatch.setattr(cupy_stand_in.cuda, "Device", lambda: DEVICE, raising=False)
    about = {"name": b"none", "multiProcessorCount": 4, "totalGlobalMem": 1 << 30}
    monkeypatch.setattr(cupy_stand_in.runtime, "getDeviceProperties", lambda number: about, raising=False)
    monkeypatch.setattr(cupy_stand_in.runtime, "driverGetVersion", lambda: 13000, raising=False)
    with cupy_on_host():
        import benchmarks.gpu.check
        import benchmarks.gpu.latencies
        import benchmarks.gpu.ours

        for kept in (benchmarks.gpu.ours.script, benchmarks.gpu.ours.gpu):  # of another device, which is gone
            kept.cache_clear()
        yield SimpleNamespace(**{name: sys.modules[f"benchmarks.gpu.{name}"] for name in MODULES})


def case(cell: str, **more: str) -> plan.Case:
    return {"cell": cell, "size": SIZE, "precision": "float32", **more}


@pytest.mark.parametrize("cell", plan.CELLS)
def test_gradients_are_those_of_the_script_for_the_cpu(gpu: Any, cell: str) -> None:
    for precision, limit in TOLERANCES.items():
        found = gpu.check.run(case(cell, precision=precision), "cuda")
        assert found["error"] <= limit, precision
        assert found["repeatable"] and found["seconds"] > 0
        assert precision == "float64" or found["error"] > 1e-9  # it was computed in that precision


def test_a_wrong_kernel_is_noticed(gpu: Any) -> None:
    script: ModuleType = gpu.ours.script("LSTM", SIZE, "float32", GRAPH)
    assert script.KERNELS.count("tanh(") > 1
    script.KERNELS = script.KERNELS.replace("tanh(", "sin(")
    assert gpu.check.run(case("LSTM"), "cuda")["error"] > 0.01


@pytest.mark.parametrize("cell", plan.CELLS)
def test_launches_and_graphs_compute_the_same(gpu: Any, cell: str) -> None:
    launches, graph, steps = (gpu.ours.run(case(cell, start=start), "cuda") for start in (LAUNCHES, GRAPH, STEPS))
    assert launches["norms"] == graph["norms"]
    assert steps["norms"] == pytest.approx(launches["norms"], rel=1e-5)
    assert launches["calls"] == graph["calls"]
    assert launches["training"]["median"] > 0 and launches["forward"]["median"] > 0
    more = steps["calls"]["launch_blocks"] - graph["calls"]["launch_blocks"]
    assert more >= SIZE[1] if cell == "minGRU" else more == 0


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_products_in_kernels_compute_the_same(gpu: Any, cell: str) -> None:
    graph, fused, together = (gpu.ours.run(case(cell, start=start), "cuda") for start in (GRAPH, FUSED, TOGETHER))
    assert fused["norms"] == pytest.approx(graph["norms"], rel=1e-5) and together["norms"] == fused["norms"]
    assert (fused["calls"]["launch_together"], together["calls"]["launch_together"]) == (2 * SIZE[1], 2)
    for start in (FUSED, TOGETHER):
        found = gpu.check.run(case(cell, start=start), "cuda")
        assert 1e-9 < found["error"] <= TOLERANCES["float32"] and found["repeatable"]


def test_weights_that_do_not_fit_are_said_to(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHIP, "MaxSharedMemoryPerBlockOptin", 4 * 33 * 4)  # those of one unit
    with pytest.raises(Absent, match="do not fit"):
        gpu.ours.run(case("LSTM", start=TOGETHER), "cuda")


def test_every_latency_has_a_number(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With kernels that do nothing: the host's side of every measurement."""
    monkeypatch.setattr(gpu.latencies, "kernel", lambda name, together=False: lambda grid, block, arguments: None)
    monkeypatch.setattr(gpu.latencies, "MIB", 1 << 10)
    monkeypatch.setattr(gpu.latencies, "NODES", 2)
    monkeypatch.setattr(gpu.latencies, "WIDE", 32)
    for what in plan.DEVICE:
        found = gpu.latencies.run({"what": what}, "cuda")
        if what == "device":
            assert found["name"] == "none" and found["processors"] == 4
        else:
            assert isinstance(found["value"], float) and found["unit"] in ("us", "GB/s", "TFLOP/s"), what
