"""What the threads of a kernel compute: values cut into atoms, and phases between which a block waits.

An atom is a range of elements of a value that every operation of the kernel treats alike; atoms of one length are computed by
one loop over their elements, `j`.  An atom of one element is computed by every thread for itself.

A kernel without sums over features has one phase and no barrier: each of its threads computes one element of one sequence.
Otherwise each block takes one sequence (and step), its threads share the elements, and where the sum of all is needed, or
elements that other threads have written, a phase ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rnnspec.ir.program import Value
from rnnspec.script.gpu import places, reads
from rnnspec.script.gpu.places import Block
from rnnspec.script.gpu.tasks import Kernel

CHEAP = 3  # operations, at most, that are done again in a later phase rather than kept in memory
COSTLY = frozenset(["exp", "log", "sqrt", "sin", "cos", "squash", "softplus", "elu", "power", "inv_sqrt", "logaddexp", "div"])


@dataclass(frozen=True)
class Atom:
    """Elements `low` to `high` of a value."""

    id: int
    low: int
    high: int

    @property
    def length(self) -> int:
        """How many."""
        return self.high - self.low


@dataclass
class Plan:
    """A kernel: its values, where each is cut, when each is ready, and which must be kept in memory between phases."""

    kernel: Kernel
    values: Mapping[int, Value]
    inside: bool  # of a loop
    cuts: dict[int, list[int]] = field(default_factory=dict)
    ready: dict[int, int] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    shared: set[int] = field(default_factory=set)  # those that other threads of the block read
    waits: bool = False  # whether a thread reads what others have written at an earlier step

    @property
    def phases(self) -> int:
        """How many: the last value is ready in the last one."""
        return max(self.ready.values()) + 1

    @property
    def lengths(self) -> list[int]:
        """The lengths of its atoms that are longer than one element."""
        return sorted({a.length for i in self.kernel.ids for a in self.atoms(i) if a.length > 1})

    @property
    def is_elementwise(self) -> bool:
        """Whether each thread can compute its own elements and never waits."""
        return self.phases == 1 and len(self.lengths) <= 1 and (self.kernel.grid or not self.waits)

    @property
    def carried(self) -> set[Block]:
        """What a thread keeps in a register from one step to the next, as it is read."""
        way = self.kernel.direction
        if not way or not self.is_elementwise or self.kernel.grid:
            return set()
        found = (f for i in self.kernel.ids for a in self.atoms(i) for _, _, f in self.operands(a))
        return {f for f in found if f.lag == way and f.base in self.cuts}

    def atoms(self, item: int) -> list[Atom]:
        """The parts of a value."""
        edges = self.cuts[item]
        return [Atom(item, low, high) for low, high in zip(edges, edges[1:], strict=False)]

    def here(self, found: Block | places.Element | None) -> bool:
        """Whether an operand is computed by this kernel, for the same step."""
        return found is not None and found.base in self.cuts and found.lag == 0

    def operands(self, atom: Atom) -> Iterator[tuple[int, int, Block]]:
        """What an atom reads side by side: the place of the operand, the operand, and the elements."""
        value = self.values[atom.id]
        for k, arg, low, high, _ in parts(value, self.values, atom.low, atom.high):
            found = places.block(self.values, arg, low, high)
            if found is not None:
                yield k, arg, found


def parts(value: Value, values: Mapping[int, Value], low: int, high: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The operands that elements of a value are computed from side by side.

    Each as: place, operand, its first and last + 1 element, and the element of the value that its element 0 becomes.
    """
    first = 0
    for k, arg in enumerate(value.args):
        if value.op == "concat":
            last = first + places.size(values[arg])
            if low < last and first < high:
                yield k, arg, max(low, first) - first, min(high, last) - first, first
            first = last
        elif reads.how(value, k) == "side":
            yield k, arg, low, high, 0


def plan(kernel: Kernel, values: Mapping[int, Value], inside: bool) -> Plan:
    """How a kernel does its work."""
    made = Plan(kernel, values, inside)
    cut(made)
    settle(made)
    return made


def cut(made: Plan) -> None:
    """Find the edges at which the values of a kernel must be cut, until all operations agree."""
    values, ids = made.values, made.kernel.ids
    edges = {i: {0, places.size(values[i]), *own_edges(values[i], values)} for i in ids}
    for item in ids:
        if reads.is_reduction(values[item]):
            edges[item] = set(range(reads.groups(values[item]) + 1))
    changed = True
    while changed:
        before = sum(map(len, edges.values()))
        for item in reversed(ids):
            agree(values[item], values, edges, bool(made.kernel.direction))
        changed = sum(map(len, edges.values())) > before
    made.cuts = {i: sorted(e) for i, e in edges.items()}


def agree(value: Value, values: Mapping[int, Value], edges: dict[int, set[int]], over_time: bool) -> None:
    """Cut the operands of a value where it is cut, and the value where they are; single elements are cut out."""
    for found, first in aligned(value, values):
        if found.base not in edges or (found.lag and not over_time):
            continue
        edges[found.base] |= {found.low, found.high}
        length, offset = found.high - found.low, found.low - first
        if length > 1 and not reads.is_reduction(value):
            edges[found.base] |= {e + offset for e in edges[value.id] if first <= e <= first + length}
            edges[value.id] |= {e - offset for e in edges[found.base] if found.low <= e <= found.high}


def own_edges(value: Value, values: Mapping[int, Value]) -> Iterator[int]:
    """The edges that an operation has itself: between parts, functions, and groups whose numbers it reads."""
    edge = 0
    for part in value.args if value.op == "concat" else ():
        edge += places.size(values[part])
        yield edge
    edge = 0
    for _, rows in value.attr if value.op == "squash" else ():
        edge += rows * places.size(value) // value.shape[0]
        yield edge
    for arg in value.args:
        if values[arg].op == "spread" and 1 < values[arg].attr[0] <= reads.MOST_GROUPS and reads.how(value, 0) == "side":
            width = places.size(values[arg]) // values[arg].attr[0]
            yield from range(width, places.size(values[arg]), width)


def aligned(value: Value, values: Mapping[int, Value]) -> Iterator[tuple[Block, int]]:
    """What a value reads side by side, and the element of the value where that begins; a number may serve many elements."""
    if reads.is_reduction(value):
        whole = places.size(values[value.args[0]])
        width = whole // reads.groups(value)
        ranges = [(value.args[0], low, low + width, k) for k, low in enumerate(range(0, whole, width))]
    else:
        found = parts(value, values, 0, places.size(value))
        ranges = [(arg, a, b, first + a) for _, arg, low, high, first in found for a, b in runs(values, arg, low, high)]
    for arg, low, high, first in ranges:
        block = places.block(values, arg, low, high)
        if block is not None:
            yield block, first


def runs(values: Mapping[int, Value], arg: int, low: int, high: int) -> list[tuple[int, int]]:
    """Ranges of an operand that read side by side: the groups of repeated numbers, or all of it."""
    value = values[arg]
    if value.op == "spread" and 1 < value.attr[0] <= reads.MOST_GROUPS:
        width = places.size(value) // value.attr[0]
        return [(k, k + width) for k in range(low, high, width)]
    return [(low, high)]


def settle(made: Plan) -> None:
    """Find the phase in which each value is ready, and what must be kept for a later one."""
    values = made.values
    for item in made.kernel.ids:
        value = values[item]
        phase = 0
        for k, arg in enumerate(value.args):
            operand, lag = places.base(values, arg)
            if operand not in made.cuts or (lag and not made.kernel.direction):
                continue
            alone = reads.how(value, k) == "rows" or not reads_blocks(made, value, k, arg)
            if lag:
                made.waits |= alone or reads.is_reduction(value)
                continue
            phase = max(phase, made.ready[operand] + alone)
            if alone:
                made.kept.add(operand)
                made.shared.add(operand)
        made.ready[item] = phase + reads.is_reduction(value)
    for item in made.kernel.ids:
        keep_costly(made, item)


def reads_blocks(made: Plan, value: Value, k: int, arg: int) -> bool:
    """Whether all atoms of a value read an operand side by side."""
    if reads.is_reduction(value):
        return places.block(made.values, arg, 0, places.size(made.values[arg])) is not None
    for atom in made.atoms(value.id):
        for place, _, low, high, _ in parts(value, made.values, atom.low, atom.high):
            if place == k and places.block(made.values, arg, low, high) is None:
                return False
    return True


def keep_costly(made: Plan, item: int) -> None:
    """Keep a value that a later phase reads, unless it is cheap to compute again."""
    value, values = made.values[item], made.values
    if reads.is_reduction(value) or places.size(value) == 1:
        return
    late = any(
        made.ready[user] - reads.is_reduction(values[user]) > made.ready[item]
        for user in made.kernel.ids
        if any(places.base(values, a) == (item, 0) for a in values[user].args)
    )
    if late and cost(made, item) > CHEAP:
        made.kept.add(item)


def cost(made: Plan, item: int) -> int:
    """Operations that computing a value again takes, with what is kept read from memory."""
    value = made.values[item]
    if value.op in COSTLY:
        return CHEAP + 1
    below = {places.base(made.values, a) for a in value.args}
    inner = [
        o for o, lag in below if o in made.cuts and not lag and o not in made.kept and not reads.is_reduction(made.values[o])
    ]
    return 1 + sum(cost(made, o) for o in inner)
