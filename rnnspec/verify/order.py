"""The order in which a reference computes the equations of a model.

Everything follows from what each equation can reach through what it reads.  Two equations need each other exactly if
they reach the same equations; and an equation reaches more than any other that it merely reads.  So equal reach makes a
group, and sorting by the size of the reach puts every group behind those that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnspec.frontend.typed import Equation, Expr, Last, Model, Read, walk


@dataclass(frozen=True)
class Group:
    """Equations that need each other, in the order of one step.  Direction -1 runs from the last step to the first."""

    equations: tuple[Equation, ...]
    direction: int
    held: frozenset[str]  # read at an earlier step inside the group: these keep their value behind a sequence's end


def groups(model: Model) -> tuple[Group, ...]:
    """The equations of a model in groups, each behind the groups that it reads."""
    names = {e.name for e in model.equations}
    needs = {e.name: _names_in(e.expr) & names for e in model.equations}
    for start in model.starts:
        needs[start.name] |= _names_in(start.expr) & names
    reach = _closure(needs)
    reach_in_step = _closure({e.name: _names_in(e.expr, in_step=True) & names for e in model.equations})
    together: dict[frozenset[str], list[Equation]] = {}
    for equation in sorted(model.equations, key=lambda e: (len(reach[e.name]), len(reach_in_step[e.name]))):
        together.setdefault(reach[equation.name], []).append(equation)
    return tuple(_group(members) for members in together.values())


def _group(equations: list[Equation]) -> Group:
    """The direction of a group is the sign of the lags at which its members read each other."""
    members = {e.name for e in equations}
    inside = [n for e in equations for n in walk(e.expr) if isinstance(n, Read) and n.name in members]
    direction = -1 if any(n.lag < 0 for n in inside) else 1
    return Group(tuple(equations), direction, frozenset(n.name for n in inside if n.lag > 0))


def _names_in(expr: Expr, in_step: bool = False) -> set[str]:
    """The names that an expression reads, or only those that it reads at the same step."""
    reads = (n for n in walk(expr) if isinstance(n, (Read, Last)))
    return {n.name for n in reads if not in_step or (isinstance(n, Read) and n.lag == 0)}


def _closure(needs: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """For each name itself and everything that it needs, directly or not."""
    reach = {name: frozenset((name, *needed)) for name, needed in needs.items()}
    while True:
        further = {name: frozenset().union(*(reach[n] for n in found)) for name, found in reach.items()}
        if further == reach:
            return reach
        reach = further
