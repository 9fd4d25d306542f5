"""What files offer as data: their columns, read without loading more than is needed."""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rnnspec.diagnostics import SpecError, suggest
from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.packages import PACKAGED, located
from rnnspec.frontend.typed import PackageFile, Setting, Word

BROKEN = (
    *(OSError, ValueError, EOFError, RuntimeError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a damaged archive may raise."""


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


def _file(source: Setting) -> Path:
    return found(files_of(source)[0])


def existing(path: Path) -> Path:
    """A file that is there; Unusable if it is not."""
    try:
        there = "\0" not in str(path) and path.is_file()
    except OSError as error:  # such as a name that is too long
        raise Unusable(f"the data file `{path.name[:40]}` cannot be read", error.strerror) from None
    if not there:
        note = "the names of data files are relative to the folder of the spec"
        raise Unusable(f"the data file `{path.name}` does not exist", note)
    return path


def check_listed(name: str, known: list[str], message: str) -> None:
    """Unusable, with what is there, for a name that is not."""
    if name not in known:
        near = suggest(name, known)
        raise Unusable(f"{message} `{name}`", f"did you mean `{near}`?" if near else "it has: " + ", ".join(known))


def archive(source: Setting) -> Offer:
    path = _file(source)
    headers = _headers(path)
    columns, lengths = {}, {}
    for name in cast("tuple[str, ...]", source["arrays"]):
        check_listed(name, list(headers), f"the file `{path.name}` has no array")
        shape, dtype = headers[name]
        if dtype.kind not in "biuf":
            raise Unusable(f"the array `{name}` of `{path.name}` must hold numbers", f"it holds {dtype}")
        if not shape or min(shape) < 1:
            raise Unusable(f"the array `{name}` of `{path.name}` is empty or a single number")
        lengths[shape[0]] = name
        columns[name] = Column(tuple(shape[1:]), dtype.kind in "biu", numbers=partial(_numbers, source, name))
    if len(lengths) > 1:
        (few, first), (many, second) = sorted(lengths.items())[:2]
        message = f"the arrays of `{path.name}` have different numbers of sequences"
        raise Unusable(message, f"`{first}` has {few}, `{second}` has {many}")
    return Offer(columns, files=files_of(source))


def array_of(path: Path, name: str) -> NDArray[Any]:
    """An array of an archive; Unusable where there is none of that name, or the file is damaged."""
    check_listed(name, list(_headers(existing(path))), f"the file `{path.name}` has no array")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return cast("NDArray[Any]", archive[name])
    except BROKEN as error:
        raise _not_an_archive(path, error) from None


def _numbers(source: Setting, name: str) -> NDArray[Any]:
    """An array of the data; SpecError where the file turns out to be damaged."""
    try:
        return array_of(_file(source), name)
    except Unusable as error:
        raise SpecError([error.about(source)]) from None


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Shape and type of every array of an archive; no array is read."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    version = npy.read_magic(file)
                    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                    shape, _, dtype = read(file)
                found[entry.removesuffix(".npy")] = (shape, dtype)
    except BROKEN as error:
        raise _not_an_archive(path, error) from None
    return found


def _not_an_archive(path: Path, error: Exception) -> Unusable:
    return Unusable(f"`{path.name}` is not an archive of NumPy arrays, or it is damaged", str(error))


def digits(source: Setting) -> Offer:
    """Pictures of 8 rows with 8 pixels each, and what they show."""
    (file,) = PACKAGED["digits"]
    located(file)
    return Offer({"x": Column((8, 8), False), "label": Column((), True, 10)}, files=(file,))
