"""How a cell of the library is compared with a formula: the rows of the table, and the check that takes one.

A formula is a plain function of one sequence, as the paper writes it: no batch, no mask.  It is called for each
sequence of the batch with the steps that this sequence has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.script.devices import Name
from rnnspec.verify.compare import Array, compare

TOLERANCE = 1e-10
LENGTHS = (6, 2, 5)
SEQUENCES, STEPS, SIZE, UNITS, OUT = len(LENGTHS), max(LENGTHS), 4, 5, 7
"""All different, so that no misplaced axis can hide; a cell that takes another size is given another number again."""
SPREAD = 0.4
"""Of the parameters around their initial values: no gate is like another one, and none is saturated."""

SPEC = """
rnnspec: 1
data: {{source: 'npz("data.npz", arrays=["X", "Y", "length"])'}}
inputs: {{x: 'vectors(X, size={size}{length})'}}
targets: {{target: 'values(Y, size={out})'}}
model: |
  h[t] = {call}
  y[t] = W_y @ h[t] + b_y
loss: mse(y[t], target[t])
train: {{optimizer: sgd(lr=0.1), batch: {batch}, steps: 1, dtype: float64}}
"""

Formula = Callable[..., Iterable[Tensor]]
"""`formula(p, x, **args)` gives the output of each step; `x` is (steps, SIZE), `p.W_i` the parameter `W_i` of the cell."""

Params = Mapping[str, Array]


@dataclass(frozen=True)
class Row:
    """A cell, the formula that it must equal, and the arguments that both get."""

    cell: str
    formula: Formula
    args: Mapping[str, float | str] = field(default_factory=lambda: {"units": UNITS})

    def __str__(self) -> str:
        args = [f"{name}={value}" for name, value in self.args.items() if name != "units"]
        return " ".join([self.cell, "as", self.formula.__name__, *args])

    @property
    def call(self) -> str:
        """The call of the cell in a spec."""
        return f"{self.cell}({', '.join(['x[t]', *(f'{name}={value}' for name, value in self.args.items())])})"


def check_row(
    row: Row, level: int = 1, masked: bool = False, change: Callable[[Params], Params] = dict, device: Name = "cpu"
) -> None:
    """Demand that predictions, loss and all gradients of the script equal those of the formula; a GPU must be there.

    The formula sees the parameters that are trained; `change` gives it other ones than the script, which must not go
    unnoticed.
    """
    script, random = compiled(row.call, level, masked, device).load(), np.random.default_rng(3)
    params = script.init(1)
    trained = {name: params[name] + SPREAD * random.standard_normal(params[name].shape) for name in script.TRAINED}
    params |= trained
    batch = {
        "x": random.standard_normal((SEQUENCES, STEPS, SIZE)),
        "target": random.standard_normal((SEQUENCES, STEPS, OUT)),
    }
    lengths = LENGTHS if masked else (STEPS,) * SEQUENCES
    given = {**batch, "length": np.array(LENGTHS)} if masked else batch
    loss, gradients = script.loss_and_gradients(params, given)
    predicted = script.predict(params, {name: value for name, value in given.items() if name != "target"})["y"]
    y = np.concatenate([steps[:length] for steps, length in zip(predicted, lengths, strict=True)])
    want_y, want_loss, wanted = by_formula(row, change(trained), batch, lengths)
    compare({"": np.array(loss), "y": y}, {"": want_loss, "y": want_y}, TOLERANCE)
    idle = [name for name, value in wanted.items() if not np.any(value)]
    assert not idle, f"the formula does not depend on {', '.join(idle)}"
    compare(gradients, wanted, TOLERANCE)


@cache
def compiled(call: str, level: int, masked: bool, device: Name = "cpu") -> Compiled:
    """A spec with a cell and a linear layer."""
    length = ", length=length" if masked else ""
    spec = SPEC.format(size=SIZE, length=length, out=OUT, call=call, batch=SEQUENCES)
    with TemporaryDirectory() as folder:
        path = Path(folder, "cell.rnn")
        path.write_text(spec, encoding="utf-8")
        zeros = np.zeros((SEQUENCES, STEPS, 1))
        np.savez(Path(folder, "data.npz"), X=zeros.repeat(SIZE, 2), Y=zeros.repeat(OUT, 2), length=LENGTHS)
        return compile_spec(path, device, level)


def by_formula(row: Row, params: Params, batch: Params, lengths: Iterable[int]) -> tuple[Array, Array, dict[str, Array]]:
    """Predictions at all steps, loss and gradients as torch finds them."""
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    p = SimpleNamespace(**{name.removeprefix("h."): value for name, value in tensors.items() if name.startswith("h.")})
    outputs, errors = [], []
    for x, target, length in zip(torch.tensor(batch["x"]), torch.tensor(batch["target"]), lengths, strict=True):
        h = torch.stack(list(row.formula(p, x[:length], **row.args)))
        assert h.shape[0] == length
        outputs.append(h @ tensors["W_y"].T + tensors["b_y"])
        errors.append((outputs[-1] - target[:length]).square())
    loss = torch.cat(errors).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for name, v in tensors.items()}
    return torch.cat(outputs).detach().numpy(), np.array(loss.item()), gradients
