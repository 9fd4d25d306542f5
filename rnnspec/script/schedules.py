"""How the learning rate changes: one row for each schedule of the language.

The lines return the learning rate of a step; `LR` is the one of the optimizer, `done` counts the steps before this one,
`steps` all of them.  Both count from the end of the warm-up, which is the same for every schedule.
"""

from __future__ import annotations

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill, lines

SCHEDULES = {
    "constant": "return LR",
    "step": "return LR * {factor} ** (done // {every})",
    "exponential": "return LR * {rate}**done",
    "cosine": "return {final} + (LR - {final}) * (1 + math.cos(math.pi * done / steps)) / 2",
}

WARMUP = """
if step <= {warmup}:
    return LR * step / {warmup}
"""


def schedule_lines(setting: Setting | None) -> Code:
    """The lines that return the learning rate of a step."""
    if setting is None:
        return fill(SCHEDULES["constant"])
    row, warmup = SCHEDULES[setting.name], setting["warmup"]
    counts = [f"done = step - 1{' - {warmup}' if warmup else ''}" if "done" in row else ""]
    counts += ["steps -= {warmup}" if "steps" in row and warmup else ""]
    return fill(lines([WARMUP.strip() if warmup else "", *counts, row]), **dict(setting.arguments))
