"""Where data comes from: each source of the language is a template of its name in `templates/sources`.

A template gets the arguments of its source, and defines `source()`, which gives a dict from column to array:
(step, ...) of a stream, or (sequence, ...).
"""

from __future__ import annotations

import os
from pathlib import Path

from rnnspec.frontend.typed import Spec
from rnnspec.script.code import Code, fill, literal
from rnnspec.script.templates import environment

MODULES = ("csv",)
"""What some sources import beyond what every script does."""

PER_LINE = 26
"""Characters of the vocabulary on one line."""


def source_functions(spec: Spec) -> Code:
    """`source()` of a spec and the functions it calls."""
    arguments = {name: literal(relative(value, spec.path)) for name, value in spec.data.source.arguments}
    return Code(environment().get_template(f"sources/{spec.data.source.name}.py.j2").render(arguments).strip("\n"))


def imports(spec: Spec) -> list[str]:
    """The modules that the source needs and other scripts do not."""
    return [name for name in MODULES if f"{name}." in source_functions(spec)]


def data_in_files(spec: Spec) -> bool:
    """Whether the data is in files of the user."""
    return "data_file(" in source_functions(spec)


def reads_files(spec: Spec) -> bool:
    """Whether a script names files of the user, for its data or for initial values."""
    return data_in_files(spec) or any(isinstance(v, Path) for i in spec.model.parameters for _, v in i.init.arguments)


def relative(value: object, spec: Path) -> object:
    """A file as seen from the spec's folder, so that the script does not depend on where that is; else as it is."""
    return Path(os.path.relpath(value, spec.parent)).as_posix() if isinstance(value, Path) else value


def vocabulary(spec: Spec) -> Code:
    """The characters of a text in the order of their numbers, a few to a line."""
    text = spec.data.vocabulary
    if not text:
        return Code("")
    if len(text) <= PER_LINE:
        return fill("VOCABULARY = {text}", text=text)
    pieces = [text[k : k + PER_LINE] for k in range(0, len(text), PER_LINE)]
    return Code("\n".join(["VOCABULARY = (", *(f"    {literal(piece)}" for piece in pieces), ")"]))
