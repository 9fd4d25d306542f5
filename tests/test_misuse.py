"""What people write who know it from elsewhere: one error, and in its help the text to write instead."""

from __future__ import annotations

import pytest

from rnnspec.frontend.check import check

LAYER = "  h[t] = lstm(x[t], units=8)\n"
OUTPUT = "  y[t] = W_y @ h[t] + b_y\n"
SOURCE = "  source: recall(symbols=4, length=12, delay=2, sequences=50)\n"
INPUT = "  x: one_hot(ids)\n"
TARGET = "  target: classes(out, count=5)\n"
LOSS = "loss: cross_entropy(y[t], target[t])\n"
METRIC = "  - accuracy(y[t], target[t])\n"
PARAMS = "  W_y: {l2: 0.1}\n"
TRAIN = "  optimizer: adam(lr=1e-3)\n"
SPEC = f"""\
rnnspec: 1
data:
{SOURCE}inputs:
{INPUT}targets:
{TARGET}model: |
{LAYER}{OUTPUT}{LOSS}metrics:
{METRIC}params:
{PARAMS}train:
{TRAIN}  batch: 10
  steps: 100
"""

CASES = [
    (INPUT, "x: ids", "E0701", "write for example `one_hot(ids, size=5)`"),
    (TARGET, "target: out", "E0701", "write for example `classes(out, count=5)`"),
    (SOURCE, f"{SOURCE.strip()}\n  sequence: 6", "E0705", "remove it"),
    (LAYER, "h[t] = lstm(x[t], hidden_size=8)", "E0604", "did you mean `units`?"),
    (LAYER, "h[t] = lstm(x[t], 8)", "E0604", "arguments have names: write `lstm(x[t], units=8)`"),
    (LAYER, "h[t] = janet(x[t], 8, 0.5)", "E0604", "arguments have names: write `janet(x[t], units=8, beta=0.5)`"),
    (LAYER, "h[t] = lstm(x[t], x[t], units=8)", "E0604", None),
    (LAYER, "h[t] = lstm(units=8)", "E0604", None),
    (LAYER, "h[t] = lstm(x[t], units=8, bidirectional=true)", "E0604", "a second layer with `reverse=true`"),
    (LAYER, "h[t] = lstm(x[t], units=8, num_layers=2)", "E0604", "an equation for each layer"),
    (LAYER, "h[t] = gru(x[t], units=8, dropout=0.1)", "E0604", "write `dropout(h[t], 0.2)`"),
    (OUTPUT, "d[t] = zoneout(h[t], 0.5)\n  y[t] = W_y @ d[t] + b_y", "E0605", "write `zoneout(new, old, p)`"),
    (OUTPUT, "d[t] = dropout(h[t])\n  y[t] = W_y @ d[t] + b_y", "E0605", "write `dropout(h[t], 0.2)`"),
    (OUTPUT, "d[t] = h[t][0:4]\n  y[t] = W_y @ d[t] + b_y", "E0103", "`chunk(v, i, n)`"),
    (METRIC, "- f1(y[t], target[t])", "E0603", "write `macro_f1`"),
    (METRIC, "- r2(y[t], target[t])", "E0607", "use `accuracy`"),
    (METRIC, "- top_k(y[t], target[t], k=5)", "E0607", "a number below 5"),
    (METRIC, "- top_k(y[t], target[t])", "E0607", "a number below 5"),
    (PARAMS, "W_y: {init: xavier_uniform}", "E0603", "write `glorot_uniform`"),
    (PARAMS, "W_y: {init: kaiming_normal}", "E0603", "write `he_normal`"),
    (PARAMS, "W_y: {init: 0.1}", "E0601", "write `constant(0.1)`"),
    (TRAIN, "optimizer: adam(lr=1e-3)\n  clip: 1.0", "E0601", "write `global_norm(1.0)`"),
    (TRAIN, "optimizer: adam(lr=1e-3)\n  clip: norm(1.0)", "E0603", "write `global_norm`"),
    (TRAIN, "optimizer: adam(lr=1e-3)\n  truncation: 20", "E0601", "write `tbptt(20)`"),
    (TRAIN, "optimizer: adam(lr=1e-3)\n  average: swa", "E0603", "write `polyak`"),
    (TRAIN, "optimizer: adam(lr=1e-3)\n  schedule: noam", "E0603", "write `inverse_sqrt`"),
]


@pytest.mark.parametrize(("line", "written", "code", "help"), CASES, ids=[case[1].split("\n")[-1] for case in CASES])
def test_what_is_meant_is_offered(line: str, written: str, code: str, help: str | None) -> None:
    spec, (found,) = check(SPEC.replace(line, f"  {written}\n"))
    offered = [text for kind, text in found.notes if kind == "help"]
    assert spec is None and found.code == code
    assert help is None and not offered or help is not None and any(help in text for text in offered)


def test_the_spec_itself_is_fine() -> None:
    assert check(SPEC)[1] == []


@pytest.mark.parametrize(
    ("source", "offered"),
    [
        ("mackey_glass(steps=300)", ('columns(["x"])', 'next(["x"])')),
        ("adding(length=9)", ("vectors(x, size=2)", "values(x, size=2)")),
        ("sine(length=9)", ("vectors(x, size=1)", "values(x, size=1)")),
    ],
)
def test_a_column_alone_is_answered_with_an_encoding(source: str, offered: tuple[str, str]) -> None:
    text = SPEC.replace(SOURCE, f"  source: {source}\n").replace(INPUT, "  x: x\n").replace(TARGET, "  target: x\n")
    found = [text for problem in check(text)[1] for kind, text in problem.notes if kind == "help"]
    assert {f"write for example `{call}`" for call in offered} <= set(found)
