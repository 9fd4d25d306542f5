"""The fast script: one NumPy call a line, every result written into storage that exists already."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from rnnspec.frontend.typed import Spec
from rnnspec.ir.ops import DATA, ELEMENTWISE, SUMS, VIEWS
from rnnspec.ir.products import groups_of_rows
from rnnspec.ir.program import Block, Program, Value
from rnnspec.ir.storage import Buffer, Copy, Placement, Region
from rnnspec.script import parts
from rnnspec.script.body import Body
from rnnspec.script.calls import CALLS, FUNCTIONS, HELPERS, TEMPORARIES
from rnnspec.script.code import tag
from rnnspec.script.layout import filled, layout, unread
from rnnspec.script.neighbours import Run, runs, spanned
from rnnspec.script.operands import Loop, Operands
from rnnspec.script.sizes import matrix, shape_text, sizes_of
from rnnspec.script.windows import back

WIDTH = 116

QUICK = ("add", "subtract", "multiply", "divide", "square", "sqrt", "exp", "tanh", "dot", "matmul")
"""Functions that loops call most.  They take the array to write to as their last operand; all others are told `out=`."""

FORWARD = '''\
def forward(p, w):
    """The loss; p holds the parameters, w the inputs and all storage.

    In a loop, arithmetic names its result last: multiply(a, b, c) writes a * b to c.
    """'''

STORAGE = '''\
class Workspace:
    """All storage of one window: inputs, values of every step, scratch; made once."""

    def hold(self, shapes, dtype):
        """Make arrays by their names, side by side in one block: large pages of memory, and each from a cache line on."""
        per_line = 64 // np.dtype(dtype).itemsize
        lengths = [-(-math.prod(shape) // per_line) * per_line for shape in shapes.values()]
        block = np.zeros(sum(lengths) + per_line, dtype)
        start = -block.ctypes.data % 64 // block.itemsize
        for (name, shape), length in zip(shapes.items(), lengths):
            setattr(self, name, block[start : start + math.prod(shape)].reshape(shape))
            start += length'''


def fast(program: Program, spec: Spec, placement: Placement) -> Body:
    """The body of the script of a scheduled program, its values placed."""
    return FastPrinter(program, spec, placement).body()


class FastPrinter:
    """The lines of forward and backward, and the storage that they use."""

    def __init__(self, program: Program, spec: Spec, placement: Placement) -> None:
        self.program, self.spec, self.values = program, spec, program.values
        self.layout = layout(program, spec.model)
        self.placement, self.users = placement, program.users()
        own = FUNCTIONS | TEMPORARIES | parts.NAMES | set(HELPERS)
        self.operands = Operands(program, placement, self.layout, own, spec)
        self.loops: list[Loop] = []
        self.first_reads = self._first_reads()

    def body(self) -> Body:
        """All text, and where parameters, inputs and outputs are."""
        forward, backward = self._passes()
        functions = [self._allocate(), self._function_forward(forward), self._function_backward(backward)]
        functions += [self._carry()] if self.placement.windows else []
        helpers = [text for name, text in HELPERS.items() if any(f"{name}(" in f for f in functions)]
        text = "\n\n\n".join([*helpers, *functions])
        used = tuple(sorted(FUNCTIONS.intersection(re.findall(r"(?<![\w.])(\w+)[.(]", re.sub(r"#.*", "", text)))))
        o = self.operands
        return Body(
            functions=used,
            text=text,
            layout=self.layout,
            outputs=tuple((n, o.whole(v), self.values[v].time) for n, v in self.program.roots.outputs),
            averages=tuple((self.values[p].name, o.whole(v)) for p, v in self.program.roots.averages),
            limited=tuple((n, o.whole(v)) for n, v in self.program.roots.limited),
            inputs=tuple((v.name, o.attribute[v.id]) for v in self.values.values() if v.op in ("input", "ids", "labels")),
            reads=filled(self.program, o.attribute),
            carried=tuple(sorted(name for name, _, _ in self._states())),
        )

    # ---- forward and backward
    def _passes(self) -> tuple[list[str], list[str]]:
        """Lines up to the loss, and behind it."""
        forward: list[str] = []
        backward: list[str] = []
        current, prefix = forward, ""
        for k, block in enumerate(self.program.blocks):
            if self.program.roots.loss in block.ids:
                cut = block.ids.index(self.program.roots.loss) + 1
                forward += self._map(block.ids[:cut], "")
                current, prefix = backward, "backward of "
                backward += self._map(block.ids[cut:], prefix)
            else:
                current += self._block(k, block, prefix)
        for param, gradient in self.program.roots.gradients:
            own, text = f"g.{self.layout.attribute[param]}", self.operands.whole(gradient)
            backward += [f"copyto({own}, {text})"] if text != own else []
        return forward, [*self._zeros(), *backward]

    def _zeros(self) -> list[str]:
        attribute = dict(self.layout.parameters)
        return [f"g.{attribute[name]}[...] = 0" for name in unread(self.program, self.spec.model)]

    def _block(self, number: int, block: Block, prefix: str) -> list[str]:
        if block.kind == "map":
            return self._map(block.ids, prefix)
        if block.kind == "parts":
            return self._parts(block, prefix)
        before, behind = self.placement.spans[number]
        head = self._starts(block.ids) + [self._copy(c) for c in self.placement.copies if c.tick == before]
        loop = Loop(len(self.loops) + 1, block.direction)
        self.operands.begin(loop, block.ids)
        self.loops.append(loop)
        lines = self._map(block.ids, prefix)
        lines += [self._copy(c) for c in self.placement.copies if c.tick == behind]
        zero = [
            f"{self.operands.operand(self.placement.carried[i])}[...] = 0" for i in block.ids if i in self.placement.carried
        ]
        self.operands.end()
        views = [f"{name} = {text}" for text, name in loop.fixed.items()]
        way = "t = 1 .. T" if block.direction > 0 else "t = T .. 1"
        names = list(loop.steps.values())
        header = wrapped("for ", names, f" in w.steps_{loop.number}:  # {way}")
        return [*head, *views, *zero, *header, *(f"    {positional(line)}" for line in lines)]

    def _parts(self, block: Block, prefix: str) -> list[str]:
        """Sums over columns and lines, some steps at a time."""
        zero = self._cleared([self.placement.resolve(i) for i in block.ids if self.values[i].op in SUMS])
        self.operands.in_parts = True
        lines = self._map(block.ids, prefix)
        self.operands.in_parts = False
        header = "for part, steps in w.parts:  # some steps at a time: their copies are in the cache when they are multiplied"
        return [*zero, header, *(f"    {line}" for line in lines)]

    def _cleared(self, sums: list[Region]) -> list[str]:
        """Set sums to zero; an array as a whole where there is nothing else in it."""
        rows: Counter[int] = Counter()
        for region in sums:
            rows[region.buffer] += region.high - region.low
        full = {i: Region(i, 0, n) for i, n in rows.items() if n == self.placement.buffers[i].shape[0]}
        found = dict.fromkeys(full.get(region.buffer, region) for region in sums)
        return [f"{self.operands.region(region)}{'[...]' if region in full.values() else ''} = 0" for region in found]

    def _first_reads(self) -> dict[int, list[Value]]:
        """Shifts with a start, by the operation that reads them first."""
        found: dict[int, list[Value]] = {}
        for shift in self.values.values():
            readers = list(self._readers(shift.id)) if shift.op == "shift" and len(shift.args) > 1 else []
            if readers:
                found.setdefault(min(readers, key=self.placement.ticks.__getitem__), []).append(shift)
        return found

    def _readers(self, item: int) -> Iterator[int]:
        """Operations that read a value, views looked through."""
        for user in self.users[item]:
            if user.op in VIEWS:
                yield from self._readers(user.id)
            else:
                yield user.id

    def _starts(self, ids: tuple[int, ...]) -> list[str]:
        """Fill the slices in front of the first step (behind the last, for what runs backwards) before they are read."""
        lines = [line for item in ids for shift in self.first_reads.get(item, []) for line in self._fill(shift)]
        return list(dict.fromkeys(lines))

    def _fill(self, shift: Value) -> list[str]:
        region = self.placement.resolve(shift.args[0])
        buffer = self.placement.buffers[region.buffer]
        text = f"w.{self.operands.attribute[buffer.id]}"
        rows = self.operands.rows(region, buffer)
        rows = f", {rows}" if rows else ""
        lines = []
        for k, start in enumerate(shift.args[1:]):
            index = (buffer.front - 1 - k if shift.attr > 0 else k - buffer.back) - region.lag
            line = f"copyto({text}[{index}{rows}], {self.operands.whole(start)})"
            lines.append(f"if w.fresh: {line}" if self.placement.windows else line)
        return lines

    def _map(self, ids: tuple[int, ...], prefix: str) -> list[str]:
        """The calls of some values, under the equations they come from."""
        lines: list[str] = []
        shown = None
        apart = self.operands.loop is None  # a call for each takes longer only where it is short
        for run in ((self.values[i],) for i in ids) if apart else runs(ids, self.placement):
            value = run[0]
            made = self._starts((value.id,)) if apart else []
            made += [self._copy(c) for c in self.placement.copies if c.tick == self.placement.ticks[value.id]]
            made += self._calls(value) if len(run) == 1 else self._call_of(run)
            if made and value.origin and value.origin != shown:
                at_once = "   for all t at once" if self.operands.loop is None and value.time == "step" else ""
                lines.append(f"# {prefix}{tag(value.origin)}{at_once}")
                shown = value.origin
            lines += made
        return lines

    def _calls(self, value: Value) -> list[str]:
        if value.op == "matmul":
            return self._product(value)
        groups = self._groups(value)
        outside = ("concat", "total", "weighted_total", "dot", "inv_rms")
        args = [] if value.op in outside else [self.operands.operand(a, groups) for a in value.args]
        out = "" if value.op == "concat" or value.id == self.program.roots.loss else self.operands.operand(value.id, groups)
        return CALLS[value.op](self.operands, value, out, args)

    def _product(self, value: Value) -> list[str]:
        """A product with a matrix, whose rows come in groups where that is faster."""
        o, (left, right) = self.operands, value.args
        count = groups_of_rows(value, self.values, o.batch)
        if count == 1:
            return CALLS["matmul"](o, value, o.operand(value.id), [o.operand(left), o.operand(right)])
        groups, each = f"groups({count})", "" if o.loop else "[:, None]"
        return [f"matmul({o.matrix(left, groups)}, {o.operand(right)}{each}, out={o.operand(value.id, groups)})"]

    def _call_of(self, run: Run) -> list[str]:
        """The one call of values whose rows lie side by side."""
        o, name = self.operands, "_".join(value.name for value in run)
        out, read = spanned(run, self.placement)
        args = [o.operand(a) if isinstance(a, int) else o.place(a, self._name_of(a, name)) for a in read]
        return CALLS[run[0].op](o, run[0], o.place(out, self._name_of(out, name)), args)

    def _name_of(self, region: Region, name: str) -> str:
        """What rows without a name of their own are called."""
        buffer = self.placement.buffers[region.buffer]
        return buffer.name if buffer.shape[:1] == (region.high - region.low,) else name

    def _groups(self, value: Value) -> int:
        """How many groups of rows an operation works on, where a number of each is repeated over them."""
        if value.op not in ELEMENTWISE and value.op != "copy":
            return 0
        spreads = [self.values[a].attr[0] for a in value.args if self.values[a].op == "spread"]
        return max(spreads) if spreads and max(spreads) > 1 else 0

    def _copy(self, copy: Copy) -> str:
        """A part of a concatenation that lives elsewhere, or a carried value, brought to its place."""
        value = self.values[copy.value]
        groups = value.attr[0] if value.op == "spread" and value.attr[0] > 1 else 0
        target = self.operands.place(copy.region, f"{value.name}_copy", groups)
        return f"copyto({target}, {self.operands.operand(copy.value, groups)})"

    # ---- functions of the script
    def _function_forward(self, lines: list[str]) -> str:
        head = FORWARD.splitlines()
        for valid in self.program.leaves("valid"):
            head.append(f"    np.less(np.arange(w.T)[:, None, None], w.length, out=w.{self.operands.attribute[valid.id]})")
        if self.placement.windows and self._states():
            head.append("    if w.fresh:  # a sequence begins: its states start from zero")
            head += [f"        w.{name}[:{front}{rows}] = 0" for name, front, rows in self._states()]
        return "\n".join([*head, *(f"    {line}" for line in lines), "    return loss"])

    def _function_backward(self, lines: list[str]) -> str:
        head = ["def backward(p, w, g):", '    """Gradients of the loss into g; forward must have run."""']
        return "\n".join([*head, *(f"    {line}" for line in lines or ["pass"])])

    def _states(self) -> list[tuple[str, int, str]]:
        """Histories with slices in front of the first step, how many, and their rows: what goes on from window to window."""
        found = [b for b in self.placement.buffers.values() if b.front and b.storage == "history"]
        name = self.operands.attribute
        return [(name[b.id] + ("_all" if self._is_data(b) else ""), b.front, self._rows_of_states(b)) for b in found]

    def _rows_of_states(self, buffer: Buffer) -> str:
        """Those in front of inputs, which a batch brings, as an index."""
        inputs = [life.region.low for life in buffer.lives if self.values[life.value].op == "input"]
        return f", :{self.operands.row(min(inputs))}" if inputs else ""

    def _is_data(self, buffer: Buffer) -> bool:
        return self.values[buffer.id].op in DATA

    def _carry(self) -> str:
        head = [
            "def carry(old, new):",
            '    """Let the next window go on where the last one ended: its states before the first step."""',
        ]
        head += ["    T = old.T - new.seen  # steps in front of those that both have"] if back(self.spec) else []
        end = "T" if back(self.spec) else "old.T"
        lines = [
            f"    copyto(new.{name}[:{front}{rows}], old.{name}[{end} : {end} + {front}{rows}])"
            for name, front, rows in self._states()
        ]
        return "\n".join([*head, *(lines or ["    # nothing is remembered from step to step"])])

    def _allocate(self) -> str:
        """All storage, and the views that the loops iterate over."""
        lines = [
            *STORAGE.splitlines(),
            "",
            "",
            "def allocate(T, B, dtype):",
            '    """Arrays with time hold one slice a step, further ones where another step is read, fewer for one part."""',
            "    w = Workspace()",
            "    w.T, w.B, w.fresh = T, B, True" if self.placement.windows else "    w.T, w.B = T, B",
        ]
        if self.spec.model.masked:
            lines += ["    w.length = np.full(B, T)", "    w.mask = np.ones((T, 1, B), dtype)"]
        if any(block.kind == "parts" for block in self.program.blocks):
            lines += ["    w.parts = in_parts(T, B)", "    most = max(steps for _, steps in w.parts)  # of one part"]
        arrays = list(self._arrays())
        numbers = [f'        "{name}": {axes},' for name, axes, kind in arrays if kind == "dtype"]
        lines += ["    w.hold({", *numbers, "    }, dtype)"] if numbers else []
        lines += [f"    w.{name} = np.zeros({axes}, {kind})" for name, axes, kind in arrays if kind != "dtype"]
        for buffer in self.placement.buffers.values():
            lines += self._beside(buffer)
        inside = (v for v in self.program.leaves("input") if v.id not in self.placement.buffers)
        lines += [f"    w.{self.operands.attribute[v.id]} = {self.operands.whole(v.id)}" for v in inside]
        for loop in self.loops:
            back = "[::-1]" if loop.direction < 0 else ""
            lines += [f"    {line}" for line in wrapped(f"w.steps_{loop.number} = list(zip(", list(loop.steps), f")){back}")]
        return "\n".join([*lines, "    return w"])

    def _arrays(self) -> Iterator[tuple[str, str, str]]:
        """Name, shape and type of what is stored."""
        for buffer in self.placement.buffers.values():
            value, extra = self.values[buffer.id], buffer.front + buffer.back
            number = buffer.id == self.program.roots.loss or (value.op == "share" and self.operands.scalar_share)
            if buffer.id not in self.operands.gradients and value.op not in ("mask", "numbers") and not number:
                name = self.operands.attribute[buffer.id] + ("_all" if extra and value.op in DATA else "")
                kind = "bool" if buffer.condition else "int" if value.op in ("ids", "labels") else "dtype"
                yield name, axes_text(buffer, f"T + {extra}" if extra else "T", self.spec), kind

    def _beside(self, buffer: Buffer) -> list[str]:
        """What else w gets: numbers that the spec knows, and data without the slices in front of them and behind."""
        value, name = self.values[buffer.id], self.operands.attribute[buffer.id]
        if value.op == "share" and self.operands.scalar_share:
            return ["    w.share = 1.0"]
        if value.op == "numbers":
            return [f"    w.{name} = {matrix(value)}"]
        if buffer.front + buffer.back and value.op in DATA:
            return [f"    w.{name} = w.{name}_all[{buffer.front} : {buffer.front} + T]"]
        return []


def axes_text(buffer: Buffer, time: str, spec: Spec) -> str:
    """The shape of a buffer's array, sizes by name."""
    shape = shape_text(buffer.shape, sizes_of(spec.model))
    axes = {
        "history": [time, *shape, "B"],
        "step": [*shape, "B"],
        "sequence": [*shape, "B"],
        "flat": [*shape, "most", "B"],
        "lines": ["most", "B", *shape],
        "fixed": shape,
    }[buffer.storage]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def positional(line: str) -> str:
    """A call of a loop without the words `out=`: NumPy takes a tenth of a short call to read them."""
    return re.sub(rf"^({'|'.join(QUICK)})\((.*), out=(\w+)\)$", r"\1(\2, \3)", line)


def wrapped(head: str, items: list[str], tail: str) -> list[str]:
    """A list of items between brackets, broken over several lines where it is long."""
    one = f"{head}{', '.join(items)}{',' if len(items) == 1 else ''}{tail}"
    if len(one) <= WIDTH:
        return [one]
    opening = "" if head.endswith("(") else "("
    lines, current = [head + opening], "    "
    for item in items:
        if len(current) + len(item) + 2 > WIDTH:
            lines.append(current.rstrip())
            current = "    "
        current += f"{item}, "
    lines.append(current.rstrip())
    return [*lines, (")" if opening else "") + tail.lstrip(" ")] if not opening else [*lines, ")" + tail]
