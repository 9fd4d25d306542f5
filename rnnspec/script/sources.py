"""Where data comes from: each source of the language is a template of its name in `templates/sources`.

A template gets the arguments of its source and the vocabulary of a text, and defines `source()`, which gives a dict from
column to array: (step, ...) of a stream, or (sequence, ...).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rnnspec.frontend.typed import Spec
from rnnspec.script.code import Code, literal
from rnnspec.script.templates import environment

MODULES = ("csv", "re")
"""What some sources import beyond what every script does."""

PER_LINE = 26
"""Characters of the vocabulary on one line."""


def source_functions(spec: Spec) -> Code:
    """`source()` of a spec and the functions it calls."""
    arguments = {name: literal(relative(value, spec.path)) for name, value in spec.data.source.arguments}
    template = environment().get_template(f"sources/{spec.data.source.name}.py.j2")
    symbols = vocabulary(spec.data.vocabulary, " " if arguments.get("unit") == '"word"' else "")
    return Code(template.render(arguments, vocabulary=symbols).strip("\n"))


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
    """Files as seen from the spec's folder, so that the script does not depend on where that is; the rest as it is."""
    if isinstance(value, tuple):
        return tuple(relative(item, spec) for item in value)
    return Path(os.path.relpath(value, spec.parent)).as_posix() if isinstance(value, Path) else value


def vocabulary(symbols: Sequence[str], space: str) -> Code:
    """The symbols of a text in the order of their numbers as one string, words with spaces between them."""
    pieces = [""]
    for symbol in symbols:
        if len(pieces[-1] + symbol) > PER_LINE * (1 + 2 * len(space)):
            pieces.append("")
        pieces[-1] += symbol + space
    pieces[-1] = pieces[-1].removesuffix(space) if space else pieces[-1]
    if len(pieces) == 1:
        return literal(pieces[0])
    return Code("\n".join(["(", *(f"    {literal(piece)}" for piece in pieces), ")"]))
