"""Averages of the parameters on a GPU: one row for each average of the language.

The lines are those of one thread; they know the `step`, counted from 1, and find which `share` of the parameters the
average takes in.
"""

from __future__ import annotations

AVERAGES = {
    "ema": "const double share = step == 1 ? 1 : 1 - {decay};",
    "polyak": "const double share = 1 / fmax(1.0, step - {start} + 1);",
}

FOLLOW = "average += share * (weight - average);"
"""The line for each number."""
