"""What to say when rnnspec itself fails: a short report, and a file with the traceback for whoever mends it."""

from __future__ import annotations

import platform
import tempfile
import traceback
from collections.abc import Sequence

from rnnspec import __version__
from rnnspec.diagnostics import SpecError


def is_spec_error(problem: Exception) -> bool:
    """Whether the mistake is in the spec, and its text already says where."""
    return isinstance(problem, SpecError)


def report(problem: Exception, words: Sequence[str]) -> str:
    """The report of an internal error; its traceback goes to a file, or into the report where `-v` asks for it."""
    details = "".join(
        [
            f"rnnspec {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
            f"rnnspec {' '.join(words)}\n\n",
            *traceback.format_exception(problem),
        ]
    )
    title = f"internal error: {type(problem).__name__}: {problem}\nThis is a mistake in rnnspec, not in your spec;"
    if "-v" in words or "--verbose" in words:
        return f"{title} please report it with what follows.\n\n{details}"
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="rnnspec-", suffix=".txt", delete=False) as file:
        file.write(details)
    return f"{title} please report it with your spec and {file.name}"
