"""Operands of the fast script: a value as an expression over all steps, or as a view of one step made once.

An operand is printed as an expression over all steps (`w.h[:-1]`, `w.ifoz[:, 0:15]`).  In a map it is used as is, in sums by
parts with the steps of one (`w.h[:-1][part]`).  For a loop, what does not change is made before it, numbers too; other
expressions go into `steps = list(zip(...))`: nothing is sliced in the loop, and forward and backward, lags and row blocks need
no special case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rnnspec.frontend.typed import Spec
from rnnspec.ir.ops import DATA, VIEWS
from rnnspec.ir.program import Program, Value
from rnnspec.ir.storage import Buffer, Placement, Region
from rnnspec.script.layout import Layout, data_attributes
from rnnspec.script.names import USED, identifier
from rnnspec.script.sizes import row_text, size_text, sizes_of
from rnnspec.script.windows import weighs_steps

WORKSPACE = frozenset(["T", "B", "parts", "share", "mask", "length", "fresh", "seen", "hold"])
"""Attributes of w with a meaning of their own."""


NUMBERS = {-1.0: "minus_one", 0.0: "zero", 0.5: "half", 1.0: "one", 2.0: "two"}
"""What numbers are called that many equations hold."""


Groups = int | str
"""In how many groups rows are split: a number, 0 for none, or the expression for one."""


@dataclass
class Loop:
    """The views that a loop reads and writes: made before it (`fixed`), or one a step (`steps`)."""

    number: int
    direction: int
    fixed: dict[str, str] = field(default_factory=dict)  # expression -> local name
    steps: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def local(self, expression: str, wish: str, fixed: bool, reserved: frozenset[str]) -> str:
        """The local name of a view, made on first use."""
        table = self.fixed if fixed else self.steps
        if expression not in table:
            own = expression.removeprefix("w.")  # the array itself keeps its number: `a_2 = w.a_2`, never `a = w.a_2`
            base, _, number = own.rpartition("_")
            numbered = base == identifier(wish) and number.isdigit()
            name = identifier(own if numbered else wish, self.names | reserved)
            self.names.add(name)
            table[expression] = name
        return table[expression]


def number_of(values: Mapping[int, Value], item: int) -> float | None:
    """The number that a value is, however often it is repeated; None if it is none."""
    value = values[item]
    while value.op in ("spread", "expand"):
        value = values[value.args[0]]
    return value.attr if value.op == "constant" else None


class Operands:
    """Expressions for the values of a program, outside and inside of loops."""

    def __init__(self, program: Program, placement: Placement, layout: Layout, own: frozenset[str], spec: Spec) -> None:
        self.program, self.values, self.placement, self.layout = program, program.values, placement, layout
        model = spec.model
        self.reserved, self.masked = USED | own, model.masked
        self.sizes = sizes_of(model)
        self.scalar_share, self.batch = not weighs_steps(spec), spec.train.batch
        self.gradients: dict[int, str] = {}
        for param, gradient in program.roots.gradients:
            if self.values[gradient].op not in VIEWS:
                self.gradients.setdefault(gradient, layout.attribute[param])
        self.attribute = self._buffer_names()
        names = [e.name for e in model.equations]
        self.spoken = {*names, *(f"d{n}" for n in names)}
        self.loop: Loop | None = None
        self.in_parts = False  # are operands those of some steps?

    def size(self, number: int) -> str:
        """A size by name, to be read in an index or shape: `4*H`."""
        return size_text(number, self.sizes).replace(" ", "")

    def row(self, number: int) -> str:
        """A row by the name of a size, to be read in an index: `2*H`."""
        return row_text(number, self.sizes).replace(" ", "")

    def _buffer_names(self) -> dict[int, str]:
        """Attributes of w: data under their own names, then one for each buffer."""
        own = WORKSPACE | {f"steps_{k}" for k, _ in enumerate(self.program.blocks, 1)}  # of the loops
        names = data_attributes(self.program, own)
        taken = set(names.values()) | {f"{n}_all" for n in names.values()} | own
        for item, buffer in self.placement.buffers.items():
            if item not in names:
                names[item] = identifier(buffer.name, taken)
                taken.add(names[item])
        return names

    def begin(self, loop: Loop, ids: Iterable[int]) -> None:
        """Print the operands of a loop over these values, until `end`."""
        inside = set(ids)
        self.loop = loop
        self.here = self._region_names(v for v in self.values.values() if self._base(v).id in inside)

    def end(self) -> None:
        """Print the operands of maps again."""
        self.loop = None

    def _region_names(self, written: Iterable[Value]) -> dict[Region, str]:
        """One name for one place in a loop: of the equation that is written there or its adjoint, else of the last value."""
        ordered = sorted(written, key=lambda v: (v.name in self.spoken, self.placement.ticks.get(v.id, 0)))
        return {self.placement.resolve(value.id): value.name for value in ordered}

    def _base(self, value: Value) -> Value:
        while value.op in ("rows", "shift"):
            value = self.values[value.args[0]]
        return value

    # ---- expressions over all steps
    def whole(self, item: int, groups: Groups = 0) -> str:
        """A value for all steps; with `groups`, its rows split into that many."""
        value = self.values[item]
        if value.op == "constant":
            return repr(value.attr)
        if value.op in ("param", "stacked"):
            return f"p.{self.layout.attribute[item]}"
        if item in self.gradients:
            return f"g.{self.gradients[item]}"
        if value.op == "expand":
            return self._expanded(value, groups)
        if value.op == "spread":
            return self._spread(value, groups)
        if value.op == "transpose":
            return self._transposed(value)
        if value.op == "rows" and self._base(value).op in ("param", "stacked"):
            return f"{self.whole(value.args[0])}[{value.attr[0]}:{value.attr[1]}]"
        return self.region(self.placement.resolve(item), groups)

    def _expanded(self, value: Value, groups: Groups) -> str:
        inner = self.values[value.args[0]]
        if inner.op == "constant":
            return repr(inner.attr)
        if inner.time == "sequence":
            return self.whole(inner.id, groups)
        text = self.whole(inner.id)
        return f"{text}.reshape({groups}, -1, 1)" if groups else f"{text}[..., None]"

    def _spread(self, value: Value, groups: Groups) -> str:
        text = self.whole(value.args[0])
        scalar = text == "w.share" and self.scalar_share
        if number_of(self.values, value.id) is not None or scalar or value.time == "fixed":
            return text
        axes = 2 if groups and len(value.shape) == 1 else len(value.shape)
        return f"{text}[{'..., ' + 'None, ' * (axes - 1) + ':'}]" if axes > 1 else text

    def _transposed(self, value: Value) -> str:
        text = self.whole(value.args[0])
        return f"{text}.T" if value.time == "fixed" else f"{text}.swapaxes(-3, -2)"

    def region(self, region: Region, groups: Groups = 0) -> str:
        """Rows of a buffer, over all steps."""
        buffer = self.placement.buffers[region.buffer]
        text, lead = self._slices(region, buffer)
        return f"{text}.reshape({lead}{groups}, -1, w.B)" if groups else text

    def rows(self, region: Region, buffer: Buffer) -> str:
        """The rows of a region as an index; empty for all of them."""
        if not buffer.shape or (region.low, region.high) == (0, buffer.shape[0]):
            return ""
        return f"{self.row(region.low) if region.low else ''}:{self.row(region.high)}"

    def _slices(self, region: Region, buffer: Buffer) -> tuple[str, str]:
        value = self.values[region.buffer]
        if region.buffer in self.gradients:
            rows = self.rows(region, buffer)
            return f"g.{self.gradients[region.buffer]}" + (f"[{rows}]" if rows else ""), ""
        padded = value.op in DATA and buffer.front + buffer.back > 0
        text = f"w.{self.attribute[region.buffer]}{'_all' if padded else ''}"
        rows = self.rows(region, buffer)
        if buffer.storage == "flat":
            return f"{text}[{rows or ':'}, :steps]", ""
        if buffer.storage == "lines":
            return f"{text}[:steps]", ""
        if buffer.storage != "history":
            return text + (f"[{rows}]" if rows else ""), ""
        start, stop = buffer.front - region.lag, -(buffer.back + region.lag)
        times = f"{start or ''}:{stop or ''}"
        if self.in_parts:
            text, times = (text, "part") if times == ":" else (f"{text}[{times}]", "part")
        index = times + (f", {rows}" if rows else "")
        return text + ("" if index == ":" else f"[{index}]"), "w.T, "

    # ---- operands of one call
    def operand(self, item: int, groups: Groups = 0) -> str:
        """A value where it is needed: over all steps in a map, of one step in a loop."""
        text, number = self.whole(item, groups), number_of(self.values, item)
        if self.loop is None:
            return text
        if number is not None:
            return self.number(number)
        if text == "w.share" and self.scalar_share:
            return self.made_once("np.array(w.share, p.vector.dtype)", "share")
        wish = self._short(item) + ("_groups" if groups else "")
        return self.loop.local(text, wish, self.is_fixed(item), self.reserved)

    def number(self, number: float) -> str:
        """A number; for a loop as an array: NumPy reads a number of Python in the time of a thousand products."""
        text = repr(number)
        return self.made_once(f"np.array({text}, p.vector.dtype)", NUMBERS.get(number, "number")) if self.loop else text

    def made_once(self, expression: str, wish: str) -> str:
        """An array that does not change, where it is needed; for a loop it is made before it."""
        return self.loop.local(expression, wish, True, self.reserved) if self.loop else expression

    def matrix(self, item: int, groups: Groups) -> str:
        """A matrix where it is needed, its rows in so many groups."""
        text = f"{self.whole(item)}.reshape({groups}, -1, {self.size(self.values[item].shape[1])})"
        return self.made_once(text, f"{self._short(item)}_groups") if self.loop else text

    def place(self, region: Region, wish: str, groups: Groups = 0) -> str:
        """A region where it is needed."""
        text = self.region(region, groups)
        if self.loop is None:
            return text
        fixed = self.placement.buffers[region.buffer].storage != "history"
        return self.loop.local(text, self.here.get(region, wish), fixed, self.reserved)

    def is_fixed(self, item: int) -> bool:
        """Is it the same array at every step?"""
        value = self.values[item]
        while value.op in ("spread", "transpose", "rows") or (value.op == "expand" and value.args):
            value = self.values[value.args[0]]
        if value.op in ("param", "stacked", "constant"):
            return True
        return self.placement.buffers[self.placement.resolve(value.id).buffer].storage != "history"

    def _short(self, item: int) -> str:
        value = self.values[item]
        if value.op == "transpose":
            return f"{self._short(value.args[0])}_T"
        while value.op in VIEWS - {"rows", "shift"}:
            value = self.values[value.args[0]]
        if self._base(value).op in ("param", "stacked"):
            return self.layout.attribute.get(value.id, value.name)
        return self.name(value.id)

    def name(self, item: int) -> str:
        """What a stored value is called in a loop: like whatever is written to its place there."""
        return self.here.get(self.placement.resolve(item), self.values[item].name)
