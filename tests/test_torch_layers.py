"""The library cells equal torch.nn.RNN, LSTM and GRU: predictions, gradients, and the losses of 50 steps of training.

torch has two biases for every gate where the cells have one, so the second one stays zero; only the candidate of a GRU
needs both, and has both here: `c_n`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnspec.compiler import compile_spec
from rnnspec.verify.compare import Array, compare

TOLERANCE = 1e-10
SEQUENCES, STEPS, SIZE, UNITS, OUT = 14, 6, 4, 5, 8
TRAINING_STEPS = 50

GATES = {"rnn": "h", "lstm": "ifzo", "gru": "rzn"}
"""The gates of each cell in the order in which torch stacks them."""
MODULES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
OPTIMIZERS: dict[str, Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd(lr=0.1, momentum=0.9)": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adam(lr=0.01)": lambda params: torch.optim.Adam(params, lr=0.01),
}

SPEC = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["X", "Y", "Z", "length"])
inputs:
  x: vectors(X, size={size}{length})
targets:
  target: values({target}, size={out})
model: |
{model}
loss: mse({prediction}, target{index})
train:
  optimizer: {optimizer}
  batch: 5
  steps: {steps}
monitor:
  every: 1
"""


@dataclass(frozen=True)
class Case:
    """A network: `layers` layers of a cell, each in one or both directions, and a linear layer on top."""

    cell: str
    layers: int = 1
    both: bool = False
    masked: bool = False  # sequences of unequal length
    last: bool = False  # one prediction for each sequence, from the last step of the top layer

    def __str__(self) -> str:
        words = [self.cell, f"{self.layers} layers"]
        return ", ".join(words + [word for word in ("both", "masked", "last") if getattr(self, word)])

    @property
    def names(self) -> list[tuple[str, str]]:
        """What each instance of the cell is called in the spec, and the suffix that torch gives it."""
        directions = [("f", "")] + ([("b", "_reverse")] if self.both else [])
        return [(f"{word}{k}", f"_l{k}{suffix}") for k in range(self.layers) for word, suffix in directions]

    def spec(self, optimizer: str) -> str:
        """The network as a spec."""
        lines, below = [], "x[t]"
        for k in range(self.layers):
            lines.append(f"f{k}[t] = {self.cell}({below}, units={UNITS})")
            below = f"f{k}[t]"
            if self.both:
                lines.append(f"b{k}[t] = {self.cell}({'x[t]' if k == 0 else f'j{k - 1}[t]'}, units={UNITS}, reverse=true)")
                lines.append(f"j{k}[t] = concat(f{k}[t], b{k}[t])")
                below = f"j{k}[t]"
        index = "" if self.last else "[t]"
        lines.append(f"y{index} = W_y @ {below.replace('[t]', '[T]') if self.last else below} + b_y")
        return SPEC.format(
            size=SIZE,
            out=OUT,
            length=", length=length" if self.masked else "",
            target="Z" if self.last else "Y",
            model="\n".join(f"  {line}" for line in lines),
            prediction=f"y{index}",
            index=index,
            optimizer=optimizer,
            steps=TRAINING_STEPS,
        )

    def in_torch(self, params: dict[str, Array]) -> dict[str, Array]:
        """Parameters (or gradients) of the script under the names and in the layout of torch."""
        found = {"top.weight": params["W_y"], "top.bias": params["b_y"]}
        for name, suffix in self.names:
            for torch_name, word in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b")):
                stacked = [params[f"{name}.{word}_{gate}"] for gate in GATES[self.cell]]
                found[f"cells.{torch_name}{suffix}"] = np.concatenate(stacked)
            if self.cell == "gru":
                found[f"cells.bias_hh{suffix}"] = np.concatenate([np.zeros(2 * UNITS), params[f"{name}.c_n"]])
        return found


def candidate_only(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient of the second biases of a GRU, without those of its gates."""
    return torch.cat([torch.zeros(2 * UNITS, dtype=gradient.dtype), gradient[2 * UNITS :]])


class Network(torch.nn.Module):
    """The same network of torch.nn."""

    def __init__(self, case: Case, params: dict[str, Array]) -> None:
        super().__init__()
        self.case = case
        cells = MODULES[case.cell]
        self.cells = cells(SIZE, UNITS, case.layers, batch_first=True, bidirectional=case.both, dtype=torch.float64)
        self.top = torch.nn.Linear(UNITS * (2 if case.both else 1), OUT, dtype=torch.float64)
        values = case.in_torch(params)
        for name, parameter in self.named_parameters():
            with torch.no_grad():
                parameter.copy_(torch.tensor(values[name]) if name in values else torch.zeros_like(parameter))
            if name not in values:
                parameter.requires_grad_(False)
            elif "bias_hh" in name:  # only the candidate has a second bias
                parameter.register_hook(candidate_only)  # type: ignore[no-untyped-call]

    def forward(self, batch: dict[str, Array]) -> torch.Tensor:
        """The predictions."""
        x = torch.tensor(batch["x"], dtype=torch.float64)
        if not self.case.masked:
            values = self.cells(x)[0]
            lengths = torch.full((len(x),), x.shape[1])
        else:
            lengths = torch.tensor(batch["length"])
            packed, _ = self.cells(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
            values, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        found: torch.Tensor = self.top(values[torch.arange(len(x)), lengths - 1] if self.case.last else values)
        return found

    def loss(self, batch: dict[str, Array]) -> torch.Tensor:
        """The mean over features and over sequences, or over the valid steps of all of them."""
        target = torch.tensor(batch["target"], dtype=torch.float64)
        found: torch.Tensor = (self(batch) - target).square().mean(-1)
        if self.case.masked and not self.case.last:
            found = found[torch.tensor(valid_steps(batch))]
        return found.mean()


def valid_steps(batch: dict[str, Array]) -> Array:
    """Where steps are valid: (batch, time)."""
    return np.arange(batch["x"].shape[1]) < batch["length"][:, None]


def compiled(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str = "adam(lr=0.01)") -> ModuleType:
    """The script of a network, with data beside it."""
    random = np.random.default_rng(5)
    np.savez(
        folder / "data.npz",
        X=random.standard_normal((SEQUENCES, STEPS, SIZE)),
        Y=random.standard_normal((SEQUENCES, STEPS, OUT)),
        Z=random.standard_normal((SEQUENCES, OUT)),
        length=random.integers(1, STEPS + 1, SEQUENCES),
    )
    path = folder / "model.rnn"
    path.write_text(case.spec(optimizer), encoding="utf-8")
    monkeypatch.setenv("RNNSPEC_DATA", str(folder))
    return compile_spec(path, overrides=["train.dtype=float64"]).load()


CASES = [Case(cell, layers, both) for cell in GATES for layers in (1, 2) for both in (False, True)]
MASKED = [Case(cell, 2, both, True, last) for cell in GATES for both in (False, True) for last in (False, True)]
MASKED = [case for case in MASKED if not (case.both and case.last)]  # the last step of `b` is its first: no use to torch


@pytest.mark.parametrize("case", CASES + MASKED + [Case("lstm", last=True)], ids=str)
def test_predictions_and_gradients(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = compiled(case, tmp_path, monkeypatch)
    random = np.random.default_rng(3)
    params = {n: v + 0.3 * random.standard_normal(v.shape) for n, v in script.init(1).items()}  # no bias is zero
    batch = next(script.batches("train"))
    network = Network(case, params)
    loss = network.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    got, gradients = script.loss_and_gradients(params, batch)
    predicted, wanted = script.predict(params, batch)["y"], network(batch).detach().numpy()
    if case.masked and not case.last:
        predicted, wanted = predicted[valid_steps(batch)], wanted[valid_steps(batch)]
    assert not case.masked or len(set(batch["length"])) > 1
    want = {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None}
    compare({"": np.array(got), "y": predicted}, {"": np.array(loss.item()), "y": wanted}, TOLERANCE)
    compare(case.in_torch(gradients), want, TOLERANCE)


TRAINED = [Case(cell) for cell in GATES] + [Case("lstm", 2), Case("gru", 2, both=True), Case("lstm", masked=True)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_fifty_steps_of_training(case: Case, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = compiled(case, tmp_path, monkeypatch, optimizer)
    events: list[dict[str, Any]] = []
    params = script.train(report=events.append)
    losses = [event["train/loss"] for event in events if event["event"] == "step"]
    wanted, network = losses_of_torch(case, script, optimizer)
    assert len(losses) == TRAINING_STEPS
    assert np.ptp(losses) > 1e-2
    compare({"losses": np.array(losses)}, {"losses": np.array(wanted)}, TOLERANCE)
    values = {name: p.detach().numpy() for name, p in network.named_parameters() if p.requires_grad}
    compare(case.in_torch(params), values, TOLERANCE)


def losses_of_torch(case: Case, script: ModuleType, optimizer: str) -> tuple[list[float], Network]:
    """The losses of torch from the same initial values and over the same batches, and the trained network."""
    network = Network(case, script.init(script.SEED))
    losses: list[float] = []
    update = OPTIMIZERS[optimizer]([p for p in network.parameters() if p.requires_grad])
    epoch = 0
    while len(losses) < TRAINING_STEPS:
        for batch in list(script.batches("train", script.SEED, epoch))[: TRAINING_STEPS - len(losses)]:
            update.zero_grad()
            loss = network.loss(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            update.step()
            losses.append(loss.item())
        epoch += 1
    return losses, network
