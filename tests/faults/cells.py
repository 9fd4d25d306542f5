"""Wrong readings of a call of a cell: the numbers that it gives do not arrive."""

from __future__ import annotations

from typing import Any

from rnnspec.frontend.cell_arguments import CallOfCell
from rnnspec.frontend.scope import Scope
from tests.cells import gated, harness
from tests.faults.planting import Fault, attribute


def given_number_arrives() -> None:
    """JANET with another beta than by default."""
    row = next(row for row in gated.ROWS if "beta" in row.args)
    harness.compiled.cache_clear()
    harness.check_row(row)


def default_arrives() -> None:
    """JANET with its own beta."""
    harness.compiled.cache_clear()
    harness.check_row(harness.Row("janet", gated.van_der_westhuizen))


def defaults_of_all(right: Any) -> Any:
    """As if the call gave no argument by name."""
    return lambda self, names, found: right(self, [name for name in names if name == "units"], found)


def rounded(right: Any) -> Any:
    """As if a number were a size."""

    def wrong(self: Scope, *args: Any, **keywords: Any) -> None:
        right(self, *args, **keywords)
        object.__setattr__(self, "numbers", {name: value // 1 + 1 for name, value in self.numbers.items()})

    return wrong


FAULTS = [
    Fault("a default wins over what is given", attribute(CallOfCell, "_defaults", defaults_of_all), [given_number_arrives]),
    Fault("a number of a cell is another one", attribute(Scope, "__init__", rounded), [default_arrives]),
]
