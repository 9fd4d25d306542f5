"""Files of data: where they are."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from rnnspec.diagnostics import suggest
from rnnspec.frontend.offers import Unusable
from rnnspec.frontend.packages import PACKAGED, located
from rnnspec.frontend.typed import PackageFile, Setting, Word


def files_of(source: Setting) -> tuple[Path | PackageFile, ...]:
    """The files that a source names, by their paths or by the word for them."""
    given = [value for name, value in source.arguments if name in ("path", "test") and value is not None]
    if isinstance(given[0], Word):
        if len(given) > 1:
            raise Unusable(f"`{given[0]}` has a part to test on already", "remove `test`")
        return tuple(PACKAGED[given[0]])
    return tuple(cast("list[Path]", given))


def found(file: Path | PackageFile) -> Path:
    """Where a file is; Unusable if it is not there."""
    return existing(file) if isinstance(file, Path) else located(file)


def existing(path: Path) -> Path:
    """A file that is there; Unusable if it is not."""
    try:
        there = "\0" not in str(path) and path.is_file()
    except OSError as error:  # such as a name that is too long
        raise Unusable(f"the data file `{path.name[:40]}` cannot be read", error.strerror) from None
    if not there and "\0" not in str(path) and path.is_dir():
        raise Unusable(f"`{path}` is a folder, not a data file", "write the name of a file in it")
    if not there:
        note = "the names of data files are relative to the folder of the spec"
        raise Unusable(f"the data file `{path.name}` does not exist", note)
    return path


def check_listed(name: str, known: list[str], message: str) -> None:
    """Unusable, with what is there, for a name that is not."""
    if name not in known:
        near = suggest(name, known)
        raise Unusable(f"{message} `{name}`", f"did you mean `{near}`?" if near else "it has: " + ", ".join(known))
