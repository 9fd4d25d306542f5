"""Cells that are linear in their state or made for it to last: bistable, oscillating, antisymmetric, of many time scales."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional

from tests.cells.harness import Row

sigmoid, tanh = torch.sigmoid, torch.tanh


def zeros(count: int) -> Tensor:
    """A state before the first step."""
    return torch.zeros(count, dtype=torch.float64)


def with_last(x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each input and the one before it."""
    return zip(x, torch.cat([torch.zeros_like(x[:1]), x[:-1]]), strict=True)


def lei_2018(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """SRU, with biases in its gates."""
    c = zeros(units)
    for u in x:
        f = sigmoid(p.W_f @ u + p.v_f * c + p.b_f)
        r = sigmoid(p.W_r @ u + p.v_r * c + p.b_r)
        c = f * c + (1 - f) * (p.W_c @ u)
        yield r * c + (1 - r) * (p.W_s @ u)


def bradbury_2017(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """QRNN: a convolution along time, then fo-pooling."""
    padded = torch.cat([torch.zeros_like(x[:1]), x]).T[None]
    z, f, o = (
        functional.conv1d(padded, torch.stack([vars(p)[f"V_{g}"], vars(p)[f"W_{g}"]], 2), vars(p)[f"b_{g}"])[0].T for g in "zfo"
    )
    c = zeros(units)
    for t in range(len(x)):
        c = sigmoid(f[t]) * c + (1 - sigmoid(f[t])) * tanh(z[t])
        yield sigmoid(o[t]) * c


def feng_2024_gru(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """minGRU."""
    h = zeros(units)
    for u in x:
        z = sigmoid(p.W_z @ u + p.b_z)
        h = (1 - z) * h + z * (p.W_n @ u + p.b_n)
        yield h


def feng_2024_lstm(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """minLSTM."""
    h = zeros(units)
    for u in x:
        f, i = sigmoid(p.W_f @ u + p.b_f), sigmoid(p.W_i @ u + p.b_i)
        forget, write = f / (f + i), i / (f + i)
        h = forget * h + write * (p.W_n @ u + p.b_n)
        yield h


def orvieto_2023(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """LRU, section 3.4, in complex numbers."""
    eigenvalue = torch.exp(torch.complex(-torch.exp(p.nu), p.theta))
    gamma = torch.sqrt(1 - eigenvalue.abs() ** 2)
    B, C = torch.complex(p.W_re, p.W_im), torch.complex(p.V_re, p.V_im)
    state = torch.zeros(units, dtype=torch.complex128)
    for u in x:
        state = eigenvalue * state + gamma * (B @ u.to(B.dtype))
        yield (C @ state).real + p.P_h @ u


def de_2024(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """RG-LRU, equations 1-4."""
    h = zeros(units)
    for u in x:
        r, i = sigmoid(p.W_r @ u + p.b_r), sigmoid(p.W_i @ u + p.b_i)
        a = sigmoid(p.Lambda) ** (8 * r)
        h = a * h + torch.sqrt(1 - a**2) * (i * (p.W_h @ u))
        yield h


def koutnik_2014(
    p: SimpleNamespace, x: Tensor, units: int, period2: int = 2, period3: int = 4, period4: int = 8
) -> Iterator[Tensor]:
    """Clockwork: one matrix whose blocks below the diagonal are zero, and the rows of the modules whose time has come."""
    block = torch.zeros(units, units, dtype=x.dtype)
    rows = [[vars(p)[f"U_{i}{j}"] if j >= i else block for j in range(1, 5)] for i in range(1, 5)]
    W_H = torch.cat([torch.cat(row, 1) for row in rows])
    W_I, b = (torch.cat([vars(p)[f"{word}_{i}"] for i in range(1, 5)]) for word in "Wb")
    periods = torch.tensor([1, period2, period3, period4]).repeat_interleave(units)
    h = zeros(4 * units)
    for t, u in enumerate(x, start=1):
        h = torch.where(t % periods == 0, tanh(W_H @ h + W_I @ u + b), h)
        yield h


def chang_2019(p: SimpleNamespace, x: Tensor, units: int, epsilon: float = 0.1, gamma: float = 0.01) -> Iterator[Tensor]:
    """AntisymmetricRNN, equation 12."""
    h, M = zeros(units), p.U_h - p.U_h.T - gamma * torch.eye(units, dtype=x.dtype)
    for u in x:
        h = h + epsilon * tanh(M @ h + p.W_h @ u + p.b_h)
        yield h


def chang_2019_gated(p: SimpleNamespace, x: Tensor, units: int, epsilon: float = 0.1, gamma: float = 0.01) -> Iterator[Tensor]:
    """AntisymmetricRNN with gating, equation 13."""
    h, M = zeros(units), p.U_h - p.U_h.T - gamma * torch.eye(units, dtype=x.dtype)
    for u in x:
        z = sigmoid(M @ h + p.W_z @ u + p.b_z)
        h = h + epsilon * z * tanh(M @ h + p.W_h @ u + p.b_h)
        yield h


def erichson_2021(
    p: SimpleNamespace, x: Tensor, units: int, epsilon: float = 0.1, beta: float = 0.75, gamma: float = 0.01
) -> Iterator[Tensor]:
    """Lipschitz RNN, with a step of Euler."""

    def between(M: Tensor) -> Tensor:
        return (1 - beta) * (M + M.T) + beta * (M - M.T) - gamma * torch.eye(units, dtype=x.dtype)

    h, A, W = zeros(units), between(p.U_a), between(p.U_h)
    for u in x:
        h = h + epsilon * (A @ h + tanh(W @ h + p.W_h @ u + p.b_h))
        yield h


def rusch_2021(
    p: SimpleNamespace, x: Tensor, units: int, dt: float = 0.1, gamma: float = 1.0, epsilon: float = 1.0
) -> Iterator[Tensor]:
    """coRNN, damped explicitly."""
    y, z = zeros(units), zeros(units)
    for u in x:
        force = tanh(p.U_y @ y + p.U_z @ z + p.W_z @ u + p.b_z)
        z = z + dt * force - dt * gamma * y - dt * epsilon * z
        y = y + dt * z
        yield y


def rusch_2022(p: SimpleNamespace, x: Tensor, units: int, dt: float = 1.0) -> Iterator[Tensor]:
    """LEM."""
    y, z = zeros(units), zeros(units)
    for u in x:
        a = dt * sigmoid(p.U_a @ y + p.W_a @ u + p.b_a)
        b = dt * sigmoid(p.U_b @ y + p.W_b @ u + p.b_b)
        z = (1 - a) * z + a * tanh(p.U_z @ y + p.W_z @ u + p.b_z)
        y = (1 - b) * y + b * tanh(p.U_y @ z + p.W_y @ u + p.b_y)
        yield y


def vecoven_2021(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """BRC."""
    return bistable(p, x, units, torch.diag(p.w_a), torch.diag(p.w_c))


def vecoven_2021_neuromodulated(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """nBRC."""
    return bistable(p, x, units, p.U_a, p.U_c)


def bistable(p: SimpleNamespace, x: Tensor, units: int, W_a: Tensor, W_c: Tensor) -> Iterator[Tensor]:
    """Both of them; in a BRC the matrices are diagonal."""
    h = zeros(units)
    for u in x:
        a = 1 + tanh(p.W_a @ u + W_a @ h)
        c = sigmoid(p.W_c @ u + W_c @ h)
        h = c * h + (1 - c) * tanh(p.W_h @ u + a * h)
        yield h


def turkoglu_2021(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """STAR."""
    h = zeros(units)
    for u in x:
        k = sigmoid(p.W_k @ u + p.U_k @ h + p.b_k)
        h = tanh((1 - k) * h + k * tanh(p.W_z @ u + p.b_z))
        yield h


def laurent_2017(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """CFN, equations 1 and 2."""
    h = zeros(units)
    for u in x:
        theta, eta = sigmoid(p.U_f @ h + p.W_f @ u + p.b_f), sigmoid(p.U_i @ h + p.W_i @ u + p.b_i)
        h = theta * tanh(h) + eta * tanh(p.W_h @ u)
        yield h


def kusupati_2018(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """FastGRNN."""
    h = zeros(units)
    for u in x:
        z = sigmoid(p.W_h @ u + p.U_h @ h + p.b_z)
        n = tanh(p.W_h @ u + p.U_h @ h + p.b_h)
        h = (sigmoid(p.zeta) * (1 - z) + sigmoid(p.nu)) * n + z * h
        yield h


def hasani_2021(p: SimpleNamespace, x: Tensor, units: int, dt: float = 1.0) -> Iterator[Tensor]:
    """LTC, eq. 3."""
    h, tau = zeros(units), 1 / functional.softplus(p.rate)
    for u in x:
        f = sigmoid(p.W_f @ u + p.U_f @ h + p.b_f)
        h = (h + dt * f * p.a) / (1 + dt * (1 / tau + f))
        yield h


def hasani_2022(p: SimpleNamespace, x: Tensor, units: int, dt: float = 1.0) -> Iterator[Tensor]:
    """CfC."""
    h = zeros(units)
    for u in x:
        z = tanh(p.W_z @ u + p.U_z @ h + p.b_z)
        f, g, k = p.V_f @ z + p.b_f, tanh(p.V_g @ z + p.b_g), tanh(p.V_k @ z + p.b_k)
        h = sigmoid(-f * dt) * g + (1 - sigmoid(-f * dt)) * k
        yield h


def peng_2023(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """RWKV time mixing as a sum over all steps so far, without its running maximum."""
    keys, values = [], []
    decay = torch.exp(p.speed)
    for u, last in with_last(x):
        r, k, v = (vars(p)[f"W_{g}"] @ (vars(p)[f"g_{g}"] * u + (1 - vars(p)[f"g_{g}"]) * last) for g in "rkv")
        past = len(keys)
        weights = [torch.exp(-(past - 1 - i) * decay + keys[i]) for i in range(past)] + [torch.exp(p.bonus + k)]
        keys.append(k)
        values.append(v)
        yield sigmoid(r) * sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


ROWS = (
    Row("sru", lei_2018),
    Row("qrnn", bradbury_2017),
    Row("min_gru", feng_2024_gru),
    Row("min_lstm", feng_2024_lstm),
    Row("lru", orvieto_2023),
    Row("rg_lru", de_2024),
    Row("clockwork", koutnik_2014, {"units": 5, "period2": 2, "period3": 2, "period4": 3}),
    Row("antisymmetric_rnn", chang_2019),
    Row("antisymmetric_rnn", chang_2019, {"units": 5, "epsilon": 0.3, "gamma": 0.2}),
    Row("gated_antisymmetric_rnn", chang_2019_gated),
    Row("gated_antisymmetric_rnn", chang_2019_gated, {"units": 5, "epsilon": 0.3, "gamma": 0.2}),
    Row("lipschitz_rnn", erichson_2021),
    Row("lipschitz_rnn", erichson_2021, {"units": 5, "epsilon": 0.3, "beta": 0.6, "gamma": 0.2}),
    Row("cornn", rusch_2021),
    Row("cornn", rusch_2021, {"units": 5, "dt": 0.3, "gamma": 0.7, "epsilon": 1.4}),
    Row("lem", rusch_2022),
    Row("lem", rusch_2022, {"units": 5, "dt": 0.3}),
    Row("brc", vecoven_2021),
    Row("nbrc", vecoven_2021_neuromodulated),
    Row("star", turkoglu_2021),
    Row("cfn", laurent_2017),
    Row("fast_grnn", kusupati_2018),
    Row("ltc", hasani_2021),
    Row("ltc", hasani_2021, {"units": 5, "dt": 0.3}),
    Row("cfc", hasani_2022),
    Row("cfc", hasani_2022, {"units": 5, "dt": 0.3}),
    Row("rwkv", peng_2023),
)
