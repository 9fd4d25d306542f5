"""Programs for tests: models made by hand, lowered; and programs read back from their printed form."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rnnspec.frontend.typed import (
    Equation,
    Expr,
    Input,
    Model,
    Parameter,
    ParameterInfo,
    Read,
    Setting,
    Start,
    Target,
    walk,
)
from rnnspec.ir.program import Block, Program, Roots, Value
from rnnspec.ir.text import text
from tests.nodes import call

X, H = 3, 4
x, y = Read("x", (X,), "step"), Read("y", (H,), "step")
h = Read("h", (H,), "step")
HEADINGS = {
    "storage and views:": None,
    "all steps at once:": ("map", 0),
    "for t = 1 .. T:": ("loop", 1),
    "for t = T .. 1:": ("loop", -1),
    "some steps at a time:": ("parts", 0),
}
LINE = re.compile(r"(\S+) \[([\d, ]*)\] (\w+) = (\w+)\((.*?)\)( \{(.*)\})?")


def later(node: Read, steps: int) -> Read:
    """The same variable at another step."""
    return replace(node, lag=-steps)


def p(name: str, *shape: int) -> Parameter:
    """A parameter."""
    return Parameter(name, shape)


def model(
    equations: Mapping[str, Expr],
    loss: Expr | None = None,
    starts: Iterable[Start] = (),
    masked: bool = False,
    inputs: tuple[Input, ...] = (Input("x", (X,), "step", "real"),),
    fixed: tuple[str, ...] = (),
) -> Model:
    """A model with a target y [H] for each step; without a loss, the mean square of `h - y`."""
    found = loss or call("mse", h, y)
    trees = [*equations.values(), found, *(start.expr for start in starts)]
    parameters = {n.name: n.shape for tree in trees for n in walk(tree) if isinstance(n, Parameter)}
    return Model(
        inputs,
        (Target("y", (H,), found.when, "real"),),
        tuple(ParameterInfo(n, s, Setting("zeros"), trainable=n not in fixed) for n, s in parameters.items()),
        tuple(Equation(name, expr, expr.when) for name, expr in equations.items()),
        tuple(starts),
        found,
        masked=masked,
    )


# ---------------------------------------------------------------- text


def shown(program: Program) -> list[str]:
    """The lines of a program, with single spaces."""
    return lines(text(program))


def lines(text: str) -> list[str]:
    """The lines of a text that are not empty, with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def new(before: Program, after: Program) -> list[str]:
    """The lines that a pass has added or changed."""
    return [line for line in shown(after) if line not in shown(before)]


def read(text: str, loss: str = "loss", outputs: Iterable[str] = (), gradients: Iterable[tuple[str, str]] = ()) -> Program:
    """The program of a text as `rnnspec.ir.text.text` prints it; roots by name, the last value if there is no loss."""
    values: dict[int, Value] = {}
    blocks: list[tuple[str, int, list[int], str]] = []
    rows = [line if line.partition(" (")[0] in HEADINGS else LINE.fullmatch(line) for line in lines(text)]
    numbers = {row[1]: k for k, row in enumerate(rows) if isinstance(row, re.Match)}
    for number, row in enumerate(rows):
        if isinstance(row, str):
            heading, _, recurrence = row.partition(" (")
            kind = HEADINGS[heading]
            blocks += [(*kind, [], recurrence.rstrip(")"))] if kind else []
            continue
        assert row is not None, f"not a line of a program: {lines(text)[number]}"
        values[number] = value(row, number, numbers)
        if blocks:
            blocks[-1][2].append(number)
    roots = Roots(
        numbers.get(loss, len(rows) - 1),
        tuple((name, numbers[name]) for name in outputs),
        tuple((numbers[a], numbers[b]) for a, b in gradients),
    )
    return Program("test", values, roots, tuple(Block(kind, tuple(ids), way, word) for kind, way, ids, word in blocks))  # type: ignore[arg-type]


def value(row: re.Match[str], number: int, numbers: dict[str, int]) -> Value:
    """The value of one line."""
    name, shape, time, op, args, _, attr = row.groups()
    return Value(
        number,
        name,
        op,
        tuple(numbers[a] for a in args.split(", ") if a),
        tuple(int(n) for n in shape.split(", ") if n),
        time,  # type: ignore[arg-type]
        _attr(attr) if attr else None,
    )


def _attr(text: str) -> object:
    """What stands in braces: a number, a pair, or a word."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text
