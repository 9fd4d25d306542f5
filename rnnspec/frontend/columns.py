"""What each data source offers: one row each."""

from __future__ import annotations

from collections.abc import Callable

from rnnspec.diagnostics import Diagnostic
from rnnspec.frontend import arrays, json_lines, series, source_tasks, tables, texts
from rnnspec.frontend.offers import Offer, Unusable
from rnnspec.frontend.typed import Setting

SOURCES: dict[str, Callable[[Setting], Offer]] = {
    "text": texts.text,
    "csv": tables.table,
    "npz": arrays.archive,
    "npy": arrays.single,
    "jsonl": json_lines.json_lines,
    "ts": series.series,
    "digits": arrays.digits,
    "adding": source_tasks.adding,
    "copy_task": source_tasks.copy_task,
    "recall": source_tasks.recall,
    "parity": source_tasks.parity,
    "dyck": source_tasks.dyck,
    "anbn": source_tasks.anbn,
    "reber": source_tasks.reber,
    "sine": source_tasks.sine,
    "mackey_glass": source_tasks.mackey_glass,
    "lorenz": source_tasks.lorenz,
}


def read_offer(source: Setting, problems: list[Diagnostic]) -> Offer | None:
    """What a source offers; None after it could not be read."""
    try:
        return SOURCES[source.name](source)
    except Unusable as error:
        problems.append(error.about(source))
        return None
