"""Arguments of settings: what a row of the settings table is made of, and how a call is checked against its row."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.matching import matched
from rnnspec.frontend.syntax import CallNode, ListNode, Node, RefNode, StringNode
from rnnspec.frontend.typed import Word
from rnnspec.frontend.values import ANY, COUNT, Range, read_choice, read_flag, read_number, read_text, read_whole

REQUIRED = object()
"""The default of an argument that must be given."""

Reader = Callable[[Node, str, list[Diagnostic]], object]


@dataclass(frozen=True)
class Argument:
    """One argument of a setting; `read` types its value, and returns None after it has reported a problem."""

    name: str
    read: Reader
    default: object = REQUIRED


@dataclass(frozen=True)
class Row:
    """One setting: what it does, its arguments in positional order, and which of them need another one to be set."""

    doc: str
    arguments: tuple[Argument, ...] = ()
    matrix: bool = False  # an initialiser that knows no other shape
    needs: tuple[tuple[str, str], ...] = ()


def row(doc: str, *arguments: Argument, matrix: bool = False, needs: Mapping[str, str] | None = None) -> Row:
    """A row of the table; `needs` says which arguments do nothing without another one."""
    return Row(doc, arguments, matrix, tuple((needs or {}).items()))


def number(name: str, default: object = REQUIRED, allowed: Range = ANY) -> Argument:
    """An argument that is a number."""
    return Argument(name, lambda node, what, problems: read_number(node, what, problems, allowed), default)


def whole(name: str, default: object = REQUIRED, allowed: Range = COUNT) -> Argument:
    """An argument that is a whole number."""
    return Argument(name, lambda node, what, problems: read_whole(node, what, problems, allowed), default)


def flag(name: str, default: object = REQUIRED) -> Argument:
    """An argument that is true or false."""
    return Argument(name, read_flag, default)


def text(name: str, default: object = REQUIRED) -> Argument:
    """An argument that is a text in quotes."""
    return Argument(name, read_text, default)


def choice(name: str, default: str, *others: str) -> Argument:
    """An argument that is one of a few texts, the first by default."""
    options = (default, *others)
    return Argument(name, lambda node, what, problems: read_choice(node, what, problems, options), default)


def path(name: str, *words: str, default: object = REQUIRED) -> Argument:
    """An argument that is a file name in quotes, a `Path`, or one of some words without quotes."""

    def read(node: Node, what: str, problems: list[Diagnostic]) -> str | Path | None:
        if isinstance(node, RefNode) and node.index is None and node.name in words:
            return Word(node.name)
        file = read_text(node, what, problems)
        return None if file is None else Path(file)

    return Argument(name, read, default)


def paths(name: str, *words: str) -> Argument:
    """An argument that is a list of files, a pattern such as "plays/*.txt", or a word; its value is a tuple of `Path`s."""

    def read(node: Node, what: str, problems: list[Diagnostic]) -> Word | tuple[Path, ...] | None:
        if isinstance(node, RefNode) and node.index is None and node.name in words:
            return Word(node.name)
        items = node.items if isinstance(node, ListNode) else (node,)
        files = [read_text(item, what, problems) for item in items]
        if not items:
            problems.append(problem("E0601", f"{what} must name at least one file", node.span))
        return None if not items or None in files else tuple(Path(str(file)) for file in files)

    return Argument(name, read)


def parameter(name: str) -> Argument:
    """An argument that is the name of a parameter."""

    def read(node: Node, what: str, problems: list[Diagnostic]) -> Word | None:
        if isinstance(node, RefNode) and node.index is None:
            return Word(node.name)
        problems.append(problem("E0601", f"{what} must be the name of a parameter", node.span))
        return None

    return Argument(name, read)


def column(name: str, default: object = REQUIRED) -> Argument:
    """An argument that names a column of the data, with or without quotes."""
    return Argument(name, _read_column, default)


def columns(name: str) -> Argument:
    """An argument that names one column or a list of them; its value is always a tuple."""
    return Argument(name, _read_columns)


def _read_column(node: Node, what: str, problems: list[Diagnostic]) -> str | None:
    if isinstance(node, StringNode):
        return node.text
    if isinstance(node, RefNode) and node.index is None:
        return node.name
    help = "write its name without an index" if isinstance(node, RefNode) else None
    problems.append(problem("E0601", f"{what} must be the name of a column", node.span, help=help))
    return None


def _read_columns(node: Node, what: str, problems: list[Diagnostic]) -> tuple[str, ...] | None:
    items = node.items if isinstance(node, ListNode) else (node,)
    if not items:
        problems.append(problem("E0601", f"{what} must name at least one column", node.span))
    names = [_read_column(item, what, problems) for item in items]
    known = tuple(name for name in names if name is not None)
    for position, name in enumerate(known):
        if name in known[:position]:
            span, first = items[position].span, items[known.index(name)].span
            message = f"the column `{name}` is listed twice"
            problems.append(problem("E0604", message, span, others=[(first, "first listed here")]))
            return None
    return known if known and len(known) == len(items) else None


def read_arguments(
    call: CallNode, row: Row, problems: list[Diagnostic], folder: Path | None = None
) -> tuple[tuple[str, object], ...] | None:
    """Every argument of a row, as given or by default; None after a problem.  File names are relative to `folder`."""
    count = len(problems)
    names = [argument.name for argument in row.arguments]
    if len(call.args) > len(names):
        problems.append(_too_many(call, names))
    given = matched(call, names, call.args, problem, problems)
    values: list[tuple[str, object]] = []
    for argument in row.arguments:
        node = given.get(argument.name)
        value = argument.default if node is None else argument.read(node, f"`{argument.name}`", problems)
        values.append((argument.name, anchored(value, folder)))
    missing = [name for name, value in values if value is REQUIRED]
    if missing and len(problems) == count:
        problems.append(_missing(call, missing))
    problems += [
        _needs(given[name], name, other) for name, other in row.needs if dict(values)[name] and not dict(values)[other]
    ]
    return tuple(values) if len(problems) == count else None


def anchored(value: object, folder: Path | None) -> object:
    """A file as seen from a folder, or all files that a pattern matches there; anything else as it is."""
    if folder is None:
        return value
    if isinstance(value, tuple):
        return tuple(found for item in value for found in _matching(anchored(item, folder)))
    return Path(os.path.abspath(folder / value)) if isinstance(value, Path) else value


def _matching(value: object) -> list[object]:
    """The files that a pattern matches, in order; itself where it matches none, or is none."""
    found = sorted(glob(str(value))) if isinstance(value, Path) and set("*?") & set(value.name) else []
    return [Path(name) for name in found] or [value]


def _too_many(call: CallNode, names: list[str]) -> Diagnostic:
    some = f"at most {len(names)} argument{'s' if len(names) > 1 else ''}" if names else "no arguments"
    extra = call.args[len(names)].span
    return problem("E0604", f"`{call.name}` takes {some}", extra, "this one is too many")


def _needs(node: Node, name: str, other: str) -> Diagnostic:
    return problem("E0606", f"`{name}` does nothing without `{other}`", node.span, help=f"give `{other}` too")


def _missing(call: CallNode, names: list[str]) -> Diagnostic:
    some = f"argument `{names[0]}`" if len(names) == 1 else "arguments " + " and ".join(f"`{name}`" for name in names)
    given = [node.span.text for node in call.args] + [f"{named.name}={named.value.span.text}" for named in call.named]
    whole_call = ", ".join([*given, *(f"{name}=..." for name in names)])
    help = f"write `{call.name}({whole_call})`"
    return problem("E0605", f"`{call.name}` needs the {some}", call.name_span, help=help)
