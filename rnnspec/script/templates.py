"""How templates are read, and what they may substitute.

A template is valid Python before it is rendered: control lines are comments, substitutions are whole statements or
expressions.  Only `Code` can be substituted.
"""

from __future__ import annotations

from functools import cache

import jinja2

from rnnspec.script.code import Code
from rnnspec.script.frame import FOLDERS

BREAK, NOTHING = "\x1e", "\x1f"
"""Stand for a line break inside a substitution, and for an empty one, until the text is laid out."""


@cache
def environment(device: str = "cpu") -> jinja2.Environment:
    """The environment of all templates of a device, which are compiled once."""
    own = [folder / device for folder in FOLDERS]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*own, *FOLDERS]),
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
