"""Where data comes from: each source of the language is a template of its name in `templates/sources`.

A template gets the arguments of its source, its files, and the vocabulary of a text or the labels of classes.  It defines
`source()`, which gives a dict from column to array: (step, ...) of a stream, or (sequence, ...).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from rnnspec.conventions import MISSING, OTHER, TOKEN
from rnnspec.frontend.typed import PackageFile, Spec
from rnnspec.script.code import Code, fill, literal, pattern
from rnnspec.script.templates import environment

MODULES = ("csv", "gzip", "re", "tempfile")
"""What some sources import beyond what every script does."""

CONVENTIONS = {"no_number": literal(MISSING), "token": pattern(TOKEN), "other": literal(OTHER)}
"""What templates know beside their source: how data is written."""

PER_LINE = 26
"""Characters of the vocabulary on one line."""


def source_functions(spec: Spec) -> Code:
    """`source()` of a spec and the functions it calls."""
    data = spec.data
    arguments = {name: literal(value) for name, value in data.source.arguments if not _names_files(value)}
    template = environment().get_template(f"sources/{data.source.name}.py.j2")
    files = [_found(file, spec.path) for file in data.files]
    facts = {
        "file": Code(files[0] if files else ""),
        "files": Code(f"[{', '.join(files)}]"),
        "whole": len(files) == 1,
        "dtype": smallest(len(data.vocabulary)),
        "labels": literal(data.labels),
        "vocabulary": vocabulary(data.vocabulary, " " if arguments.get("unit") == '"word"' else ""),
    }
    return Code(template.render({**arguments, **facts, **CONVENTIONS}).strip("\n"))


def smallest(count: int) -> Code:
    """The type that needs the least room for numbers from 0 to `count` - 1."""
    return Code("np.uint8" if count <= 2**8 else "np.uint16" if count <= 2**16 else "np.uint32")


def _names_files(value: object) -> bool:
    return isinstance(value, Path) or isinstance(value, tuple) and all(isinstance(item, Path) for item in value)


def _found(file: Path | PackageFile, spec: Path) -> Code:
    """The call that gives the place of a file."""
    if isinstance(file, Path):
        return fill("data_file({name})", name=relative(file, spec))
    return fill("package_file({package}, {name}, {install})", package=file.package, name=file.name, install=file.install)


def imports(source: Code) -> list[str]:
    """The modules that the source needs and other scripts do not."""
    return [name for name in MODULES if re.search(rf"\b{name}\.", source)]


def reads_packages(spec: Spec) -> bool:
    """Whether the data comes with a package."""
    return any(isinstance(file, PackageFile) for file in spec.data.files)


def reads_files(spec: Spec) -> bool:
    """Whether a script names files of the user, for its data or for initial values."""
    initial = (value for info in spec.model.parameters for _, value in info.init.arguments)
    return any(isinstance(value, Path) for value in (*spec.data.files, *initial))


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
