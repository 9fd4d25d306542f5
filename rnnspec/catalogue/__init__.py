"""The catalogue of error codes: what `rnnspec explain CODE` prints.

The examples are the sections of a spec that matter.  A test puts them into a working spec (`BASE` in
tests/test_catalogue.py) and checks that the wrong one gives its code and that the right one gives no error.
"""

from __future__ import annotations

from rnnspec.catalogue.entry import Entry
from rnnspec.catalogue.model import NAMES, PARAMETERS, SHAPES, TIME
from rnnspec.catalogue.settings import DATA, SETTINGS
from rnnspec.catalogue.text import FILE, SYNTAX

__all__ = ["CATALOGUE", "Entry"]

CATALOGUE: dict[str, Entry] = {**FILE, **SYNTAX, **NAMES, **SHAPES, **TIME, **PARAMETERS, **SETTINGS, **DATA}
"""Code -> entry."""
