"""The peers of the benchmarks compute what our script computes: the same loss and the same gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch

from benchmarks import cpu, in_torch
from benchmarks.gpu import in_torch as on_gpu
from benchmarks.gpu.timing import SETS, Candidate
from benchmarks.measure import distance
from benchmarks.peers import script_of
from benchmarks.problem import CELLS, MIN_GRU, Arrays, Problem, Size, problem

ALL = {cell.name: cell for cell in (*CELLS, MIN_GRU)}
TOLERANCE = 1e-8


@cache
def given(cell: str) -> Problem:
    """A small problem in float64."""
    made = problem(ALL[cell], Size(5, 3, 4, 6))
    params = {name: value.astype(np.float64) for name, value in made.params.items()}
    return replace(made, params=params, x=made.x.astype(np.float64), target=made.target.astype(np.float64))


@cache
def ours(cell: str) -> tuple[float, Arrays]:
    """The loss and the stacked gradients of our script for the CPU."""
    small = given(cell)
    loss, gradients = script_of(small).loss_and_gradients(small.split(small.params), small.batch)
    return loss, small.join(gradients)


@pytest.mark.parametrize("cell", ALL)
def test_peers_in_torch_on_a_cpu(cell: str) -> None:
    if cell == "minGRU":
        peers = [in_torch.eager(given(cell), "eager", lambda pre: pre.unbind())]
    else:
        peers = in_torch.peers(given(cell))
    for peer in peers:
        peer.step()
        assert peer.gradients is not None
        assert distance(ours(cell)[1], peer.gradients()) < TOLERANCE, peer.name


# ------------------------------------------------------------------ peers of the GPU, on a CPU

Make = Callable[[Problem, str, torch.dtype], on_gpu.Network]
COMPILED = partial(on_gpu.eager, backend="aot_eager")  # what torch.compile differentiates, without a C++ compiler
NETWORKS: dict[str, tuple[Make, list[str]]] = {
    "layer": (on_gpu.layer, ["LSTM", "GRU"]),
    "eager": (on_gpu.eager, list(ALL)),
    "compiled": (COMPILED, list(ALL)),
    "flashrnn": (on_gpu.flash, ["LSTM"]),
}


def in_float64(make: Make, cell: str) -> Candidate:
    if make is on_gpu.flash:
        pytest.importorskip("flashrnn")
    return on_gpu.candidate(make(given(cell), "cpu", torch.float64), given(cell))


def check(candidate: Candidate, cell: str) -> None:
    """Loss and gradients are ours, whichever set of inputs is taken."""
    loss, gradients = ours(cell)
    for k in range(SETS):
        found = candidate.forward(k)
        candidate.training(k)
        assert abs(float(found) - loss) < TOLERANCE  # type: ignore[arg-type]
        assert distance(gradients, candidate.gradients()) < TOLERANCE


@pytest.mark.filterwarnings("default:The .grad attribute of a Tensor")  # torch.compile looks at it
@pytest.mark.parametrize(("peer", "cell"), [(peer, cell) for peer, (_, cells) in NETWORKS.items() for cell in cells])
def test_peers_in_torch_on_a_gpu(peer: str, cell: str) -> None:
    check(in_float64(NETWORKS[peer][0], cell), cell)


def test_another_order_of_the_gates_is_noticed() -> None:
    network = on_gpu.layer(given("LSTM"), "cpu", torch.float64)
    with torch.no_grad():
        weight = network.weights["weight_hh_l0"]
        weight.copy_(weight.roll(6, 0))
    candidate = on_gpu.candidate(network, given("LSTM"))
    candidate.training(0)
    assert distance(ours("LSTM")[1], candidate.gradients()) > 1e-3


def test_the_loss_in_float16_is_scaled() -> None:
    """Its gradients are those of the others, up to the rounding of float16, in which most of ours would be 0."""
    candidate = on_gpu.candidate(on_gpu.eager(given("LSTM"), "cpu", torch.float16), given("LSTM"))
    candidate.training(0)
    assert float(candidate.forward(0)) == pytest.approx(15 * ours("LSTM")[0], rel=0.02)  # type: ignore[arg-type]
    assert distance(ours("LSTM")[1], candidate.gradients()) < 0.02


@pytest.mark.parametrize("cell", ALL)
def test_peers_in_jax_on_a_gpu(cell: str) -> None:
    jax = pytest.importorskip("jax")
    from benchmarks.gpu import in_jax as jax_on_gpu

    with jax.enable_x64(True):
        check(jax_on_gpu.candidate(given(cell)), cell)


# ------------------------------------------------------------------ graphs, with the calls of torch.cuda replaced


class Recorded:
    """A graph that repeats what was done while it was recorded."""

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """Names of torch.cuda that can be called as the real ones are, and not otherwise; the graphs that were captured."""
    captured: list[Recorded] = []
    real = torch.cuda.graph

    @contextmanager
    def graph(*arguments: object, **named: object) -> Iterator[None]:
        create_autospec(real)(*arguments, **named)
        assert isinstance(arguments[0], Recorded) and set(named) == {"pool", "stream"}
        yield
        captured.append(arguments[0])

    for name in ("Stream", "graph_pool_handle", "current_stream", "stream", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, create_autospec(getattr(torch.cuda, name)))
    monkeypatch.setattr(torch.cuda.stream, "__enter__", lambda self: None, raising=False)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return captured


def test_a_graph_for_each_set_and_each_kind_of_work(cuda: list[Recorded]) -> None:
    done: list[tuple[str, int]] = []
    work = Candidate(lambda k: done.append(("forward", k)), lambda k: done.append(("training", k)), dict)
    graphs = on_gpu.as_graphs(work)
    warm_up, recorded = done[:4], done[4:]
    assert warm_up == [("training", 0), ("forward", 0)] * 2
    assert recorded == [("forward", k) for k in range(SETS)] + [("training", k) for k in range(SETS)]
    graphs.forward(1), graphs.training(2), graphs.training(2)
    assert [graph.replays for graph in cuda] == [0, 1, 0, 0, 0, 2]
    assert done[4:] == recorded  # a replay calls no Python


# ------------------------------------------------------------------ without them


def test_a_peer_that_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "jax":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(cpu, "version", version)
    monkeypatch.setattr("sys.argv", ["cpu", "--quick"])
    with pytest.raises(SystemExit, match=r'^jax is not installed: python -m pip install -e "\.\[bench\]"$'):
        cpu.main()
