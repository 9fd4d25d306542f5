"""Wrong readings of a call of a cell: the numbers that it gives do not arrive."""

from __future__ import annotations

from typing import Any

from rnnspec.frontend.cell_arguments import CallOfCell, CellArgument, Given
from rnnspec.frontend.scope import Scope
from rnnspec.frontend.syntax import Node
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
    """As if the call gave no argument that has a default."""

    def wrong(self: CallOfCell, argument: CellArgument, node: Node, found: Given) -> None:
        if argument.default is None:
            right(self, argument, node, found)
        else:
            self._default(argument, argument.default, found)

    return wrong


def rounded(right: Any) -> Any:
    """As if a number were a size."""

    def wrong(self: Scope, *args: Any, **keywords: Any) -> None:
        right(self, *args, **keywords)
        object.__setattr__(self, "numbers", {name: value // 1 + 1 for name, value in self.numbers.items()})

    return wrong


FAULTS = [
    Fault("a default wins over what is given", attribute(CallOfCell, "_read", defaults_of_all), [given_number_arrives]),
    Fault("a number of a cell is another one", attribute(Scope, "__init__", rounded), [default_arrives]),
]
