"""Texts as data: a stream of characters, words or bytes, from one file or several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.source_files import existing
from rnnspec.frontend.typed import Setting, Word

MAX_TEXT = 500_000_000
TOKEN = re.compile(r"\w+|[^\w\s]|\n")
"""A word, a punctuation mark, or the end of a line."""
OTHER = "<unk>"
"""Stands for every word that the vocabulary leaves out."""

UNITS: dict[str, tuple[str, str, Callable[[str], Iterable[str]]]] = {
    "char": ("character", r"[\s\S]", str),
    "word": ("word", r"\S+", TOKEN.findall),
    "byte": ("byte", r"[\x00-\x7f]", str),
}
"""For each unit of a text its name, what a boundary must look like, and how a document is cut."""


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
        tokens = Counter[str]()
        for document in _documents(source):
            tokens.update(cut(document))
            tokens.update([boundary] if boundary is not None else [])
        steps, vocabulary = tokens.total(), _vocabulary(tokens, most)
    if steps < 2:
        raise Unusable(f"the text has fewer than two {name}s")
    return Offer({"ids": Column((), True, len(vocabulary))}, stream=True, vocabulary=tuple(vocabulary), files=_files(source))


def _vocabulary(tokens: Counter[str], most: int | None) -> list[str]:
    """All symbols in order; of too many words the most frequent ones, and one for all others."""
    if most is None or len(tokens) <= most:
        return sorted(tokens)
    kept = sorted(tokens, key=lambda token: (-tokens[token], token))[: most - 1]
    return sorted({*kept, OTHER})


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


def _documents(source: Setting) -> Iterator[str]:
    """One text a file."""
    if isinstance(source["path"], Word):
        yield python_docs()
        return
    for path in _files(source):
        try:
            if existing(path).stat().st_size > MAX_TEXT:
                note = 'with `unit="byte"` a text of any size stays in its file'
                raise Unusable(f"the text `{path.name}` is larger than {MAX_TEXT:,} bytes", note)
            yield path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            note = f'line {line} has bytes that are not: save the file as UTF-8, or write `unit="byte"`'
            raise Unusable(f"the text `{path.name}` is not valid UTF-8", note) from None
        except OSError as error:
            raise Unusable(f"the text `{path.name}` cannot be read", error.strerror) from None


def python_docs() -> str:
    """The help texts that come with every Python, one after another."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))
