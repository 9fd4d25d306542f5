"""Which check catches which fault: `python -m tests.faults [NAME ...]`; for when the random models have changed."""

from __future__ import annotations

import sys
import time

import pytest

from tests.faults import FAULTS

for name in sys.argv[1:] or FAULTS:
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        FAULTS[name].plant(patch)
        check = FAULTS[name].caught_by()
    print(f"{name}: {check}   [{time.monotonic() - began:.0f} s]", flush=True)
