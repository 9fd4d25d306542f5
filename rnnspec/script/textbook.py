"""The textbook script: one line an equation, in a loop over time; what a reader compares with the equations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnnspec.frontend.typed import Spec
from rnnspec.ir.ops import DATA, SUMS, VIEWS, WHOLE
from rnnspec.ir.program import Block, Program, Value
from rnnspec.script.body import Body
from rnnspec.script.code import tag
from rnnspec.script.expressions import HELPERS, LOOSE
from rnnspec.script.layout import data_attributes, filled, layout
from rnnspec.script.names import USED, identifier
from rnnspec.script.operands import WORKSPACE
from rnnspec.script.sizes import matrix, shape_text, sizes_of
from rnnspec.script.steps import Steps
from rnnspec.script.windows import back, carries

LONGEST = 72  # characters: a longer part of an expression gets a line of its own
AVERAGE = "for the running averages of "


def textbook(program: Program, spec: Spec) -> Body:
    """The body of the script of a program in the textbook schedule."""
    return TextbookPrinter(program, spec).body()


class TextbookPrinter:
    """Which values get a line, what they are called, and the lines of forward and backward."""

    def __init__(self, program: Program, spec: Spec) -> None:
        self.program, self.spec, self.values = program, spec, program.values
        self.sizes = sizes_of(spec.model)
        self.layout = layout(program, spec.model)
        self.users = program.users()
        self.averages = set(dict(program.roots.averages).values())
        self.windows = carries(spec)
        self.block_of = {i: k for k, block in enumerate(program.blocks) for i in block.ids}
        self.order = {i: k for k, i in enumerate(self.values)}
        self.reads = {i: list(self._reads(i)) for i in self.values}
        self.pads = self._pads()
        self.arrays = {i for i in self.block_of if self._needs_array(i)}
        self.gradients = self._own_gradients()
        self.lines = {i for i in self.block_of if i in self.arrays or self._needs_line(i)}
        self.names = self._names()
        self.steps = Steps(program, self.layout, spec, self.names, self.arrays, self.pads, self.lines)

    # ---- decisions
    def _reads(self, item: int, lagged: bool = False) -> Iterator[tuple[int, bool]]:
        """The operations that read a value, views looked through, and whether at another step."""
        for user in self.users[item]:
            if user.op in VIEWS:
                yield from self._reads(user.id, lagged or (user.op == "shift" and user.args[0] == item))
            else:
                yield from [(user.id, lagged)] * user.args.count(item)

    def _pads(self) -> dict[int, tuple[int, int]]:
        """Slices that a value needs behind its last step: for v[T+1] ..., and for v[0], v[-1] ... (indices -1, -2)."""
        pads: dict[int, tuple[int, int]] = {}
        for value in self.values.values():
            if value.op == "shift":
                base = self._storage(value.args[0])
                lead, lag = pads.get(base, (0, 0))
                pads[base] = (max(lead, -value.attr), max(lag, value.attr))
        return pads

    def _storage(self, item: int) -> int:
        value = self.values[item]
        return self._storage(value.args[0]) if value.op in ("rows", "shift") else item

    def _needs_array(self, item: int) -> bool:
        """Is a value of every step read again: at another step, in another loop, or by whoever calls the script?"""
        value = self.values[item]
        if value.time != "step" or value.op in SUMS:
            return False
        if item in self.pads or item in dict((*self.program.roots.outputs, *self.program.roots.limited)).values():
            return True
        return any(lag or self.block_of[u] != self.block_of[item] for u, lag in self.reads[item])

    def _own_gradients(self) -> dict[int, str]:
        """Sums that are the gradient of one parameter and nothing else: they grow in place."""
        found: dict[int, str] = {}
        for param, gradient in self.program.roots.gradients:
            if self.values[gradient].op in SUMS and not self.users[gradient] and gradient not in found:
                found[gradient] = self.layout.attribute[param]
        return found

    def _needs_line(self, item: int) -> bool:
        value = self.values[item]
        written = value.origin is not None and value.name in self._equations
        elsewhere = any(self.block_of[u] != self.block_of[item] for u, _ in self.reads[item])
        return written or elsewhere or len(self.reads[item]) != 1 or value.op in SUMS | WHOLE or item in self.averages

    @property
    def _equations(self) -> set[str]:
        return {e.name for e in self.spec.model.equations}

    def _names(self) -> dict[int, str]:
        """Names of arrays (attributes of w) and of locals."""
        names = data_attributes(self.program, WORKSPACE) | {self.program.roots.loss: "loss"}
        taken = {*names.values(), *(f"{n}_all" for n in names.values()), *WORKSPACE, *USED, *HELPERS}
        for item in sorted(self.block_of.keys() - names.keys(), key=lambda i: (i not in self.lines, self.order[i])):
            names[item] = identifier(self.values[item].name, taken)
            taken.add(names[item])
        return names

    # ---- text
    def body(self) -> Body:
        """All text, and where parameters, inputs and outputs are."""
        forward, backward = self._passes()
        functions = [self._allocate(), self._forward(forward), self._backward(backward)]
        functions += [self._carry()] if self.windows else []
        text = "\n\n\n".join([*(HELPERS[h] for h in sorted(self.steps.helpers)), *functions])
        return Body(
            functions=(),
            text=text,
            layout=self.layout,
            outputs=tuple((n, self._whole(v), self.values[v].time) for n, v in self.program.roots.outputs),
            averages=tuple((self.values[p].name, self.steps.target(v)) for p, v in self.program.roots.averages),
            limited=tuple((n, self._whole(v)) for n, v in self.program.roots.limited),
            inputs=tuple((v.name, self.names[v.id]) for v in self.values.values() if v.op in ("input", "ids", "labels")),
            reads=filled(self.program, self.names),
            carried=tuple(sorted(text.removeprefix("w.") for text, _ in self._states())),
        )

    def _whole(self, item: int) -> str:
        text = self.steps.stored(item)
        return f"{text}[: w.T]" if item in self.pads else text

    def _passes(self) -> tuple[list[str], list[str]]:
        forward: list[str] = []
        backward: list[str] = []
        current, prefix = forward, ""
        for block in self.program.blocks:
            current += self._block(block, prefix)
            if self.program.roots.loss in block.ids:
                current, prefix = backward, "backward of "
        self.steps.at = ""
        for param, gradient in self.program.roots.gradients:
            own = f"g.{self.layout.attribute[param]}"
            grown = self.gradients.get(gradient)
            text = f"g.{grown}" if grown else self.steps.operand(gradient, LOOSE)
            backward += [f"{own}[...] = {text}"] if text != own else []
        return forward, backward

    def _block(self, block: Block, prefix: str) -> list[str]:
        self.steps.at = "t" if block.kind == "loop" else ""
        starts = self._starts(block)
        head = ["# in front of the first step, or behind the last one", *starts] if starts else []
        head += [f"{self.steps.target(i)} = 0" for i in block.ids if self._grows(i) and i not in self.gradients]
        lines: list[str] = []
        shown = ""
        for item in block.ids:
            if item not in self.lines and not self._too_long(item):
                continue
            self.lines.add(item)
            value = self.values[item]
            about = AVERAGE if prefix and item in self.averages else prefix
            comment = f"# {about}{tag(value.origin)}" if value.origin else shown
            if comment != shown:
                lines.append(comment)
                shown = comment
            lines.append(self._line(value))
        if block.kind == "map":
            return [*head, *lines]
        loop = {1: "for t in range(w.T):", -1: "for t in reversed(range(w.T)):"}[block.direction]
        return [*head, loop, *(f"    {line}" for line in lines)]

    def _too_long(self, item: int) -> bool:
        return len(self.steps.expression(self.values[item]).text) > LONGEST

    def _grows(self, item: int) -> bool:
        """Is it a sum that a loop adds to?"""
        value = self.values[item]
        return value.op in SUMS and bool(value.args) and self.values[value.args[0]].time == "step"

    def _line(self, value: Value) -> str:
        expression = self.steps.expression(value).text
        if value.id in self.gradients:
            return f"g.{self.gradients[value.id]} += {expression}"
        if self._grows(value.id):
            return f"{self.steps.target(value.id)} += {expression}"
        return f"{self.steps.target(value.id)} = {expression}"

    def _starts(self, block: Block) -> list[str]:
        """Fill the slices for v[0], v[-1] ... (indices -1, -2), or v[T+1] ... before the first loop that reads them."""
        lines: list[str] = []
        for shift in self.values.values():
            if shift.op == "shift" and len(shift.args) > 1 and self._first_block(shift.id) == block:
                array = self.steps.stored(self._storage(shift.args[0]))
                for k, start in enumerate(shift.args[1:]):
                    index = f"-{k + 1}" if shift.attr > 0 else f"w.T + {k}" if k else "w.T"
                    line = f"{array}[{index}] = {self.steps.outside(start)}"
                    lines.append(f"if w.fresh: {line}" if self.windows else line)
        return list(dict.fromkeys(lines))

    def _first_block(self, shift: int) -> Block | None:
        blocks = [self.block_of[u] for u, _ in self._reads(shift)]
        return self.program.blocks[min(blocks)] if blocks else None

    def _forward(self, lines: list[str]) -> str:
        head = ["def forward(p, w):", '    """The loss; p holds the parameters, w the inputs and every value of every step."""']
        states = self._states()
        if self.windows and states:
            head.append("    if w.fresh:  # a sequence begins: its states start from zero")
            head += [f"        {name}[-{lag}:] = 0" for name, lag in states]
        return "\n".join([*head, *_indented(lines), "    return float(loss)"])

    def _backward(self, lines: list[str]) -> str:
        doc = '    """Gradients of the loss into g: forward read from bottom to top; what is read twice receives twice."""'
        return "\n".join(["def backward(p, w, g):", doc, "    g.vector[...] = 0", *_indented(lines)])

    def _states(self) -> list[tuple[str, int]]:
        """Arrays with slices for v[0], v[-1] ..., and how many."""
        return [(self.steps.stored(i), lag) for i, (_, lag) in self.pads.items() if lag and self._is_forward(i)]

    def _is_forward(self, item: int) -> bool:
        return item not in self.block_of or self.block_of[item] <= self.block_of[self.program.roots.loss]

    def _carry(self) -> str:
        head = [
            "def carry(old, new):",
            '    """Let the next window go on where the last one ended: its v[0] is the v[T] before it."""',
        ]
        head += ["    T = old.T - new.seen  # steps in front of those that both have"] if back(self.spec) else []
        end = "T" if back(self.spec) else "old.T"
        lines = []
        for text, lag in self._states():
            name = text.removeprefix("w.")
            # the earliest first: old and new may be the same, and shorter than the lag
            lines += [f"    new.{name}[-{k}] = old.{name}[{end} - {k}]" for k in range(lag, 0, -1)]
        return "\n".join([*head, *(lines or ["    # nothing is remembered from step to step"])])

    def _allocate(self) -> str:
        lines = [
            "class Workspace:",
            '    """Inputs and every value of every step."""',
            "",
            "",
            "def allocate(T, B, dtype):",
            '    """Arrays over time; an index of -1 is the step before the first, so that h[t - 1] reads right at t = 0."""',
            "    w = Workspace()",
            "    w.T, w.B, w.fresh = T, B, True" if self.windows else "    w.T, w.B = T, B",
        ]
        if self.spec.model.masked:
            lines += ["    w.length = np.full(B, T)", "    w.mask = np.ones((T, 1, B), dtype)"]
        if any(self.program.leaves("share")):
            lines.append(f"    w.share = {'np.zeros((T, 1, B), dtype)' if self.steps.share_of_step else '1.0'}")
        for value in self.values.values():
            stored = value.op in DATA - {"mask", "valid", "share"} or value.id in self.arrays
            lines += self._array(value) if stored else []
        return "\n".join([*lines, "    return w"])

    def _array(self, value: Value) -> list[str]:
        lead, lag = self.pads.get(value.id, (0, 0))
        time = ["T" + (f" + {lead + lag}" if lead + lag else "")] if value.time == "step" else []
        batch = [] if value.time == "fixed" else ["B"]
        axes = ", ".join([*time, *shape_text(value.shape, self.sizes), *batch])
        axes = f"({axes}{',' if ',' not in axes else ''})"
        kind = "int" if value.op in ("ids", "labels") else "bool" if self.steps.is_condition(value) else "dtype"
        name = self.names[value.id]
        if value.op == "numbers":
            return [f"    w.{name} = {matrix(value)}"]
        if value.op in DATA and lead + lag:
            return [f"    w.{name}_all = np.zeros({axes}, {kind})", f"    w.{name} = w.{name}_all[:T]"]
        return [f"    w.{name} = np.zeros({axes}, {kind})"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
