"""Wrong specs and the exact text of what is said about them: every file of tests/bad has its message beside it.

The files that start with a number are the messages that the description of the language promises, word for word; their
texts are never rewritten.  The others can be, with `--update-golden`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnspec.diagnostics import CATALOGUE, render
from rnnspec.frontend.check import check

BAD = Path(__file__).parent / "bad"
SPECS = sorted(BAD.glob("*.rnn"))
PROMISED = 39


def is_promised(spec: Path) -> bool:
    """Whether the message of a spec is part of the language."""
    return spec.name[0].isdigit()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_message(spec: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)  # data files are looked for beside the spec
    _, diagnostics = check(spec.read_bytes())
    said = "\n\n".join(map(render, diagnostics)) + "\n"
    golden = spec.with_suffix(".txt")
    if request.config.getoption("--update-golden") and not is_promised(spec):
        golden.write_text(said, encoding="utf-8", newline="\n")
    assert golden.is_file(), f"{golden.name} is missing: write it with --update-golden"
    assert said == golden.read_text(encoding="utf-8")


def test_all_promised_messages_are_here() -> None:
    numbers = [int(spec.name[:2]) for spec in SPECS if is_promised(spec)]
    assert numbers == list(range(1, PROMISED + 1))


def test_every_code_has_a_wrong_spec() -> None:
    texts = (spec.with_suffix(".txt").read_text(encoding="utf-8") for spec in SPECS)
    shown = {code for text in texts for code in re.findall(r"^(?:error|warning)\[(\w+)\]", text, re.MULTILINE)}
    assert shown == set(CATALOGUE)


def test_no_file_is_an_orphan() -> None:
    files = {path.name for path in BAD.iterdir() if path.is_file()}
    assert files == {name for spec in SPECS for name in (spec.name, spec.with_suffix(".txt").name)}
