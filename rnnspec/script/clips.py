"""How a gradient is limited, and how often a state's backward signal was: one row for each clip of the language.

The lines change the gradient `g` of the parameters `p` in place; `norm` is the length of all that is trained of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnspec.frontend.typed import Model, Setting
from rnnspec.script.body import Body
from rnnspec.script.code import Code, fill, literal, table
from rnnspec.script.devices import Device


@dataclass(frozen=True)
class Clip:
    """Its lines, and whether a step whose gradient they change is skipped."""

    code: str
    skips: bool = False


CLIPS = {
    "none": Clip(""),
    "global_norm": Clip("""
if norm > {max}:  # shorten the whole gradient, keep its direction
    g.trained *= {max} / norm
"""),
    "parameter_norm": Clip("""
for name in TRAINED:  # shorten the gradient of each parameter by itself
    gradient = g.named[name]
    gradient *= {max} / max({max}, np.linalg.norm(gradient))
"""),
    "value": Clip("""
np.clip(g.trained, -{max}, {max}, out=g.trained)
"""),
    "adaptive": Clip("""
for name in TRAINED:  # a row of a matrix (the weights into one unit), or a vector, by itself (Brock et al. 2021)
    weights, gradient = np.atleast_2d(p.named[name]), np.atleast_2d(g.named[name])
    limits = {ratio} * np.maximum(np.linalg.norm(weights, axis=-1, keepdims=True), {eps})
    gradient *= limits / np.maximum(limits, np.linalg.norm(gradient, axis=-1, keepdims=True))
"""),
    "skip": Clip(
        """
if norm > {max}:
    g.trained[:] = 0
""",
        skips=True,
    ),
}


def clip_lines(setting: Setting | None) -> Code:
    """The lines that limit the gradient; none where it is left as it is."""
    return fill(CLIPS[setting.name].code, **dict(setting.arguments)) if setting else Code("")


def skips(setting: Setting | None) -> bool:
    """Whether some steps are skipped."""
    return setting is not None and CLIPS[setting.name].skips


STATE_CLIPS = {
    "value": "np.abs({signal}) > {max}",
    "norm": "np.sqrt(np.square({signal}).sum({axes})) > {max}",
}
"""Where the backward signal of a state is limited: which of its numbers, or in which steps of which sequences."""


def shares_limited(model: Model, body: Body, device: Device) -> Code:
    """The shares of what the clips of states have limited, by the names of their reports; none without such clips."""
    signals = dict(body.limited)
    found = []
    for name, limit in model.state_clips:
        if name in signals:
            found.append((literal(f"grad/state_clipped/{name}"), _share_limited(model, name, signals[name], limit, device)))
    return table(found) if found else Code("")


def _share_limited(model: Model, name: str, signal: str, limit: Setting, device: Device) -> Code:
    """Of the numbers of a signal, or of its steps and sequences; those behind the end of a sequence do not count."""
    shape = model.shape_of(name) or (1,)
    axes = tuple(device.features + k for k in range(len(shape)))
    read = Code(device.read.format(value=signal))
    where = fill(STATE_CLIPS[limit.name], signal=read, max=limit["max"], axes=axes if len(axes) > 1 else axes[0])
    if not model.masked:
        return Code(f"float(np.mean({where}))")
    numbers = math.prod(shape) if limit.name == "value" else 1
    return Code(f"float(np.sum({where}) / ({numbers} * {device.valid_steps}))")
