"""How a gradient is limited: one row for each clip of the language.

The lines change the gradient `g` of the parameters `p` in place; `norm` is the length of all that is trained of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill


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
