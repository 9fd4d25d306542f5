"""Archives whose numbers are not all finite: nothing can be learned from those, so they are refused before anything runs.

Tables, lines of JSON and series are refused where they are read.  Arrays that may be larger than memory are looked at by the
script, a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.diagnostics import Diagnostic
from rnnspec.frontend.bounds import lengths_of
from rnnspec.frontend.encodings import Item, named
from rnnspec.frontend.offers import Offer, Unusable
from rnnspec.frontend.typed import Model, Setting


def check_finite(source: Setting, model: Model, items: Iterable[Item], offer: Offer) -> Iterator[Diagnostic]:
    """Numbers of inputs and targets that are missing or infinite, the first of each array; padding may be anything."""
    if source.name != "npz":
        return
    items = list(items)
    lengths = lengths_of(items, offer) if model.masked else None
    used = {column: item.when == "step" for item in items if not item.whole for column in named(item.call)}
    for name, timed in used.items():
        numbers = offer.columns[name].numbers
        found = _first(numbers(), lengths if timed else None) if numbers is not None else None
        if found is not None:
            value, place = found
            note = f"it is at {list(place)}, counted from 0: fill it in, or leave its sequence out"
            yield Unusable(f"the array `{name}` has a number that is not finite: {value}", note).about(source)


def _first(array: NDArray[Any], lengths: NDArray[Any] | None) -> tuple[float, tuple[int, ...]] | None:
    """The first number that is not finite and its place; None if all are that count."""
    wrong = ~np.isfinite(array)
    if lengths is not None:
        counts = np.arange(array.shape[1]) < lengths[:, None]
        wrong &= counts.reshape(*counts.shape, *[1] * (array.ndim - 2))
    if not wrong.any():
        return None
    place = tuple(map(int, np.argwhere(wrong)[0]))
    return float(array[place]), place
