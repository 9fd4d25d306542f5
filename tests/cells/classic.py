"""Recurrent networks without gates, and the cells that torch has."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.func import functional_call

from tests.cells.harness import UNITS, Row

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


def torch_relu(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
    return in_torch(torch.nn.RNN(x.shape[1], units, nonlinearity="relu", dtype=x.dtype), p, x)


def torch_projection(p: SimpleNamespace, x: Tensor, units: int, projection: int) -> Iterable[Tensor]:
    return in_torch(torch.nn.LSTM(x.shape[1], units, proj_size=projection, dtype=x.dtype), p, x)


def jordan(p: SimpleNamespace, x: Tensor, units: int, outputs: int) -> Iterable[Tensor]:
    """Jordan 1986, with a linear output."""
    y = torch.zeros(outputs, dtype=x.dtype)
    for u in x:
        y = p.W_y @ torch.tanh(p.W_h @ u + p.U_h @ y + p.b_h) + p.b_y
        yield y


def li(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
    """Li et al. 2018."""
    h = torch.zeros(units, dtype=x.dtype)
    for u in x:
        h = torch.relu(p.W_h @ u + p.u_h * h + p.b_h)
        yield h


def mikolov(p: SimpleNamespace, x: Tensor, units: int, context: int, alpha: float = 0.95) -> Iterable[Tensor]:
    """Mikolov et al. 2014: s and h, one after the other as [h, s]."""
    h, s = torch.zeros(units, dtype=x.dtype), torch.zeros(context, dtype=x.dtype)
    for u in x:
        s = (1 - alpha) * (p.W_s @ u) + alpha * s
        h = torch.sigmoid(p.P @ s + p.W_h @ u + p.U_h @ h)
        yield torch.cat([h, s])


ROWS = (
    Row("rnn", torch_rnn),
    Row("lstm", torch_lstm),
    Row("gru", torch_gru),
    Row("rnn_relu", torch_relu),
    Row("lstm_projection", torch_projection, {"units": UNITS, "projection": 2}),
    Row("jordan", jordan, {"units": UNITS, "outputs": 2}),
    Row("irnn", torch_relu),
    Row("indrnn", li),
    Row("scrn", mikolov, {"units": UNITS, "context": 2}),
    Row("scrn", mikolov, {"units": UNITS, "context": 2, "alpha": 0.7}),
)
