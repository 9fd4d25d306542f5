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
    "linear": "return LR + ({final} - LR) * done / steps",
    "inverse_sqrt": "return LR * math.sqrt({timescale} / ({timescale} + done))",
    "cosine": "return {final} + (LR - {final}) * (1 + math.cos(math.pi * done / steps)) / 2",
    "cosine_restarts": """
cycle = {every}  # steps of the cycle that this one belongs to
while done >= cycle:
    done, cycle = done - cycle, cycle * {growth}
return {final} + (LR - {final}) * (1 + math.cos(math.pi * done / cycle)) / 2
""",
    "one_cycle": """
first, last, top = LR / {div_factor}, LR / {div_factor} / {final_div_factor}, {pct_start} * steps - 1
if done < top:  # on the way up
    begin, end, progress = first, LR, done / top
else:
    begin, end, progress = LR, last, (done - top) / (steps - 1 - top)
return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2
""",
    "plateau": "return LR",  # times the factor that validations have led to
}

WARMUP = """
if step <= {warmup}:
    return LR * step / {warmup}
"""


def schedule_lines(setting: Setting | None) -> Code:
    """The lines that return the learning rate of a step."""
    if setting is None:
        return fill(SCHEDULES["constant"])
    row, warmup = SCHEDULES[setting.name], dict(setting.arguments).get("warmup")
    counts = [f"done = step - 1{' - {warmup}' if warmup else ''}" if "done" in row else ""]
    counts += ["steps -= {warmup}" if "steps" in row and warmup else ""]
    return fill(lines([WARMUP.strip() if warmup else "", *counts, row.strip("\n")]), **dict(setting.arguments))


PLATEAU = """
factor, best, waited = state
if loss < best * (1 - {threshold}):
    best, waited = loss, min(waited + 1, 0)
else:
    waited += 1
if waited > {patience}:
    factor, waited = max(factor * {factor}, {final} / LR), {first}
state[:] = factor, best, waited
"""
"""What a validation does to the factor of the learning rate, the best loss, and the count of validations that were no better.

The count begins below 0 after a change, so that some validations are not counted.
"""


def plateau_lines(setting: Setting | None) -> Code:
    """The lines that follow a validation; none for a schedule that depends on the steps alone."""
    if setting is None or setting.name != "plateau":
        return Code("")
    cooldown = setting["cooldown"]
    assert isinstance(cooldown, int)
    return fill(PLATEAU, first=-cooldown, **dict(setting.arguments))
