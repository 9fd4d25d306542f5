"""The notation of equations: what trees come out, and how every syntax error is explained."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.diagnostics import Diagnostic, Source, render
from rnnspec.frontend.equations import MAX_ERRORS, parse_block, parse_value
from rnnspec.frontend.parser import build_parser
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.source import plain_scalar
from rnnspec.frontend.syntax import (
    Binary,
    BoolNode,
    CallNode,
    ListNode,
    Node,
    NumberNode,
    RefNode,
    StringNode,
    Transpose,
    Unary,
    depth,
    walk,
)
from tests.places import read, shown


def value(text: str) -> Node:
    """The tree of one expression."""
    problems: list[Diagnostic] = []
    node = parse_value(plain_scalar(Source("x.rnn", text)), problems)
    assert node is not None, "\n".join(map(render, problems))
    return node


def model(text: str, number: int = 1, header: str = "model: |") -> YamlNode:
    """The value of `model:`, where `text` starts at a line of the file."""
    return read(f"{header}\n{text}\n", number - 1).items[0][1]


def problems_of(node: YamlNode) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    assert parse_block(node, problems) is None
    return problems


def brief(node: Node) -> str:
    """A tree with every bracket written."""
    match node:
        case NumberNode(text) | StringNode(text):
            return text
        case BoolNode(flag):
            return str(flag)
        case RefNode(name, index=index):
            return name if index is None else f"{name}[{', '.join(map(brief, index))}]"
        case CallNode(name, args=args, named=named):
            return f"{name}({', '.join([*map(brief, args), *(f'{n.name}={brief(n.value)}' for n in named)])})"
        case Binary(op, left, right):
            return f"({brief(left)} {op} {brief(right)})"
        case Unary(op, operand):
            return f"({op} {brief(operand)})"
        case Transpose(operand):
            return f"{brief(operand)}.T"
        case ListNode(items):
            return f"[{', '.join(map(brief, items))}]"


# Trees


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a * b @ c / d", "(((a * b) @ c) / d)"),
        ("-a ** -b ** c", "(- (a ** (- (b ** c))))"),
        ("a - b - c", "((a - b) - c)"),
        ("(a - (b - c))", "(a - (b - c))"),
        ("W.T @ h1.c[t-1]", "(W.T @ h1.c[(t - 1)])"),
        ("m.W_i.T", "m.W_i.T"),
        ("m.Tx", "m.Tx"),
        ("a < b and not c or d >= 1", "(((a < b) and (not c)) or (d >= 1))"),
        ("f(a, 'b', true, [1, .5, 2e-3], eps=1e-5,)", "f(a, b, True, [1, .5, 2e-3], eps=1e-5)"),
        ("zeros", "zeros"),
        ("f()", "f()"),
        ("[]", "[]"),
        ("h[T]", "h[T]"),
        ("x[1, 2]", "x[1, 2]"),
        ("truethy + nota", "(truethy + nota)"),
    ],
)
def test_trees(text: str, tree: str) -> None:
    assert brief(value(text)) == tree


@pytest.mark.parametrize(
    "text",
    [
        "h[t] = a +\n  b\ny[t] = c",
        "h[t] = a\n  + b  # more\n\n# a comment\ny[t] = c",
        "h[t] =\n  a @\n  b\ny[t] = c",
        "h[t] = f(a,\n  b  # inside\n\n)\ny[t] = c",
        "h[t] = [a\n, b]\ny[t] = c # '",
        "# a comment first\n\nh[t] = a\n\n\ny[t] = c",
        "h[t] = a\n  and b\ny[t] = not\n  c",
    ],
)
def test_line_ends_end_equations_unless_something_is_missing(text: str) -> None:
    equations = parse_block(model("  " + text.replace("\n", "\n  ")), [])
    assert equations is not None
    assert [equation.left.name for equation in equations] == ["h", "y"]


def test_a_list_of_equations_is_a_block_too() -> None:
    equations = parse_block(model("  - h[t] = a\n  - y[t] = h[t]", header="model:"), [])
    assert equations is not None
    assert [equation.span.text for equation in equations] == ["h[t] = a", "y[t] = h[t]"]


def test_spans_lead_into_the_file() -> None:
    equations = parse_block(model("    h[t] = tanh(W_x @ x[t]\n      + (a * b).T)", number=7), [])
    assert equations is not None
    equation = equations[0]
    assert (equation.left.span.text, equation.left.name_span.text, equation.left.span.line) == ("h[t]", "h", 7)
    texts = {node.span.text for node in walk(equation.right)}
    assert {"W_x @ x[t]", "(a * b).T", "a * b", "x[t]"} <= texts
    call = equation.right
    assert isinstance(call, CallNode) and call.name_span.text == "tanh"
    assert (call.span.line, call.span.text[:6], call.span.text[-1]) == (7, "tanh(W", ")")


def test_named_arguments_have_places() -> None:
    call = value("adam(lr=1e-3)")
    assert isinstance(call, CallNode)
    assert (call.named[0].name, call.named[0].name_span.text, call.named[0].value.span.text) == ("lr", "lr", "1e-3")


def test_depth_counts_levels() -> None:
    assert [depth(value(text)) for text in ("a", "a + b", "f(a, h[t-1])")] == [1, 2, 4]


def test_the_grammar_has_no_conflicts() -> None:
    build_parser(strict=True)


# Messages, word for word


def message(text: str, number: int) -> str:
    return shown(problems_of(model(f"  {text}", number)))


def test_unclosed_bracket() -> None:
    equations = "h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h\n  y[t] = W_hy @ h[t] + b_y"
    assert (
        message(equations, 16)
        == """\
error[E0102]: `(` is never closed
  --> model.rnn:16:14
   |
16 |   h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h
   |              ^ opened here
   |
   = help: add `)` before the next equation begins"""
    )


def test_missing_operator() -> None:
    assert (
        message("y[t] = W_hy h[t] + b_y", 17)
        == """\
error[E0103]: an operator is missing here
  --> model.rnn:17:15
   |
17 |   y[t] = W_hy h[t] + b_y
   |               ^ expected `@`, `*`, `+`, `-` or a comma before this
   |
   = help: a matrix product is written `W @ x[t]`, an elementwise product `a * b`"""
    )


def test_unicode_minus() -> None:
    assert (
        message("u[t] = where(x[t] > −3.0, 3.0, x[t])         # clip outliers", 17)
        == """\
error[E0101]: the character `−` (U+2212 MINUS SIGN) is not part of the equation language
  --> model.rnn:17:23
   |
17 |   u[t] = where(x[t] > −3.0, 3.0, x[t])         # clip outliers
   |                       ^
   |
   = help: write `-` instead"""
    )


def test_python_conditional() -> None:
    assert (
        message("u[t] = 3.0 if x[t] > 3.0 else x[t]         # clip outliers", 17)
        == """\
error[E0103]: there is no `a if c else b`
  --> model.rnn:17:14
   |
17 |   u[t] = 3.0 if x[t] > 3.0 else x[t]         # clip outliers
   |              ^^
   |
   = help: write `where(c, a, b)`"""
    )


def test_folded_block() -> None:
    assert (
        shown(problems_of(model("  h[t] = x[t]", 16, header="model: >")))
        == """\
error[E0008]: equations need `|`, not `>`
  --> model.rnn:15:8
   |
15 | model: >
   |        ^ `>` joins all lines into one
   |
   = help: write `model: |`"""
    )


def test_equations_without_a_block() -> None:
    lines = "  h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)\n  y[t] = W_hy @ h[t] + b_y"
    assert (
        shown(problems_of(model(lines, 16, header="model:")))
        == """\
error[E0008]: an equation block over several lines needs `|`
  --> model.rnn:16:3
   |
16 |   h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
   |   ^ without `|` YAML joins these lines into one
   |
   = help: write `model: |` and keep the equations indented below it"""
    )


def test_prose_in_the_model() -> None:
    assert (
        message("the output layer", 17)
        == """\
error[E0104]: this line is not an equation
  --> model.rnn:17:7
   |
17 |   the output layer
   |       ^^^^^^ expected `=` before this
   |
   = help: write `name[t] = ...`, or start a comment with `#`"""
    )


def test_setting_as_a_mapping() -> None:
    problems: list[Diagnostic] = []
    node = read("optimizer:\n    adam:\n      lr: 2e-3\n      beta2: 0.99\n", number=34).items[0][1]
    assert parse_value(node, problems) is None
    assert (
        shown(problems)
        == """\
error[E0007]: a setting is written as a call, not as a mapping
  --> model.rnn:35:5
   |
35 |     adam:
   |     ^^^^
   |
   = help: write `adam(lr=2e-3, beta2=0.99)`"""
    )


# All the other explanations: text, code, message, the characters it points at


@pytest.mark.parametrize(
    ("text", "code", "message", "place"),
    [
        ("h[t] = a ^ b", "E0101", "the character `^` does not fit here", "^"),
        ("h[t] = 2. * a", "E0101", "the character `.` does not fit here", "."),
        ("h[t] = σ(a)", "E0101", "the character `σ` (U+03C3 GREEK SMALL LETTER SIGMA) is not part of the equation language",
         "σ"),
        ("h[t] = 漢", "E0101", "the character `漢` (U+6F22 CJK UNIFIED IDEOGRAPH-6F22) is not part of the equation language",
         "漢"),
        ("h[t] = f(a", "E0102", "`(` is never closed", "("),
        ("h[t] = f(a +\n  y[t] = b", "E0102", "`(` is never closed", "("),
        ("h[t] = f(a))", "E0102", "`)` without a matching `(`", ")"),
        ("h[t] = f(a]", "E0102", "`(` is closed by `]`", "]"),
        ("h[t] = [a # )\n", "E0102", "`[` is never closed", "["),
        ("h[t] = a = b", "E0104", "an equation has one `=`", "="),
        ("h[t] = f(a[t]=b)", "E0103", "this is no argument name", "="),
        ("h[t] += a", "E0104", "this line is not an equation", "+"),
        ("tanh(x)", "E0104", "this line is not an equation", "("),
        ("h1.c[t] = 1", "E0104", "this line is not an equation", "h1.c"),
        ("3 + a", "E0104", "this line is not an equation", "3"),
        ("h[t]   # a comment", "E0104", "this line is not an equation", "h[t]"),
        ("not = 3", "E0104", "this line is not an equation", "not"),
        ("h[t] = a +   # more", "E0103", "the expression stops after `+`", "+"),
        ("h[t] = not", "E0103", "the expression is not complete", "t"),
        ("h[t] = 2 (a)", "E0103", "only a function name can be called", "("),
        ("h[t] = a.c (b)", "E0103", "only a function name can be called", "("),
        ("h[t] = np.tanh(a)", "E0103", "functions have no prefix", "np.tanh"),
        ("h[t] = 2 * torch.nn.functional.relu(a)", "E0103", "functions have no prefix", "torch.nn.functional.relu"),
        ("h[t] = f(a)[t]", "E0103", "only a name can have an index", "["),
        ("h[t] = a < b < c", "E0103", "comparisons cannot be chained", "<"),
        ("h[t] = a * / b", "E0103", "`/` cannot follow `*`", "/"),
        ("h[t] = f(,a)", "E0103", "`,` cannot follow `(`", ","),
        ("h[t] = a b.c", "E0103", "an operator is missing here", "b.c"),
        ("h[t] = f(a=1, b)", "E0107", "a positional argument comes after a named one", "b"),
        ("h[t] = [a=1]", "E0107", "only a call has named arguments", "a"),
        ("h[t] = x[t=1]", "E0107", "only a call has named arguments", "t"),
        ("h[t] = 1e999", "E0105", "this number is too large", "1e999"),
        (f"h[t] = {'a' * 65}", "E0108", "a name has at most 64 characters", "a" * 65),
        (f"h[t] = {'(' * 61}a{')' * 61}", "E0106", "brackets are nested more than 60 deep", "("),
        (f"h[t] = {' + '.join(['a'] * 130)}", "E0106", "the expression is nested more than 120 deep", "a"),
        (f"h[t] = {'-' * 130}a", "E0106", "the expression is nested more than 120 deep", "-"),
        ("", "E0005", "`model` has no equation", "|"),
        ("# nothing", "E0005", "`model` has no equation", "|"),
    ],
)  # fmt: skip
def test_explanations(text: str, code: str, message: str, place: str) -> None:
    (found,) = problems_of(model("  " + text))
    assert (found.code, found.message) == (code, message)
    assert found.span is not None and found.span.text == place
    assert render(found)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("k:", "E0005", "this value is empty"),
        ("k: [a]", "E0005", "a list is not expected here"),
        ("k: {a: 1, b: 2}", "E0005", "a mapping is not expected here"),
        ("k: h[t] = 2", "E0104", "an equation is not allowed here"),
        ("k: adam(1) extra", "E0103", "there is something after the end of the value"),
        ("k: adam(lr=", "E0102", "`(` is never closed"),
        ('k: "# only a comment"', "E0005", "this value is empty"),
    ],
)
def test_explanations_of_values(text: str, code: str, message: str) -> None:
    problems: list[Diagnostic] = []
    assert parse_value(read(text).items[0][1], problems) is None
    assert [(found.code, found.message) for found in problems] == [(code, message)]


def test_one_call_finds_many_errors() -> None:
    lines = ["a[t] = (b", "c[t] = d e", "some prose", "e[t] = f", "g[t] = ]"]
    problems = problems_of(model("  " + "\n  ".join(lines)))
    assert [(found.code, found.span.line if found.span else 0) for found in problems] == [
        ("E0102", 2),
        ("E0103", 3),
        ("E0102", 6),
    ]


def test_errors_are_limited() -> None:
    assert len(problems_of(model("\n".join(["  a[t] = ]"] * 500)))) == MAX_ERRORS


WORDS = re.findall(r"\n|\S+", "a W_x t 1 2.5 'x' [ ] ( ) = == < + - * / @ ** , .T . true not and if # ^ \n α")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS)))
def test_any_words_are_read_or_explained(words: list[str]) -> None:
    text = " ".join(words)
    problems: list[Diagnostic] = []
    equations = parse_block(plain_scalar(Source("x.rnn", text.replace("\n", " "))), problems)
    assert (equations is None) == bool(problems)
    node = parse_value(plain_scalar(Source("x.rnn", text)), inside := [])
    assert (node is None) == bool(inside)
    for found in problems + inside:
        assert found.span is not None and 0 <= found.span.start <= found.span.end <= len(text)
        assert "\n" not in found.message
