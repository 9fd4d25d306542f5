"""Hoist: what is not part of a recurrence leaves the loop.

Strongly connected components of the graph, edges through time included, are the recurrences; each becomes one Loop whose
direction is the sign of its shifts.  Everything else is computed for all steps at once, but for sums over columns and
lines.  These are copies of their operands; taken for some steps at a time, they are still in the cache when they are read.

So that sums and products do not tie down what is free, an n-ary one is split into its free operands and the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from rnnspec.ir.graph import Rewrite
from rnnspec.ir.ops import COMPUTED, ELEMENTWISE, OPS, VIEWS
from rnnspec.ir.order import depth_first, recurrences
from rnnspec.ir.program import Block, Program, Value

SMALL = 4096  # elements a step: below, a call costs more than the memory traffic of doing all steps at once

Stays = Callable[[Value, Program], bool]
"""Whether work that one loop alone reads should be done in it, step by step, and not for all steps in front of it."""


def hoist(program: Program, batch: int) -> Program:
    """The program with its blocks, for a call an operation: maps over all steps, and a loop for each recurrence."""
    program = split(program)
    home = homes(program, lambda value, program: is_large(value, program, batch))
    program = spread_once(program, home)
    return replace(program, blocks=arrange(program, home))


def hoist_products(program: Program) -> Program:
    """The same for a kernel a step: only products leave a loop, all else costs nothing beside what is done there anyway."""
    program = split(program)
    return replace(program, blocks=arrange(program, homes(program, is_fused)))


def is_large(value: Value, program: Program, batch: int) -> bool:
    """Elementwise work on as many elements as a call is worth, and products with a matrix that give more."""
    product = value.op in ("matmul", "lookup") and program.values[value.args[0]].time == "fixed"
    size = batch * math.prod(value.shape)
    return size >= SMALL if value.op in ELEMENTWISE else product and len(value.shape) == 1 and size > SMALL


def is_fused(value: Value, program: Program) -> bool:
    """Elementwise work, and columns of a matrix: one read more in a kernel."""
    return value.op in ELEMENTWISE or value.op == "lookup"


def split(program: Program) -> Program:
    """add(tied, free1, free2) -> add(tied, free) with free = add(free1, free2), and so for products."""
    graph = Rewrite(program)
    where, loops = recurrences(program.values)
    for value in program.values.values():
        graph.origin, graph.hint = value.origin, value.name
        free = [a for a in value.args if where[a] != where[value.id]]
        if OPS[value.op].commutative and where[value.id] in loops and len(free) > 1:
            tied = [graph.new(a) for a in value.args if where[a] == where[value.id]]
            rest = graph.emit(value.op, *map(graph.new, free), name=f"{value.name}_free")
            made = graph.emit(value.op, *tied, rest, name=value.name)
        else:
            made = graph.rebuild(value)
        graph.replace(value.id, made)
    return graph.done()


def homes(program: Program, stays: Stays) -> dict[int, int]:
    """The loop of every value that is computed in one: members of recurrences, and what stays with them.

    A product for all steps is a product for each step all the same; what a loop saves is writing and reading the result.
    """
    loops = recurrences(program.values)[1]
    home = {i: k for k, members in loops.items() for i in members}
    users, roots = program.users(), program.roots.ids()

    def readers(item: int) -> Iterator[int | None]:
        for user in users[item]:
            if user.op == "shift":
                yield None
            elif user.op in VIEWS:
                yield from readers(user.id)
            else:
                yield home.get(user.id)

    for value in reversed(program.values.values()):
        if value.id not in home and value.time == "step" and value.id not in roots and stays(value, program):
            found = set(readers(value.id))
            if len(found) == 1 and None not in found:
                home[value.id] = next(k for k in found if k is not None)
    return home


def spread_once(program: Program, home: dict[int, int]) -> Program:
    """Parameters that a loop adds or multiplies are repeated over the sequences once, in front of it, not at every step."""
    users = program.users()
    values: dict[int, Value] = {}
    for value in program.values.values():
        parameter = value.op == "expand" and value.time == "step" and program.values[value.args[0]].time == "fixed"
        constant = parameter and program.values[value.args[0]].op == "constant"
        if parameter and not constant and any(u.op in ELEMENTWISE and u.id in home for u in users[value.id]):
            first = max(program.values) + 2 * len(values) + 1
            over = replace(value, id=first, time="sequence", attr="sequence")
            copy = replace(over, id=first + 1, op="copy", args=(first,), attr=None)
            values |= {over.id: over, copy.id: copy}
            value = replace(value, args=(copy.id,))
        values[value.id] = value
    return replace(program, values=values)


def arrange(program: Program, home: dict[int, int]) -> tuple[Block, ...]:
    """Blocks in an order of dependency, as close to the order of the program as it allows."""
    values = program.values
    members: dict[int, list[int]] = {}
    for i in values:
        if i in home:
            members.setdefault(home[i], []).append(i)

    def group(item: int) -> int:
        """Loops are visited as a whole, under the identity of their first member."""
        return members[home[item]][0] if item in home else item

    def computed(item: int) -> Iterator[int]:
        """What must have been computed before a value is read: itself, or what a view shows."""
        if values[item].op in VIEWS and item not in home:
            for arg in values[item].args:
                yield from computed(arg)
        else:
            yield group(item)

    def below(item: int) -> list[int]:
        inside = members.get(home.get(item, -1), [item])
        return list(dict.fromkeys(g for i in inside for a in values[i].args for g in computed(a) if g != item))

    blocks: list[Block] = []
    first = [*(v for _, v in program.roots.outputs), program.roots.loss]  # a script that predicts runs up to the loss
    for item in depth_first(dict.fromkeys(map(group, [*first, *values])), below):
        inside = members.get(home.get(item, -1), [item])
        made = tuple(i for i in inside if values[i].op in COMPUTED)
        if item in home:
            lag = next(values[i].attr for i in inside if values[i].op == "shift")
            blocks.append(Block("loop", made, 1 if lag > 0 else -1))
        elif made:
            if not blocks or blocks[-1].kind == "loop":
                blocks.append(Block("map", ()))
            blocks[-1] = Block("map", blocks[-1].ids + made)
    return sums_last(values, blocks)


def sums_last(values: Mapping[int, Value], blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Sums over columns and lines, together behind the last loop: no step reads them, nor what is made of them."""
    order = [i for block in blocks for i in block.ids]
    parts = [i for i in order if any(values[x].time in ("flat", "lines") for x in (i, *values[i].args))]
    late = set(parts)

    def is_late(item: int) -> bool:
        return item in late or (values[item].op in VIEWS and any(map(is_late, values[item].args)))

    for item in order:
        if any(map(is_late, values[item].args)):
            late.add(item)
    found = [replace(block, ids=tuple(i for i in block.ids if i not in late)) for block in blocks]
    found += [Block("parts", tuple(parts)), Block("map", tuple(i for i in order if i in late and i not in parts))]
    return tuple(block for block in found if block.ids)
