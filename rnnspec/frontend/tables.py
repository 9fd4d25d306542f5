"""Tables as data: a stream of numbers, one column each."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from rnnspec.conventions import MISSING
from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.source_files import check_listed, files_of, found
from rnnspec.frontend.typed import Setting


def table(source: Setting) -> Offer:
    """The columns that are asked for; each cell must hold a number, or may be missing if it is said how to fill it."""
    files = files_of(source)
    path, names, fill = found(files[0]), cast("tuple[str, ...]", source["columns"]), str(source["missing"])
    steps, known = 0, dict.fromkeys(names, False)
    for line, row in _rows(path, names):
        steps += 1
        for name in names:
            known[name] |= _check_cell((row[name] or "").strip(), f"line {line}", name, path, fill, known[name])
    for name, any_known in known.items():
        if not any_known and steps:
            raise Unusable(f"the column `{name}` of `{path.name}` has no number at all")
    if steps < 2:
        raise Unusable(f"the table `{path.name}` has fewer than two rows")
    return Offer({name: Column((), False) for name in names}, stream=True, files=files)


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The rows of a table with the lines they end in."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for name in names:
                check_listed(name, list(rows.fieldnames or ()), f"the table `{path.name}` has no column")
            for row in rows:
                yield rows.line_num, row
    except UnicodeDecodeError as error:
        raise Unusable(f"the table `{path.name}` is not valid UTF-8", f"at byte {error.start}: save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise Unusable(f"the table `{path.name}` cannot be read", str(error)) from None


def _check_cell(text: str, line: str, name: str, path: Path, fill: str, known: bool) -> bool:
    """Whether a cell holds a number; Unusable where it neither does nor may be missing."""
    wrong = f"the column `{name}` of `{path.name}` must hold numbers"
    if text.lower() in MISSING:
        shown = f"`{text}`" if text else "nothing"
        if fill == "refuse":
            raise Unusable(wrong, f'{line} has {shown}: fill it in, or write `missing="forward"` to repeat the number before')
        if fill == "forward" and not known:
            raise Unusable(wrong, f'{line} has {shown}, and there is no number before it to repeat: write `missing="mean"`')
        return False
    try:
        finite = bool(np.isfinite(float(text)))
    except ValueError:
        finite = False
    if not finite:
        raise Unusable(wrong, f"{line} has `{text[:20]}`: write a number there, or leave this column out")
    return True
