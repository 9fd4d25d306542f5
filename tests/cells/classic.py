"""Recurrent networks without gates, and the three cells that torch has."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.func import functional_call

from tests.cells.harness import Row

GATES = {"RNN": "h", "LSTM": "ifzo", "GRU": "rzn"}
"""The gates in the order in which torch stacks them."""


def in_torch(module: torch.nn.RNNBase, p: SimpleNamespace, x: Tensor) -> Tensor:
    """The outputs of a layer of torch.nn with our parameters; only the candidate of a GRU has a second bias."""
    gates = GATES[module.mode.split("_")[0]]
    stacked = {word: torch.cat([vars(p)[f"{word}_{gate}"] for gate in gates]) for word in ("W", "U", "b")}
    second = [vars(p).get(f"c_{gate}", torch.zeros_like(vars(p)[f"b_{gate}"])) for gate in gates]
    params = {"weight_ih_l0": stacked["W"], "weight_hh_l0": stacked["U"], "bias_ih_l0": stacked["b"]}
    params["bias_hh_l0"] = torch.cat(second)
    if hasattr(p, "W_p"):
        params["weight_hr_l0"] = p.W_p
    outputs: Tensor = functional_call(module, params, (x,))[0]
    return outputs


def torch_rnn(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
    return in_torch(torch.nn.RNN(x.shape[1], units, dtype=x.dtype), p, x)


def torch_lstm(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
    return in_torch(torch.nn.LSTM(x.shape[1], units, dtype=x.dtype), p, x)


def torch_gru(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
    return in_torch(torch.nn.GRU(x.shape[1], units, dtype=x.dtype), p, x)


ROWS = (Row("rnn", torch_rnn), Row("lstm", torch_lstm), Row("gru", torch_gru))
