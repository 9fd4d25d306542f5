"""Texts as data: a stream of characters, words or bytes, from one file or several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

from rnnspec.conventions import OTHER, TOKEN
from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.source_files import existing
from rnnspec.frontend.typed import Setting, Word

PIECE = 1_000_000
"""Characters of a file that are read at once: a text may be larger than memory."""

UNITS: dict[str, tuple[str, str, Callable[[str], Sequence[str]]]] = {
    "char": ("character", r"[\s\S]", str),
    "word": ("word", r"\S+", re.compile(TOKEN).findall),
    "byte": ("byte", r"[\x00-\x7f]", str),
}
"""For each unit of a text its name, what a boundary must look like, and how a piece of a document is cut."""


def text(source: Setting) -> Offer:
    """The column `ids`, and what its numbers mean."""
    unit, boundary, most = str(source["unit"]), cast("str | None", source["boundary"]), cast("int | None", source["most"])
    name, form, cut = UNITS[unit]
    if most is not None and unit != "word":
        raise Unusable('`most` is for the words of a vocabulary, so it needs `unit="word"`')
    if boundary is not None and not re.fullmatch(form, boundary):
        raise Unusable(f"the boundary between documents must be one {name}, not `{boundary[:20]}`")
    if unit == "byte" and isinstance(source["path"], Word):
        raise Unusable(f"`{source['path']}` is no file: its bytes cannot be read", 'write `unit="char"`')
    if unit == "byte":
        steps, vocabulary = _size(source), [chr(number) for number in range(256)]
    else:
        steps, vocabulary = _symbols(_pieces(source, cut), most)
    if steps < 2:
        raise Unusable(f"the text has fewer than two {name}s")
    ids = {"ids": Column((), True, len(vocabulary))}
    return Offer(ids, stream=True, vocabulary=tuple(vocabulary), files=_files(source), count=steps)


def _symbols(pieces: Iterable[Sequence[str]], most: int | None) -> tuple[int, list[str]]:
    """How many symbols a text has, and the different ones in order.

    Of too many words there are the most frequent ones, and one for all others.
    """
    steps, counts = 0, Counter[str]()
    for piece in pieces:
        steps += len(piece)
        counts.update(set(piece) if most is None else piece)  # that there is one is known sooner than how many there are
    if most is None or len(counts) <= most:
        return steps, sorted(counts)
    kept = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))[: most - 1]
    return steps, sorted({*kept, OTHER})


def _files(source: Setting) -> tuple[Path, ...]:
    """The files of a text; none where it comes with Python."""
    return () if isinstance(source["path"], Word) else cast("tuple[Path, ...]", source["path"])


def _size(source: Setting) -> int:
    """How many bytes there are; no file is read."""
    sizes = {path.name: existing(path).stat().st_size for path in _files(source)}
    for name, size in sizes.items():
        if size == 0:
            raise Unusable(f"the text `{name}` is empty")
    return sum(sizes.values())


def _pieces(source: Setting, cut: Callable[[str], Sequence[str]]) -> Iterator[Sequence[str]]:
    """The symbols of all documents in pieces, with the boundary behind each document."""
    boundary = cast("str | None", source["boundary"])
    documents = [_read(path) for path in _files(source)] or [iter([python_docs()])]
    for document in documents:
        yield from map(cut, document)
        if boundary is not None:
            yield [boundary]


def _read(path: Path) -> Iterator[str]:
    """A text in pieces that end where a word does."""
    try:
        with existing(path).open(encoding="utf-8", newline="") as file:
            while piece := file.read(PIECE):
                while re.match(r"\w", piece[-1]) and (more := file.read(1)):
                    piece += more
                yield piece
    except UnicodeDecodeError:
        note = f'line {_first_wrong_line(path)} has bytes that are not: save the file as UTF-8, or write `unit="byte"`'
        raise Unusable(f"the text `{path.name}` is not valid UTF-8", note) from None
    except OSError as error:
        raise Unusable(f"the text `{path.name}` cannot be read", error.strerror) from None


def _first_wrong_line(path: Path) -> int:
    """The first line, counted from 1, that is not valid UTF-8; 0 if there is none."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def python_docs() -> str:
    """The help texts that come with every Python, one after another."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))
