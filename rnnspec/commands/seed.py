"""The option `--seed`: what may stand under `train.seed`, and the same is said where it may not."""

from __future__ import annotations

from rnnspec.diagnostics import Diagnostic, Source, SpecError
from rnnspec.frontend.sections import FROM_ZERO
from rnnspec.frontend.source import plain_scalar
from rnnspec.frontend.values import read_whole

OPTION = "--seed="


def read_seed(text: str) -> int:
    """The seed that a text stands for; SpecError if it is none."""
    problems: list[Diagnostic] = []
    found = read_whole(plain_scalar(Source("command line", OPTION + text), len(OPTION)), "`seed`", problems, FROM_ZERO)
    if found is None:
        raise SpecError(problems)
    return found
