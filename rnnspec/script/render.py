"""The last stage: the printed body inside the frame of a script.

The frame is a Jinja template that is valid Python before it is rendered: control lines are comments, substitutions are
whole statements or expressions.  Only `Code` can be substituted, and the finished script passes `gate.check`.
"""

from __future__ import annotations

import re
from functools import cache

import jinja2

from rnnspec.frontend.typed import Spec
from rnnspec.script import gate
from rnnspec.script.body import Body
from rnnspec.script.code import Code
from rnnspec.script.frame import FOLDERS
from rnnspec.script.view import view

BREAK, NOTHING = "\x1e", "\x1f"
"""Stand for a line break inside a substitution, and for an empty one, until the text is laid out."""


def render(spec: Spec, body: Body) -> str:
    """The text of the training script; the same bytes for the same spec."""
    seen = view(spec, body)
    template = environment().get_template("script.py.j2")
    text = layout(template.render({name: getattr(seen, name) for name in seen.__dataclass_fields__}))
    gate.check(text)
    return text


@cache
def environment() -> jinja2.Environment:
    """How templates are read and what they may substitute; the templates are compiled once."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDERS),
        block_start_string="#%",
        block_end_string="%#",
        comment_start_string="#-",
        comment_end_string="-#",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=vetted,
    )


def vetted(value: object) -> str:
    """The text of a substitution; TypeError for text that is not `Code`."""
    if not isinstance(value, Code):
        raise TypeError(f"{value!r} must not be written into a script")
    return value.replace("\n", BREAK) if value else NOTHING


def layout(text: str) -> str:
    """Put all lines of a substitution at the column of its first one, drop those of empty ones, keep gaps small."""
    lines: list[str] = []
    for line in text.split("\n"):
        if NOTHING in line and not line.replace(NOTHING, "").strip():
            continue
        indent = re.match(" *", line)[0]  # type: ignore[index]
        first, *rest = line.replace(NOTHING, "").split(BREAK)
        lines += [first.rstrip(), *((indent + more).rstrip() for more in rest)]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n") + "\n"
