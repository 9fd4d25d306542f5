"""Files of the UCR/UEA archive of time series (`.ts`): labelled series of one or several dimensions, also of unequal length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnspec.frontend.offers import Column, Extent, Offer, Unusable
from rnnspec.frontend.source_files import files_of, found
from rnnspec.frontend.typed import Setting


@dataclass(frozen=True)
class Head:
    """What the lines with `@` say: the classes, or that each series has a number, or neither."""

    classes: tuple[str, ...]
    number: bool

    @property
    def labelled(self) -> bool:
        """Whether the last field of a series is no dimension."""
        return bool(self.classes) or self.number


def series(source: Setting) -> Offer:
    """The columns `x`, `length`, and `label` (a class) or `y` (a number)."""
    files = files_of(source)
    paths = [found(file) for file in files]
    heads = [_head(path) for path in paths]
    if heads[0] != heads[-1]:
        raise Unusable(f"`{paths[0].name}` and `{paths[-1].name}` have different labels", "both need the same `@classLabel`")
    shapes = [[_shape(path, number, line, heads[0]) for number, line in _cases(path)] for path in paths]
    for path, cases in zip(paths, shapes, strict=True):
        if not cases:
            raise Unusable(f"`{path.name}` has no series after `@data`")
    every = [shape for cases in shapes for shape in cases]
    if len({dimensions for _, dimensions in every}) > 1:
        raise Unusable(f"`{paths[0].name}` and `{paths[-1].name}` have different numbers of dimensions")
    columns = {"x": Column((max(steps for steps, _ in every), every[0][1]), False), "length": Column((), True)}
    if heads[0].classes:
        columns["label"] = Column((), True, len(heads[0].classes))
    if heads[0].number:
        numbers = [float(line.rpartition(":")[2]) for path in paths for _, line in _cases(path)]
        columns["y"] = Column((), False, known=Extent(min(numbers), max(numbers)))
    held_out = len(shapes[1]) if len(shapes) > 1 else 0
    return Offer(columns, files=files, labels=heads[0].classes, count=len(every), held_out=held_out)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"`{path.name}` cannot be read", str(error)) from None
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _head(path: Path) -> Head:
    words = {line.split()[0].lower(): line.split()[1:] for _, line in _lines(path) if line.startswith("@")}
    if "@data" not in words:
        raise Unusable(f"`{path.name}` has no line `@data`: it is no file of the UCR/UEA archive")
    if [word.lower() for word in words.get("@timestamps", [])] == ["true"]:
        raise Unusable(f"the series of `{path.name}` have time stamps, which cannot be read")
    classes, number = words.get("@classlabel", ["false"]), words.get("@targetlabel", ["false"])
    return Head(tuple(classes[1:]) if classes[0].lower() == "true" else (), number[0].lower() == "true")


def _cases(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in _lines(path) if not line.startswith("@"))


def _shape(path: Path, number: int, line: str, head: Head) -> tuple[int, int]:
    """Steps and dimensions of one series; Unusable unless all its numbers are there."""
    *dimensions, label = line.split(":") if head.labelled else (*line.split(":"), "")
    here = f"line {number} of `{path.name}`"
    if head.classes and label not in head.classes:
        raise Unusable(f"{here} has the class `{label[:20]}`", "the line `@classLabel` lists: " + ", ".join(head.classes))
    steps = {len(dimension.split(",")) for dimension in dimensions}
    if len(steps) != 1:
        raise Unusable(f"the dimensions in {here} have different numbers of steps", "write as many numbers in each")
    for field in (*",".join(dimensions).split(","), *([label] if head.number else [])):
        if not _finite(field):
            raise Unusable(
                f"{here} has `{field[:20]}` where a number should be", "fill in what is missing, or leave the line out"
            )
    return steps.pop(), len(dimensions)


def _finite(field: str) -> bool:
    try:
        return bool(np.isfinite(float(field)))
    except ValueError:
        return False
