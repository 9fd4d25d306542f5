"""Truncation: windows of a sequence are trained one after another, so nothing may look behind the end of its window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.typed import Last, Read, walk

WHY = "with truncation a window is trained before the steps behind it are read"
REMEDY = "remove `truncation:`, or cut the data by `sequence:`"


def check_windows(drafts: Iterable[Draft], loss: Draft, truncation: Span) -> Iterator[Diagnostic]:
    """Everything in a model that needs a whole sequence at once, although it is trained in windows."""
    others = [(truncation, "trained in windows")]
    for draft in (*drafts, loss):
        for node in walk(draft.expr):
            looks_ahead = isinstance(node, Read) and node.lag < 0
            if looks_ahead or isinstance(node, Last):
                what = "a later step" if looks_ahead else "the last step"
                message = f"{what} cannot be read in a window of a sequence"
                span = draft.scope.shown(written(node))
                yield problem("E0410", message, span, help=REMEDY, note=WHY, others=others)
                break
    if loss.expr.when == "sequence":
        message = "a loss of whole sequences cannot be computed in windows"
        yield problem("E0410", message, loss.span, help=REMEDY, note=WHY, others=others)
