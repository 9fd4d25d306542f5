"""Wrong sources: lines of a script that read data, fill it in, scale it and cut it, and those that make it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jinja2
import pytest

from rnnspec.script.templates import environment
from tests import test_csv, test_finite, test_json_lines, test_series, test_sources, test_tasks, test_texts
from tests.faults.planting import Fault, Plant, text

FOLDERS = (test_csv, test_json_lines, test_series, test_sources, test_texts)
"""Tests with a folder, into which a fixture writes what they read."""


def template(name: str, old: str, new: str) -> Plant:
    """Another text in a template."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for here in (environment(), environment("cpu")):  # that of sources, that of scripts
            patch.setattr(here, "loader", jinja2.FunctionLoader(partial(load, here, here.loader)))
            patch.setattr(here, "cache", None)

    def load(here: jinja2.Environment, right: jinja2.BaseLoader, wanted: str) -> str:
        found = right.get_source(here, wanted)[0]
        return text(old, new)(found) if wanted == f"{name}.py.j2" else found

    return plant


@dataclass(frozen=True)
class Anew:
    """A test, for which everything is compiled again, with a folder of its own if it needs one."""

    test: Callable[..., None]
    arguments: tuple[Any, ...] = ()

    def __call__(self) -> None:
        made = [module.folder for module in FOLDERS if module.__name__ == self.test.__module__]
        test_tasks.compiled.cache_clear()
        try:
            with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
                folder = [fixture._get_wrapped_function()(Path(name), patch) for fixture in made]
                self.test(*self.arguments, *folder[: "folder" in self.test.__annotations__])
        finally:
            test_tasks.compiled.cache_clear()


def seen_by(test: Callable[..., None], *arguments: Any) -> list[Anew]:
    """A test with its arguments."""
    return [Anew(test, arguments)]


def refused_later() -> None:
    """A script refuses what is no number."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        test_finite.test_a_script_refuses_them_in_data_that_came_later("npz", Path(name), patch)


def words_in_pieces() -> None:
    """A text that is read in pieces."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = test_texts.folder._get_wrapped_function()(Path(name), patch)  # type: ignore[attr-defined]
        test_texts.test_words_are_not_cut_where_a_piece_ends(folder, patch)


LANE, WIDE = "np.arange(lanes) * (steps // lanes)", "np.arange(lanes) * (steps // lanes - 1)"
BETWEEN, ENDS = "np.interp(t, t[known], column[known])", "np.interp(t, t[known][[0, -1]], column[known][[0, -1]])"
BEFORE, AFTER = "np.maximum.accumulate(known)", "np.where(known, known, np.arange(1, len(known) + 1) % len(known))"
ARRAYS = "made[row, : len(array)] = array"
HARD = (AssertionError, ValueError, IndexError, SystemExit, pytest.fail.Exception)
"""What wrong data may lead to."""

VARYING = test_series.test_series_of_unequal_length_with_a_test_part_of_its_own
BRACKETS = test_tasks.test_words_of_brackets

FILES = (
    Fault("what is missing is the mean of all parts", template("missing/mean", "column[low:high]", "column"),
          seen_by(test_csv.test_missing_numbers, "mean")),
    Fault("what is missing comes from the next step", template("missing/forward", BEFORE, AFTER),
          seen_by(test_csv.test_missing_numbers, "forward")),
    Fault("a line from the first to the last number", template("missing/linear", BETWEEN, ENDS),
          seen_by(test_csv.test_missing_numbers, "linear")),
    Fault("all parts decide what the mean is", template("stream", "column[fitted].mean()", "column.mean()"),
          seen_by(test_csv.test_the_training_part_alone_decides_how_numbers_are_scaled)),
    Fault("all parts decide what the deviation is", template("stream", "column[fitted].std()", "column.std()"),
          seen_by(test_sources.test_csv_is_normalised_by_its_training_part)),
    Fault("lanes of a stream overlap", template("stream", LANE, WIDE), seen_by(test_sources.test_text_in_lanes_and_windows)),
    Fault("parts of a stream overlap", template("stream", "- {{ data.ahead }}", "+ 3"),
          seen_by(test_sources.test_split_cuts_a_stream_in_order), HARD),
    Fault("parts are cut from sequences in order", template("sequences", "order[low:high]", "np.arange(low, high)"),
          seen_by(test_sources.test_npz_with_lengths)),
    Fault("there is something behind the end", template("sequences", "[outside] = 0", "[outside] += 0"),
          seen_by(test_sources.test_npz_with_lengths)),
    Fault("numbers may be missing", template("sequences", "~np.isfinite(found[name])", "np.isinf(found[name])"),
          [refused_later], HARD),
    Fault("a line loses its last step", template("sources/jsonl", ARRAYS, "made[row, : len(array) - 1] = array[:-1]"),
          seen_by(test_json_lines.test_lines_of_json)),
    Fault("every line is one step long", template("sources/jsonl", "[max(len(row[name]) for", "[max(1 for"),
          seen_by(test_json_lines.test_lines_of_json)),
    Fault("dimensions of a series are its steps", template("sources/ts", "float).T, label", "float), label"),
          seen_by(VARYING), HARD),
    Fault("classes of series are exchanged", template("sources/ts", "LABELS.index(", "LABELS[::-1].index("), seen_by(VARYING)),
    Fault("documents without a border", template("texts/joined", "file.write({{ boundary }}.encode())", "pass"),
          seen_by(test_texts.test_several_files_with_a_boundary, "byte", "|", '"?.txt"')),
    Fault("words end where a piece does", template("texts/pieces", "(more := file.read(1))", "(more := file.read(0))"),
          [words_in_pieces], HARD),
    Fault("words that are rare are left out", template("texts/word", "[table.get(word, other) for word in words]",
          "[table[word] for word in words if word in table]"), seen_by(test_texts.test_the_most_frequent_words)),
)  # fmt: skip

TASKS = (
    Fault("both marks in one half", template("sources/adding", "rng.integers(T // 2, T, n)", "rng.integers(0, T, n)"),
          seen_by(test_sources.test_adding)),
    Fault("the signal comes a step late", template("sources/copy_task", "[:, length + delay] =", "[:, length + delay + 1] ="),
          seen_by(test_sources.test_copy_task, 4)),
    Fault("recalled a step early", template("sources/recall", "ids[:, : length - delay]", "ids[:, 1 : length - delay + 1]"),
          seen_by(test_sources.test_recall, 2)),
    Fault("the number of zeros is odd", template("sources/parity", "cumsum(ids", "cumsum(1 - ids"),
          seen_by(test_tasks.test_parity)),
    Fault("a mistake in a word is forgotten", template("sources/dyck", "broken |=", "broken ="), seen_by(BRACKETS)),
    Fault("a letter too few", template("sources/anbn", "t <= letters", "t < letters"),
          seen_by(test_tasks.test_equally_many_letters)),
    Fault("an arc to another state", template("sources/reber", '"T3 V5"', '"T4 V5"'),
          seen_by(test_tasks.test_reber_words, False)),
    Fault("another symbol before the last", template("sources/reber", "{inner}{outer}E", "{inner}TE"),
          seen_by(test_tasks.test_reber_words, True)),
    Fault("waves of half the period", template("sources/sine", "2 * np.pi", "4 * np.pi"), seen_by(test_tasks.test_sine_waves)),
    Fault("the delay is half a step too short", template("sources/mackey_glass", "* k2, middle)", "* k2, c)"),
          seen_by(test_tasks.test_mackey_glass)),
    Fault("a slope is used twice", template("sources/lorenz", "s + dt / 2 * k2", "s + dt / 2 * k1"),
          seen_by(test_tasks.test_lorenz)),
)  # fmt: skip

FAULTS = FILES + TASKS
