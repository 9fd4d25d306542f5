"""The peer of a character model: `nn.LSTM` with the sizes, batches, optimizer, clip and number of steps of the spec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from rnnspec import compile_spec


class Characters(nn.Module):
    """One-hot characters, one LSTM layer, scores for the next character."""

    def __init__(self, symbols: int, units: int) -> None:
        super().__init__()
        self.symbols = symbols
        self.layer = nn.LSTM(symbols, units, batch_first=True)
        self.scores = nn.Linear(units, symbols)

    def loss(self, ids: np.ndarray, target: np.ndarray) -> torch.Tensor:
        """The mean cross-entropy of a batch of ids (batch, time)."""
        hot = nn.functional.one_hot(torch.as_tensor(ids, dtype=torch.long), self.symbols).float()
        scores = self.scores(self.layer(hot)[0])
        return nn.functional.cross_entropy(scores.flatten(0, 1), torch.as_tensor(target, dtype=torch.long).flatten())


def language_model(spec: Path) -> tuple[float, int]:
    """Train it on the batches of the spec's script; the mean test loss, and the steps."""
    compiled = compile_spec(spec)
    script, settings = compiled.load(), compiled.spec.train
    os.environ["RNNSPEC_DATA"] = str(spec.parent)
    symbols, units = script.init()["W_y"].shape
    torch.manual_seed(settings.seed)
    model = Characters(symbols, units)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.optimizer["lr"])
    for batch in islice(forever(script), script.STEPS):
        optimizer.zero_grad()
        loss = model.loss(batch["x"], batch["target"])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip["max"])
        optimizer.step()
    with torch.no_grad():
        losses = [(float(model.loss(b["x"], b["target"])), b["x"].size) for b in script.batches("test")]
    return float(np.average([loss for loss, _ in losses], weights=[count for _, count in losses])), script.STEPS


def forever(script: ModuleType) -> Iterator[dict[str, np.ndarray]]:
    """The training batches, epoch after epoch."""
    epoch = 0
    while True:
        yield from script.batches("train", script.SEED, epoch)
        epoch += 1
