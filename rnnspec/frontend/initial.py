"""Initial values that come from elsewhere: from a file, or from another parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend.arrays import array_of
from rnnspec.frontend.offers import Unusable
from rnnspec.frontend.typed import ParameterInfo, Setting, Word


def named(init: Setting, name: str, prefix: str) -> Setting:
    """An initialiser with what it leaves open: the array of a file has the parameter's name, names start at an instance."""
    from_file = any(isinstance(value, Path) for _, value in init.arguments)
    arguments = []
    for key, value in init.arguments:
        if isinstance(value, Word) and prefix:
            value = Word(f"{prefix}.{value}")
        arguments.append((key, name if value is None and from_file else value))
    return replace(init, arguments=tuple(arguments))


def check_initial(parameters: Sequence[ParameterInfo]) -> Iterator[Diagnostic]:
    """What is named must exist and have the right shape."""
    known = {info.name: info for info in parameters}
    for info in parameters:
        span = info.init.span or info.span
        assert span is not None
        for _, value in info.init.arguments:
            if isinstance(value, Word):
                yield from _other(info, value, known, span)
            if isinstance(value, Path):
                yield from _file(info, value, span)


def _other(info: ParameterInfo, name: Word, known: Mapping[str, ParameterInfo], span: Span) -> Iterator[Diagnostic]:
    if name not in known:
        near = suggest(name, known)
        help = f"did you mean `{near}`?" if near else None
        yield problem("E0505", f"there is no parameter `{name}` to start `{info.name}` from", span, help=help)
    elif known[name].shape != info.shape:
        yield _shapes(info, f"`{name}`", known[name].shape, span)
    elif any(isinstance(value, Word) for _, value in known[name].init.arguments):
        help = "start it from a parameter that has a value of its own"
        yield problem("E0505", f"`{name}` starts from another parameter itself", span, help=help)


def _file(info: ParameterInfo, path: Path, span: Span) -> Iterator[Diagnostic]:
    array = str(info.init["array"])
    try:
        values = array_of(path, array)
    except Unusable as error:
        yield error.about(replace(info.init, span=span))
        return
    if values.shape != info.shape:
        yield _shapes(info, f"the array `{array}` of `{path.name}`", values.shape, span)
    elif values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        yield problem("E0505", f"the array `{array}` of `{path.name}` must hold finite numbers", span)


def _shapes(info: ParameterInfo, what: str, shape: tuple[int, ...], span: Span) -> Diagnostic:
    return problem("E0505", f"{what} is {_text(shape)}, but `{info.name}` is {_text(info.shape)}", span)


def _text(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
