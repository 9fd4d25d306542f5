"""The last stage: the printed body inside the frame of a script.

The finished script passes `gate.check`.
"""

from __future__ import annotations

import re

from rnnspec.frontend.typed import Spec
from rnnspec.script import gate
from rnnspec.script.body import Body
from rnnspec.script.devices import DEVICES
from rnnspec.script.templates import BREAK, NOTHING, environment
from rnnspec.script.view import view


def render(spec: Spec, body: Body, device: str = "cpu") -> str:
    """The text of the training script for a device; the same bytes for the same spec."""
    seen = view(spec, body, DEVICES[device])
    template = environment(device).get_template("script.py.j2")
    text = layout(template.render({name: getattr(seen, name) for name in seen.__dataclass_fields__}))
    gate.check(text, device)
    return text


def layout(text: str) -> str:
    """Put all lines of a substitution at the column of its first one, drop those of empty ones, keep gaps small."""
    lines: list[str] = []
    for line in text.split("\n"):
        if NOTHING in line and not line.replace(NOTHING, "").strip():
            continue
        indent = line[: len(line) - len(line.lstrip(" "))]
        first, *rest = line.replace(NOTHING, "").split(BREAK)
        lines += [first.rstrip(), *((indent + more).rstrip() for more in rest)]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n") + "\n"
