"""Every spec of the folder `specs/` as a script for the GPU: gradients on the stand-in, and what NVRTC says to its kernels."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.verify.compare import Array
from tests import corpus
from tests.corpus import FOLDER, SPECS, model_of, place
from tests.fuzz_models import forward_agrees, same
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.gpu_scripts import CARRIED, STEP, compiled, gradients, texts, through_windows
from tests.gpu.graphs import replayed
from tests.gpu.marks import needs_compiler, needs_nvrtc
from tests.gpu.nvrtc import ARCHITECTURES
from tests.gpu.nvrtc import compiled as compiled_for
from tests.hand_written import load
from tests.windowed import windows

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
SCHEDULES = range(5)
REAL = {"float32": "float", "float64": "double"}
by_spec = pytest.mark.parametrize("name", SPECS)


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(FOLDER))


def on_the_cpu(name: str, batch: int) -> dict[str, Array]:
    """The gradients of the fast script for the CPU, which equal those of two references."""
    at = place(name, batch=batch)
    loss, found = corpus.script(name, 1).loss_and_gradients(at.params, at.batch, step=STEP)
    return {"": np.array(loss), **found}


def equal(a: dict[str, Array], b: dict[str, Array]) -> bool:
    """Whether two results are the same to the last bit."""
    return a.keys() == b.keys() and all(np.asarray(a[name]).tobytes() == np.asarray(b[name]).tobytes() for name in a)


@needs_compiler
@by_spec
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch", [2, 35])
def test_gradients_are_those_of_the_cpu(name: str, dtype: str, batch: int) -> None:
    got = gradients(compiled(name).source, place(name, batch=batch), dtype)
    same(f"{dtype} on the GPU against the CPU", got, on_the_cpu(name, batch), TOLERANCE[dtype])


@needs_compiler
@by_spec
def test_same_bits_in_any_order_of_threads(name: str) -> None:
    first, *others = [gradients(compiled(name).source, place(name), "float32", schedule) for schedule in SCHEDULES]
    assert all(equal(first, other) for other in others)


@needs_compiler
@by_spec
def test_same_bits_in_a_graph(name: str) -> None:
    with cupy_on_host():
        called, *graphs = replayed(load(compiled(name).source), place(name), 3, STEP)
    assert all(np.isfinite(value).all() for value in called.values())
    assert all(equal(called, graph) for graph in graphs)


@needs_compiler
@by_spec
def test_nothing_stays_behind(name: str) -> None:
    """A batch of the same size uses the same storage."""
    at, other = place(name, seed=0), place(name, seed=1)
    with cupy_on_host():
        script = load(compiled(name).source)
        results = [script.loss_and_gradients(found.params, found.batch, step=STEP) for found in (at, other, at)]
        forward_agrees("level 1", script, model_of(name), at)
    first, between, again = ({"": np.array(loss), **found} for loss, found in results)
    assert equal(first, again)
    assert not equal(first, between)


@needs_compiler
@pytest.mark.parametrize("name", CARRIED)
def test_windows_go_on_where_the_last_one_ended(name: str) -> None:
    want = through_windows(corpus.script(name, 1), windows(model_of(name), seed=5))
    with cupy_on_host():
        found = through_windows(load(compiled(name).source), windows(model_of(name), seed=5))
    for number, (got, right) in enumerate(zip(found, want, strict=True), 1):
        same(f"window {number} on the GPU against the CPU", got, right, TOLERANCE["float64"])


@needs_nvrtc
@by_spec
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("dtype", REAL)
def test_kernels_fit_into_registers(name: str, arch: str, dtype: str) -> None:
    sources = [compiled(name, level).source for level in (1, 2)]
    for text in {text for source in sources for text in texts(source).values()}:
        for report in compiled_for(text, arch, ("-std=c++17", f"-Dreal={REAL[dtype]}")):
            assert report.registers <= 128
            assert (report.stack, report.spilled) == (0, 0), f"{report.name} keeps numbers in memory"
