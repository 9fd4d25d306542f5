"""The checks bite: every fault of `tests/faults` is caught, by a check that passes without it."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS


def test_there_are_many_faults() -> None:
    assert len(FAULTS) >= 70


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(name: str) -> None:
    fault = FAULTS[name]
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        check = fault.caught_by()
    assert check is not None, "no check sees it"
    check()  # passes without the fault
