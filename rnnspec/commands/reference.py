"""The pages that can be looked up: functions of the language, cells of the library, error codes."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import click

from rnnspec.catalogue import CATALOGUE
from rnnspec.catalogue.running import RUNNING
from rnnspec.commands.report import aligned
from rnnspec.diagnostics import suggest

PAGES = CATALOGUE | RUNNING
CELLS = Path(__file__).parent.parent / "frontend" / "cells"


def functions() -> str:
    """Every function of the language with what it does."""
    from rnnspec.frontend.functions import FUNCTIONS

    return "\n".join(aligned([[row.signature, row.doc] for row in FUNCTIONS.values()]))


def cells() -> str:
    """Every cell of the library: how it is called, and the first line of its description."""
    return "\n".join([*aligned(described()), "", "`rnnspec cells NAME` prints the equations of one."])


def described() -> list[tuple[str, str]]:
    """Call and description of every cell of the library."""
    from rnnspec.frontend.cell_definitions import LIBRARY

    return [
        (found.signature, description((CELLS / f"{name}.rnn").read_text(encoding="utf-8"))) for name, found in LIBRARY.items()
    ]


def description(text: str) -> str:
    """The first comment line of a cell."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")


def cell(name: str) -> str:
    """The definition of one cell, as it could stand in a spec; UsageError for a name that does not exist."""
    known = {path.stem: path for path in CELLS.glob("*.rnn")}
    if name not in known:
        raise click.UsageError(f"there is no cell `{name}`{_hint(name, sorted(known))}")
    return known[name].read_text(encoding="utf-8")


def explanation(code: str) -> str:
    """Cause, wrong and right example of an error code; UsageError for one that does not exist."""
    entry = PAGES.get(code.upper())
    if entry is None:
        raise click.UsageError(f"there is no error code `{code}`{_hint(code.upper(), sorted(PAGES))}")
    parts = [f"{code.upper()}: {entry.title}", entry.cause]
    parts += [f"Wrong:\n\n{indent(entry.wrong, '    ')}", f"Right:\n\n{indent(entry.right, '    ')}"]
    return "\n\n".join(parts)


def _hint(word: str, options: list[str]) -> str:
    near = suggest(word, options)
    return f"; did you mean `{near}`?" if near else ""
