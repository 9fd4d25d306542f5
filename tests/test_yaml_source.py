"""The YAML layer: places of characters, the subset that is accepted, limits."""

from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.diagnostics import Diagnostic, Source, SpecError, render
from rnnspec.frontend.schema import read_section, read_spec
from rnnspec.frontend.source import MAX_BYTES, Mapping, Scalar, Sequence, load, plain_scalar, read_yaml
from tests.places import read, refused, shown


def scalar(text: str) -> Scalar:
    """The value of the first key."""
    value = read(text).items[0][1]
    assert isinstance(value, Scalar)
    return value


# Places


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("k: plain text", "text"),
        ("k: 'it''s here'", "here"),
        ('k: "tab\\t and here"', "here"),
        ('k: "\\u00e9\\x41 here"', "here"),
        ('k: "split \\\n   here"', "here"),
        ("k: folded\n   onto here", "here"),
        ("k: 'folded\n\n\n   onto here'", "here"),
        ("k: |\n  first\n  here", "here"),
        ("k: |\n\n\n    first\n\n      here\n", "here"),
        ("k: |2\n    first\n  here\n", "here"),
        ("k: |-\n  # no comment\n  here\n\n", "here"),
        ("k: >\n  first\n  here\n", "here"),
        ("k: >-\n  first\n\n    more\n    here\n", "here"),
        ("a: {k: 1}\nb: |\n  here", "here"),
    ],
)
def test_a_part_of_a_value_is_found_in_the_file(text: str, part: str) -> None:
    value = read(text).items[-1][1]
    assert isinstance(value, Scalar)
    start = value.value.index(part)
    assert value.sub(start, start + len(part)).text == part
    assert value.sub(start, start + len(part)).start == text.index(part)


@settings(max_examples=300, deadline=None)
@given(
    st.text(string.ascii_letters + string.digits + " \n'\"\\#:[]{}é量\t", max_size=60),
    st.sampled_from(["'", '"', "|", ">", None]),
    st.integers(10, 80),
)
def test_every_character_has_its_place_in_every_style(value: str, style: str | None, width: int) -> None:
    """Letters and digits are never rewritten by YAML, so each must be found at its place."""
    text = yaml.safe_dump({"key": value}, default_style=style, width=width, allow_unicode=True)
    entry = read(text.replace("!!null ", "")).items[0][1]
    assert isinstance(entry, Scalar) and entry.value == value
    assert len(entry.places) == len(value) + 1
    assert sorted(entry.places) == list(entry.places)
    for position, character in enumerate(value):
        if character.isalnum() and "\\" not in text[entry.places[position] - 4 : entry.places[position] + 1]:
            assert text[entry.places[position]] == character


def test_a_part_outside_the_value_is_clipped() -> None:
    value = scalar("k: abc")
    assert value.sub(-3, 99).text == "abc"
    assert value.sub(7, 9).text == ""


def test_line_ends_and_byte_order_mark_are_normalised() -> None:
    source = load(b"\xef\xbb\xbfa: 1\r\nb: 2\rc: 3\n", "x.rnn")
    assert source.text == "a: 1\nb: 2\nc: 3\n"
    assert [key.span.line for key, _ in read_yaml(source).items] == [1, 2, 3]


def test_command_line_texts_have_places_too() -> None:
    source = Source("command line", "train.batch=64")
    value = plain_scalar(source, 12)
    assert (value.value, value.sub(0, 1).start, value.span.end) == ("64", 12, 14)


# Values


@pytest.mark.parametrize("word", ["no", "on", "1:30", "2024-99-99", "1e-3", "0x_", "~", "null", "010"])
def test_no_value_is_converted(word: str) -> None:
    assert scalar(f"k: {word}").value == word


def test_the_tree_has_mappings_and_lists() -> None:
    root = read("a: {b: 1, c: [x, y]}\nd:\n  - 1\n")
    inner, items = root.get("a"), root.get("d")
    assert isinstance(inner, Mapping) and inner.flow and inner.key("b") is not None
    assert isinstance(items, Sequence) and not items.flow
    assert root.get("nothing") is None and root.key("nothing") is None


# What is refused


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "E0001", "the file is empty"),
        ("- a\n", "E0001", "a spec must be a mapping of sections"),
        ("a: 1\n---\nb: 2\n", "E0001", "a spec file holds one document"),
        ("a: &x 1\n", "E0006", "YAML anchors (`&name`) are not allowed in a spec"),
        ("a: &x 1\nb: *x\n", "E0006", "YAML anchors (`&name`) are not allowed in a spec"),
        ("b: *x\n", "E0006", "YAML aliases (`*name`) are not allowed in a spec"),
        ("a: !!int 3\n", "E0006", "YAML tags are not allowed in a spec"),
        ("<<: {a: 1}\n<<: 2\n", "E0002", "the key `<<` appears twice"),
        ("? [a]\n: 1\n", "E0005", "a key must be a plain name"),
        ('a: "\\ud800"\n', "E0001", "half of a surrogate pair is not a character"),
        ('a: "\\U00110000"\n', "E0001", "a character escape is out of range"),
        ("a: \x07\n", "E0001", "the character U+0007 is not allowed in YAML"),
        ("a: @x\n", "E0001", "a value cannot start with `@` in YAML"),
        ("a: b: c\n", "E0001", "a second `: ` on this line"),
        ("a: 1\nnonsense\nb: 2\n", "E0001", "this line is neither `key: value` nor a list item"),
        ("a: 1\nh[t] = 2\nb: 2\n", "E0001", "this line is neither `key: value` nor a list item"),
        ("a: 1\n   b: 2\n", "E0001", "this line is indented further than the one above it"),
        ("a: 1\n   b: 2: 3\n", "E0001", "this line is indented further than the one above it"),
        ("a:\n  b: 2: 3\n", "E0001", "a second `: ` on this line"),
        ("a: 1\nb 2\nc: 3\n", "E0001", "there is no `:` behind `b`"),
        ("b 2\nc: 3\n", "E0001", "there is no `:` behind `b`"),
        ("a: 1\nb:2\nc: 3\n", "E0001", "there is no space behind `b:`"),
        ("a:\n  b = 2\n  c: 3\n", "E0001", "there is no `:` behind `b`"),
        ("a: 1\nb:\u00a02\nc: 3\n", "E0001", "the character U+00A0 NO-BREAK SPACE is not a space for YAML"),
        ("b:\u20032\nc: 3\n", "E0001", "the character U+2003 EM SPACE is not a space for YAML"),
        ("a: [f(y[t]), g(y[t])]\n", "E0001", "a value inside `[...]` cannot have brackets of its own"),
        ("a: {b: y[t]}\n", "E0001", "a value inside `{...}` cannot have brackets of its own"),
        ("a: [f(y[t])\nb: 2\n", "E0001", "this `{...}` or `[...]` is not closed or has a stray character"),
        ("# Title\nWords.\n\n- more\n", "E0001", "a spec must be a mapping of sections"),
        ("a: - 1\n", "E0001", "a list cannot begin on this line"),
        ("a: |b\n", "E0001", "something stands behind `|` or `>`"),
        ('a: "\\q"\n', "E0001", "there is no such character behind `\\` in double quotes"),
        ("model:\n  a = 1 # one\n  b = 2\n", "E0008", "an equation block over several lines needs `|`"),
        ("c:\n  equations:\n\n    # why\n    a = 1 #\n    b = 2\n", "E0008", "an equation block over several lines needs `|`"),
        ("c:\n  other:\n    a = 1 # one\n    b = 2\n", "E0001", "the indentation does not line up"),
        ("a:\n    b: 1\n  c: 2\n", "E0001", "the indentation does not line up"),
        ("a: {b: 1\n", "E0001", "this `{...}` or `[...]` is not closed or has a stray character"),
        ('a: "b\n', "E0001", "a quote is never closed"),
        ("a: " + "[" * 5000, "E0001", "values are nested more than 12 deep"),
        ("a: [" + "x, " * 20_001 + "]", "E0001", "the spec has more than 20000 values"),
        ("a: " + "x" * 100_001, "E0001", "a value is longer than 100000 characters"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, code: str, message: str) -> None:
    found = refused(text)
    assert (found.code, found.message) == (code, message)
    assert render(found)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: " + b"x" * MAX_BYTES, f"the file is too large ({MAX_BYTES + 3} bytes; the limit is {MAX_BYTES})"),
        (b"a: caf\xe9\n", "the file is not valid UTF-8"),
        ("a: b\u2028c\n".encode(), "the character U+2028 (LINE SEPARATOR) is not allowed"),
        ("a: b\x85c\n".encode(), "the character U+0085 (NEXT LINE) is not allowed"),
    ],
)
def test_bytes_that_are_no_spec(raw: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(raw, "x.rnn")
    assert [found.message for found in caught.value.diagnostics] == [message]
    assert str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text("ab:-?[]{}#&*!|>'\"%@`,\n \t\\ux1é", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(load(text.encode(), "x.rnn"))
    except SpecError as error:
        assert str(error)


# Messages, word for word


def test_tab_indentation() -> None:
    found = refused("train:\n\toptimizer: sgd(lr=0.5)\n", number=27)
    assert (
        render(found)
        == """\
error[E0001]: a tab character is used for indentation
  --> model.rnn:28:1
   |
28 |     optimizer: sgd(lr=0.5)
   | ^^^^
   |
   = help: YAML allows only spaces there: use two spaces per level"""
    )


def test_duplicate_key() -> None:
    found = refused("train:\n  batch: 32\n  batch: 64\n", number=28)
    assert (
        render(found)
        == """\
error[E0002]: the key `batch` appears twice
  --> model.rnn:30:3
   |
29 |   batch: 32
   |   ----- first set here
30 |   batch: 64
   |   ^^^^^ set again here
   |
   = note: plain YAML would silently keep the last one"""
    )


def test_glob_without_quotes() -> None:
    found = refused("params:\n  *.W_*: {init: glorot_uniform, l2: 1e-5}\n", number=29)
    assert (
        render(found)
        == """\
error[E0001]: a key or value cannot start with `*` in YAML
  --> model.rnn:30:4
   |
30 |   *.W_*: {init: glorot_uniform, l2: 1e-5}
   |    ^
   |
   = help: put quotes around it: "*_hh\""""
    )


def test_python_object_tag() -> None:
    found = refused("rnnspec: 1\nname: !!python/object/apply:os.system ['id']\n")
    assert (
        render(found)
        == """\
error[E0006]: YAML tags are not allowed in a spec
 --> model.rnn:2:7
  |
2 | name: !!python/object/apply:os.system ['id']
  |       ^ tag `tag:yaml.org,2002:python/object/apply:os.system`
  |
  = note: a spec is data: it never creates Python objects"""
    )


# Sections and keys


def section_problems(text: str, number: int = 1) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    spec = read_spec(read(text, number), [])
    fields = read_section(spec, "train", problems, required=("optimizer", "batch"))
    assert all(value is not None for _, value in fields)
    return problems


def test_unknown_setting() -> None:
    text = "train:\n  batch: 3\n  optimizer: adam(lr=1)\n  batch_size: 32\n"
    assert (
        shown(section_problems(text, 26))
        == """\
error[E0003]: `batch_size` is not a setting of `train`
  --> model.rnn:29:3
   |
29 |   batch_size: 32
   |   ^^^^^^^^^^
   |
   = help: did you mean `batch`?"""
    )


def test_comma_in_a_flow_mapping() -> None:
    text = "train: {optimizer: sgd(lr=0.5, momentum=0.9), batch: 32, steps: 10}\n"
    assert (
        shown(section_problems(text, 27))
        == """\
error[E0010]: a comma ended this value inside `{...}`
  --> model.rnn:27:32
   |
27 | train: {optimizer: sgd(lr=0.5, momentum=0.9), batch: 32, steps: 10}
   |                                ^^^^^^^^^^^^^ read as a new key
   |
   = help: write this mapping as indented lines, or quote the whole value"""
    )


def test_missing_settings_and_wrong_kinds() -> None:
    assert [found.message for found in section_problems("train: {batch: 3}\n")] == ["`train` lacks `optimizer`"]
    assert [found.code for found in section_problems("train: 3\n")] == ["E0005"]
    assert section_problems("name: x\n") == []  # the missing section itself is reported by read_spec


def test_sections_of_a_spec() -> None:
    problems: list[Diagnostic] = []
    read_spec(read("rnnspec: 2\nmodell: x\nname: y\n"), problems)
    assert [(found.code, found.message) for found in problems] == [
        ("E0003", "unknown section `modell`"),
        ("E0011", "this version of the spec format is not supported"),
        ("E0004", "the spec lacks the sections `data`, `inputs`, `targets`, `loss`, `train`"),
    ]
