"""Tables as data: a stream of numbers, one column each."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from rnnspec.conventions import MISSING
from rnnspec.frontend.offers import Column, Extent, Offer, Unusable
from rnnspec.frontend.source_files import check_listed, files_of, found
from rnnspec.frontend.typed import Setting


def table(source: Setting) -> Offer:
    """The columns that are asked for; each cell must hold a number, or may be missing if it is said how to fill it."""
    files = files_of(source)
    path, names, fill = found(files[0]), cast("tuple[str, ...]", source["columns"]), str(source["missing"])
    steps, seen = 0, dict[str, Extent]()
    for line, row in _rows(path, names):
        steps += 1
        for name in names:
            number = _number((row[name] or "").strip(), f"line {line}", name, path, fill, name in seen)
            if number is not None:
                seen[name] = seen.get(name, Extent(number, number)).with_number(number)
    for name in names:
        if name not in seen and steps:
            raise Unusable(f"the column `{name}` of `{path.name}` has no number at all")
    if steps < 2:
        raise Unusable(f"the table `{path.name}` has fewer than two rows")
    known = seen if source["normalize"] == "none" else {}
    columns = {name: Column((), False, known=known.get(name)) for name in names}
    return Offer(columns, stream=True, files=files, count=steps)


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The rows of a table with the lines they end in."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for name in names:
                check_listed(name, list(rows.fieldnames or ()), f"the table `{path.name}` has no column")
            for row in rows:
                if any(value.strip() for value in row.get(None) or ()):
                    note = f"line {rows.line_num} has more than the {len(rows.fieldnames or ())} of the first line"
                    raise Unusable(f"a row of `{path.name}` has too many values", note)
                yield rows.line_num, row
    except UnicodeDecodeError as error:
        raise Unusable(f"the table `{path.name}` is not valid UTF-8", f"at byte {error.start}: save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise Unusable(f"the table `{path.name}` cannot be read", str(error)) from None


def _number(text: str, line: str, name: str, path: Path, fill: str, known: bool) -> float | None:
    """The number in a cell, None where it is missing; Unusable where it neither is one nor may be missing."""
    wrong = f"the column `{name}` of `{path.name}` must hold numbers"
    if text.lower() in MISSING:
        shown = f"`{text}`" if text else "nothing"
        if fill == "refuse":
            raise Unusable(wrong, f'{line} has {shown}: fill it in, or write `missing="forward"` to repeat the number before')
        if fill == "forward" and not known:
            raise Unusable(wrong, f'{line} has {shown}, and there is no number before it to repeat: write `missing="mean"`')
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Unusable(wrong, f"{line} has `{text[:20]}`: write a number there, or leave this column out")
    return number
