"""The page `docs/cells.md` is what the compiler makes of the cells."""

from __future__ import annotations

from docs.cells import page
from tests.pages import read


def test_the_page_is_what_the_compiler_makes_of_the_cells() -> None:
    assert read("docs/cells.md") == page(), "run `python -m docs.cells`"
