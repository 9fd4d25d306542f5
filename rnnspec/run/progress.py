"""What is shown on stderr while a script trains: a live bar on a terminal, plain lines everywhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rnnspec.run.events import Event

LINES_WITHOUT_VALIDATION = 10


class Progress(Protocol):
    """Somebody who shows events."""

    def show(self, event: Event) -> None:
        """Take in one event and show what changed."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@dataclass
class Board:
    """The latest of everything that is worth showing, gathered from the events."""

    steps: int | None = None
    step: int = 0
    epochs: int | None = None
    epoch: int = 0
    train: dict[str, float] = field(default_factory=dict)
    train_step: int = 0  # the step that `train` is of: not every step is reported
    step_ms: float | None = None
    gradient: dict[str, float] = field(default_factory=dict)
    valid: dict[str, float] = field(default_factory=dict)
    validates: bool = False

    def take(self, event: Event) -> None:
        """Update from one event."""
        if event.kind == "start":
            self.steps, self.epochs = event.whole("steps"), event.whole("epochs")
            self.validates = bool(event.whole("valid"))
        self.step = event.whole("step") or self.step
        self.epoch = event.whole("epoch") or self.epoch
        if event.kind == "step":
            self.train, self.train_step = event.measures("train"), self.step
            self.step_ms = event.number("time/step_ms")
        self.gradient = event.measures("grad") or self.gradient
        if event.kind == "valid":
            self.valid = event.measures("valid")

    @property
    def rate(self) -> float:
        """Steps per second by the clock of the script: who reads it may see many lines at once; 0 if it is not known."""
        return 1000 / self.step_ms if self.step_ms else 0.0


@dataclass
class Plain:
    """One line a validation, or ten in a whole run without validation: for files, pipes and simple terminals."""

    stream: TextIO
    board: Board = field(default_factory=Board)
    shown: int = 0
    held: str = ""  # the line of a step, until it is known that no validation of the same step follows

    def show(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        if event.kind != "valid":
            self._write()
        self.board.take(event)
        if event.kind == "valid" or (event.kind == "step" and self._due()):
            self.held = line(self.board)
        if event.kind == "valid" or not self.board.validates:
            self._write()

    def close(self) -> None:
        """Write what is held."""
        self._write()

    def _write(self) -> None:
        if self.held:
            print(self.held, file=self.stream, flush=True)
        self.held = ""

    def _due(self) -> bool:
        """Whether a step should be shown: the first one, then each tenth of a run that does not validate."""
        if self.board.validates and self.shown:
            return False
        part = self.board.step * LINES_WITHOUT_VALIDATION // (self.board.steps or self.board.step or 1)
        if self.shown > part:
            return False
        self.shown = part + 1
        return True


def line(board: Board) -> str:
    """The board as one line of words and numbers."""
    parts = [f"step {board.step:,}" + (f" of {board.steps:,}" if board.steps else "")]
    if board.epochs:
        parts.append(f"epoch {board.epoch} of {board.epochs}")
    if board.train:
        parts.append(f"loss {measures(board.train)}" + f" at step {board.train_step:,}" * (board.train_step != board.step))
    parts += limited(board.gradient)
    if board.valid:
        parts.append(f"validation loss {measures(board.valid)}")
    if board.rate:
        parts.append(f"{board.rate:,.0f} steps/s" if board.rate >= 10 else f"{board.rate:.1f} steps/s")
    return "  ".join(parts)


def limited(gradient: Mapping[str, float]) -> list[str]:
    """`clipped 12%`: the share of the steps so far whose gradient was clipped, or which were skipped."""
    return [f"{what} {gradient[what]:.0%}" for what in ("clipped", "skipped") if what in gradient]


def measures(values: Mapping[str, float]) -> str:
    """`1.432 (accuracy 0.531, perplexity 4.19)`: the loss, and the metrics in brackets."""
    rest = ", ".join(f"{name} {short(value)}" for name, value in values.items() if name != "loss")
    loss = short(values["loss"]) if "loss" in values else ""
    return f"{loss} ({rest})".strip() if rest else loss


def short(value: float) -> str:
    """A number with four digits that matter."""
    return f"{value:.4g}" if value == 0 or not 1e-3 <= abs(value) < 1e4 else f"{value:#.4g}"


def choose(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Progress:
    """A live bar if `stream` is a terminal that can show one, else plain lines."""
    if not stream.isatty() or environment.get("TERM") == "dumb":
        return Plain(stream)
    from rnnspec.run.bar import Bar

    return Bar(stream)
