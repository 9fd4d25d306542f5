"""The results that people know: each row is a spec that compiles, and its figure goes to its place in the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.known import RESULTS
from rnnspec.frontend.check import check


@pytest.mark.parametrize("name", [name for name, result in RESULTS.items() if result.prepare is None])
def test_every_result_is_a_spec(name: str) -> None:
    if RESULTS[name].package:
        pytest.importorskip(RESULTS[name].package)
    spec, problems = check(results.spec_text(RESULTS[name]))
    assert spec is not None, problems


def test_a_result_is_made_again_and_written_to_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "results.md"
    page.write_text("| name |\n| --- |\n| `other` | 1 |\n\nThe end.\n")
    monkeypatch.setattr(results, "PAGE", page)
    quick = (("steps: 6000", "steps: 3"), ("sequences=40000", "sequences=400"), ("validate: 500", "validate: 3"))
    monkeypatch.setitem(RESULTS, "quick", results.Result("three steps", "adding.rnn", "nothing", quick))
    for _ in range(2):
        assert results.main(["quick", "--write"]) == 0
    name, other, end = page.read_text().splitlines()[2:3], page.read_text().count("`quick`"), page.read_text().splitlines()[-1]
    assert (name, other, end) == (["| `other` | 1 |"], 1, "The end.")
    assert "| three steps | " in page.read_text() and "| nothing | 3 |" in page.read_text()


def test_a_change_that_finds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="is not there once"):
        results.spec_text(results.Result("", "adding.rnn", "", (("no such text", ""),)))
