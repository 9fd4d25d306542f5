"""The text of a kernel: its parameters, the elements it reads, what it computes of them, and what it writes.

s   the place of a step and sequence in an array: t * B + b
j   the element of it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rnnspec.ir.ops import is_condition
from rnnspec.ir.program import Value
from rnnspec.script.code import tag
from rnnspec.script.expressions import ATOM, LOOSE, PRODUCT, SUM, UNARY, Text
from rnnspec.script.gpu import places, reads
from rnnspec.script.gpu.operations import ELEMENTS, HELPERS, literal
from rnnspec.script.gpu.places import Block
from rnnspec.script.gpu.plan import Atom, Plan, parts
from rnnspec.script.gpu.special import SPECIAL, weight_columns
from rnnspec.script.gpu.storage import Array, Kind, Storage
from rnnspec.script.names import identifier

Key = tuple[int, int, int, int]  # base, lag, low, high: elements of an array


WORDS = """
    s b t i j k l u B T real each past first weights arrived from steps threadIdx blockIdx blockDim gridDim
    sum part places start here size_t NULL wait_for_all memory_of_block
    pow exp log log1p expm1 sqrt fabs sin cos tanh
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const consteval constexpr const_cast
    continue decltype default delete do double dynamic_cast else enum explicit export extern false final float for friend goto
    if import inline int long module mutable namespace new noexcept not not_eq nullptr operator or or_eq override private public
    protected register reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch this
    template throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
TAKEN = frozenset([*WORDS.split(), *HELPERS])
"""Words of C++ and of CUDA, and functions of the kernels: nothing of a spec is called so in a kernel."""


@dataclass(frozen=True)
class Launch:
    """A kernel and how it is launched: its text, and what to hand to it, as the script writes it."""

    name: str
    text: str
    arguments: tuple[str, ...]
    threads: str  # elements, or blocks where it has barriers
    width: int = 0  # threads of a block; 0: one thread an element
    weights: tuple[int, int, int] | None = None  # units, and of each of them rows and columns, that blocks share among them


@dataclass
class Scope:
    """Variables that exist at a place in a kernel."""

    atoms: dict[Atom, Text] = field(default_factory=dict)
    loads: dict[Key, Text] = field(default_factory=dict)


class Kernel:
    """The text of one kernel under construction."""

    def __init__(self, plan: Plan, values: Mapping[int, Value], storage: Storage, spoken: set[str], prefix: str) -> None:
        self.plan, self.values, self.storage, self.spoken, self.prefix = plan, values, storage, spoken, prefix
        self.parameters: dict[str, tuple[str, str]] = {}  # text in the script -> declaration, name
        self.written: set[str] = set()
        self.names: set[str] = set(TAKEN)
        self.lines: list[str] = []
        self.outer = self.scope = Scope()
        self.shown: object = None
        self.used: set[str] = set()  # of s, b, t, T, length, fresh
        self.sums: dict[Atom, Text] = {}  # products of the past
        self.registers: dict[Block, tuple[str, str]] = {}  # carried from step to step: variable, its first value

    # ---- memory
    def array(self, item: int) -> str:
        """The name of the array of a value, which becomes a parameter."""
        return self.parameter(self.storage.arrays[item])

    def parameter(self, array: Array) -> str:
        """The name of an array, which becomes a parameter."""
        if array.text not in self.parameters:
            name = identifier(array.name, self.names)
            self.names.add(name)
            self.parameters[array.text] = (array.kind, name)
        return self.parameters[array.text][1]

    def given(self, attribute: str, kind: Kind = "int") -> str:
        """The name of an array that the frame of the script fills: `length`, `fresh`."""
        return self.parameter(Array(f"w.{attribute}", attribute, kind, "sequence", 1))

    def weight(self, atom: Atom) -> str:
        """An element of the row of a matrix that gives an element of a product; 0 behind the last column."""
        matrix, vector = self.values[atom.id].args
        columns = places.size(self.values[vector])
        row, value = places.grouped(self.row(atom)), self.values[matrix]
        if value.op == "transpose":
            text = self.element(value.args[0], f"k * {value.shape[0]} + {self.row(atom)}")
        else:
            text = self.element(matrix, f"{row} * {columns} + k")
        return text if columns == weight_columns(self) else f"k < {columns} ? {text} : real(0)"

    def address(self, item: int, lag: int, index: str, step: str = "") -> str:
        """An element of an array, `lag` steps back, or at a given step."""
        array = self.storage.arrays[item]
        name = self.array(item)
        if array.axes == "steps":
            place = self.place_of(step) if step else self.place(array.front - lag)
        elif array.axes in ("scratch", "sequence"):
            self.used.add("b")
            place = "b"
        else:
            place = ""
        if array.size == 1 or array.axes == "number":
            return f"{name}[{place or '0'}]"
        return f"{name}[{f'{place} * {array.size} + ' if place else ''}{index}]"

    def place_of(self, step: str) -> str:
        """The place of a step and this sequence in an array."""
        self.used.update("bB")
        return "b" if step == "0" else f"((size_t) {places.grouped(step)} * B + b)"

    def place(self, steps: int) -> str:
        """The place of this step and sequence in an array with slices in front, or of a step before."""
        self.used.add("s")
        if steps == 0:
            return "s"
        self.used.add("B")
        distance = "B" if abs(steps) == 1 else f"{abs(steps)} * B"
        return f"(s {'+' if steps > 0 else '-'} {distance})"

    def element(self, item: int, index: str) -> str:
        """An element of an operand whose number is an expression."""
        found = places.element(self.values, item, index)
        return self.leaf(found.base, found.lag, found.index).within(PRODUCT)

    def leaf(self, item: int, lag: int, index: str, step: str = "t") -> Text:
        """An element of something that is in memory, or a number; `step` is where a mask is looked at."""
        value = self.values[item]
        if value.op == "constant":
            return Text(literal(value.attr), ATOM if value.attr >= 0 else UNARY)
        if value.op == "mask":
            return Text(f"real({self.valid(lag, step)})")
        if value.op == "valid":
            return Text(self.valid(lag, step), LOOSE)
        return Text(self.address(item, lag, index))

    def valid(self, lag: int, step: str) -> str:
        """Whether a step is one of its sequence."""
        self.used.update({"b", "t"} if step == "t" else {"b"})
        length = self.given("length")
        if lag == 0:
            return f"{step} < {length}[b]"
        place = f"{step} {'-' if lag > 0 else '+'} {abs(lag)}"
        return f"{place} >= 0 && {place} < {length}[b]"

    # ---- what is computed where
    def needed(self, wanted: list[Atom], phase: int) -> list[Atom]:
        """Atoms to compute in a phase, operands first, so that those wanted can be."""
        found: set[Atom] = set()
        pending = list(wanted)
        while pending:
            atom = pending.pop()
            if atom in found or atom in self.outer.atoms:
                continue
            found.add(atom)
            pending.extend(a for a in self.inner(atom) if not self.is_loaded(a, phase))
        place = {i: k for k, i in enumerate(self.plan.kernel.ids)}
        return sorted(found, key=lambda a: (place[a.id], a.low))

    def inner(self, atom: Atom) -> Iterator[Atom]:
        """The atoms of this kernel that an atom is computed from."""
        if reads.is_reduction(self.values[atom.id]):
            return
        for _, _, found in self.plan.operands(atom):
            if self.plan.here(found):
                yield Atom(found.base, found.low, found.high)

    def is_loaded(self, atom: Atom, phase: int) -> bool:
        """Whether an earlier phase has written it, so that it is read from memory."""
        return atom.length > 1 and atom.id in self.storage.arrays and self.plan.ready[atom.id] < phase

    def is_written(self, value: Value) -> bool:
        """Whether its elements go to memory; what only this step reads need not, where one thread does all of it."""
        array = self.storage.arrays.get(value.id)
        near = array is not None and array.axes == "scratch" and self.plan.kernel.grid
        return (array is not None and not near) or value.op == "start"

    def sources(self, atom: Atom, phase: int) -> Iterator[Atom | Key]:
        """What an atom reads side by side: other atoms, or elements of arrays."""
        for _, _, found in self.plan.operands(atom):
            own = Atom(found.base, found.low, found.high)
            if self.plan.here(found) and not self.is_loaded(own, phase):
                yield own
            elif self.values[found.base].op != "constant":
                yield found.base, found.lag, found.low, found.high

    # ---- statements
    def compute(self, wanted: list[Atom], phase: int, extra: Counter[Atom | Key], scope: Scope, indent: str) -> None:
        """Lines that compute and write atoms; `extra` counts other uses of what they leave behind."""
        todo = self.needed(wanted, phase)
        counts = Counter(extra)
        for atom in todo:
            counts.update(self.sources(atom, phase))
        for atom in todo:
            self.scope = scope
            value = self.values[atom.id]
            stored = self.is_written(value) and self.plan.ready[atom.id] == phase
            self.comment(value, indent)
            text = self.expression(atom, phase, counts, indent)
            alone = counts[atom] + stored <= 1 and (stored or value.name not in self.spoken)
            if stored and counts[atom] == 0:
                self.write(atom, text, indent)
            elif alone and not stored:
                scope.atoms[atom] = text
            else:
                kind = "bool" if is_condition(value, dict(self.values)) else "real"
                name = self.variable(self.part_name(atom))
                self.lines.append(f"{indent}const {kind} {name} = {text.text};")
                scope.atoms[atom] = Text(name)
                if stored:
                    self.write(atom, Text(name), indent)

    def write(self, atom: Atom, text: Text, indent: str) -> None:
        """The line that writes an atom to its array."""
        value = self.values[atom.id]
        guard = "if (threadIdx.x == 0) " if atom.length == 1 and not self.plan.is_elementwise else ""
        if atom.length == 1 and self.plan.is_elementwise and self.plan.lengths:
            guard = "if (j == 0) "
        if value.op == "start":
            self.lines.append(f"{indent}{self.start_guard(guard)}{self.start_address(value, self.row(atom))} = {text.text};")
            return
        array = self.storage.arrays[atom.id]
        self.written.add(array.text)
        self.lines.append(f"{indent}{guard}{self.address(atom.id, 0, self.row(atom))} = {text.text};")

    def start_guard(self, guard: str) -> str:
        """States of the window before are not written over."""
        if not self.storage.windows:
            return guard
        fresh = f"{self.given('fresh')}[0]"
        return f"if ({fresh}) " if not guard else guard.replace(") ", f" && {fresh}) ")

    def start_address(self, value: Value, index: str) -> str:
        """Where the start of a state stands: in front of its first step, or behind its last."""
        shift, k = value.attr
        found = places.element(self.values, self.values[shift].args[0], index)
        array = self.storage.arrays[found.base]
        self.written.add(array.text)
        if self.values[shift].attr > 0:
            step = str(array.front - 1 - k - found.lag)
        else:
            step = f"T + {array.front + k - found.lag}" if array.front + k != found.lag else "T"
            self.used.add("T")
        return self.address(found.base, 0, found.index, step)

    def row(self, atom: Atom) -> str:
        """The number of the element in its value."""
        if atom.length == 1:
            return str(atom.low)
        return f"{atom.low} + j" if atom.low else "j"

    def comment(self, value: Value, indent: str) -> None:
        """The equation that the next lines compute."""
        if value.origin and value.origin != self.shown:
            self.lines.append(f"{indent}// {self.prefix}{tag(value.origin)}".replace("\\", "/"))
            self.shown = value.origin

    def part_name(self, atom: Atom) -> str:
        """What a variable is called: after its value, with a number where it is one of several parts."""
        atoms = self.plan.atoms(atom.id)
        name = self.values[atom.id].name
        return name if len(atoms) == 1 else f"{name}_{atoms.index(atom) + 1}"

    def variable(self, wish: str) -> str:
        """A new variable; `h_t` is an element of the array `h`."""
        name = identifier(f"{wish}_t", self.names)
        self.names.add(name)
        return name

    def register(self, block: Block) -> Text:
        """What this thread computed one step before, kept in a variable."""
        if block not in self.registers:
            way, base = block.lag, block.base
            name = self.variable(f"{self.values[base].name}_{'last' if way > 0 else 'next'}")
            first = "real(0)"
            if base in self.storage.arrays:
                array, row = self.storage.arrays[base], self.row(Atom(base, block.low, block.high))
                step = str(array.front - 1) if way > 0 else f"T + {array.front}" if array.front else "T"
                first = self.address(base, 0, row, step)
            self.registers[block] = (name, first)
        return Text(self.registers[block][0])

    def read(self, key: Key, counts: Counter[Atom | Key], indent: str) -> Text:
        """An element of an array; a variable where it is read more than once."""
        if Block(*key) in self.plan.carried:
            return self.register(Block(*key))
        for scope in (self.scope, self.outer):
            if key in scope.loads:
                return scope.loads[key]
        base, lag, low, high = key
        text = self.leaf(base, lag, self.row(Atom(base, low, high)))
        if counts[key] > 1:
            suffix = "" if lag == 0 else "_last" if lag > 0 else "_next"
            name = self.variable(f"{self.values[base].name}{suffix}")
            kind = "bool" if is_condition(self.values[base], dict(self.values)) else "real"
            self.lines.append(f"{indent}const {kind} {name} = {text.text};")
            text = Text(name)
        self.scope.loads[key] = text
        return text

    # ---- expressions
    def expression(self, atom: Atom, phase: int, counts: Counter[Atom | Key], indent: str) -> Text:
        """An atom as an expression of its operands."""
        value = self.values[atom.id]
        special = SPECIAL.get(value.op)
        if special is not None:
            return special(self, atom, value, phase, counts, indent)
        return self.combined(value, atom, self.side(atom, phase, counts, indent))

    def combined(self, value: Value, atom: Atom, operands: list[Text]) -> Text:
        """An operation on elements."""
        if value.op in ("add", "mul"):
            sign, binding = (" + ", SUM) if value.op == "add" else (" * ", PRODUCT)
            return Text(sign.join(o.within(binding) for o in operands), binding)
        row = ELEMENTS[self.curve(value, atom) if value.op == "squash" else value.op]
        self.used.add(row.helper)
        texts = [o.within(row.operands[min(k, 2)] if k < len(row.operands) else LOOSE) for k, o in enumerate(operands)]
        if row.template == "{0}":
            return operands[0]
        numbers = value.attr if isinstance(value.attr, tuple) else (value.attr,)
        written = ", ".join(literal(n) for n in numbers if isinstance(n, int | float)) if "{k}" in row.template else ""
        return Text(row.template.format(*texts, k=written), row.binding)

    def curve(self, value: Value, atom: Atom) -> str:
        """The function of a squash that an atom gets."""
        high = 0
        width = places.size(value) // value.shape[0]
        for kind, rows in value.attr:
            high += rows * width
            if atom.low < high:
                return str(kind)
        raise ValueError(f"{value}: no function for elements from {atom.low}")

    def side(self, atom: Atom, phase: int, counts: Counter[Atom | Key], indent: str) -> list[Text]:
        """The elements of all operands beside an atom."""
        value, found = self.values[atom.id], []
        for _, arg, low, high, _ in parts(value, self.values, atom.low, atom.high):
            block = places.block(self.values, arg, low, high)
            if block is None:
                found.append(Text(self.element(arg, f"{low} + j" if low else "j")))
            elif self.values[block.base].op == "constant":
                found.append(self.leaf(block.base, 0, "0"))
            else:
                found.append(self.source(block, phase, counts, indent))
        return found

    def source(self, block: places.Block, phase: int, counts: Counter[Atom | Key], indent: str) -> Text:
        """What stands beside an atom: a variable of this kernel, or an element of an array."""
        own = Atom(block.base, block.low, block.high)
        if self.plan.here(block) and not self.is_loaded(own, phase):
            return self.scope.atoms[own] if own in self.scope.atoms else self.outer.atoms[own]
        return self.read((block.base, block.lag, block.low, block.high), counts, indent)
