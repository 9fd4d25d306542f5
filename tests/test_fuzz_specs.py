"""A few hundred mutants of the specs through the front end; `python -m tests.fuzz_specs` runs more of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rnnspec.diagnostics import Diagnostic, Label, Source, Span, problem
from tests import fuzz_specs
from tests.fuzz_specs import Find, examine, well_made
from tests.mutants import TIERS, Mutant, originals, tokens

BLOCKS, PER_BLOCK = 6, 50


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("tier", TIERS)
def test_mutants(tier: str, block: int, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"bytes": 0, "tokens": 0, tier: PER_BLOCK}
    arguments = [f"--{name}={count}" for name, count in counts.items()]
    failed = fuzz_specs.main([*arguments, f"--seed={block * PER_BLOCK}"])
    assert not failed, capsys.readouterr().out


@pytest.mark.parametrize("tier", TIERS)
def test_mutants_differ_from_each_other_and_reach_every_stage(tier: str) -> None:
    mutants = [TIERS[tier](seed) for seed in range(100)]
    assert mutants == [TIERS[tier](seed) for seed in range(100)]
    assert len({mutant.content for mutant in mutants}) > 90
    outcomes = {examine(mutant)[0] for mutant in mutants}
    assert {code[:3] for code in outcomes} >= {"E00", "E01", "E02", "leg"}
    assert len(outcomes) > 10


def test_tokens_lose_nothing() -> None:
    for text in originals().values():
        assert "".join(tokens(text)) == text


# ------------------------------------------------------------------ the examination notices

SOURCE = Source("x.rnn", "a: 1\n")
GOOD = problem("E0001", "a message", Span(SOURCE, 0, 1))


def bad(**changed: object) -> Diagnostic:
    """A diagnostic with something wrong."""
    return replace(GOOD, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("diagnostic", "message"),
    [
        (bad(code="E9998"), "not in the catalogue"),
        (bad(labels=()), "points nowhere"),
        (bad(labels=(Label(Span(SOURCE, 0, 99)),)), "not inside"),
        (bad(labels=(Label(Span(SOURCE, 3, 1)),)), "not inside"),
        (bad(labels=(Label(Span(SOURCE, 0, 1), primary=False),)), "points nowhere"),
    ],
)
def test_badly_made_diagnostics_are_found(diagnostic: Diagnostic, message: str) -> None:
    well_made([GOOD])
    with pytest.raises(Find, match=re.escape(message)):
        well_made([diagnostic])


def test_an_exception_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(fuzz_specs, "check", broken)
    assert fuzz_specs.main(["--bytes=2", "--tokens=0", "--seed=5"]) == 1
    assert "--bytes 1 --tokens 0 --seed 6" in capsys.readouterr().out


def test_a_slow_check_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_specs, "SECONDS", 0.0)
    with pytest.raises(Find, match="took"):
        examine(Mutant("adding.rnn", originals()["adding.rnn"].encode()))
