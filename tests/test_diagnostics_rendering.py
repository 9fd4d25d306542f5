"""How diagnostics are printed, and what they know about places."""

from __future__ import annotations

import pytest

from rnnspec.diagnostics import Diagnostic, Label, Source, Span, SpecError, problem, render, suggest, to_json

SPEC = Source("specs/model.rnn", "rnnspec: 1\nname: gru\n\nmodel: |\n  h[t] = tanh(hh[t-1])\n")


def span_of(part: str, source: Source = SPEC) -> Span:
    start = source.text.index(part)
    return Span(source, start, start + len(part))


def test_a_span_knows_its_place() -> None:
    span = span_of("hh")
    assert (span.line, span.column, span.place, span.text) == (5, 15, "model.rnn:5", "hh")
    assert span.first.text == "h"


def test_offsets_outside_the_text_count_as_its_ends() -> None:
    assert SPEC.line_column(-5) == (0, 0)
    assert SPEC.line_column(10_000) == SPEC.line_column(len(SPEC.text)) == (5, 0)
    assert (SPEC.line(1), SPEC.line(99)) == ("name: gru", "")


def test_labels_on_distant_lines_are_shown_with_a_gap() -> None:
    found = problem(
        "E0201", "a message", span_of("hh"), "here", help="first\nsecond", note="why", others=[(span_of("name"), "there")]
    )
    assert (
        render(found)
        == """\
error[E0201]: a message
 --> specs/model.rnn:5:15
  |
2 | name: gru
  | ---- there
...
5 |   h[t] = tanh(hh[t-1])
  |               ^^ here
  |
  = help: first
          second
  = note: why"""
    )


def test_two_labels_on_one_line_stand_below_each_other_from_left_to_right() -> None:
    found = problem("E0402", "both", span_of("hh"), "right", others=[(span_of("h[t]"), "left")])
    assert (
        render(found)
        == """\
error[E0402]: both
 --> specs/model.rnn:5:15
  |
5 |   h[t] = tanh(hh[t-1])
  |   ---- left
  |               ^^ right"""
    )


def test_a_second_source_gets_its_own_place() -> None:
    cell = Source("<library>/lstm.rnn", "c[t] = 1\n")
    found = problem("E0301", "sizes", span_of("hh"), others=[(Span(cell, 0, 4), "in this cell")])
    assert render(found).splitlines()[5:] == [
        " ::: <library>/lstm.rnn:1:1",
        "  |",
        "1 | c[t] = 1",
        "  | ---- in this cell",
    ]


def test_a_diagnostic_without_a_place_is_its_message() -> None:
    assert render(Diagnostic("E0001", "nothing there", (), (("help", "do something"),))).splitlines() == [
        "error[E0001]: nothing there",
        "  = help: do something",
    ]


def test_warnings_say_so() -> None:
    assert render(problem("W0203", "alike", span_of("hh"), level="warning")).startswith("warning[W0203]: alike\n")


@pytest.mark.parametrize(
    ("line", "shown", "caret"),
    [
        ("a\tb@", "a   b@", 5),  # tabs fill up to four columns
        ("量@", "量@", 2),  # wide characters take two columns
        ("e\u0301@", "e\u0301@", 1),  # combining ones take none
        ("\x1b[31m@", "\ufffd[31m@", 5),  # nothing can steer the terminal
        ("\ud800@", "\ufffd@", 1),
    ],
)
def test_carets_stand_below_what_they_mean(line: str, shown: str, caret: int) -> None:
    source = Source("x.rnn", line)
    lines = render(problem("E0101", "here", span_of("@", source))).splitlines()
    assert lines[3:] == [f"1 | {shown}", f"  | {' ' * caret}^"]


@pytest.mark.parametrize("place", [0, 60, 95, 150, 299])
def test_long_lines_are_cut_around_the_span(place: int) -> None:
    source = Source("x.rnn", "a" * place + "@" + "a" * (299 - place))
    line, carets = render(problem("E0101", "here", span_of("@", source))).splitlines()[3:]
    assert len(line) <= 4 + 100 + 6
    assert line[carets.index("^")] == "@"


def test_messages_cannot_steer_the_terminal() -> None:
    found = problem("E0003", "`\x1b[2J` is not a setting", span_of("hh"), "\x07", help="\x08")
    assert not set(render(found)) & set("\x1b\x07\x08")


def test_a_span_over_several_lines_is_marked_to_the_end_of_the_first() -> None:
    found = problem("E0005", "empty", Span(SPEC, SPEC.text.index("name"), len(SPEC.text)))
    assert render(found).splitlines()[-1] == "  | ^^^^^^^^^"


@pytest.mark.parametrize(
    ("word", "options", "meant"),
    [
        ("tahn", ["tanh", "sin"], "tanh"),
        ("W_hx", ["W_hh", "W_xh"], "W_xh"),  # parts swapped
        ("adamm", ["sgd", "adam"], "adam"),
        ("ADAM", ["adamw", "adam"], "adam"),
        ("zzz", ["tanh"], None),
        ("x", [], None),
    ],
)
def test_suggestions(word: str, options: list[str], meant: str | None) -> None:
    assert suggest(word, options) == meant


def test_json_has_everything_an_editor_needs() -> None:
    found = problem("E0201", "a message", span_of("hh"), "here", help="do", note="why")
    assert to_json(found) == {
        "code": "E0201",
        "level": "error",
        "message": "a message",
        "file": "specs/model.rnn",
        "spans": [
            {
                "file": "specs/model.rnn",
                "start": 45,
                "end": 47,
                "line": 5,
                "column": 15,
                "end_line": 5,
                "end_column": 17,
                "label": "here",
                "primary": True,
            }
        ],
        "help": ["do"],
        "notes": ["why"],
    }


def test_a_spec_error_reads_as_all_its_diagnostics() -> None:
    found = [problem("E0201", "one", span_of("hh")), problem("E0202", "two", span_of("name"))]
    assert str(SpecError(found)) == f"{render(found[0])}\n\n{render(found[1])}"


def test_the_primary_label_says_where() -> None:
    labels = (Label(span_of("name"), "", primary=False), Label(span_of("hh")))
    assert Diagnostic("E0001", "x", labels).span == span_of("hh")
