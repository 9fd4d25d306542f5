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
States = tuple[Tensor, ...]
Step = Callable[[Leaves, Tensor, States], States]
"""Parameters with U transposed, this step's W @ x, and the states (h first) to the states of this step."""


def peers(problem: Problem) -> list[Peer]:
    """The fused layer where there is one, and the cell in eager mode in two ways.

    They differ in one word: the backward pass of each `pre[t]` fills an array of all steps, that of `unbind` only one.
    """
    layers = [fused(problem)] if problem.cell.name in LAYERS else []
    unbound = eager(problem, EAGER, lambda pre: pre.unbind())
    indexed = eager(problem, INDEXED, lambda pre: (pre[t] for t in range(len(pre))))
    return [*layers, unbound, indexed]


def lstm(p: Leaves, pre: Tensor, states: States) -> States:
    """Gates stacked as i, f, o, z."""
    h, c = states
    H = h.shape[1]
    a = torch.addmm(pre, h, p["U_T"])
    i, f, o = torch.sigmoid(a[:, : 3 * H]).chunk(3, 1)
    c = f * c + i * torch.tanh(a[:, 3 * H :])
    return o * torch.tanh(c), c


def gru(p: Leaves, pre: Tensor, states: States) -> States:
    """Gates stacked as r, z, n."""
    (h,) = states
    H = h.shape[1]
    a = h @ p["U_T"]
    r, z = torch.sigmoid(pre[:, : 2 * H] + a[:, : 2 * H]).chunk(2, 1)
    n = torch.tanh(pre[:, 2 * H :] + r * (a[:, 2 * H :] + p["c"]))
    return (torch.lerp(n, h, z),)


def elman(p: Leaves, pre: Tensor, states: States) -> States:
    """One product and one tanh a step."""
    return (torch.tanh(torch.addmm(pre, states[0], p["U_T"])),)


def layer_norm_lstm(p: Leaves, pre: Tensor, states: States) -> States:
    """All four gates are normalised by one call."""
    h, c = states
    H = h.shape[1]
    a = layer_norm(torch.addmm(pre, h, p["U_T"]).view(-1, 4, H), (H,)).view(-1, 4 * H)
    a = torch.addcmul(p["b"], a, p["g"])
    i, f, o = torch.sigmoid(a[:, : 3 * H]).chunk(3, 1)
    c = f * c + i * torch.tanh(a[:, 3 * H :])
    return o * torch.tanh(layer_norm(c, (H,), p["g_c"], p["b_c"])), c


def min_gru(p: Leaves, pre: Tensor, states: States) -> States:
    """Gates stacked as z, n; neither sees the state."""
    (h,) = states
    z, n = pre.chunk(2, 1)
    return (torch.lerp(h, n, torch.sigmoid(z)),)


CELLS: dict[str, tuple[Step, int]] = {
    "LSTM": (lstm, 2),
    "GRU": (gru, 1),
    "Elman": (elman, 1),
    "LN-LSTM": (layer_norm_lstm, 2),
    "minGRU": (min_gru, 1),
}
"""A step of each cell, and how many states it has."""
LAYERS: dict[str, Callable[[int, int], torch.nn.RNNBase]] = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "Elman": torch.nn.RNN}


def over_time(step: Step, leaves: Leaves, x: Tensor, states: States, split: Callable[[Tensor], Iterable[Tensor]]) -> Tensor:
    """All h (T, B, H) from x (T, B, I); `split` takes the product with the input, for all steps at once, into steps."""
    bias = None if "g" in leaves else leaves["b"]  # normalised gates get theirs behind the normalisation
    p = {**leaves, "U_T": leaves["U"].T} if "U" in leaves else leaves
    hidden = []
    for pre in split(linear(x, leaves["W"], bias)):
        states = step(p, pre, states)
        hidden.append(states[0])
    return torch.stack(hidden)


def eager(problem: Problem, name: str, split: Callable[[Tensor], Iterable[Tensor]]) -> Peer:
    """A cell written in PyTorch; `split` as in `over_time`."""
    size, (cell, states) = problem.size, CELLS[problem.cell.name]
    x, target = torch.from_numpy(problem.x), torch.from_numpy(problem.target)
    zero = x.new_zeros(size.B, size.H)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in problem.params.items()}

    def step() -> None:
        for leaf in leaves.values():
            leaf.grad = None
        h = over_time(cell, leaves, x, (zero,) * states, split)
        ((h * target).sum() / (size.T * size.B)).backward()  # type: ignore[no-untyped-call]

    return Peer(name, step, lambda: {name: gradient(leaf) for name, leaf in leaves.items()})


def fused(problem: Problem) -> Peer:
    """A layer of torch.nn, with its second bias at zero where our cell has none."""
    size = problem.size
    x, target = torch.from_numpy(problem.x), torch.from_numpy(problem.target)
    layer = LAYERS[problem.cell.name](size.I, size.H).to(x.dtype)
    weights = dict(layer.named_parameters())
    with torch.no_grad():
        for name, values in to_layer(problem).items():
            weights[name].copy_(torch.from_numpy(values))

    def step() -> None:
        layer.zero_grad()
        ((layer(x)[0] * target).sum() / (size.T * size.B)).backward()

    return Peer(FUSED, step, lambda: from_layer(problem, {name: gradient(weight) for name, weight in weights.items()}))


def to_layer(problem: Problem) -> Arrays:
    """Parameters under the names and in the order of torch.nn."""
    params = {name: in_torch_order(problem, value) for name, value in problem.params.items()}
    second = np.zeros_like(params["b"])
    if "c" in params:
        second[-problem.size.H :] = params["c"]
    return {"weight_ih_l0": params["W"], "weight_hh_l0": params["U"], "bias_ih_l0": params["b"], "bias_hh_l0": second}


def from_layer(problem: Problem, gradients: Mapping[str, Array]) -> Arrays:
    """Gradients of a layer in our order."""
    names = {"W": "weight_ih_l0", "U": "weight_hh_l0", "b": "bias_ih_l0"}
    found = {stack: in_torch_order(problem, gradients[name]) for stack, name in names.items()}
    if "c" in problem.params:
        found["c"] = gradients["bias_hh_l0"][-problem.size.H :]
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
