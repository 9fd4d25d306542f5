"""Options of the test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites the expected texts of tests/bad, except the messages that the language promises."""
    parser.addoption("--update-golden", action="store_true", help="rewrite expected messages")
