"""Every cell of the library equals the formula of its paper: predictions, loss and all gradients, at both levels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnspec.commands.reference import CELLS
from rnnspec.frontend.cell_definitions import LIBRARY
from rnnspec.verify.compare import GradientMismatch
from tests.cells import ROWS, classic, gated
from tests.cells.harness import Params, Row, check_row, compiled


def test_every_cell_has_a_row() -> None:
    """And a file of its own."""
    assert {row.cell for row in ROWS} == set(LIBRARY) == {path.stem for path in CELLS.glob("*.rnn")}
    assert len({str(row) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("masked", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize("level", [0, 1], ids=["O0", "O1"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_cell_is_what_its_paper_says(row: Row, level: int, masked: bool) -> None:
    check_row(row, level, masked)


@pytest.mark.parametrize("row", {row.cell: row for row in ROWS}.values(), ids=str)
def test_backwards_over_unequal_lengths(row: Row) -> None:
    """Padding comes first there, so nothing may overflow or divide by zero in a cell that still is in its start."""

    def backwards(p: SimpleNamespace, x: Tensor, reverse: str, **args: float) -> Iterable[Tensor]:
        return reversed(list(row.formula(p, x.flip(0), **args)))

    check_row(Row(row.cell, backwards, {**row.args, "reverse": "true"}), masked=True)


# ------------------------------------------------------------------ how fast

CHAINS = {
    "indrnn": 0, "lstm_projection": 2, "jordan": 2, "multiplicative_lstm": 2, "gru_reset_before": 2, "mgu": 2,
    "rhn3": 3, "rhn5": 5,
}  # fmt: skip
"""Cells in which so many products with a state need each other at one step; in the others it is one."""


@pytest.mark.parametrize("cell, call", {row.cell: row.call for row in (*classic.ROWS, *gated.ROWS)}.items())
def test_gates_are_one_product(cell: str, call: str) -> None:
    """In each direction: no loop has more products than need each other."""
    program = compiled(call, 1, False).program
    loops = [block for block in program.blocks if block.kind == "loop"]
    assert {block.direction for block in loops} == {1, -1}
    for direction in (1, -1):
        values = [program.values[i] for block in loops if block.direction == direction for i in block.ids]
        assert sum(value.op == "matmul" for value in values) == CHAINS.get(cell, 1)


# ------------------------------------------------------------------ the check bites


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_formula_with_another_parameter_is_caught(row: Row) -> None:
    """Each parameter of the cell in turn, for the formula only."""
    names: list[str] = []

    def collected(params: Params) -> Params:
        names.extend(name for name in params if name.startswith("h."))
        return params

    check_row(row, change=collected)
    for name in names:
        with pytest.raises(GradientMismatch):
            check_row(row, change=partial(moved, name))


def moved(name: str, params: Params) -> Params:
    """Parameters of which one is another one, by different amounts: no normalisation can hide it."""
    value = params[name]
    return {**params, name: value + np.linspace(0.1, 0.2, value.size).reshape(value.shape)}


def test_swapped_gates_are_caught() -> None:
    def input_gate_forgets(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
        """The formula of `lstm` with f and i swapped."""
        h = c = torch.zeros(units, dtype=x.dtype)
        for u in x:
            i, f, o = (
                torch.sigmoid(W @ u + U @ h + b)
                for W, U, b in ((p.W_i, p.U_i, p.b_i), (p.W_f, p.U_f, p.b_f), (p.W_o, p.U_o, p.b_o))
            )
            c = i * c + f * torch.tanh(p.W_z @ u + p.U_z @ h + p.b_z)
            h = o * torch.tanh(c)
            yield h

    with pytest.raises(GradientMismatch):
        check_row(Row("lstm", input_gate_forgets))


def test_the_other_end_of_a_gate_is_caught() -> None:
    def other_way(p: SimpleNamespace, x: Tensor, units: int) -> Iterable[Tensor]:
        """The formula of `gru` with z where 1 - z stands."""
        h = torch.zeros(units, dtype=x.dtype)
        for u in x:
            r = torch.sigmoid(p.W_r @ u + p.U_r @ h + p.b_r)
            z = torch.sigmoid(p.W_z @ u + p.U_z @ h + p.b_z)
            n = torch.tanh(p.W_n @ u + p.b_n + r * (p.U_n @ h + p.c_n))
            h = z * n + (1 - z) * h
            yield h

    with pytest.raises(GradientMismatch):
        check_row(Row("gru", other_way))
