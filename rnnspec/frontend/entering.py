"""A column that stands alone under `inputs:` or `targets:`: how it could enter, judged by what it holds."""

from __future__ import annotations

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.offers import Column, Offer
from rnnspec.frontend.syntax import RefNode


def bare_column(node: RefNode, section: str, offer: Offer) -> Diagnostic:
    """The problem with a column that has no encoding."""
    name, column = node.name, offer.columns[node.name]
    written = _as_input(name, column, offer.stream) if section == "inputs" else _as_target(name, column, offer)
    message = f"the column `{name}` must say how it is encoded"
    return problem("E0701", message, node.span, help=f"write for example `{written}`")


def _as_input(name: str, column: Column, stream: bool) -> str:
    """Classes or numbers of each step, or numbers of each sequence."""
    if column.whole and len(column.axes) == (0 if stream else 1):
        return f"one_hot({name})" if stream else f"one_hot({name}, size={_count(column)})"
    if stream:
        return f'columns(["{name}"])'
    return f"vectors({name}, size={_size(column)})" if len(column.axes) == 2 else f"vector({name}, size={_size(column)})"


def _as_target(name: str, column: Column, offer: Offer) -> str:
    """What comes next in a stream, or classes or numbers of a set of sequences."""
    if offer.stream:
        return f"next({name})" if offer.vocabulary else f'next(["{name}"])'
    if column.whole:
        return f"classes({name}, count={_count(column)})"
    return f"values({name}, size={_size(column)})"


def _count(column: Column) -> int:
    """How many classes there are, as far as that is known."""
    largest = column.largest()
    return 2 if largest is None or largest < 1 else largest + 1


def _size(column: Column) -> int:
    """How many numbers stand side by side."""
    return column.axes[-1] if column.axes else 1
