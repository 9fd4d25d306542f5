"""Gated cells, each as its paper writes it; `p.W_i` is the matrix that the paper calls W_i, W_xi or W^i."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor, sigmoid, tanh
from torch.nn.functional import layer_norm

from tests.cells.harness import UNITS, Row


def zeros(size: int) -> Tensor:
    """What every state starts from."""
    return torch.zeros(size, dtype=torch.float64)


def affine(p: SimpleNamespace, gate: str, x: Tensor, h: Tensor) -> Tensor:
    """W x + U h + b."""
    found: Tensor = vars(p)[f"W_{gate}"] @ x + vars(p)[f"U_{gate}"] @ h + vars(p)[f"b_{gate}"]
    return found


def norm(a: Tensor, gain: Tensor, bias: Tensor | None = None) -> Tensor:
    """LN(a; gain, bias) over all elements."""
    return layer_norm(a, a.shape, gain, bias)


# ------------------------------------------------------------------ LSTM


def greff_vanilla(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Greff et al. 2017, the vanilla LSTM, with peepholes p."""
    y = c = zeros(units)
    for u in x:
        z = tanh(p.W_z @ u + p.U_z @ y + p.b_z)
        i = sigmoid(p.W_i @ u + p.U_i @ y + p.p_i * c + p.b_i)
        f = sigmoid(p.W_f @ u + p.U_f @ y + p.p_f * c + p.b_f)
        c = z * i + c * f
        o = sigmoid(p.W_o @ u + p.U_o @ y + p.p_o * c + p.b_o)
        y = tanh(c) * o
        yield y


def greff_coupled(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Greff et al. 2017, CIFG (their f = 1 - i, here with the parameters of f), without peepholes."""
    y = c = zeros(units)
    for u in x:
        i = 1 - sigmoid(affine(p, "f", u, y))
        c = i * tanh(affine(p, "z", u, y)) + (1 - i) * c
        y = tanh(c) * sigmoid(affine(p, "o", u, y))
        yield y


def greff_no_forget(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Greff et al. 2017, NFG: f = 1, without peepholes."""
    y = c = zeros(units)
    for u in x:
        c = sigmoid(affine(p, "i", u, y)) * tanh(affine(p, "z", u, y)) + c
        y = tanh(c) * sigmoid(affine(p, "o", u, y))
        yield y


def krause(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Krause et al. 2016, with the LSTM of the authors' later code."""
    h = c = zeros(units)
    for u in x:
        m = (p.W_m @ u) * (p.U_m @ h)
        i, f, o = (sigmoid(affine(p, gate, u, m)) for gate in "ifo")
        c = f * c + i * tanh(affine(p, "z", u, m))
        h = o * tanh(c)
        yield h


# ------------------------------------------------------------------ LSTM with layer norm


def ba_lstm(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Ba et al. 2016, equations 20-22; b is beta_1 + beta_2 + b."""
    h = c = zeros(units)
    b = torch.cat([p.b_i, p.b_f, p.b_o, p.b_z])
    for u in x:
        i, f, o, g = (norm(p.U_h @ h, p.g_h) + norm(p.W_x @ u, p.g_x) + b).split(units)  # 20
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)  # 21
        h = sigmoid(o) * tanh(norm(c, p.g_c, p.b_c))  # 22
        yield h


def joint_norm(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """RETURNN, LayerNormVariantsLSTMCell: `global_norm_joined`, with the cell normalised for the output only."""
    h = c = zeros(units)
    b = torch.cat([p.b_i, p.b_f, p.b_o, p.b_z])
    for u in x:
        i, f, o, g = norm(p.W_x @ u + p.U_h @ h, p.g_a, b).split(units)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(norm(c, p.g_c, p.b_c))
        yield h


def norm_of_each_gate(p: SimpleNamespace, x: Tensor, units: int, output_before: bool = False) -> Iterator[Tensor]:
    """RETURNN: `per_gate_norm` and `cell_norm`, which is tf.contrib.rnn.LayerNormBasicLSTMCell."""
    h = c = zeros(units)
    for u in x:
        normed = {
            gate: norm(vars(p)[f"W_{gate}"] @ u + vars(p)[f"U_{gate}"] @ h, vars(p)[f"g_{gate}"], vars(p)[f"b_{gate}"])
            for gate in "ifoz"
        }
        i, f, o = (sigmoid(normed[gate]) for gate in "ifo")
        new = f * c + i * tanh(normed["z"])
        c = norm(new, p.g_c, p.b_c)
        h = o * tanh(new if output_before else c)
        yield h


def rnmt(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """RETURNN: the same without `cell_norm_in_output`, for RNMT+."""
    return norm_of_each_gate(p, x, units, output_before=True)


def cooijmans(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Cooijmans et al. 2017, equations 6-8, in evaluation with the averages that training starts from: 0 and 1."""
    h, c, deviation = zeros(units), zeros(units), (1 + 1e-5) ** 0.5
    biases = torch.cat([p.b_f, p.b_i, p.b_o, p.b_z])
    for u in x:
        f, i, o, z = (p.g_h * (p.U_h @ h) / deviation + p.g_x * (p.W_x @ u) / deviation + biases).split(units)  # 6
        c = sigmoid(f) * c + sigmoid(i) * tanh(z)  # 7
        h = sigmoid(o) * tanh(p.g_c * c / deviation + p.b_c)  # 8
        yield h


# ------------------------------------------------------------------ GRU


def cho(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Cho et al. 2014, section 2.3, with biases."""
    h = zeros(units)
    for u in x:
        r = sigmoid(affine(p, "r", u, h))
        z = sigmoid(affine(p, "z", u, h))
        h = z * h + (1 - z) * tanh(affine(p, "n", u, r * h))
        yield h


def ba_gru(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Ba et al. 2016, supplementary material; the biases of a gate are one vector."""
    h = zeros(units)
    for u in x:
        z, r = (norm(p.U_h @ h, p.g_h) + norm(p.W_x @ u, p.g_x) + torch.cat([p.b_z, p.b_r])).split(units)
        candidate = tanh(norm(p.W_n @ u, p.g_nx, p.b_nx) + sigmoid(r) * norm(p.U_n @ h, p.g_nh, p.b_nh))
        h = (1 - sigmoid(z)) * h + sigmoid(z) * candidate
        yield h


def zhou(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Zhou et al. 2016: products with [h, x] in one."""
    h = zeros(units)
    for u in x:
        f = sigmoid(torch.cat([p.U_f, p.W_f], 1) @ torch.cat([h, u]) + p.b_f)
        h = (1 - f) * h + f * tanh(torch.cat([p.U_h, p.W_h], 1) @ torch.cat([f * h, u]) + p.b_h)
        yield h


def ravanelli(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Ravanelli et al. 2018, before batch normalisation."""
    h = zeros(units)
    for u in x:
        z = sigmoid(affine(p, "z", u, h))
        h = z * h + (1 - z) * torch.relu(affine(p, "h", u, h))
        yield h


def ravanelli_evaluated(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """The same with running averages of mean 0 and variance 1, as they are before training."""
    h, deviation = zeros(units), (1 + 1e-5) ** 0.5
    for u in x:
        z = sigmoid(p.g_z * (p.W_z @ u) / deviation + p.b_z + p.U_z @ h)
        h = z * h + (1 - z) * torch.relu(p.g_h * (p.W_h @ u) / deviation + p.b_h + p.U_h @ h)
        yield h


# ------------------------------------------------------------------ one gate, highways


def van_der_westhuizen(p: SimpleNamespace, x: Tensor, units: int, beta: float = 1.0) -> Iterator[Tensor]:
    """Van der Westhuizen and Lasenby 2018."""
    c = zeros(units)
    for u in x:
        s = affine(p, "f", u, c)
        c = sigmoid(s) * c + (1 - sigmoid(s - beta)) * tanh(affine(p, "z", u, c))
        yield c


def collins(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Collins et al. 2017, equations 2-4; the constant b^fg is part of b_g."""
    h = zeros(units)
    for u in x:
        c, g = tanh(affine(p, "c", u, h)), sigmoid(affine(p, "g", u, h))
        h = g * h + (1 - g) * c
        yield h


def zilly(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """Zilly et al. 2017, equations 6-9 with c = 1 - t; as many layers as there are parameters."""
    s = zeros(units)
    for u in x:
        for layer in range(1, sum(name.startswith("U_h") for name in vars(p)) + 1):
            (R_h, b_h), (R_t, b_t) = ((vars(p)[f"U_{k}{layer}"], vars(p)[f"b_{k}{layer}"]) for k in "ht")
            first = 1 if layer == 1 else 0
            h = tanh(p.W_h @ u * first + R_h @ s + b_h)  # 7
            t = sigmoid(p.W_t @ u * first + R_t @ s + b_t)  # 8
            s = h * t + s * (1 - t)  # 6
        yield s


ROWS = (
    Row("lstm_peephole", greff_vanilla),
    Row("lstm_coupled", greff_coupled),
    Row("lstm_no_forget", greff_no_forget),
    Row("multiplicative_lstm", krause),
    Row("ln_lstm", ba_lstm),
    Row("ln_lstm_joint", joint_norm),
    Row("ln_lstm_gates", norm_of_each_gate),
    Row("ln_lstm_rnmt", rnmt),
    Row("bn_lstm", cooijmans),
    Row("gru_reset_before", cho),
    Row("ln_gru", ba_gru),
    Row("mgu", zhou),
    Row("light_gru", ravanelli),
    Row("bn_light_gru", ravanelli_evaluated),
    Row("janet", van_der_westhuizen),
    Row("janet", van_der_westhuizen, {"units": UNITS, "beta": 0.3}),
    Row("ugrnn", collins),
    Row("rhn3", zilly),
    Row("rhn5", zilly),
)
