"""A spec is data: no string in it, wherever it stands, becomes code in the script."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import Compiled, SpecError, compile_spec
from rnnspec.script.gate import NotAllowed
from rnnspec.script.gate import check as gate
from tests.hostile import GOOD, NAME, SOURCE
from tests.injections import CANARY, PLANTED, STRINGS

Case = tuple[str, tuple[str, ...]]
"""A spec and its overrides."""

TASK = f"  source: {SOURCE}"


def changed(*pairs: tuple[str, str]) -> str:
    """The good spec with pieces of text replaced."""
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def line(*pairs: tuple[str, str]) -> Callable[[str, Path], Case]:
    """A place where a string stands as it is, in one line of the spec at `@`."""
    return lambda text, folder: (changed(*((old, new.replace("@", text)) for old, new in pairs)), ())


def quoted(*pairs: tuple[str, str]) -> Callable[[str, Path], Case]:
    """A place where a string stands in double quotes with all its escapes, at `@`."""
    return lambda text, folder: line(*pairs)(json.dumps(text), folder)


def in_text(text: str, folder: Path) -> Case:
    """In the data: the characters of a text become the vocabulary."""
    (folder / "data.txt").write_bytes(((text + "\n") * 10).encode("utf-8", "replace"))
    return stream('text("data.txt")', "one_hot(ids)", "next(ids)", "cross_entropy"), ()


def as_boundary(text: str, folder: Path) -> Case:
    """The word that ends a document."""
    (folder / "data.txt").write_text("some words, and more of them\n" * 10)
    source = f'text("data.txt", unit="word", boundary={call_text(text)})'
    return stream(source, "one_hot(ids)", "next(ids)", "cross_entropy"), ()


def as_label(text: str, folder: Path) -> Case:
    """The name of a class in lines of JSON."""
    rows = [{"ids": [0, 1, 2], "label": label} for label in (text, "other") * 20]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = json.dumps('jsonl("data.jsonl", fields=["ids", "label"])')
    changes = ("classes(out, count=5)", "classes(label, count=2)"), ("h[t]\nloss", "h[T]\nloss")
    return changed((TASK, f"  source: {source}"), *changes).replace("s[t]", "s").replace("y[t]", "y"), ()


def as_field(text: str, folder: Path) -> Case:
    """The name of a field in lines of JSON."""
    (folder / "data.jsonl").write_text("\n".join(40 * [json.dumps({text: [0, 1, 2], "out": [1, 2, 3]})]))
    source = json.dumps(f'jsonl("data.jsonl", fields=[{call_text(text)}, "out"])')
    return changed((TASK, f"  source: {source}"), ("one_hot(ids)", json.dumps(f"one_hot({call_text(text)}, size=5)"))), ()


def as_file(text: str, folder: Path) -> Case:
    """The name of a data file."""
    name = text.replace("/", "_").replace("\0", "_")
    (folder / name).write_text("abcabc" * 10)
    return stream(f"text({call_text(name)})", "one_hot(ids)", "next(ids)", "cross_entropy"), ()


def as_column(text: str, folder: Path) -> Case:
    """The name of a column of a table."""
    header = '"' + text.replace('"', '""') + '",v\n'
    (folder / "data.csv").write_text(header + "1,2\n2,1\n" * 20, encoding="utf-8", errors="replace", newline="")
    source = f'csv("data.csv", columns=[{call_text(text)}, "v"])'
    return stream(source, f'columns([{call_text(text)}, "v"])', 'next(["v"])', "mse"), ()


def as_array(text: str, folder: Path) -> Case:
    """The name of an array."""
    arrays = {text.replace("\0", "_"): np.ones((40, 6), int), "v": np.ones((40, 6), int)}
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    source = f'npz("data.npz", arrays=[{call_text(text)}, "v"])'
    x = json.dumps(f"one_hot({call_text(text)}, size=5)")
    return changed((TASK, "  source: " + json.dumps(source)), ("one_hot(ids)", x), ("classes(out", "classes(v")), ()


def call_text(text: str) -> str:
    """A string in the notation of calls, which has no escapes."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def stream(source: str, x: str, y: str, loss: str) -> str:
    """The good spec over a stream."""
    return changed(
        (TASK, f"  source: {json.dumps(source)}\n  sequence: 5"),
        ("one_hot(ids)", json.dumps(x)),
        ("classes(out, count=5)", json.dumps(y)),
        ("cross_entropy", loss),
        ("metrics:\n  - accuracy(s[t], y[t])\n", ""),
    )


PLACES: dict[str, Callable[[str, Path], Case]] = {
    "name": quoted((NAME, "name: @")),
    "name without quotes": line((NAME, "name: @")),
    "comment of the file": line((NAME, "name: good # @")),
    "comment of an equation": line(("+ b_h)", "+ b_h) # @")),
    "string of an equation": quoted(("+ b_h)", "+ b_h + @)")),
    "name of a variable": line(("  h[t] =", "  @[t] =")),
    "name of a parameter": line(("+ b_h)", "+ @)")),
    "time index": line(("h[t-1]", "h[@]")),
    "function": line(("tanh(", "@(")),
    "option": line(("+ b_h)", "+ dropout(b_h, 0.1, shared='@'))")),
    "equations in one string": quoted(("model: |\n", "model: @\nmonitor: |\n")),
    "input": quoted(("  x: one", "  @: one")),
    "target": quoted(("  y: classes", "  @: classes")),
    "encoding": quoted(("one_hot(ids)", "@")),
    "column": line(("one_hot(ids)", "one_hot(@)")),
    "source": quoted((SOURCE, "@")),
    "split": quoted((TASK, TASK + "\n  split: {train: 0.5, @: 0.5}")),
    "size": quoted(("{H: 8}", "{@: 8}")),
    "value of a size": quoted(("{H: 8}", "{H: @}")),
    "state": quoted(("{h: H}", "{@: H}")),
    "size of a state": quoted(("{h: H}", "{h: @}")),
    "loss": quoted(("loss: cross_entropy(s[t], y[t])", "loss: @")),
    "metric": quoted(("- accuracy(s[t], y[t])", "- @")),
    "key of parameters": quoted(("  W_h: {", "  @: {")),
    "attribute of parameters": quoted(("{init: normal(std=0.1)}", "{@: 1}")),
    "init": quoted(("normal(std=0.1)", "@")),
    "shape": quoted(("{init: normal(std=0.1)}", "{shape: [H, @]}")),
    "tie": quoted(("{init: normal(std=0.1)}", "{tie: @}")),
    "optimizer": quoted(("sgd(lr=0.5)", "@")),
    "argument": line(("sgd(lr=0.5)", "sgd(@=0.5)")),
    "number": quoted(("batch: 32", "batch: @")),
    "what a run waits for": quoted(("steps: 3", "epochs: 3\n  stop: patience(1, on=@)")),
    "dtype": quoted(("steps: 3", "steps: 3\n  dtype: @")),
    "seed": quoted(("steps: 3", "steps: 3\n  seed: @")),
    "section": quoted((NAME, "@: good")),
    "name of a cell": quoted(("model: |", "cells: {@: {args: {n: int}, inputs: [u], output: h}}\nmodel: |")),
    "text of the data": in_text,
    "boundary of documents": as_boundary,
    "name of a class": as_label,
    "name of a field": as_field,
    "name of a file": as_file,
    "name of a column of a table": as_column,
    "name of an array": as_array,
    "override": lambda text, folder: (GOOD, (f"name={text}",)),
    "path of an override": lambda text, folder: (GOOD, (f"{text}=1",)),
}
MUST_WORK = ("comment of the file", "text of the data", "name of a file", "name of a column of a table", "name of an array")
MUST_WORK += ("boundary of documents", "name of a class", "name of a field")
"""Places where some of the strings are fine, so that they do reach a script."""


def compiled(text: str, overrides: tuple[str, ...], folder: Path, level: int) -> Compiled | None:
    """The compiled spec; None where it is refused, with a code."""
    path = folder / "model.rnn"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return compile_spec(path, level=level, overrides=overrides)
    except SpecError as error:
        assert error.diagnostics and str(error)
        return None


def skeleton(source: str) -> str:
    """A script without its literals and comments: what it does, whatever its data is called."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant(value=0)

    return ast.dump(Blank().visit(ast.parse(source)))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything happens in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    return tmp_path


def runs(made: Compiled) -> None:
    """Run all parts of a script that a string could have got into."""
    script = made.load()
    script.train(steps=1, report=lambda event: None)
    script.predict(script.init(), next(script.batches("train")))


@pytest.mark.parametrize("place", PLACES)
def test_no_string_becomes_code(place: str, tmp_path: Path) -> None:
    reached = 0
    harmless = [compiled(*PLACES[place]("harmless", tmp_path), tmp_path, level) for level in (0, 1)]
    skeletons = [skeleton(made.source) if made and place != "text of the data" else None for made in harmless]
    for number, text in enumerate(STRINGS):
        made = compiled(*PLACES[place](text, tmp_path), tmp_path, number % 2)
        if made is not None:
            reached += 1
            expected = skeletons[number % 2]
            assert expected is None or skeleton(made.source) == expected
            if expected is None or reached % 5 == 1:
                runs(made)
        assert not (tmp_path / CANARY).exists(), text
    assert reached > 5 or place not in MUST_WORK


def test_the_name_of_the_spec_itself(tmp_path: Path) -> None:
    expected = [skeleton(compile_spec(GOOD.replace(NAME, "name: spec"), level=level).source) for level in (0, 1)]
    for number, text in enumerate(STRINGS):
        path = tmp_path / (text.replace("/", "_").replace("\0", "_")[:100] + ".rnn")
        path.write_text(GOOD.replace(NAME + "\n", ""))
        made = compile_spec(path, level=number % 2)
        assert skeleton(made.source) == expected[number % 2]
        assert made.source.isascii() and all(c.isprintable() or c == "\n" for c in made.source)


# ------------------------------------------------------------------ the second line of defence


@pytest.mark.parametrize("planted", PLANTED)
def test_the_gate_refuses_what_is_planted(planted: str) -> None:
    source = compile_spec(GOOD).source
    gate(source)
    top, main = source.index("\nimport numpy"), source.index("\ndef main")
    for at in (top, main):
        with pytest.raises((NotAllowed, SyntaxError, ValueError)):
            gate(f"{source[:at]}\n{planted}\n{source[at:]}")
    if "\n" not in planted:
        with pytest.raises((NotAllowed, SyntaxError, ValueError)):
            gate(f"{source}\n\ndef planted():\n    {planted}\n")
