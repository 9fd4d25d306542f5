"""The least time that a cell can take: its operations at the measured rate, its bytes at the measured bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.gpu.plan import CELLS, Shape
from benchmarks.gpu.results import Results

STATES = {"LSTM": 2, "LN-LSTM": 2, "GRU": 1, "minGRU": 1}


@dataclass(frozen=True)
class Floor:
    """Milliseconds that products and memory take at least."""

    products: float
    memory: float

    @property
    def milliseconds(self) -> float:
        """The larger of the two: no version can be faster."""
        return max(self.products, self.memory)


def operations(cell: str, size: Shape, work: str) -> float:
    """Floating-point operations of the matrix products: W @ x and U @ h forward; U^T @ da, dW and dU backward."""
    B, T, H = size
    recurrent = "U" in CELLS[cell].kinds
    forward = 1 + recurrent
    backward = recurrent + forward
    return 2.0 * T * B * len(CELLS[cell].gates) * H * H * (forward + backward * (work == "training"))


def traffic(cell: str, size: Shape, work: str) -> float:
    """Bytes in float32: forward reads x, targets and parameters, and writes gates and states.

    Backward reads all of them again, and writes the gradients.
    """
    B, T, H = size
    gates, recurrent = len(CELLS[cell].gates), "U" in CELLS[cell].kinds
    parameters = gates * H * H * (1 + recurrent)
    once = T * B * H * (2 + gates + STATES[cell]) + parameters
    return 4.0 * (once if work == "forward" else 2 * once + parameters)


def floor(results: Results, cell: str, size: Shape, precision: str, work: str) -> Floor | None:
    """The floor of our scripts, if both rates were measured."""
    rate, bandwidth = results.latency(f"products, {precision}"), results.latency("copy in memory")
    if not rate or not bandwidth:
        return None
    return Floor(operations(cell, size, work) / rate / 1e9, traffic(cell, size, work) / bandwidth / 1e6)
