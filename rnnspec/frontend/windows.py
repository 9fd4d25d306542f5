"""Truncation: windows of a sequence are trained one after another, so nothing may look behind the end of its window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.time import is_over_time
from rnnspec.frontend.typed import Expr, Last, Read, walk

WHY = "with truncation a window is trained before the steps behind it are read"
REMEDY = "remove `truncation:`; a stream can be cut by `sequence:` instead"


def _looks_ahead(node: Expr) -> str:
    """What a node reads that a window may not have; empty if there is nothing."""
    if is_over_time(node):
        return "all steps"
    if isinstance(node, Last):
        return "the last step"
    return "a later step" if isinstance(node, Read) and node.lag < 0 else ""


def check_windows(drafts: Iterable[Draft], loss: Draft, truncation: Span) -> Iterator[Diagnostic]:
    """Everything in a model that needs a whole sequence at once, although it is trained in windows."""
    others = [(truncation, "trained in windows")]
    for draft in (*drafts, loss):
        for node in walk(draft.expr):
            what = _looks_ahead(node)
            if what:
                message = f"{what} cannot be read in a window of a sequence"
                span = draft.scope.shown(written(node))
                yield problem("E0410", message, span, help=REMEDY, note=WHY, others=others)
                break
    if loss.expr.when == "sequence":
        message = "a loss of whole sequences cannot be computed in windows"
        yield problem("E0410", message, loss.span, help=REMEDY, note=WHY, others=others)
