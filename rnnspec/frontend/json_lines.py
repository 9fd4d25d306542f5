"""Lines of JSON as data: each line is an object, and each object a sequence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from rnnspec.frontend.offers import Column, Extent, Offer, Unusable
from rnnspec.frontend.source_files import check_listed, files_of, found
from rnnspec.frontend.typed import Setting

LENGTH = "length"


class Kind(NamedTuple):
    """What a field holds: a text, or numbers; for the sequence, or for each step one or `size` of them."""

    text: bool = False
    timed: bool = False
    size: int = 0

    def __str__(self) -> str:
        inner = f"lists of {self.size} numbers" if self.size else "numbers"
        return "a text" if self.text else f"a list of {inner}" if self.timed else "a number"


def json_lines(source: Setting) -> Offer:
    """The fields that are asked for, and the column `length`."""
    files, names = files_of(source), cast("tuple[str, ...]", source["fields"])
    path = found(files[0])
    if LENGTH in names:
        raise Unusable(f"`{LENGTH}` is counted, and cannot be a field as well", "leave it out of `fields`")
    rows, kinds = _rows(path, names)
    longest = max(len(row[name]) for row in rows for name, kind in kinds.items() if kind.timed)
    texts = [name for name, kind in kinds.items() if kind.text]
    if len(texts) > 1:
        raise Unusable("only one field may hold names of classes", "here are " + " and ".join(f"`{name}`" for name in texts))
    labels = tuple(sorted({row[name] for row in rows for name in texts}))
    columns = {name: _column([row[name] for row in rows], kind, longest, len(labels)) for name, kind in kinds.items()}
    return Offer({**columns, LENGTH: Column((), True)}, files=files, labels=labels, count=len(rows))


def _rows(path: Path, names: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, Kind]]:
    """All objects, and the kinds of their fields, which are the same in each."""
    rows: list[dict[str, Any]] = []
    kinds: dict[str, Kind] = {}
    for number, row in _objects(path):
        here = f"line {number} of `{path.name}`"
        for name in names:
            check_listed(name, list(row), f"{here} has no field")
            kind = _kind(row[name], f"the field `{name}` in {here}")
            if kinds.setdefault(name, kind) != kind:
                raise Unusable(f"the field `{name}` in {here} is {kind}", f"in the lines before it is {kinds[name]}")
        if len({len(row[name]) for name in names if kinds[name].timed}) != 1:
            raise Unusable(f"the lists in {here} must be equally long, and there must be one", "a list has one entry per step")
        rows.append(row)
    if not rows:
        raise Unusable(f"`{path.name}` has no lines")
    return rows, kinds


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of each line, with its number; empty lines are left out."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise Unusable(f"line {number} of `{path.name}` must be a JSON object", 'such as {"x": [1, 2], "label": 0}')
                yield number, row
    except json.JSONDecodeError as error:
        raise Unusable(f"line {number} of `{path.name}` is not JSON", f"{error.msg} at column {error.colno}") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"`{path.name}` cannot be read", str(error)) from None


def _kind(value: object, what: str) -> Kind:
    """What a value is; Unusable for anything that cannot be a column."""
    if isinstance(value, str):
        return Kind(text=True)
    if _is_number(value):
        return Kind()
    if isinstance(value, list) and value and all(map(_is_number, value)):
        return Kind(timed=True)
    if isinstance(value, list) and value and all(isinstance(v, list) and all(map(_is_number, v)) for v in value):
        sizes = {len(v) for v in value}
        if len(sizes) == 1 and sizes != {0}:
            return Kind(timed=True, size=sizes.pop())
    if not _is_finite(value):
        raise Unusable(f"{what} has a number that is not finite", "fill in what is missing, or leave the line out")
    note = "write a number, a text, a list of numbers, or a list of equally long lists of numbers"
    raise Unusable(f"{what} cannot be used", note)


def _is_finite(value: object) -> bool:
    """Whether there is neither `NaN` nor an infinite number in a value, however deep."""
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _column(values: Sequence[Any], kind: Kind, longest: int, labels: int) -> Column:
    """The column of a field."""
    if kind.text:
        return Column((), True, labels)
    flat = [number for value in values for number in value] if kind.timed else values
    if kind.size:
        flat = [number for vector in flat for number in vector]
        return Column((longest, kind.size), False, known=Extent(min(flat), max(flat)))
    whole, known = all(isinstance(number, int) for number in flat), Extent(min(flat), max(flat))
    classes = int(known.high) + 1 if whole and known.low >= 0 else None
    return Column((longest,) if kind.timed else (), whole, classes, known=known)
