"""What to say when a command cannot go on: a mistake in the spec, a file, the memory, or rnnspec itself."""

from __future__ import annotations

import platform
import tempfile
import traceback
from collections.abc import Sequence

from rnnspec import __version__
from rnnspec.commands.exit_codes import BAD_SPEC, FAILED, INTERNAL
from rnnspec.diagnostics import SpecError
from rnnspec.run.gpu import NoGpu, Trouble
from rnnspec.verify.finite import NotFinite


def explain(problem: Exception, words: Sequence[str]) -> tuple[int, str]:
    """Exit code and text for an exception that ended the command with these words."""
    if isinstance(problem, SpecError):
        return BAD_SPEC, str(problem)
    if isinstance(problem, NoGpu):
        return BAD_SPEC, without_gpu(problem.trouble)
    if isinstance(problem, NotFinite):
        return FAILED, f"error: {problem}"
    if isinstance(problem, OSError) and problem.filename is not None:
        return FAILED, f"error: `{problem.filename}`: {problem.strerror}"
    if isinstance(problem, MemoryError):
        return FAILED, f"error: there is not enough memory for this model\n  {problem}".rstrip()
    return INTERNAL, report(problem, words)


def without_gpu(trouble: Trouble) -> str:
    """Why a command cannot use the GPU, and what can be done."""
    note = "`rnnspec doctor` shows what was found; `rnnspec compile --device gpu` works without a GPU"
    return f"error: the GPU cannot be used: {trouble.message}\n  help: {trouble.help}\n  note: {note}"


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
