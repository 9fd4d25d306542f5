"""What is kept in memory from launch to launch, and where: one array for each value that another launch reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.frontend.typed import Spec
from rnnspec.ir.ops import COMPUTED, DATA, VIEWS, is_condition
from rnnspec.ir.program import Program, Value
from rnnspec.script.gpu import places, reads
from rnnspec.script.gpu.plan import Plan
from rnnspec.script.gpu.tasks import Kernel, Loop, Schedule
from rnnspec.script.layout import Layout, data_attributes
from rnnspec.script.names import identifier
from rnnspec.script.windows import carries, weighs_steps

Axes = Literal["steps", "scratch", "sequence", "fixed", "number"]
"""One slice a step; scratch of one step; one slice a sequence; neither; a single number."""

OWN = frozenset(
    ["T", "B", "loss", "length", "fresh", "kernels", "ones", "share", "training", "seen", "mask"]
    + ["together", "arrived", "recorded", "graph"]
)
"""Attributes of w with a meaning of their own."""


Kind = Literal["real", "int"]


@dataclass(frozen=True)
class Array:
    """Memory: where the script has it, its name in a kernel, what it holds, and slices in front of and behind the steps."""

    text: str
    name: str
    kind: Kind
    axes: Axes
    size: int
    front: int = 0
    back: int = 0


@dataclass(frozen=True)
class Use:
    """A value is read by an operation, `lag` steps back; `apart`: of other sequences or steps, or by another launch."""

    reader: int
    lag: int
    apart: bool


@dataclass
class Storage:
    """The arrays by value; `made` are those that `allocate` makes, in order."""

    arrays: dict[int, Array] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    masked: bool = False
    windows: bool = False


class Homes:
    """The launch and the loop that each value is computed in."""

    def __init__(self, schedule: Schedule) -> None:
        self.launch: dict[int, int] = {}
        self.loop: dict[int, int] = {}
        count = 0
        for number, task in enumerate((*schedule.forward, *schedule.backward)):
            for inner in task.tasks if isinstance(task, Loop) else (task,):
                count += 1
                ids = inner.ids if isinstance(inner, Kernel) else (inner.id,)
                self.launch.update(dict.fromkeys(ids, count))
                if isinstance(task, Loop):
                    self.loop.update(dict.fromkeys(ids, number))


def storage(program: Program, spec: Spec, schedule: Schedule, plans: Iterable[Plan], layout: Layout) -> Storage:
    """The arrays of a script: of what is read by another launch, or again by the kernel that computes it."""
    values, homes, plans = schedule.values, Homes(schedule), list(plans)
    kept = {i for plan in plans for i in plan.kept}
    made = Storage(masked=spec.model.masked, windows=carries(spec))
    in_registers = {(f.base, f.lag) for plan in plans for f in plan.carried if f.lag < 0 or not made.windows}
    used, roots = uses(values, homes, in_registers), {places.base(values, i)[0] for i in program.roots.ids()}
    names = Names(program, layout)
    for item, value in values.items():
        found = used.get(item, [])
        front, back = max([0, *(u.lag for u in found)]), max([0, *(-u.lag for u in found)])
        if value.op in ("param", "stacked"):
            made.arrays[item] = names.parameter(value)
        elif value.op in DATA and value.op not in ("mask", "valid"):
            made.arrays[item] = names.data(value, data_axes(value, spec), front, back)
            made.made.append(item)
        elif value.op in COMPUTED and (item in roots or item in kept or any(u.apart for u in found)):
            near = item in homes.loop and item not in roots and not (front or back)
            near = near and all(homes.loop.get(u.reader) == homes.loop[item] for u in found)
            kind: Literal["real", "int"] = "int" if is_condition(value, values) else "real"
            made.arrays[item] = names.computed(value, kind, axes_of(value, near, program), front, back)
            if names.is_made(value):
                made.made.append(item)
    return made


def uses(values: Mapping[int, Value], homes: Homes, in_registers: set[tuple[int, int]]) -> dict[int, list[Use]]:
    """By value, the operations that read it; values and lags `in_registers` need no memory to be read."""
    found: dict[int, list[Use]] = {}
    for item, value in values.items():
        if value.op not in COMPUTED | {"start"}:
            continue
        for k, arg in enumerate(value.args):
            if reads.how(value, k) != "unread":
                operand, lag = places.base(values, arg)
                elsewhere = homes.launch.get(operand) != homes.launch.get(item)
                apart = elsewhere or reads.how(value, k) == "across" or (lag != 0 and (operand, lag) not in in_registers)
                found.setdefault(operand, []).append(Use(item, lag, apart))
        if value.op == "start":
            operand, lag = places.base(values, value.attr[0])
            found.setdefault(operand, []).append(Use(item, lag, apart=True))
    return found


def data_axes(value: Value, spec: Spec) -> Axes:
    """The axes of what a batch provides."""
    if value.op == "share":
        return "steps" if weighs_steps(spec) else "number"
    if value.op == "weight":
        return "steps" if spec.model.masked and value.time == "step" else "number"
    if value.op == "training":
        return "number"
    return axes_of(value, near=False)


def axes_of(value: Value, near: bool, program: Program | None = None) -> Axes:
    """The axes of a value; `near`: only its own step reads it."""
    if program is not None and value.id == program.roots.loss:
        return "number"
    if value.time == "step":
        return "scratch" if near else "steps"
    return "sequence" if value.time == "sequence" else "fixed"


class Names:
    """Where the script keeps each array, and what a kernel calls it."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self.program, self.layout = program, layout
        self.attributes = data_attributes(program, OWN)
        self.taken = {*self.attributes.values(), *(f"{n}_all" for n in self.attributes.values()), *OWN}
        self.gradients: dict[int, str] = {}
        for parameter, gradient in program.roots.gradients:
            if program.values[gradient].op not in VIEWS:
                self.gradients.setdefault(gradient, layout.attribute[parameter])

    def is_made(self, value: Value) -> bool:
        """Whether `allocate` makes it: gradients have a place of their own, and so has the loss."""
        return value.id not in self.gradients and value.id != self.program.roots.loss

    def parameter(self, value: Value) -> Array:
        """A parameter, or several in one matrix."""
        name = self.layout.attribute[value.id]
        return Array(f"p.{name}", name, "real", "fixed", places.size(value))

    def data(self, value: Value, axes: Axes, front: int, back: int) -> Array:
        """What a batch provides; with slices in front or behind, all of them have a name of their own."""
        name = self.attributes[value.id]
        kind: Literal["real", "int"] = "int" if value.op in ("ids", "labels", "training") else "real"
        text = f"w.{name}_all" if front or back else f"w.{name}"
        size = 1 if axes == "number" else places.size(value)
        return Array(text, name, kind, axes, size, front, back)

    def computed(self, value: Value, kind: Literal["real", "int"], axes: Axes, front: int, back: int) -> Array:
        """A value that is computed."""
        if value.id == self.program.roots.loss:
            return Array("w.loss", "loss", kind, axes, 1)
        if value.id in self.gradients:
            own = self.gradients[value.id]
            return Array(f"g.{own}", f"d{own}", kind, axes, places.size(value))
        name = identifier(value.name, self.taken)
        self.taken.add(name)
        return Array(f"w.{name}", name, kind, axes, places.size(value), front, back)


def states(made: Storage) -> Iterator[Array]:
    """Arrays with slices in front of the first step: what goes on from window to window."""
    return (array for array in made.arrays.values() if array.axes == "steps" and array.front)
