"""Peers in PyTorch: its fused layers, and each cell as a PyTorch user writes it for speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from benchmarks.peers import EAGER, FUSED, INDEXED, Peer
from benchmarks.problem import Array, Arrays, Problem

Leaves = dict[str, Tensor]
Cell = Callable[[Leaves, Iterable[Tensor], Tensor], Tensor]
"""Parameters, the product with the input for each step, and a state of zeros (B, H), to all states h (T, B, H)."""


def peers(problem: Problem) -> list[Peer]:
    """The fused layer where there is one, and the cell in eager mode in two ways.

    They differ in one word: the backward pass of each `pre[t]` fills an array of all steps, that of `unbind` only one.
    """
    layers = [fused(problem)] if problem.cell.name in LAYERS else []
    unbound = eager(problem, EAGER, lambda pre: pre.unbind())
    indexed = eager(problem, INDEXED, lambda pre: (pre[t] for t in range(len(pre))))
    return [*layers, unbound, indexed]


def lstm(p: Leaves, steps: Iterable[Tensor], zero: Tensor) -> Tensor:
    """Gates stacked as i, f, o, z."""
    h, c, H, U_T, states = zero, zero, zero.shape[1], p["U"].T, []
    for pre in steps:
        a = torch.addmm(pre, h, U_T)
        i, f, o = torch.sigmoid(a[:, : 3 * H]).chunk(3, 1)
        c = f * c + i * torch.tanh(a[:, 3 * H :])
        h = o * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


def gru(p: Leaves, steps: Iterable[Tensor], zero: Tensor) -> Tensor:
    """Gates stacked as r, z, n."""
    h, H, U_T, states = zero, zero.shape[1], p["U"].T, []
    for pre in steps:
        a = h @ U_T
        r, z = torch.sigmoid(pre[:, : 2 * H] + a[:, : 2 * H]).chunk(2, 1)
        n = torch.tanh(pre[:, 2 * H :] + r * (a[:, 2 * H :] + p["c"]))
        h = torch.lerp(n, h, z)
        states.append(h)
    return torch.stack(states)


def elman(p: Leaves, steps: Iterable[Tensor], zero: Tensor) -> Tensor:
    """One product and one tanh a step."""
    h, U_T, states = zero, p["U"].T, []
    for pre in steps:
        h = torch.tanh(torch.addmm(pre, h, U_T))
        states.append(h)
    return torch.stack(states)


def layer_norm_lstm(p: Leaves, steps: Iterable[Tensor], zero: Tensor) -> Tensor:
    """All four gates are normalised by one call."""
    h, c, H, U_T, states = zero, zero, zero.shape[1], p["U"].T, []
    for pre in steps:
        a = layer_norm(torch.addmm(pre, h, U_T).view(-1, 4, H), (H,)).view(-1, 4 * H)
        a = torch.addcmul(p["b"], a, p["g"])
        i, f, o = torch.sigmoid(a[:, : 3 * H]).chunk(3, 1)
        c = f * c + i * torch.tanh(a[:, 3 * H :])
        h = o * torch.tanh(layer_norm(c, (H,), p["g_c"], p["b_c"]))
        states.append(h)
    return torch.stack(states)


CELLS: dict[str, Cell] = {"LSTM": lstm, "GRU": gru, "Elman": elman, "LN-LSTM": layer_norm_lstm}
LAYERS: dict[str, Callable[[int, int], torch.nn.RNNBase]] = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "Elman": torch.nn.RNN}


def eager(problem: Problem, name: str, split: Callable[[Tensor], Iterable[Tensor]]) -> Peer:
    """A cell written in PyTorch; `split` takes the product with the input, for all steps at once, into steps."""
    size, cell = problem.size, CELLS[problem.cell.name]
    x, target, zero = torch.from_numpy(problem.x), torch.from_numpy(problem.target), torch.zeros(size.B, size.H)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in problem.params.items()}
    bias = None if "g" in leaves else leaves["b"]  # normalised gates get theirs behind the normalisation

    def step() -> None:
        for leaf in leaves.values():
            leaf.grad = None
        h = cell(leaves, split(linear(x, leaves["W"], bias)), zero)
        ((h * target).sum() / (size.T * size.B)).backward()  # type: ignore[no-untyped-call]

    return Peer(name, step, lambda: {name: gradient(leaf) for name, leaf in leaves.items()})


def fused(problem: Problem) -> Peer:
    """A layer of torch.nn, with its second bias at zero where our cell has none."""
    size = problem.size
    layer = LAYERS[problem.cell.name](size.I, size.H)
    weights = dict(layer.named_parameters())
    x, target = torch.from_numpy(problem.x), torch.from_numpy(problem.target)
    with torch.no_grad():
        for name, values in to_layer(problem).items():
            weights[name].copy_(torch.from_numpy(values))

    def step() -> None:
        layer.zero_grad()
        ((layer(x)[0] * target).sum() / (size.T * size.B)).backward()

    return Peer(FUSED, step, lambda: from_layer(problem, weights))


def to_layer(problem: Problem) -> Arrays:
    """Parameters under the names and in the order of torch.nn."""
    params = {name: in_torch_order(problem, value) for name, value in problem.params.items()}
    second = np.zeros_like(params["b"])
    if "c" in params:
        second[-problem.size.H :] = params["c"]
    return {"weight_ih_l0": params["W"], "weight_hh_l0": params["U"], "bias_ih_l0": params["b"], "bias_hh_l0": second}


def from_layer(problem: Problem, weights: Mapping[str, Tensor]) -> Arrays:
    """Gradients of a layer in our order."""
    names = {"W": "weight_ih_l0", "U": "weight_hh_l0", "b": "bias_ih_l0"}
    found = {stack: in_torch_order(problem, gradient(weights[name])) for stack, name in names.items()}
    if "c" in problem.params:
        found["c"] = gradient(weights["bias_hh_l0"])[-problem.size.H :]
    return found


def in_torch_order(problem: Problem, rows: Array) -> Array:
    """torch.nn.LSTM stacks i, f, z, o: the last two change places, one way and the other; else the order is ours."""
    if problem.cell.name != "LSTM":
        return rows
    i, f, third, fourth = np.split(rows, 4)
    return np.concatenate([i, f, fourth, third])


def gradient(leaf: Tensor) -> Array:
    """The gradient of a leaf as an array."""
    assert leaf.grad is not None
    return leaf.grad.numpy()
