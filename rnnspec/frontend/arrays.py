"""Arrays as data: the first axis is the sequence, the second time where there is one."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rnnspec.diagnostics import SpecError
from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.packages import PACKAGED, located
from rnnspec.frontend.source_files import check_listed, existing, files_of, found
from rnnspec.frontend.typed import Setting

BROKEN = (
    *(OSError, ValueError, EOFError, RuntimeError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a damaged archive may raise."""


def archive(source: Setting) -> Offer:
    """The arrays of an archive that are asked for."""
    files = files_of(source)
    path = found(files[0])
    headers = _headers(path)
    columns, lengths = {}, {}
    for name in cast("tuple[str, ...]", source["arrays"]):
        check_listed(name, list(headers), f"the file `{path.name}` has no array")
        shape, dtype = headers[name]
        columns[name] = _column(shape, dtype, f"the array `{name}` of `{path.name}`", partial(_numbers, source, name))
        lengths[shape[0]] = name
    _check_equal(lengths, f"the arrays of `{path.name}`")
    return Offer(columns, files=files, count=next(iter(lengths)))


def single(source: Setting) -> Offer:
    """One array a file, named like it; none of them is read."""
    columns, lengths = {}, {}
    for path in cast("tuple[Path, ...]", source["paths"]):
        try:
            array = np.load(existing(path), mmap_mode="r", allow_pickle=False)
        except BROKEN as error:
            raise Unusable(f"`{path.name}` is not an array of NumPy, or it is damaged", str(error)) from None
        if not isinstance(array, np.memmap):
            raise Unusable(f"`{path.name}` is not a single array of NumPy", 'write `npz("...", arrays=[...])` for an archive')
        if path.stem in columns:
            raise Unusable(f"two files are called `{path.stem}`, and columns are named after files", "rename one of them")
        columns[path.stem] = _column(array.shape, array.dtype, f"the array in `{path.name}`", partial(np.asarray, array))
        lengths[array.shape[0]] = path.stem
    _check_equal(lengths, "the arrays")
    return Offer(columns, files=cast("tuple[Path, ...]", source["paths"]), count=next(iter(lengths)))


def _column(shape: tuple[int, ...], dtype: np.dtype[Any], what: str, numbers: Callable[[], NDArray[Any]]) -> Column:
    """The column of an array whose first axis is the sequence."""
    if dtype.kind not in "biuf":
        raise Unusable(f"{what} must hold numbers", f"it holds {dtype}")
    if not shape or min(shape) < 1:
        raise Unusable(f"{what} is empty or a single number")
    return Column(tuple(shape[1:]), dtype.kind in "biu", numbers=numbers)


def _check_equal(lengths: Mapping[int, str], what: str) -> None:
    if len(lengths) > 1:
        (few, first), (many, second) = sorted(lengths.items())[:2]
        message = f"{what} have different numbers of sequences"
        raise Unusable(message, f"`{first}` has {few}, `{second}` has {many}")


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
        return array_of(found(files_of(source)[0]), name)
    except Unusable as error:
        raise SpecError([error.about(source)]) from None


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Shape and type of every array of an archive; no array is read."""
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    version = npy.read_magic(file)
                    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                    shape, _, dtype = read(file)
                headers[entry.removesuffix(".npy")] = (shape, dtype)
    except BROKEN as error:
        raise _not_an_archive(path, error) from None
    return headers


def _not_an_archive(path: Path, error: Exception) -> Unusable:
    return Unusable(f"`{path.name}` is not an archive of NumPy arrays, or it is damaged", str(error))


def digits(source: Setting) -> Offer:
    """Pictures of 8 rows with 8 pixels each, and what they show."""
    (file,) = PACKAGED["digits"]
    located(file)
    return Offer({"x": Column((8, 8), False), "label": Column((), True, 10)}, files=(file,))
