"""Orders of a graph: operands first, and the strongly connected components that are its recurrences."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from rnnspec.ir.program import Value

K = TypeVar("K", bound=Hashable)


class Cycle(ValueError):
    """Something that is not a recurrence depends on itself."""


def depth_first(roots: Iterable[K], below: Callable[[K], Sequence[K]]) -> list[K]:
    """Everything below the roots, operands first; raises Cycle.  Iterative: graphs may be deep."""
    done: dict[K, bool] = {}  # False while its operands are visited
    order: list[K] = []
    for root in roots:
        stack: list[tuple[K, Iterator[K]]] = [] if root in done else [(root, iter(below(root)))]
        if stack:
            done[root] = False
        while stack:
            item, rest = stack[-1]
            for arg in rest:
                if arg not in done:
                    done[arg] = False
                    stack.append((arg, iter(below(arg))))
                    break
                if not done[arg]:
                    raise Cycle(f"cycle through {arg}")
            else:
                done[item] = True
                order.append(item)
                stack.pop()
    return order


def sort_values(values: dict[int, Value], roots: Iterable[int]) -> dict[int, Value]:
    """What the roots need, operands first, else in the order given; the operand of a shift may come later.  Raises Cycle."""
    live: set[int] = set()
    pending = list(roots)
    while pending:
        item = pending.pop()
        if item not in live:
            live.add(item)
            pending.extend(values[item].args)
    order = depth_first((i for i in values if i in live), lambda i: now_args(values[i]))
    return {i: values[i] for i in order}


def now_args(value: Value) -> tuple[int, ...]:
    """Operands that must exist before the value does: all but what a shift reads at another step."""
    return value.args[1:] if value.op == "shift" else value.args


def components(items: Iterable[K], below: Callable[[K], Sequence[K]]) -> tuple[dict[K, int], list[list[K]]]:
    """Tarjan's strongly connected components: the number of each item's component, and the members, operands first."""
    index: dict[K, int] = {}
    low: dict[K, int] = {}
    where: dict[K, int] = {}
    found: list[list[K]] = []
    open_items: list[K] = []
    for root in items:
        if root in index:
            continue
        stack: list[tuple[K, Iterator[K]]] = [(root, iter(below(root)))]
        index[root] = low[root] = len(index)
        open_items.append(root)
        while stack:
            item, rest = stack[-1]
            for arg in rest:
                if arg not in index:
                    index[arg] = low[arg] = len(index)
                    open_items.append(arg)
                    stack.append((arg, iter(below(arg))))
                    break
                if arg not in where:
                    low[item] = min(low[item], low[arg])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[item])
                if low[item] == index[item]:
                    members: list[K] = []
                    while not members or members[-1] != item:
                        members.append(open_items.pop())
                        where[members[-1]] = len(found)
                    found.append(members)
    return where, found


def recurrences(values: dict[int, Value]) -> tuple[dict[int, int], dict[int, set[int]]]:
    """The number of each value's component, and by number the members of those that are cycles."""
    where, found = components(values, lambda i: values[i].args)
    return where, {k: set(members) for k, members in enumerate(found) if len(members) > 1}
