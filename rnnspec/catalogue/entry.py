"""What an entry of the catalogue holds, and the parts that many examples share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One code: a title, why it is an error, and the sections of a spec before and after the repair."""

    title: str
    cause: str
    wrong: str
    right: str


STATE = "h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)"
OUTPUT = "y[t] = W_hy @ h[t] + b_y"
WINDOWS = "train: {optimizer: adam(lr=1e-3), batch: 64, steps: 100, truncation: tbptt(5)}"
LEAKY = "'h[t] = 0.9 * h[t-1] + W @ u[t]'"


def model(*equations: str) -> str:
    """A section `model:` with these equations."""
    return "\n  ".join(["model: |", *equations])


def train(*settings: str) -> str:
    """A section `train:` with these settings."""
    return "\n  ".join(["train:", *settings])


def cell(output: str, equation: str) -> str:
    """A cell of the user's own, and a model that calls it."""
    head = ["args: {n: int}", "inputs: [u]", "states: {h: n}", f"output: {output}", f"equations: [{equation}]"]
    return "\n    ".join(["cells:\n  leaky:", *head]) + "\n" + model("h[t] = leaky(x[t], n=16)", OUTPUT)
