"""Settings: the table, defaults, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnspec.diagnostics import Diagnostic, Source, render
from rnnspec.frontend.arguments import REQUIRED
from rnnspec.frontend.settings import SETTINGS, resolve
from rnnspec.frontend.source import plain_scalar
from rnnspec.frontend.typed import Setting, Word
from rnnspec.frontend.values import (
    FRACTION,
    POSITIVE,
    Range,
    read_choice,
    read_flag,
    read_number,
    read_text,
    read_whole,
)
from tests.places import read, shown


def setting(text: str, kind: str, folder: Path | None = None) -> Setting:
    problems: list[Diagnostic] = []
    found = resolve(plain_scalar(Source("x.rnn", text)), kind, problems, folder=folder)
    assert found is not None, "\n".join(map(render, problems))
    return found


def problems_of(text: str, kind: str) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    assert resolve(plain_scalar(Source("x.rnn", text)), kind, problems) is None
    return problems


@pytest.mark.parametrize(
    ("text", "kind", "arguments"),
    [
        ("sgd(0.5)", "optimizer", {"lr": 0.5, "momentum": 0.0, "nesterov": False}),
        ("adam(lr=2e-3, beta2=0.99)", "optimizer",
         {"lr": 2e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": False}),
        ("cosine(warmup=200)", "schedule", {"warmup": 200, "final": 0.0}),
        ("constant(10)", "schedule", {"warmup": 10}),
        ("none", "clip", {}),
        ("tbptt(20)", "truncation", {"k1": 20, "k2": None}),
        ("tbptt(k1=10, k2=40)", "truncation", {"k1": 10, "k2": 40}),
        ("patience(3)", "stop", {"epochs": 3, "on": "valid.loss"}),
        ("constant(-1.0)", "init", {"value": -1.0}),
        ("orthogonal", "init", {"gain": 1.0}),
        ("text(python_docs)", "source", {"path": Word("python_docs"), "unit": "char", "boundary": None, "most": None}),
        ("csv('a.csv', columns=['x', y])", "source",
         {"path": Path("a.csv"), "columns": ("x", "y"), "normalize": "none", "missing": "refuse"}),
        ("copy_task(delay=0)", "source", {"symbols": 8, "length": 10, "delay": 0, "sequences": 10_000}),
        ("one_hot(ids)", "inputs", {"column": "ids", "size": None, "length": None}),
        ("vectors(X, size=16, length=n)", "inputs", {"array": "X", "size": 16, "length": "n"}),
        ("next(ids)", "targets", {"columns": ("ids",), "steps": 1}),
        ('next(["load"], steps=24)', "targets", {"columns": ("load",), "steps": 24}),
    ],
)  # fmt: skip
def test_settings_carry_all_their_arguments(text: str, kind: str, arguments: dict[str, object]) -> None:
    found = setting(text, kind)
    assert dict(found.arguments) == arguments
    assert [type(found[name]) for name in arguments] == [type(value) for value in arguments.values()]
    assert found.span is not None and found.span.text == text


def test_file_names_are_relative_to_the_folder_of_the_spec(tmp_path: Path) -> None:
    assert setting("text('../data.txt')", "source", tmp_path)["path"] == (tmp_path.parent / "data.txt",)
    assert setting("text(python_docs)", "source", tmp_path)["path"] == "python_docs"


def test_the_table_is_complete() -> None:
    assert list(SETTINGS["checkpoint"]) == ["every", "none"]
    for rows in SETTINGS.values():
        for row in rows.values():
            assert row.doc
            required = [argument.default is REQUIRED for argument in row.arguments]
            assert required == sorted(required, reverse=True), "required arguments come first"


# Messages, word for word


def at(text: str, number: int) -> str:
    problems: list[Diagnostic] = []
    node = read(f"train:\n  optimizer: {text}\n", number - 1).items[0][1]
    assert resolve(node.get("optimizer"), "optimizer", problems) is None
    return shown(problems)


def test_unknown_optimizer() -> None:
    assert (
        at("adamm(lr=2e-3)", 34)
        == f"""\
error[E0603]: there is no optimizer called `adamm`
  --> model.rnn:34:14
   |
34 |   optimizer: adamm(lr=2e-3)
   |              ^^^^^
   |
   = help: did you mean `adam`?
   = note: available: {", ".join(SETTINGS["optimizer"])}"""
    )


def test_unknown_argument() -> None:
    assert (
        at("adam(learning_rate=2e-3)", 34)
        == """\
error[E0604]: `adam` has no argument `learning_rate`
  --> model.rnn:34:19
   |
34 |   optimizer: adam(learning_rate=2e-3)
   |                   ^^^^^^^^^^^^^
   |
   = help: did you mean `lr`?
   = note: arguments of `adam`: lr, beta1, beta2, eps, amsgrad"""
    )


def test_norway() -> None:
    problems: list[Diagnostic] = []
    entry = read("  E: {shape: [D, V], trainable: no}\n", number=31).items[0][1]
    assert read_flag(entry.get("trainable"), "`trainable`", problems) is None
    assert (
        shown(problems)
        == """\
error[E0601]: `trainable` must be true or false
  --> model.rnn:31:33
   |
31 |   E: {shape: [D, V], trainable: no}
   |                                 ^^
   |
   = help: write `false`"""
    )


def test_a_rate_in_percent() -> None:
    problems: list[Diagnostic] = []
    node = plain_scalar(Source("x.rnn", "20"))
    assert read_number(node, "a dropout rate", problems, FRACTION, percent=True) is None
    assert (
        shown(problems)
        == """\
error[E0602]: a dropout rate must be at least 0 and below 1
 --> x.rnn:1:1
  |
1 | 20
  | ^^ 20 is out of range
  |
  = help: write 0.2 for 20 percent"""
    )


# All the other messages


@pytest.mark.parametrize(
    ("text", "kind", "code", "message", "help"),
    [
        ("adam()", "optimizer", "E0605", "`adam` needs the argument `lr`", "write `adam(lr=...)`"),
        ("step(factor=0.5)", "schedule", "E0605", "`step` needs the argument `every`", "write `step(factor=0.5, every=...)`"),
        ("step", "schedule", "E0605", "`step` needs the arguments `every` and `factor`",
         "write `step(every=..., factor=...)`"),
        ("adam(0)", "optimizer", "E0602", "`lr` must be greater than 0", None),
        ("adam(1, 1.0)", "optimizer", "E0602", "`beta1` must be at least 0 and below 1", None),
        ("exponential(1.1)", "schedule", "E0602", "`rate` must be greater than 0 and at most 1", None),
        ("every(0)", "checkpoint", "E0602", "`steps` must be at least 1", None),
        ("every(1.5)", "checkpoint", "E0601", "`steps` must be a whole number", None),
        ("every(1e12)", "checkpoint", "E0602", "`steps` must be at least 1 and at most 1000000000", None),
        ("adam('1e-3')", "optimizer", "E0601", "`lr` must be a number", "remove the quotes"),
        ("adam(1e-3, [1])", "optimizer", "E0601", "`beta1` must be a number", None),
        ("adam(lr=h[t])", "optimizer", "E0601", "`lr` must be a number", None),
        ("adam(lr=1, betas=[0.9, 0.99])", "optimizer", "E0604", "`adam` has no argument `betas`",
         "write `beta1=0.9, beta2=0.999`"),
        ("adam(lr=1, decay=0.1)", "optimizer", "E0604", "`adam` has no argument `decay`",
         "write `adamw(...)`, which has `decay`; a penalty in the loss is `l2:` under `params:`"),
        ("amsgrad(lr=1)", "optimizer", "E0603", "there is no optimizer called `amsgrad`", "write `adam(lr=..., amsgrad=true)`"),
        ("sgd(lr=1, nesterov=true)", "optimizer", "E0606", "`nesterov` does nothing without `momentum`", "give `momentum` too"),
        ("double", "dtype", "E0603", "there is no precision called `double`", "write `float64`"),
        ("none(1)", "clip", "E0604", "`none` takes no arguments", None),
        ("tbptt(1, 2, 3)", "truncation", "E0604", "`tbptt` takes at most 2 arguments", None),
        ("tbptt(0)", "truncation", "E0602", "`k1` must be at least 1", None),
        ("tbptt(1, 0)", "truncation", "E0602", "`k2` must be at least 1", None),
        ("tbptt(steps=4)", "truncation", "E0604", "`tbptt` has no argument `steps`", "did you mean `k1`?"),
        ("adam(1, lr=2)", "optimizer", "E0604", "the argument `lr` is given twice", None),
        ("zeros(gain=1)", "init", "E0604", "`zeros` has no argument `gain`", None),
        ("3 + tbptt", "truncation", "E0601", "`truncation` must be one of: tbptt", None),
        ("glorot", "init", "E0603", "there is no initialiser called `glorot`", "write `glorot_uniform`"),
        ("text(data.txt)", "source", "E0601", "`path` must be a text in quotes", 'write "data.txt"'),
        ("csv('a', ['x', 'x'])", "source", "E0604", "the column `x` is listed twice", None),
        ("csv('a', [])", "source", "E0601", "`columns` must name at least one column", None),
        ("csv('a', x, normalize=zscore)", "source", "E0601", '`normalize` must be "none" or "zscore"', 'write "zscore"'),
        ("onehot(ids)", "inputs", "E0701", "there is no encoding called `onehot`", "did you mean `one_hot`?"),
        ("'ids'", "targets", "E0701", "`targets` must say how to encode a column", None),
        ("next(ids[t])", "targets", "E0601", "`columns` must be the name of a column", "write its name without an index"),
        ("adam(lr=", "optimizer", "E0102", "`(` is never closed", "add `)`"),
    ],
)  # fmt: skip
def test_messages(text: str, kind: str, code: str, message: str, help: str | None) -> None:
    (found,) = problems_of(text, kind)
    assert (found.code, found.message) == (code, message)
    assert dict(found.notes).get("help") == help


def test_several_arguments_can_be_wrong_at_once() -> None:
    found = problems_of("adam(lr=-1, beta1=2, epps=1)", "optimizer")
    assert [problem.code for problem in found] == ["E0604", "E0602", "E0602"]


@pytest.mark.parametrize(
    ("text", "value", "help"),
    [
        ("32", 32, None),
        ("-3", -3, None),
        ("1e3", 1000, None),
        ("10k", None, "write 10000"),
        ("2M", None, "write 2000000"),
        ("1,5", None, "write the decimal point as `.`"),
        ("1_000", None, "write it without `_`"),
        ("80%", None, "write 0.8"),
        ("0x10", None, None),
        ("nan", None, None),
        ("1e999", None, None),
        ("1" * 5000, None, None),
        ("٣", None, None),
    ],
)
def test_whole_numbers(text: str, value: int | None, help: str | None) -> None:
    problems: list[Diagnostic] = []
    assert read_whole(plain_scalar(Source("x", text)), "`n`", problems, Range(-5, 1e6)) == value
    assert (value is None) == bool(problems)
    assert [dict(found.notes).get("help") for found in problems] == ([] if value is not None else [help])


def test_plain_values_of_yaml() -> None:
    node = read("a: 1e-3\nb: 'text'\nc: float32\nd: {e: 1}\nf: true\n")
    problems: list[Diagnostic] = []
    assert read_number(node.get("a"), "`a`", problems, POSITIVE) == 1e-3
    assert read_text(node.get("b"), "`b`", problems) == "text"
    assert read_choice(node.get("c"), "`c`", problems, ("float32", "float64")) == "float32"
    assert read_flag(node.get("f"), "`f`", problems) is True
    assert problems == []
    assert read_number(node.get("d"), "`d`", problems) is None
    assert read_text(node.get("d"), "`d`", problems) is None
    assert read_flag(node.get("b"), "`b`", problems) is None
    assert read_choice(node.get("b"), "`b`", problems, ("float32", "float64")) is None
    assert [found.message for found in problems] == [
        "`d` must be a number",
        "`d` must be a text",
        "`b` must be true or false",
        "`b` must be float32 or float64",
    ]


def test_a_seed_keeps_all_its_digits() -> None:
    found = [read_whole(plain_scalar(Source("x", text)), "`n`", [], Range(0, 2**63)) for text in (f"{2**53 + 1}", f"{2**63}")]
    assert found == [2**53 + 1, None]
