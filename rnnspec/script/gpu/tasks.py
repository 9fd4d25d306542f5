"""What runs as one launch: values of a block gathered into kernels, between the products that a library computes.

A value can be computed by the kernel that computes its operands, unless it reads them at another step or of another sequence:
then these must have been written before, by an earlier launch.  Stages count the launches that must come before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rnnspec.ir.ops import COMPUTED, SUMS
from rnnspec.ir.order import components
from rnnspec.ir.program import Program, Time, Value
from rnnspec.script.gpu import places, reads


@dataclass(frozen=True)
class Product:
    """A value that the library of matrix products computes."""

    id: int


@dataclass(frozen=True)
class Kernel:
    """Values that one launch computes, for each step and sequence (`step`), each sequence, or once (`fixed`).

    With a direction, it goes through time itself, forwards or backwards; with `grid`, all its blocks wait for each other.
    """

    ids: tuple[int, ...]
    time: Time
    direction: int = 0
    grid: bool = False


@dataclass(frozen=True)
class Loop:
    """Launches of every step, one step after another; `together` is a kernel that does the same in one."""

    tasks: tuple[Product | Kernel, ...]
    direction: int
    together: Kernel | None = None


Task = Product | Kernel | Loop

Edges = Callable[[int], Iterator[tuple[int, bool]]]


@dataclass(frozen=True)
class Schedule:
    """All launches: up to the loss, and behind it; `values` has those of the program and the starts that are written."""

    values: dict[int, Value]
    forward: tuple[Task, ...]
    backward: tuple[Task, ...]


def schedule(program: Program) -> Schedule:
    """The launches of a program with blocks."""
    values, readers = with_starts(program)
    forward: list[Task] = []
    backward: list[Task] = []
    current = forward
    done: set[int] = set()
    for block in program.blocks:
        starts = [s for s, users in readers.items() if s not in done and users & set(block.ids)]
        done.update(starts)
        if block.kind == "loop":
            current += launches(values, starts, readers)
            current.append(Loop(tuple(launches(values, block.ids, readers, inside=True)), block.direction))
            continue
        cut = block.ids.index(program.roots.loss) + 1 if program.roots.loss in block.ids else 0
        head = [s for s in starts if readers[s] & set(block.ids[:cut])] if cut else []
        if cut:
            current += launches(values, [*head, *block.ids[:cut]], readers)
            current = backward
        current += launches(values, [*(s for s in starts if s not in head), *block.ids[cut:]], readers)
    return Schedule(values, tuple(forward), tuple(backward))


def with_starts(program: Program) -> tuple[dict[int, Value], dict[int, set[int]]]:
    """The values, one more for each start that is written in front of a state, and by start the values that read it."""
    values = dict(program.values)
    readers: dict[int, set[int]] = {}
    written: dict[tuple[int, int, bool], int] = {}
    count = max(values) + 1
    for shift in program.values.values():
        if shift.op == "shift" and len(shift.args) > 1:
            users = set(computed_users(program, shift.id))
            base, lag = places.base(values, shift.args[0])
            for k, start in enumerate(shift.args[1:] if users else ()):
                place = (base, lag + k if shift.attr > 0 else lag - k, shift.attr > 0)
                if place in written:  # the same start, read at another lag
                    readers[written[place]] |= users
                    continue
                written[place] = count
                values[count] = replace(
                    shift, id=count, op="start", args=(start,), time="sequence", name=f"{shift.name}_start", attr=(shift.id, k)
                )
                readers[count] = users
                count += 1
    return values, readers


def computed_users(program: Program, item: int) -> Iterator[int]:
    """The operations that read a value, views looked through."""
    users = program.users()
    pending = [item]
    while pending:
        for user in users[pending.pop()]:
            if user.op in COMPUTED:
                yield user.id
            else:
                pending.append(user.id)


def launches(
    values: dict[int, Value], ids: Iterable[int], starts: dict[int, set[int]], inside: bool = False
) -> list[Product | Kernel]:
    """The launches that compute some values, all else having been computed; `inside` a loop, earlier steps exist."""
    ids = tuple(sorted(ids, key=lambda i: i in starts))  # a start stands behind what it is made of
    members = set(ids)

    def edges(item: int) -> Iterator[tuple[int, bool]]:
        """The operands that are computed here, and whether another launch must have done it."""
        value = values[item]
        own = reads.is_product(value, values)
        for k, arg in enumerate(value.args):
            operand, lag = places.base(values, arg)
            if operand not in members or (inside and lag) or reads.how(value, k) == "unread":
                continue
            apart = lag != 0 or reads.how(value, k) == "across" or values[operand].time != value.time
            apart |= values[operand].op in SUMS  # these have a kernel of their own
            yield operand, own or apart or reads.is_product(values[operand], values)
        yield from ((start, True) for start, users in starts.items() if start in members and item in users)

    stage: dict[int, int] = {}
    for item in ids:
        _settle(item, edges, stage)
    _wait(ids, edges, stage, values)
    found: list[Product | Kernel] = []
    for number in sorted(set(stage.values())):
        here = [i for i in ids if stage[i] == number]
        found += [Product(i) for i in here if reads.is_product(values[i], values)]
        rest = [i for i in here if not reads.is_product(values[i], values)]
        for time in dict.fromkeys(values[i].time for i in rest):
            found += kernels(values, [i for i in rest if values[i].time == time], time)
    return found


def _settle(item: int, edges: Edges, stage: dict[int, int]) -> int:
    """The earliest stage of a value."""
    if item not in stage:
        stage[item] = max((_settle(operand, edges, stage) + apart for operand, apart in edges(item)), default=0)
    return stage[item]


def _wait(ids: tuple[int, ...], edges: Edges, stage: dict[int, int], values: dict[int, Value]) -> None:
    """Values that only later launches read are computed by the first of these."""
    latest: dict[int, int] = {}
    for item in reversed(ids):
        if item in latest and not reads.is_product(values[item], values) and values[item].op not in SUMS | {"start"}:
            stage[item] = max(stage[item], latest[item])
        for operand, apart in edges(item):
            latest[operand] = min(latest.get(operand, stage[item]), stage[item] - apart)


def kernels(values: dict[int, Value], ids: list[int], time: Time) -> list[Kernel]:
    """Kernels of values that may share one: each of those that belong together; sums over steps and sequences are alone."""
    together = {i for i in ids if values[i].op not in SUMS}
    below = {i: {places.base(values, a)[0] for a in values[i].args} & together for i in together}
    linked: dict[int, list[int]] = {i: list(operands) for i, operands in below.items()}
    for item, operands in below.items():
        for operand in operands:
            linked[operand].append(item)
    _, found = components(sorted(together, key=ids.index), linked.__getitem__)
    alone = [Kernel((i,), time) for i in ids if i not in together]
    return [Kernel(tuple(i for i in ids if i in members), time) for members in map(set, found)] + alone
