"""Averages of the parameters, which are shown and kept instead of them: one row for each average of the language.

The lines say which `share` of the parameters the average takes in after a step, counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill, lines
from rnnspec.script.optimizers import OPTIMIZERS


@dataclass(frozen=True)
class Average:
    """What it is in one sentence, and its share."""

    title: str
    share: str


AVERAGES = {
    "ema": Average(
        "An exponential moving average of the parameters, from those after the first step on.",
        "share = 1 if step == 1 else 1 - {decay}",
    ),
    "polyak": Average(
        "The mean of the parameters since one of the steps (Polyak and Juditsky 1992); the parameters before that.",
        "share = 1 / max(1, step - {start} + 1)",
    ),
}

FOLLOW = """
# average = (1 - share) * average + share * weights
np.subtract(weights, average, out=change)
change *= share
average += change
"""


def average_title(optimizer: Setting, setting: Setting | None) -> str:
    """What the average is; empty where there is none."""
    own = OPTIMIZERS[optimizer.name].average
    return own.title if own else AVERAGES[setting.name].title if setting else ""


def average_lines(optimizer: Setting, setting: Setting | None) -> Code:
    """The lines that move the average after an update; none where the parameters themselves are shown."""
    own = OPTIMIZERS[optimizer.name].average
    if own:
        return fill(own.code, **dict(optimizer.arguments))
    return lines([fill(AVERAGES[setting.name].share, **dict(setting.arguments)), FOLLOW.strip()]) if setting else Code("")
