"""Typed tree -> the notation of a spec, with full names: `h1.i[t] = sigmoid(h1.W_i @ x[t] + h1.U_i @ h1[t-1] + h1.b_i)`."""

from __future__ import annotations

from functools import singledispatch

from rnnspec.frontend.functions import FUNCTIONS, OPERATORS
from rnnspec.frontend.typed import Call, Equation, Expr, Last, Mask, Number, Parameter, Read, Start

SYMBOLS = {name: symbol for symbol, name in OPERATORS.items()}

COMPARISON = 4
BINDING = {
    "or": 1, "and": 2, "not": 3,
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), COMPARISON),
    "add": 5, "sub": 5, "mul": 6, "div": 6, "matmul": 6, "neg": 7, "pow": 8, "transpose": 9,
}  # fmt: skip
"""How tightly an operator holds its operands; everything else is an atom."""
ATOM = 10


def text(node: Expr | Equation | Start) -> str:
    """An expression, an equation or a start as one line; parsed again it gives the same tree."""
    if isinstance(node, Equation):
        return f"{node.name}{'[t]' if node.when == 'step' else ''} = {_text(node.expr)}"
    if isinstance(node, Start):
        index = node.step if node.step <= 0 else f"T+{node.step}"
        return f"{node.name}[{index}] = {_text(node.expr)}"
    return _text(node)


@singledispatch
def _text(expr: Expr) -> str:
    raise TypeError(f"not an expression: {expr!r}")


@_text.register
def _(expr: Number) -> str:
    return repr(expr.value).removesuffix(".0")


@_text.register
def _(expr: Parameter) -> str:
    return expr.name


@_text.register
def _(expr: Read) -> str:
    if expr.when != "step":
        return expr.name
    return f"{expr.name}[t{-expr.lag:+d}]" if expr.lag else f"{expr.name}[t]"


@_text.register
def _(expr: Last) -> str:
    return f"{expr.name}[T]"


@_text.register
def _(expr: Mask) -> str:
    return "mask"


@_text.register
def _(expr: Call) -> str:
    name, args = expr.function, expr.args
    binding = BINDING.get(name, ATOM)
    if name == "transpose":
        return f"{_operand(args[0], binding)}.T"
    if name == "neg":
        return f"-{_operand(args[0], binding)}"
    if name == "not":
        return f"not {_operand(args[0], binding)}"
    if name == "pow":
        return f"{_operand(args[0], binding + 1)} ** {_operand(args[1], BINDING['neg'])}"
    if name in SYMBOLS:
        left = binding + 1 if binding == COMPARISON else binding
        return f"{_operand(args[0], left)} {SYMBOLS[name]} {_operand(args[1], binding + 1)}"
    return f"{name}({', '.join([*map(_text, args), *_options(expr)])})"


def _operand(expr: Expr, binding: int) -> str:
    """In brackets, where it holds its own operands less tightly than its surroundings do."""
    own = BINDING.get(expr.function, ATOM) if isinstance(expr, Call) else ATOM
    if isinstance(expr, Number) and expr.value < 0:
        own = BINDING["neg"]
    return _text(expr) if own >= binding else f"({_text(expr)})"


def _options(call: Call) -> list[str]:
    """The options that differ from their defaults; required ones by position."""
    given, written = dict(call.options), []
    for option in FUNCTIONS[call.function].options:
        value = given.get(option.key, option.default)
        if option.required:
            written.append(_constant(value))
        elif value != option.default:
            written.append(f"{option.name}={_constant(value)}")
    return written


def _constant(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value).removesuffix(".0")
