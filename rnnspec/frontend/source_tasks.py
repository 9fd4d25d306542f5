"""What tasks that are made up offer as data."""

from __future__ import annotations

from typing import cast

from rnnspec.frontend.offers import Column, Offer, Unusable
from rnnspec.frontend.typed import Setting


def adding(source: Setting) -> Offer:
    """Two numbers per step, one answer."""
    (length,) = _numbers(source, "length")
    return _sequences(source, {"x": Column((length, 2), False), "y": Column((1,), False)})


def copy_task(source: Setting) -> Offer:
    """Symbols, a pause, and the symbols again."""
    symbols, length, delay = _numbers(source, "symbols", "length", "delay")
    column = Column((2 * length + delay,), True, symbols + 2)  # blank, symbols, signal
    return _sequences(source, {"ids": column, "out": column})


def recall(source: Setting) -> Offer:
    """Symbols, and the same ones later."""
    symbols, length, delay = _numbers(source, "symbols", "length", "delay")
    if delay >= length:
        raise Unusable(f"the delay of `recall` must be shorter than its sequences, which have {length} steps")
    column = Column((length,), True, symbols + 1)  # nothing, symbols
    return _sequences(source, {"ids": column, "out": column})


def parity(source: Setting) -> Offer:
    """Bits, whether an odd number of them was set so far, and whether it is odd in the end."""
    bits = Column(tuple(_numbers(source, "length")), True, 2)
    return _sequences(source, {"ids": bits, "out": bits, "label": Column((), True, 2)})


def dyck(source: Setting) -> Offer:
    """Brackets, which one is open, and whether the word is right."""
    pairs, length = _numbers(source, "pairs", "length")
    if length % 2:
        raise Unusable(f"a word of brackets has an even length, not {length}", "each bracket that is opened must be closed")
    inner = Column((length,), True, pairs + (2 if source["faulty"] else 1))  # nothing, pairs, broken
    return _sequences(source, {"ids": Column((length,), True, 2 * pairs), "out": inner, "label": Column((), True, 2)})


def anbn(source: Setting) -> Offer:
    """Equally many of each letter, and what comes next."""
    letters, longest = _numbers(source, "letters", "longest")
    column = Column((letters * longest + 1,), True, letters + 1)  # border, letters
    return _sequences(source, {"ids": column, "out": column, "length": Column((), True)})


def reber(source: Setting) -> Offer:
    """Words of a grammar, what comes next, and what could."""
    (length,), shortest = _numbers(source, "longest"), 9 if source["embedded"] else 5
    if length < shortest:
        raise Unusable(f"the longest word must have at least {shortest} symbols, not {length}", "no word is shorter")
    column = Column((length - 1,), True, 7)
    return _sequences(
        source, {"ids": column, "out": column, "allowed": Column((length - 1, 7), False), "length": Column((), True)}
    )


def sine(source: Setting) -> Offer:
    """One number per step."""
    (length,) = _numbers(source, "length")
    shortest, longest = cast(float, source["shortest"]), cast(float, source["longest"])
    if shortest > longest:
        raise Unusable(f"the shortest period, {shortest:g}, must not be longer than the longest, {longest:g}")
    return _sequences(source, {"x": Column((length, 1), False)})


def mackey_glass(source: Setting) -> Offer:
    """One number per step of a stream."""
    return Offer({"x": Column((), False)}, stream=True, count=cast(int, source["steps"]))


def lorenz(source: Setting) -> Offer:
    """Three numbers per step of a stream."""
    return Offer(dict.fromkeys("xyz", Column((), False)), stream=True, count=cast(int, source["steps"]))


def _sequences(source: Setting, columns: dict[str, Column]) -> Offer:
    """As many sequences as the source makes."""
    return Offer(columns, count=cast(int, source["sequences"]))


def _numbers(source: Setting, *names: str) -> list[int]:
    """Some arguments that are whole numbers."""
    return [cast(int, source[name]) for name in names]
