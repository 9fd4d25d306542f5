"""Typed nodes made by hand: shapes and relations to time are worked out here, apart from the front end."""

from __future__ import annotations

from rnnspec.frontend.functions import FUNCTIONS, when_of
from rnnspec.frontend.typed import Call, Expr, Number, Shape

NUMBERS = frozenset(["dot", *(row.name for row in FUNCTIONS.values() if row.rule in ("number", "compared"))])


def call(function: str, *args: Expr | float, **options: object) -> Call:
    """`function` applied to values (plain numbers allowed) with the shape that the language gives the result.

    Options that are not given have their defaults.
    """
    row = FUNCTIONS.get(function)
    defaults = {option.key: option.default for option in row.options if not option.required} if row else {}
    options = defaults | options
    nodes = tuple(Number(float(arg)) if isinstance(arg, (int, float)) else arg for arg in args)
    shape = _shape(function, [node.shape for node in nodes], options)
    return Call(function, nodes, shape, when_of(function, (node.when for node in nodes)), tuple(options.items()))


def _shape(function: str, shapes: list[Shape], options: dict[str, object]) -> Shape:
    if function in NUMBERS:
        return ()
    if function == "matmul":
        return shapes[0][:-1] + shapes[1][1:]
    if function == "transpose":
        return shapes[0][::-1]
    if function == "outer":
        return shapes[0] + shapes[1]
    if function == "concat":
        return (sum(shape[0] for shape in shapes),)
    if function == "chunk":
        return (shapes[0][0] // int(str(options["parts"])),)
    return max(shapes, key=len)


def add(*terms: Expr | float) -> Call:
    """A sum from left to right."""
    total = call("add", *terms[:2])
    for term in terms[2:]:
        total = call("add", total, term)
    return total


def mul(a: Expr | float, b: Expr | float) -> Call:
    """An element by element product."""
    return call("mul", a, b)


def at(a: Expr, b: Expr) -> Call:
    """The product `a @ b`."""
    return call("matmul", a, b)


def tanh(a: Expr) -> Call:
    """tanh of each element."""
    return call("tanh", a)


def sigmoid(a: Expr) -> Call:
    """The logistic function of each element."""
    return call("sigmoid", a)
