"""Cells with a matrix as their state: a memory that keys and queries write and read."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional

from tests.cells.harness import UNITS, Row

sigmoid, softplus = torch.sigmoid, functional.softplus


def zeros(*shape: int) -> Tensor:
    """A state before the first step."""
    return torch.zeros(shape, dtype=torch.float64)


def ba_2016(p: SimpleNamespace, x: Tensor, units: int, decay: float = 0.95, rate: float = 0.5) -> Iterator[Tensor]:
    """Fast weights, with all states so far in place of the matrix that they make."""
    past: list[Tensor] = [zeros(units)]
    for u in x:
        s = p.U_h @ past[-1] + p.W_h @ u
        start = torch.relu(s)
        read = zeros(units)
        for age, h in enumerate(reversed(past)):
            read = read + rate * decay**age * torch.dot(h, start) * h
        past.append(torch.relu(functional.layer_norm(s + read, (units,), p.g_h, p.b_h)))
        yield past[-1]


def katharopoulos_2020(p: SimpleNamespace, x: Tensor, units: int, keys: int) -> Iterator[Tensor]:
    """Linear attention, section 3.3: every step looks at all keys so far."""
    q, k = functional.elu(x @ p.W_q.T) + 1, functional.elu(x @ p.W_k.T) + 1
    weights = torch.tril(q @ k.T)
    return iter(weights @ (x @ p.W_v.T) / weights.sum(1, keepdim=True))


def schlag_2021(p: SimpleNamespace, x: Tensor, units: int, keys: int) -> Iterator[Tensor]:
    """Delta rule, section 4.2."""
    W = zeros(units, keys)
    for u in x:
        k, q = torch.softmax(p.W_k @ u, 0), torch.softmax(p.W_q @ u, 0)
        old, new = W @ k, p.W_v @ u
        W = W + sigmoid(p.g_r @ u + p.c_r) * torch.outer(new - old, k)
        yield W @ q


def yang_2024(p: SimpleNamespace, x: Tensor, units: int, keys: int) -> Iterator[Tensor]:
    """Gated linear attention, equation 3."""
    S = zeros(keys, units)
    for u in x:
        alpha = sigmoid(p.W_a @ u + p.b_a) ** (1 / 16)
        S = alpha[:, None] * S + torch.outer(p.W_k @ u, p.W_v @ u)
        yield S.T @ (p.W_q @ u)


def yang_2025(p: SimpleNamespace, x: Tensor, units: int, keys: int) -> Iterator[Tensor]:
    """Gated delta rule, section 3.1: S alpha (I - beta k k') + beta v k'."""
    S = zeros(units, keys)
    for u in x:
        k, q = ((W @ u) / torch.sqrt((W @ u).square().sum() + 1e-6) for W in (p.W_k, p.W_q))
        alpha = torch.exp(-torch.exp(p.c_a) * softplus(p.g_a @ u + p.c_s))
        beta = sigmoid(p.g_r @ u + p.c_r)
        S = S @ (alpha * (torch.eye(keys, dtype=x.dtype) - beta * torch.outer(k, k))) + beta * torch.outer(p.W_v @ u, k)
        yield S @ q


def beck_2024_matrix(p: SimpleNamespace, x: Tensor, units: int, keys: int) -> Iterator[Tensor]:
    """mLSTM, eq. 19-27, without the stabiliser."""
    C, n = zeros(units, keys), zeros(keys)
    for u in x:
        q, k, v = p.W_q @ u + p.b_q, p.W_k @ u / keys**0.5 + p.b_k, p.W_v @ u + p.b_v
        i, f = torch.exp(p.g_i @ u + p.c_i), sigmoid(p.g_f @ u + p.c_f)
        C = f * C + i * torch.outer(v, k)
        n = f * n + i * k
        yield sigmoid(p.W_o @ u + p.b_o) * (C @ q / torch.clamp(torch.abs(n @ q), min=1.0))


def beck_2024_scalar(p: SimpleNamespace, x: Tensor, units: int) -> Iterator[Tensor]:
    """sLSTM, eq. 8-14, without the stabiliser."""
    h, c, n = zeros(units), zeros(units), zeros(units)
    for u in x:
        z = torch.tanh(p.W_z @ u + p.R_z @ h + p.b_z)
        o = sigmoid(p.W_o @ u + p.R_o @ h + p.b_o)
        i, f = torch.exp(p.W_i @ u + p.R_i @ h), sigmoid(p.W_f @ u + p.R_f @ h + p.b_f)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        yield h


def gu_2023(p: SimpleNamespace, x: Tensor, units: int, states: int) -> Iterator[Tensor]:
    """The selective state space model of Mamba, algorithm 2."""
    S, A = zeros(units, states), -torch.exp(p.A_log)
    for u in x:
        delta, value = softplus(p.W_d @ u + p.b_d)[:, None], p.W_x @ u
        S = torch.exp(delta * A) * S + delta * (p.W_b @ u)[None] * value[:, None]
        yield S @ (p.W_c @ u) + p.g_x * value


MEMORY = {"units": UNITS, "keys": 3}

ROWS = (
    Row("fast_weights", ba_2016),
    Row("fast_weights", ba_2016, {"units": UNITS, "decay": 0.6, "rate": 0.9}),
    Row("linear_attention", katharopoulos_2020, MEMORY),
    Row("delta_net", schlag_2021, MEMORY),
    Row("gated_linear_attention", yang_2024, MEMORY),
    Row("gated_delta_net", yang_2025, MEMORY),
    Row("mlstm", beck_2024_matrix, MEMORY),
    Row("slstm", beck_2024_scalar),
    Row("selective_ssm", gu_2023, {"units": UNITS, "states": 3}),
)
