"""How a gradient is limited: one row for each clip of the language.

The lines change `gradient`, a flat vector of the length `norm`, in place.
"""

from __future__ import annotations

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill

CLIPS = {
    "none": "",
    "global_norm": """
if norm > {max}:  # shorten the whole gradient, keep its direction
    gradient *= {max} / norm
""",
    "value": """
np.clip(gradient, -{max}, {max}, out=gradient)
""",
}


def clip_lines(setting: Setting | None) -> Code:
    """The lines that limit the gradient; none where it is left as it is."""
    return fill(CLIPS[setting.name], **dict(setting.arguments)) if setting else Code("")
