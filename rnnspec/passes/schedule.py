"""The textbook schedule: as few loops as possible, every equation in a loop over time.

Forward values go into loops that run forwards unless a recurrence runs backwards; adjoints the other way.  A value joins the
last block in which everything that it reads exists: at the same step, at a step that the loop has passed, or complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rnnspec.ir.ops import COMPUTED, LEAVES, SUMS, VIEWS, WHOLE
from rnnspec.ir.order import depth_first, recurrences, sort_values
from rnnspec.ir.program import Block, Program, Value


def schedule(program: Program) -> Program:
    """The program with one loop each way, or as few as its recurrences allow."""
    forward = sort_values(program.values, [program.roots.loss, *(v for _, v in program.roots.outputs)])
    first = Scheduler(program, set(forward), 1)
    second = Scheduler(program, set(program.values) - set(forward), -1)
    return replace(program, blocks=(*first.blocks(), *second.blocks()))


class Scheduler:
    """Blocks under construction for some of the values; all others exist before."""

    def __init__(self, program: Program, chosen: set[int], direction: int) -> None:
        self.program, self.values, self.chosen, self.usual = program, program.values, chosen, direction
        self.block_of: dict[int, int] = {}
        self.members: list[list[int]] = []
        self.directions: list[int] = []
        self.committed: list[bool] = []  # has something in the block settled its direction?
        where, loops = recurrences(self.values)
        self.group = {i: loops.get(where[i], {i}) for i in self.values}
        place = {i: k for k, i in enumerate(self.values)}
        order = self._order()
        for item in [i for i in order if not self._can_wait(i)] + order:
            self._place(sorted(self.group[item], key=place.__getitem__))

    def blocks(self) -> Iterator[Block]:
        """What was placed, in order."""
        for members, direction in zip(self.members, self.directions, strict=True):
            yield Block("loop" if direction else "map", tuple(members), direction)

    def _order(self) -> list[int]:
        """One member of each recurrence and every other chosen value, operands first."""
        head = {i: min(self.group[i]) for i in self.values}

        def below(item: int) -> list[int]:
            found = dict.fromkeys(head[a] for i in self.group[item] for a in self.values[i].args)
            return [g for g in found if g != item]

        return depth_first(dict.fromkeys(head[i] for i in self.values if i in self.chosen), below)

    def _can_wait(self, item: int) -> bool:
        """Is it computed step by step, outside of recurrences?  Then it goes into the loop that first needs it."""
        return len(self.group[item]) == 1 and self.values[item].time == "step" and self.values[item].op not in SUMS

    def _place(self, members: list[int]) -> None:
        """Find a block for a value or recurrence, and for what it reads and nothing has needed before."""
        if any(i in self.block_of for i in members):
            return
        waiting = [i for m in members for i in self._waiting(m, members)]
        lags = [self.values[i].attr for i in members if self.values[i].op == "shift"] if len(members) > 1 else []
        members = [i for i in dict.fromkeys([*waiting, *members]) if i in self.chosen and i not in self.block_of]
        computed = [i for i in members if self.values[i].op in COMPUTED]
        if not computed:
            return
        wanted = (1 if lags[0] > 0 else -1) if lags else 0
        timed = any(self._is_timed(self.values[i]) for i in computed)
        number = self._block_for(members, wanted, timed)
        self.members[number] += computed
        self.block_of.update(dict.fromkeys(computed, number))

    def _waiting(self, item: int, members: list[int], lagged: bool = False) -> Iterator[int]:
        """Operands that have no block yet, operands first; those of other steps get one before."""
        value = self.values[item]
        for k, arg in enumerate(value.args):
            if arg in members or arg in self.block_of or arg not in self.chosen:
                continue
            aside = value.op in WHOLE or (value.op == "shift" and k == 0) or (lagged and value.op in VIEWS)
            if self.values[arg].op in VIEWS:
                yield from self._waiting(arg, members, aside)
            elif self.values[arg].op in LEAVES:
                continue
            elif aside or not self._can_wait(arg):
                self._place(sorted(self.group[arg], key=list(self.values).index))
            else:
                yield from self._waiting(arg, members)
                yield arg

    def _is_timed(self, value: Value) -> bool:
        """Is it computed step by step?"""
        operand = self.values[value.args[0]] if value.args else value
        return value.time == "step" or (value.op in SUMS and operand.time == "step")

    def _block_for(self, members: list[int], wanted: int, timed: bool) -> int:
        """The last block that can take these values; a new one where none can."""
        for number in reversed(range(len(self.members))):
            direction = self.directions[number]
            turned = wanted if wanted and direction and not self.committed[number] else direction
            fits = turned != 0 and wanted in (0, turned) if timed else turned == 0
            if fits and all(self._exists(i, number, turned) for i in members):
                self.directions[number] = turned
                self.committed[number] |= wanted != 0 or any(self._looks_aside(i, number) for i in members)
                return number
        self.members.append([])
        self.directions.append((wanted or self.usual) if timed else 0)
        self.committed.append(wanted != 0)
        return len(self.members) - 1

    def _looks_aside(self, item: int, number: int) -> bool:
        """Does a value read another step of something in this block?  Then the direction of the block cannot change."""
        return any(self._lagged(a, number, 0) for a in self.values[item].args)

    def _lagged(self, item: int, number: int, lag: int) -> bool:
        value = self.values[item]
        if value.op in VIEWS:
            shift = value.attr if value.op == "shift" else 0
            return any(self._lagged(a, number, shift or lag if k == 0 else 0) for k, a in enumerate(value.args))
        return lag != 0 and self.block_of.get(item) == number

    def _exists(self, item: int, number: int, direction: int) -> bool:
        """Does everything that a value reads from outside its recurrence exist in this block?"""
        value = self.values[item]
        inside = self.group[item] if len(self.group[item]) > 1 else set()
        return all(
            self._readable(a, number, direction, value.op in WHOLE, value.attr if k == 0 and value.op == "shift" else 0)
            for k, a in enumerate(value.args)
            if a not in inside
        )

    def _readable(self, item: int, number: int, direction: int, whole: bool, lag: int) -> bool:
        value = self.values[item]
        if value.op in VIEWS:
            shift = value.attr if value.op == "shift" else 0
            return all(
                self._readable(a, number, direction, whole, shift or lag if k == 0 else 0) for k, a in enumerate(value.args)
            )
        made = self.block_of.get(item)
        if made is None:  # a leaf, or something made before
            return True
        complete = whole or value.op in SUMS or lag * direction < 0
        return made < number if complete else made <= number
