"""What this GPU can do: latencies of a launch, of a graph and of barriers; rates of memory and of matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import cupy as cp
import numpy as np

from benchmarks.gpu.ours import capture, clock, gpu
from benchmarks.gpu.plan import Case
from benchmarks.peers import compiled
from benchmarks.problem import LSTM, Size, problem

KERNELS = Path(__file__).with_name("latencies.cu")
MIB = 1 << 20
NODES = 500
"""How many are in a graph."""
WIDE = 8192
"""Rows and columns of large matrices."""


def run(case: Case, device: str) -> Case:
    """Measure one property."""
    what = case["what"]
    with gpu():
        if what == "device":
            return about()
        if what.startswith("products, "):
            return {"value": products(what.removeprefix("products, ")), "unit": "TFLOP/s"}
        measure, unit = MEASURES[what]
        return {"value": measure(), "unit": unit}


def about() -> Case:
    """The device and its CUDA."""
    found = cp.cuda.runtime.getDeviceProperties(0)
    return {
        "name": found["name"].decode(),
        "processors": found["multiProcessorCount"],
        "memory, GiB": found["totalGlobalMem"] / (1 << 30),
        "cuda of the driver": cp.cuda.runtime.driverGetVersion(),
        "cuda of cupy": cp.cuda.runtime.runtimeGetVersion(),
    }


@lru_cache
def kernel(name: str, together: bool = False) -> Callable[..., None]:
    """A kernel; `together`: its blocks all run at once, or the launch is refused."""
    module = cp.RawModule(code=KERNELS.read_text(), options=("-std=c++17",), enable_cooperative_groups=together)
    found: Callable[..., None] = module.get_function(name)
    return found


def milliseconds(work: Callable[[], object], calls: int = 20) -> float:
    """Of one call, as the device sees it; the best of three rounds of so many calls, after one that is not counted."""
    rounds, device_clock = [], clock()
    for _ in range(4):
        device_clock.wait()
        start = device_clock.mark()
        for _ in range(calls):
            work()
        end = device_clock.mark()
        device_clock.wait()
        rounds.append(device_clock.between(start, end) / calls)
    return min(rounds[1:])


def nothing() -> None:
    """Launch an empty kernel on as many blocks as an H100 has processors."""
    kernel("nothing")((132,), (256,), ())


def host_launch() -> float:
    """Microseconds of the host for one launch."""
    nothing()
    gpu().synchronize()
    start = time.perf_counter()
    for _ in range(500):
        nothing()
    return 1e6 * (time.perf_counter() - start) / 500


def of_a_node(work: Callable[[], object]) -> float:
    """Microseconds of each node, in a graph that does work again and again."""
    work()
    graph = capture(lambda: [work() for _ in range(NODES)])
    return 1e3 * milliseconds(graph.launch, calls=5) / NODES


def product_node() -> float:
    """Microseconds of the recurrent product of an LSTM of 512 units for 64 sequences, in float32."""
    h, U, a = cp.ones((64, 512), np.float32), cp.ones((2048, 512), np.float32), cp.empty((64, 2048), np.float32)
    return of_a_node(lambda: script("float32").matmul(h, U.T, a))


def cooperative_node() -> float:
    """Microseconds of a node that is a cooperative launch of one block on each processor; that it can be captured is news."""
    blocks, arguments = about()["processors"], (cp.zeros(1, np.uint32), np.int32(0))
    return of_a_node(lambda: kernel("meet", together=True)((blocks, 1), (256,), arguments))


def barrier(blocks: int | None = None) -> float:
    """Microseconds of a barrier of so many blocks, or of one on each processor: what 1000 more of them take."""
    blocks = blocks or about()["processors"]
    count = cp.zeros(1, np.uint32)

    def times(n: int) -> float:
        def work() -> None:
            count.fill(0)
            kernel("meet", together=True)((blocks, 1), (256,), (count, np.int32(n)))

        return milliseconds(work, calls=3)

    return 1e3 * (times(2000) - times(1000)) / 1000


def cluster_barrier() -> float:
    """Microseconds of a barrier of a cluster of 8 blocks."""
    if int(cp.cuda.Device().compute_capability) < 90:
        raise ValueError("there are no clusters before compute capability 9.0")
    short, long = (
        milliseconds(lambda n=n: kernel("meet_in_cluster")((8,), (256,), (np.int32(n),)), calls=3)  # type: ignore[misc]
        for n in (1000, 2000)
    )
    return 1e3 * (long - short) / 1000


def reading(mib: int = 16, times: int = 50) -> float:
    """GB/s of reading again and again what fits into L2."""
    data, sink = cp.ones(mib * MIB // 4, np.float32), cp.zeros(1, np.float32)
    arguments = (data, sink, np.uint32(mib * MIB // 16), np.int32(times))
    blocks = 8 * about()["processors"]
    return mib * MIB * times / milliseconds(lambda: kernel("read")((blocks,), (256,), arguments), calls=5) / 1e6


def copying() -> float:
    """GB/s of a copy in the memory of the device, bytes read and bytes written."""
    source, to = cp.ones(256 * MIB, np.float32), cp.empty(256 * MIB, np.float32)
    return 2 * source.nbytes / milliseconds(lambda: cp.copyto(to, source), calls=5) / 1e6


@lru_cache
def script(precision: str) -> ModuleType:
    """A script, for its `matmul`: an LSTM in this precision."""
    return compiled(problem(LSTM, Size(1, 1, 8, 8)), "gpu", precision).load()


def products(precision: str) -> float:
    """TFLOP/s of a large product of random numbers, as scripts of this precision do it."""
    rng = np.random.default_rng(0)
    a, b = (cp.asarray(rng.standard_normal((WIDE, WIDE), np.float32)) for _ in range(2))
    out = cp.empty_like(a)
    return 2 * WIDE**3 / milliseconds(lambda: script(precision).matmul(a, b, out), calls=3) / 1e9


MEASURES: dict[str, tuple[Callable[[], float], str]] = {
    "launch, host": (host_launch, "us"),
    "launch, device": (lambda: 1e3 * milliseconds(nothing, calls=500), "us"),
    "graph node": (lambda: of_a_node(nothing), "us"),
    "product in a graph": (product_node, "us"),
    "cooperative launch in a graph": (cooperative_node, "us"),
    "grid barrier, 32 blocks": (lambda: barrier(32), "us"),
    "grid barrier, all processors": (barrier, "us"),
    "cluster barrier, 8 blocks": (cluster_barrier, "us"),
    "read from L2": (reading, "GB/s"),
    "copy in memory": (copying, "GB/s"),
}
