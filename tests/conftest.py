"""Options of the test suite."""

from __future__ import annotations

import os

import pytest

for library in ("OPENBLAS", "OMP", "MKL"):  # several workers with several threads each would only wait for each other
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites the expected texts of tests/bad, except the messages that the language promises."""
    parser.addoption("--update-golden", action="store_true", help="rewrite expected messages")
