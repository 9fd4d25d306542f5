"""Hostile specs: each is refused with a code, in little time and memory, and nothing else happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rnnspec.diagnostics import CATALOGUE
from tests.hostile import GOOD, HOSTILE

if not sys.platform.startswith("linux"):
    pytest.skip("limits on memory are those of Linux", allow_module_level=True)

from tests.guarded import Guard, Verdict

SECONDS = 2.0
MEGABYTES = 200.0

OVERRIDES = {
    "no section": "=1",
    "no value": "train.batch=",
    "5,000 digits": "train.batch=" + "9" * 5000,
    "a surrogate": "name=\ud800",
    "a NUL": "name=a\0b",
    "an escape of a terminal": "name=\x1b[31mred",
    "100,000 brackets": "train.optimizer=" + "(" * 100_000,
    "100,000 words": "train" + ".a" * 100_000 + "=1",
    "a thousand billion": "dims.H=1000000000000",
    "lines": "name=a\nb: c",
    "a tag": "name=!!python/name:os.system",
    "an attribute": "model.__class__=1",
}


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    """One process for all tests of this file."""
    with Guard() as process:
        yield process


def quietly(verdict: Verdict) -> None:
    """Nothing broke, and what is printed cannot disturb a terminal."""
    assert not verdict.trouble
    assert verdict.outside == 0
    assert verdict.seconds < SECONDS
    assert verdict.megabytes < MEGABYTES
    assert all(character.isprintable() or character in "\n\u202e" for character in verdict.text)
    assert max(map(len, verdict.text.split("\n"))) < 5000


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_spec_is_refused(case: str, guard: Guard) -> None:
    verdict = guard.judge(HOSTILE[case])
    quietly(verdict)
    assert not verdict.accepted and verdict.codes
    assert set(verdict.codes) <= set(CATALOGUE)


@pytest.mark.parametrize("case", OVERRIDES)
def test_a_hostile_override_is_refused(case: str, guard: Guard) -> None:
    verdict = guard.judge(GOOD.encode(), [OVERRIDES[case]])
    quietly(verdict)
    assert not verdict.accepted and verdict.codes


def test_what_the_cases_are_made_of_is_fine(guard: Guard) -> None:
    verdict = guard.judge(GOOD.encode())
    quietly(verdict)
    assert verdict.accepted and not verdict.codes


def test_the_guard_notices(guard: Guard) -> None:
    assert "Error" in guard.judge(GOOD.encode(), [5]).trouble  # type: ignore[list-item]
