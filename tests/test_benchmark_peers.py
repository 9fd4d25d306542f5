"""The peers of the benchmarks compute what our script computes: the same loss and the same gradients, in float64."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks import in_torch
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
