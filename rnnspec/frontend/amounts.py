"""Whether there is data enough for every part of the split, where the number of sequences or steps is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.encodings import Item
from rnnspec.frontend.offers import Offer

Split = tuple[tuple[str, float], ...]


def check_parts(offer: Offer, items: Iterable[Item], split: Split, sequence: int | None, source: Span) -> Iterator[Diagnostic]:
    """The first part that gets no sequence; `sequence` is how many steps of a stream make one."""
    ahead = horizon(items) if offer.stream else 0
    least = (sequence or 1) + ahead if offer.stream else 1
    for name, size in sizes(split, offer.count) if offer.count else ():
        if size < least:
            yield _too_little(name, size, least, offer, sequence, source)
            return


def sizes(split: Split, count: int) -> Iterator[tuple[str, int]]:
    """How many of `count` sequences or steps each part gets, by the rounding of the script."""
    high = 0.0
    for name, share in split:
        low, high = high, round(high + share, 12)
        yield name, round(high * count) - round(low * count)


def horizon(items: Iterable[Item]) -> int:
    """How many steps ahead the targets look at most."""
    return max((cast(int, item.call["steps"]) for item in items if item.call.name == "next"), default=0)


def _too_little(name: str, size: int, least: int, offer: Offer, sequence: int | None, source: Span) -> Diagnostic:
    what = "step" if offer.stream else "sequence"
    gets = f"it gets {size or 'none'} of {offer.count} {what}{'' if offer.count == 1 else 's'}"
    note = f"{gets}, and needs {least}" if offer.stream else gets
    help = f"take more data, or another `split`{', or a smaller `sequence`' if sequence else ''}"
    return problem("E0703", f"there is too little data for the part `{name}`", source, help=help, note=note)
