"""`data.reset_after`: behind one symbol of a sequence, such as a line break, all states go back to their start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.encodings import Item
from rnnspec.frontend.offers import Offer
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.source import Node, Scalar
from rnnspec.frontend.typed import Input, Model, Read, walk
from rnnspec.frontend.values import Range, read_whole
from rnnspec.frontend.words import taken

BEGINS = "begins"
"""The input that says at which steps states are set back: above 0 where a piece of a sequence begins."""


def read_reset(node: Node, offer: Offer, items: Sequence[Item], problems: list[Diagnostic]) -> tuple[str, int] | None:
    """The input that the symbol is read from, and its id; None after a problem."""
    ids = [item for item in items if item.section == "inputs" and item.whole and item.when == "step"]
    if len(ids) != 1:
        message = "`reset_after` needs exactly one input that reads a symbol at every step, such as `x: one_hot(ids)`"
        problems.append(problem("E0606", message, node.span.first, note=f"there are {len(ids)}"))
        return None
    if not offer.vocabulary:
        found = read_whole(node, "`reset_after`", problems, Range(0, ids[0].size))
    else:
        symbols = list(offer.vocabulary)
        found = symbols.index(node.value) if isinstance(node, Scalar) and node.value in symbols else None
        if found is None:
            note = 'one symbol of the text, in quotes: `"\\n"` is a line break'
            problems.append(problem("E0606", "`reset_after` does not occur in the text", node.span.first, note=note))
    return None if found is None else (ids[0].name, found)


def check_resets(drafts: Iterable[Draft], reset: Span) -> Iterator[Diagnostic]:
    """Pieces are read in one direction only."""
    for draft in drafts:
        for node in walk(draft.expr):
            if isinstance(node, Read) and node.lag < 0:
                message = "a later step cannot be read where `reset_after` sets states back"
                others = [(reset, "set back here")]
                yield problem("E0606", message, draft.scope.shown(written(node)), others=others)
                break


def with_resets(model: Model, problems: list[Diagnostic]) -> Model:
    """The model with one more input, which sets its states back."""
    spans = {e.name: e.span for e in model.equations} | {p.name: p.span for p in model.parameters}
    span = spans.get(BEGINS)
    wrong = taken(BEGINS, span, ("what `reset_after` reads", (BEGINS,))) if span is not None else None
    problems += [wrong] if wrong else []
    return replace(model, inputs=(*model.inputs, Input(BEGINS, (), "step", "real")), begins=BEGINS)
