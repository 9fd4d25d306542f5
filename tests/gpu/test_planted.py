"""The checks of GPU scripts bite: each mistake that is planted is seen, by a check that passes without it."""

from __future__ import annotations

import pytest

from tests.corpus import FOLDER
from tests.gpu.gpu_scripts import compiled
from tests.gpu.marks import needs_compiler
from tests.gpu.planted import MISTAKES, SEEN, check

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(FOLDER))


@pytest.mark.parametrize("spec", sorted({mistake.spec for mistake in MISTAKES.values()}))
def test_without_a_mistake_there_is_nothing_to_see(spec: str) -> None:
    check(spec, compiled(spec).source)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_seen(name: str) -> None:
    mistake = MISTAKES[name]
    with pytest.raises(SEEN):
        check(mistake.spec, mistake.planted())
