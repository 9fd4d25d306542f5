"""A live bar over the steps of a run, with losses, the first metric and speed; Rich draws it and honours NO_COLOR."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from rnnspec.run.events import Event
from rnnspec.run.progress import Board, short


class Bar:
    """Shows the run as one line that is redrawn in place; the bar takes the room that the numbers leave."""

    def __init__(self, stream: TextIO) -> None:
        self.board = Board()
        self.bars = Progress(
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(file=stream),
            expand=True,
        )
        self.task = self.bars.add_task("", total=None)
        self.bars.start()

    def show(self, event: Event) -> None:
        """Redraw with what the event brought."""
        self.board.take(event)
        self.bars.update(self.task, total=self.board.steps, completed=self.board.step, description=caption(self.board))

    def close(self) -> None:
        """Stop redrawing; the last state of the line stays."""
        self.bars.stop()


def caption(board: Board) -> str:
    """The words beside the bar, short enough for 80 columns."""
    parts = [f"{board.step:,}"]
    if "loss" in board.train:
        parts.append(f"loss {short(board.train['loss'])}")
    if "loss" in board.valid:
        parts.append(f"valid {short(board.valid['loss'])}")
    parts += [f"{name} {short(value)}" for name, value in board.valid.items() if name != "loss"][:1]
    return "  ".join([*parts, f"{board.rate:,.0f}/s"])
