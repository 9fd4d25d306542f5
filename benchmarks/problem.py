"""What is timed: a cell at a size, as a spec, with the numbers that every candidate gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Size:
    """Steps, sequences, inputs and units."""

    T: int
    B: int
    I: int  # noqa: E741
    H: int

    def __str__(self) -> str:
        return f"{self.T}, {self.B}, {self.I}, {self.H}"


SIZES = (Size(64, 16, 32, 64), Size(100, 32, 64, 128), Size(100, 32, 128, 256), Size(100, 64, 256, 512), Size(200, 1, 8, 32))
QUICK = (SIZES[0], SIZES[4])


@dataclass(frozen=True)
class Cell:
    """A cell: what the spec calls it, how its parameters are stacked, and its equations if the library lacks it.

    A stack is a list of parameters whose rows stand in one array, as every peer wants them; `kinds` are those of all gates.
    """

    name: str
    call: str
    gates: str
    kinds: str = "WUb"
    stacks: dict[str, list[str]] = field(default_factory=dict)
    equations: str = ""

    @property
    def all_stacks(self) -> dict[str, list[str]]:
        """Those of all gates (W, U and b, as far as it has them) and its own."""
        return {kind: [f"{kind}_{gate}" for gate in self.gates] for kind in self.kinds} | self.stacks


LAYER_NORM_LSTM = """\
cells:
  ln_lstm:
    args: {units: int}
    inputs: [u]
    states: {h: units, c: units}
    output: h
    equations: |
      i[t] = sigmoid(layer_norm(W_i @ u[t] + U_i @ h[t-1], g_i, b_i))
      f[t] = sigmoid(layer_norm(W_f @ u[t] + U_f @ h[t-1], g_f, b_f))
      o[t] = sigmoid(layer_norm(W_o @ u[t] + U_o @ h[t-1], g_o, b_o))
      z[t] = tanh(layer_norm(W_z @ u[t] + U_z @ h[t-1], g_z, b_z))
      c[t] = f[t] * c[t-1] + i[t] * z[t]
      h[t] = o[t] * tanh(layer_norm(c[t], g_c, b_c))
"""

LSTM = Cell("LSTM", "lstm", "ifoz")
GRU = Cell("GRU", "gru", "rzn", stacks={"c": ["c_n"]})
ELMAN = Cell("Elman", "rnn", "h")
LN_LSTM = Cell(
    "LN-LSTM",
    "ln_lstm",
    "ifoz",
    stacks={"g": ["g_i", "g_f", "g_o", "g_z"], "g_c": ["g_c"], "b_c": ["b_c"]},
    equations=LAYER_NORM_LSTM,
)
MIN_GRU = Cell("minGRU", "min_gru", "zn", kinds="Wb")
CELLS = (LSTM, GRU, ELMAN, LN_LSTM)


def spec_text(cell: Cell, size: Size, dtype: str = "float32") -> str:
    """One layer of a cell as a spec; its loss is the mean of dot(h[t], target[t]), so that nothing but the cell costs time."""
    return f"""\
rnnspec: 1
name: benchmark
data:
  source: npz("data.npz", arrays=["X", "Y"])
inputs:
  x: vectors(X, size={size.I})
targets:
  target: values(Y, size={size.H})
{cell.equations}\
model: |
  h[t] = {cell.call}(x[t], units={size.H})
loss: dot(h[t], target[t])
train:
  optimizer: sgd(lr=0.1)
  batch: {size.B}
  steps: 1
  dtype: {dtype}
"""


@dataclass(frozen=True)
class Problem:
    """A cell at a size with numbers: stacked parameters, x (T, B, I) and target (T, B, H)."""

    cell: Cell
    size: Size
    params: Arrays
    x: Array
    target: Array

    def split(self, stacked: Mapping[str, Array]) -> Arrays:
        """Stacks as the single parameters of the spec."""
        parts = {}
        for stack, names in self.cell.all_stacks.items():
            parts.update({f"h.{name}": rows for name, rows in zip(names, np.split(stacked[stack], len(names)), strict=True)})
        return parts

    @cached_property
    def batch(self) -> Arrays:
        """x and target as a script takes them: (batch, time, feature)."""
        return {name: np.ascontiguousarray(a.swapaxes(0, 1)) for name, a in (("x", self.x), ("target", self.target))}

    def join(self, parts: Mapping[str, Array]) -> Arrays:
        """The single parameters of the spec as stacks."""
        stacks = self.cell.all_stacks.items()
        return {stack: np.concatenate([parts[f"h.{name}"] for name in names]) for stack, names in stacks}


def problem(cell: Cell, size: Size) -> Problem:
    """Numbers for a cell at a size, the same at every call."""
    rng = np.random.default_rng(0)
    columns = {"W": (size.I,), "U": (size.H,)}
    params = {}
    for stack, names in cell.all_stacks.items():
        values = rng.uniform(-1, 1, (len(names) * size.H, *columns.get(stack, ()))) / size.H**0.5
        params[stack] = (values + stack.startswith("g")).astype(np.float32)  # scales are around 1
    x, target = (rng.standard_normal((size.T, size.B, n)).astype(np.float32) for n in (size.I, size.H))
    return Problem(cell, size, params, x, target)
