"""Peers in PyTorch: its layers on cuDNN, the cell in eager mode and compiled, and flashrnn; each also as a CUDA graph.

Gradients come from `torch.autograd.grad`, which, unlike `backward`, adds them to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.gpu.plan import COMPILED, EAGER, FLASH, GRAPH, LAYER, Case, Shape, numbers
from benchmarks.gpu.timing import HOST, SETS, Absent, Candidate, Clock, measured
from benchmarks.in_torch import CELLS, LAYERS, from_layer, in_torch_order, over_time, to_layer
from benchmarks.problem import Array, Arrays, Problem

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Network:
    """`hidden` makes all h from x, `weights` are what it is differentiated by.

    `batch_first`: x and h are (B, T, features), else (T, B, features).  `stacked` makes the stacks of `Problem.params` from
    arrays under the names of the weights.
    """

    hidden: Callable[[Tensor], Tensor]
    weights: dict[str, Tensor]
    stacked: Callable[[Arrays], Arrays] = dict
    batch_first: bool = False


def run(case: Case, device: str) -> Case:
    """Time a peer in a case."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Absent(f"torch {torch.__version__} finds no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case["precision"] == "tf32"
    found = candidate(
        network(case["part"], case["cell"], case["size"], device, DTYPES[case["precision"]]),
        numbers(case["cell"], case["size"]),
    )
    return measured(as_graphs(found) if case["start"] == GRAPH else found, clock(device))


@lru_cache(maxsize=1)
def network(part: str, cell: str, size: Shape, device: str, dtype: torch.dtype) -> Network:
    """The network of a part, kept for the next case: it may have been compiled."""
    return NETWORKS[part](numbers(cell, size), device, dtype)


def clock(device: str) -> Clock:
    """Events of the device."""

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    return Clock(mark, torch.cuda.synchronize, torch.cuda.Event.elapsed_time) if device == "cuda" else HOST


def layer(given: Problem, device: str, dtype: torch.dtype) -> Network:
    """A layer of torch.nn."""
    module = LAYERS[given.cell.name](given.size.I, given.size.H).to(device, dtype)
    weights: dict[str, Tensor] = dict(module.named_parameters())
    with torch.no_grad():
        for name, values in to_layer(given).items():
            weights[name].copy_(torch.from_numpy(values))
    return Network(lambda x: module(x)[0], weights, partial(from_layer, given))


def eager(given: Problem, device: str, dtype: torch.dtype, backend: str = "") -> Network:
    """The cell as a PyTorch user writes it for speed; with a `backend`, its step is compiled.

    To compile the whole loop takes minutes, and between its products there would be no fewer kernels.
    """
    step, states = CELLS[given.cell.name]
    leaves = {name: on(device, dtype, value) for name, value in given.params.items()}
    start = [torch.zeros(given.size.B, given.size.H, device=device, dtype=dtype) for _ in range(states)]
    if backend:
        torch._dynamo.reset()  # what was compiled for other sizes
        step = torch.compile(step, fullgraph=True, dynamic=False, backend=backend)
        start = [zero.requires_grad_() for zero in start]  # as later states are: one compilation for all steps
    return Network(lambda x: over_time(step, leaves, x, tuple(start), torch.unbind), leaves)


def flash(given: Problem, device: str, dtype: torch.dtype) -> Network:
    """An LSTM by flashrnn, which leaves the product with the input to others; on a CPU, by its own reference."""
    from flashrnn import flashrnn

    H = given.size.H
    leaves = {name: on(device, dtype, in_torch_order(given, value)) for name, value in given.params.items()}
    how = {"function": "lstm", "backend": "cuda_fused" if device == "cuda" else "vanilla", "dtype": str(dtype)[6:]}

    def hidden(x: Tensor) -> Tensor:
        B, T, _ = x.shape
        pre = linear(x, leaves["W"]).view(B, T, 4, 1, H)  # gates, one head, units
        states, _ = flashrnn(pre, leaves["U"].view(4, 1, H, H), leaves["b"].view(4, 1, H), **how)
        h: Tensor = states[0, :, :, 0]
        return h

    def stacked(found: Arrays) -> Arrays:
        return {name: in_torch_order(given, values) for name, values in found.items()}

    return Network(hidden, leaves, stacked, batch_first=True)


NETWORKS: dict[str, Callable[[Problem, str, torch.dtype], Network]] = {
    LAYER: layer,
    EAGER: eager,
    COMPILED: partial(eager, backend="inductor"),
    FLASH: flash,
}


def on(device: str, dtype: torch.dtype, value: Array) -> Tensor:
    """An array as a leaf on the device."""
    return torch.tensor(value, device=device, dtype=dtype, requires_grad=True)


def candidate(network: Network, given: Problem) -> Candidate:
    """Loss and gradients of a network, over the sets of inputs."""
    weights, count = list(network.weights.values()), given.size.T * given.size.B
    # In float16 the loss is the sum: divided by T B, as elsewhere, it would have gradients too small for float16.
    share = 1.0 if weights[0].dtype == torch.float16 else 1 / count
    sets = inputs(given, network, weights[0])
    found: list[Tensor] = []

    def loss(k: int) -> Tensor:
        x, target = sets[k]
        return (network.hidden(x) * target).sum() * share

    def training(k: int) -> None:
        found[:] = torch.autograd.grad(loss(k), weights)

    def gradients() -> Arrays:
        arrays = [gradient.to("cpu", torch.promote_types(gradient.dtype, torch.float32)).numpy() for gradient in found]
        stacks = network.stacked(dict(zip(network.weights, arrays, strict=True)))
        return {name: value / np.float32(share * count) for name, value in stacks.items()}

    return Candidate(lambda k: loss(k).detach(), training, gradients)


def inputs(given: Problem, network: Network, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The sets of x and target, as a network takes them, with the device and the type of a tensor."""
    batch = 0 if network.batch_first else 1
    arrays = given.batch if network.batch_first else {"x": given.x, "target": given.target}
    x, target = (torch.tensor(arrays[name], device=like.device, dtype=like.dtype) for name in ("x", "target"))
    return [(x.roll(k, batch), target.roll(k, batch)) for k in range(SETS)]


def as_graphs(given: Candidate) -> Candidate:
    """A candidate whose work is captured once for each set of inputs, and then replayed."""
    stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # what is made at a first call must not be captured
        for _ in range(2):
            given.training(0)
            given.forward(0)
    torch.cuda.current_stream().wait_stream(stream)

    def captured(work: Callable[[int], object]) -> Callable[[int], object]:
        graphs = [torch.cuda.CUDAGraph() for _ in range(SETS)]
        for k, graph in enumerate(graphs):
            with torch.cuda.graph(graph, pool=pool, stream=stream):
                work(k)
        return lambda k: graphs[k].replay()

    forward = captured(given.forward)  # before training, whose last capture holds the gradients
    return Candidate(forward, captured(given.training), given.gradients)
