"""Place: all storage exists before the program runs; operations write into it.

A region is a range of rows of a buffer.  Buffers with time hold one slice a step, plus slices in front or behind for values
read at another step.  Values are placed consumers first, so that a producer can be offered the place of the value made from
it.  Every offer is checked against the live intervals of what else is in those rows; an offer that is refused costs a copy or
a buffer, never correctness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rnnspec.ir.ops import COMPUTED, DATA, ELEMENTWISE, VIEWS, is_condition
from rnnspec.ir.program import Program, Value
from rnnspec.ir.storage import Buffer, Copy, Life, Placement, Region, Storage, resolve


def place(program: Program, windows: bool = False) -> Placement:
    """The storage of a scheduled program; `windows`: states survive from one window of a sequence to the next."""
    return Placer(program, windows).placement()


class Placer:
    """Buffers under construction, and who lives where and when."""

    def __init__(self, program: Program, windows: bool) -> None:
        self.program, self.values, self.users, self.windows = program, program.values, program.users(), windows
        self.buffers: dict[int, Buffer] = {}
        self.regions: dict[int, Region] = {}
        self.copies: list[Copy] = []
        self.kept = {g for _, g in program.roots.gradients}  # live outside, in the vector of gradients
        self.carried: dict[int, int] = {}  # value -> the shift that owns the place it is carried in
        self.joined: set[int] = set()  # concatenations with a state that is computed in them
        self._clock()
        for value in self.values.values():
            if value.op in DATA:
                self._own(value.id, "history" if value.time == "step" else value.time)
        for item in self.values:
            self._reserve_carry(item)
        for item in self.values:
            self._reserve_joined(item)
        for item in reversed(list(self.at)):
            self._place(item)
        for value in self.values.values():
            if value.op == "shift":
                region = self._resolve(value.id)
                buffer = self.buffers[region.buffer]
                buffer.front, buffer.back = max(buffer.front, region.lag), max(buffer.back, -region.lag)

    def placement(self) -> Placement:
        """What was decided."""
        return Placement(
            self.program, self.windows, self.buffers, self.regions, tuple(self.copies), self.carried, self.at, tuple(self.span)
        )

    # ---- time: one tick an operation, and one at the end of each block
    def _clock(self) -> None:
        self.at: dict[int, int] = {}
        self.block_of: dict[int, int] = {}
        self.span: list[tuple[int, int]] = []
        tick = 0
        for k, block in enumerate(self.program.blocks):
            start = tick = tick + 1
            for item in block.ids:
                tick += 1
                self.at[item], self.block_of[item] = tick, k
            tick += 1
            self.span.append((start, tick))
        self.end = tick + 1

    def _reads(self, item: int, own: Value | None = None) -> Iterator[tuple[int, int | None]]:
        """When a value is needed, and in which block: its readers, views looked through."""
        own = own or self.values[item]
        if item in self.program.roots.ids():
            yield self.end, None
        for user in self.users[item]:
            if user.op == "shift":
                for tick, block in self._reads(user.id, own):
                    later = block is not None and user.attr * self.program.blocks[block].direction > 0
                    yield (self.span[block][1] if later and block is not None else tick), block
            elif user.op in VIEWS:
                yield from self._reads(user.id, own)
            else:
                block = self.block_of[user.id]
                kind = self.program.blocks[block].kind
                again = kind == "parts" or (kind == "loop" and own.time != "step")  # read in each round
                yield (self.span[block][1] if again else self.at[user.id]), block
                if user.op == "concat":
                    yield from self._reads(user.id, own)

    def first(self, item: int) -> int:
        """The tick when a value needs its place: in front of its block for a sum that is added up part by part."""
        if self._pinned(item):
            return 0
        block = self.block_of[item]
        return self.span[block][0] if self.program.blocks[block].kind == "parts" else self.at[item]

    def last(self, item: int) -> int:
        """The tick of the last read; the end of the program for a state that outlives it."""
        if self._pinned(item):
            return self.end
        return max((tick for tick, _ in self._reads(item)), default=self.at[item])

    def _pinned(self, item: int) -> bool:
        """Do its slices in front of the first step hold a start, or what the window before left?"""
        return any(len(shift.args) > 1 or (self.windows and shift.attr > 0) for shift in self._lagged(item))

    def _lagged(self, item: int) -> Iterator[Value]:
        """The shifts that read a value, views looked through."""
        for user in self.users[item]:
            if user.op == "shift":
                yield user
            elif user.op in VIEWS or user.op == "concat":
                yield from self._lagged(user.id)

    def storage(self, item: int) -> Storage:
        """The kind of array that a value needs."""
        value, block = self.values[item], self.block_of[item]
        if value.time != "step":
            return value.time
        if self.program.blocks[block].kind != "loop" or any(b != block for _, b in self._reads(item)):
            return "history"
        return "history" if any(self._lagged(item)) and item not in self.carried else "step"

    # ---- regions
    def free(self, region: Region, start: int, end: int, item: int) -> bool:
        """May a value live in these rows from `start` to `end`?

        Touching lives are fine for one elementwise operation in place.
        """
        for life in self.buffers[region.buffer].lives:
            other = life.region
            overlap = region.low < other.high and other.low < region.high
            if overlap and start <= life.end and life.start <= end:
                if life.end == start and self.in_place(life.value, item, other, region):
                    continue
                if life.start == end and self.in_place(item, life.value, region, other):
                    continue
                return False
        return True

    def in_place(self, old: int, new: int, old_region: Region, new_region: Region) -> bool:
        """May `new` be written over `old` while it is computed from it?"""
        value = self.values[new]
        bases = [self._base(a) for a in value.args]
        if value.op == "select":  # written in two steps: the last operand first
            return old_region == new_region and bases[2] == old and old not in bases[:2]
        repeated = len(value.args) > 2 and len(set(bases)) < len(bases)
        return value.op in ELEMENTWISE and old_region == new_region and not repeated

    def _base(self, item: int) -> int:
        return self._base(self.values[item].args[0]) if self.values[item].op in VIEWS else item

    def _resolve(self, item: int) -> Region:
        return resolve(item, self.values, self.regions)

    def _take(self, item: int, region: Region, start: int, end: int) -> None:
        self.regions[item] = region
        self.buffers[region.buffer].lives.append(Life(region, start, end, item))

    def _leave(self, item: int) -> None:
        """End the life of a concatenation inside another one: from here on its parts say when they live."""
        buffer = self.buffers[self.regions[item].buffer]
        buffer.lives = [life for life in buffer.lives if life.value != item]

    def _own(self, item: int, storage: Storage) -> Region:
        value = self.values[item]
        condition, block = is_condition(value, self.values), self._block(item)
        self.buffers[item] = Buffer(item, value.name, storage, value.shape, condition, block)
        rows = value.shape[0] if value.shape else 0
        self.regions[item] = Region(item, 0, rows)
        return self.regions[item]

    def _block(self, item: int) -> int:
        """The block that computes a value; for a shift, the one that computes what it reads."""
        return self.block_of.get(item, self.block_of.get(self.values[item].args[0], -1) if self.values[item].args else -1)

    # ---- decisions
    def _reserve_carry(self, item: int) -> None:
        """A value read one step later and nowhere outside its loop needs no history, only a place that survives the step."""
        value = self.values[item]
        if item not in self.at or value.op == "concat" or item in self.program.roots.ids():
            return
        block = self.block_of[item]
        shifts = [u for u in self.users[item] if u.op == "shift"]
        viewed = any(u.op in VIEWS and u.op != "shift" for u in self.users[item])
        if self.program.blocks[block].kind != "loop" or len(shifts) != 1 or viewed or self._pinned(item):
            return
        if abs(shifts[0].attr) == 1 and all(b == block for _, b in self._reads(item)):
            shift = shifts[0].id
            region = self._own(shift, "step")
            self.carried[item] = shift
            self._take(shift, region, self.span[block][0], max(t for t, _ in self._reads(shift)))

    def _reserve_joined(self, item: int) -> None:
        """A concatenation with a value of an earlier step: the value is computed where the concatenation will read it."""
        value = self.values[item]
        if value.op != "concat" or item not in self.at or self.storage(item) != "history" or self._pinned(item):
            return
        whole = Region(item, 0, value.shape[0])
        for arg, part in self._operands_of(value, whole):
            shift = self.values[arg]
            source = shift.args[0] if shift.op == "shift" else -1
            taken = source not in self.at or source in self.regions or source in self.carried or source in self.kept
            if not taken and self.values[source].op != "concat":
                self._own(item, "history")
                self.regions[item] = replace(whole, lag=shift.attr)
                start = 0 if self._pinned(source) else self.span[self.block_of[source]][0]
                self._take(source, part, start, self.last(source))
                self.joined.add(item)
                return

    def _place(self, item: int) -> None:
        value, storage = self.values[item], self.storage(item)
        if value.op == "concat":
            self._place_concat(item, storage)
            return
        if item in self.regions:
            return
        start, end = self.first(item), self.last(item)
        if item in self.carried:
            carry, end = self.regions[self.carried[item]], self.span[self.block_of[item]][1]
            if self.free(carry, start, end, item):
                self._take(item, carry, start, end)
                return
            self.copies.append(Copy(item, carry, end))
        for region in self._offers(item, storage) if item not in self.kept else ():
            if self.free(region, start, end, item):
                self._take(item, region, start, end)
                return
        self._take(item, self._own(item, storage), start, end)

    def _offers(self, item: int, storage: Storage) -> Iterator[Region]:
        """Places worth trying: that of an elementwise reader (in place), then scratch that is free at the time."""
        value, condition = self.values[item], is_condition(self.values[item], self.values)
        for user in self.users[item]:
            alike = user.op in ELEMENTWISE and user.shape == value.shape and value.time == user.time
            if alike and user.id in self.regions and user.id not in self.kept:
                region = self.regions[user.id]
                buffer = self.buffers[region.buffer]
                same_block = self.block_of[user.id] == self.block_of[item]
                if buffer.condition != condition or (storage == "step" and self._rival(user, item)):
                    continue
                if storage == buffer.storage or (storage == "step" and same_block):
                    yield region
        if storage == "step":
            here = self.block_of[item]
            for buffer in self.buffers.values():
                same = buffer.shape == value.shape and buffer.condition == condition and buffer.block == here
                if buffer.storage == "step" and same:
                    yield Region(buffer.id, 0, value.shape[0])

    def _rival(self, user: Value, item: int) -> bool:
        """Another operand with a history of its own dies here: it should get the place, that saves a buffer over all steps."""
        others = [self.values[a] for a in user.args if a != item and a in self.at and a not in self.carried]
        return any(
            o.shape == user.shape and self.storage(o.id) == "history" and self.last(o.id) == self.at[user.id] for o in others
        )

    def _place_concat(self, item: int, storage: Storage) -> None:
        """Parts are computed where the whole is; a part that already lives elsewhere is copied."""
        value, end = self.values[item], self.last(item)
        pinned = self._pinned(item)

        def fits(arg: int) -> bool:
            made = arg in self.at and self.values[arg].op in COMPUTED
            elsewhere = arg in self.regions or arg in self.carried or arg in self.kept
            return made and not elsewhere and value.args.count(arg) == 1

        def start(arg: int) -> int:
            return 0 if pinned or self._pinned(arg) else self.first(arg) if fits(arg) else self.at[item]

        def is_there(arg: int, part: Region) -> bool:
            """Is an operand of another step computed in its place?"""
            shift = self.values[arg]
            return shift.op == "shift" and shift.args[0] in self.regions and self._resolve(arg) == part

        region = self.regions.get(item) or next(
            (
                r
                for r in self._offers(item, storage)
                if all(self.free(p, start(a), end, a) for a, p in self._operands_of(value, r))
            ),
            None,
        )
        self.regions[item] = region or self._own(item, storage)
        self._leave(item)
        inputs = self._inputs_behind(value) if item in self.joined else set()
        for arg, part in self._operands_of(value, self.regions[item]):
            until = max(end, self.last(arg)) if fits(arg) else end
            if arg in inputs:
                del self.buffers[arg]
                self._take(arg, part, 0, self.end)
            elif fits(arg) and self.storage(arg) in (storage, "step") and self.free(part, start(arg), until, arg):
                self._take(arg, part, start(arg), until)
            elif not is_there(arg, part):
                tick = self._copied_at(item, arg, storage)
                self.copies.append(Copy(arg, part, tick))
                self.buffers[part.buffer].lives.append(Life(part, 0 if pinned else tick, end, item))

    def _inputs_behind(self, value: Value) -> set[int]:
        """Inputs behind all states: a batch can bring them to their rows at once, and the states are still the first rows."""
        found: set[int] = set()
        for arg in reversed(value.args):
            if self.values[arg].op == "shift" or any(self._lagged(arg)):
                break
            if self.values[arg].op == "input" and self.regions[arg].buffer == arg and value.args.count(arg) == 1:
                found.add(arg)
        return found

    def _copied_at(self, item: int, arg: int, storage: Storage) -> int:
        """What does not come from the loop itself is copied for all steps in front of it."""
        number = self.block_of[item]
        outside = self.block_of.get(self._base(arg)) != number
        in_loop = storage == "history" and self.program.blocks[number].kind == "loop"
        return self.span[number][0] if outside and in_loop else self.at[item]

    def _operands_of(self, value: Value, region: Region) -> Iterator[tuple[int, Region]]:
        """Each operand of a concatenation, and its rows in it."""
        low = 0
        for arg in value.args:
            high = low + self.values[arg].shape[0]
            yield arg, region.rows(low, high)
            low = high
