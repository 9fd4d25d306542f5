"""The printed part of a GPU script: its kernels, allocation, forward, backward, and what is carried from window to window."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rnnspec.frontend.typed import Spec
from rnnspec.ir.ops import DATA, VIEWS
from rnnspec.ir.program import Program, Value
from rnnspec.script.body import Body
from rnnspec.script.code import tag
from rnnspec.script.gpu import places
from rnnspec.script.gpu.cuda import TAKEN, Launch
from rnnspec.script.gpu.kernels import kernel
from rnnspec.script.gpu.operations import HELPERS, NEEDS
from rnnspec.script.gpu.over_time import over_time
from rnnspec.script.gpu.plan import plan
from rnnspec.script.gpu.storage import Array, Storage, states, storage
from rnnspec.script.gpu.tasks import Kernel, Loop, Product, Schedule, Task, schedule
from rnnspec.script.gpu.together import CODE, SCRIPT, together
from rnnspec.script.layout import layout, unread
from rnnspec.script.names import identifier
from rnnspec.script.sizes import matrix, shape_text, size_text, sizes_of
from rnnspec.script.windows import back

Lines = list[str]


def gpu_body(program: Program, spec: Spec, on_chip: bool = False) -> Body:
    """The body of the script of a program with blocks; `on_chip`: with kernels for whole dense recurrences."""
    return GpuPrinter(program, spec, on_chip).body()


class GpuPrinter:
    """The lines of forward and backward, the kernels they launch, and the arrays they use."""

    def __init__(self, program: Program, spec: Spec, on_chip: bool) -> None:
        self.program, self.spec = program, spec
        self.layout = layout(program, spec.model)
        self.schedule: Schedule = over_time(schedule(program))
        self.schedule = together(self.schedule) if on_chip else self.schedule
        self.values = self.schedule.values
        self.plans = {k.ids: plan(k, self.values, inside) for k, inside in kernels_of(self.schedule)}
        self.storage: Storage = storage(program, spec, self.schedule, self.plans.values(), self.layout)
        names = [e.name for e in spec.model.equations]
        self.spoken = {*names, *(f"d{n}" for n in names)}
        self.sizes = sizes_of(spec.model)
        self.launches: list[Launch] = []
        self.together: list[Launch] = []
        self.shown: object = None
        self.inside = False

    def body(self) -> Body:
        """All text, and where parameters, inputs and outputs are."""
        forward = [*self._begin(), *self._tasks(self.schedule.forward, "")]
        self.shown = None
        backward = [*self._tasks(self.schedule.backward, "backward of "), *self._gradients()]
        functions = [
            self._kernels(),
            *self._kernels_together(),
            self._allocate([*forward, *backward]),
            self._function("forward(p, w)", FORWARD, forward),
        ]
        functions.append(self._function("backward(p, w, g)", BACKWARD, backward))
        functions += [self._carry()] if self.storage.windows else []
        arrays, values = self.storage.arrays, self.values
        data = [v for v in values.values() if v.op in DATA and v.id in arrays]
        return Body(
            functions=tuple(n for n in PRODUCTS if any(line.lstrip().startswith(f"{n}(") for line in [*forward, *backward])),
            text="\n\n\n".join(functions),
            layout=self.layout,
            outputs=tuple((n, self._output(v), values[v].time) for n, v in self.program.roots.outputs),
            averages=tuple((values[p].name, arrays[v].text) for p, v in self.program.roots.averages),
            inputs=tuple((v.name, self._attribute(v)) for v in data if v.op in ("input", "ids", "labels")),
            limited=tuple((n, self._output(v)) for n, v in self.program.roots.limited),
            reads=frozenset(self._attribute(v) for v in data if v.op != "numbers"),
            carried=tuple(sorted(array.text.removeprefix("w.") for array in states(self.storage))),
        )

    def _attribute(self, value: Value) -> str:
        return self.storage.arrays[value.id].name

    # ---- launches
    def _tasks(self, tasks: tuple[Task, ...], prefix: str) -> Lines:
        lines: Lines = []
        for task in tasks:
            if isinstance(task, Loop):
                self.inside, self.shown = True, None
                inner = [line for t in task.tasks for line in self._task(t, prefix)]
                self.inside, self.shown = False, None
                way = "range(w.T)" if task.direction > 0 else "reversed(range(w.T))"
                steps = [f"for t in {way}:", *(f"    {line}" for line in inner)]
                lines += self._together(task.together, steps, prefix) if task.together else steps
            else:
                lines += self._task(task, prefix)
        return lines

    def _together(self, task: Kernel, steps: Lines, prefix: str) -> Lines:
        """A dense recurrence in one launch, or one a step, where that pays; else its steps with products by the library."""
        last = self.values[task.ids[-1]]
        taken = {launch.name for launch in self.together}
        name = identifier(f"{'backward' if prefix else 'forward'}_{last.name}", taken)
        launch = kernel(self.plans[task.ids], self.values, self.storage, self.spoken, prefix, name)
        self.together.append(launch)
        assert launch.weights is not None
        units, rows, columns = (size_text(n, self.sizes) for n in launch.weights)
        way = "range(0, w.T, steps)" if task.direction > 0 else "reversed(range(0, w.T, steps))"
        call = f'launch_together(w, "{name}", {units}, each, {rows}, {columns}, t, steps, {", ".join(launch.arguments)})'
        head = [f"each, steps = units_and_steps(w, {units}, {rows}, {columns})", "if steps:", f"    for t in {way}:"]
        return [*head, f"        {call}", "else:", *(f"    {line}" for line in steps)]

    def _task(self, task: Product | Kernel, prefix: str) -> Lines:
        if isinstance(task, Product):
            return [*self._comment([task.id], prefix), self._product(self.values[task.id])]
        last = self.values[task.ids[-1]]
        name = identifier(f"{'backward' if prefix else 'forward'}_{last.name}", {launch.name for launch in self.launches})
        launch = kernel(self.plans[task.ids], self.values, self.storage, self.spoken, prefix, name)
        self.launches.append(launch)
        arguments = ", ".join(launch.arguments)
        count = self._sized(launch.threads)
        if launch.width:
            return [*self._comment(task.ids, prefix), f'launch_blocks(w, "{name}", {count}, {launch.width}, {arguments})']
        return [*self._comment(task.ids, prefix), f'launch(w, "{name}", {count}, {arguments})']

    def _sized(self, count: str) -> str:
        """A count with its size by name, where it has one."""
        head, _, size = count.rpartition(" * ")
        return f"{head} * {size_text(int(size), self.sizes)}" if size.isdigit() and head else count

    def _comment(self, ids: list[int] | tuple[int, ...], prefix: str) -> Lines:
        """The equations that a launch computes."""
        origins = dict.fromkeys(tag(o) for i in ids if (o := self.values[i].origin) is not None)
        fresh = [o for o in origins if o != self.shown]
        if not fresh:
            return []
        self.shown = list(origins)[-1]
        at_once = "" if self.inside or all(self.values[i].time != "step" for i in ids) else "   for all t at once"
        return [f"# {prefix}{o}{at_once}" for o in fresh]

    # ---- products
    def _product(self, value: Value) -> str:
        """The call of the library of matrix products."""
        out = self._operand(value.id)
        if value.op == "batch_sum":
            ones = {"step": "w.ones", "sequence": "w.ones[0]"}[self.values[value.args[0]].time]
            return f"gram({self._operand(value.args[0])}, {ones}, {out}.reshape(-1, 1))"
        if value.op == "outer_sum":
            a, b = (self._operand(arg) for arg in value.args)
            return f"gram({a}, {b}, {out})"
        left, right = (self.values[a] for a in value.args)
        if len(right.shape) == 2 and right.time != "fixed":
            return self._batched(value, out)
        a = self._matrix(left)
        if right.time == "fixed":
            if len(right.shape) == 2:
                return f"matmul({a}, {self._matrix(right)}, {out})"
            return f"matmul({self._operand(right.id)}[None], {turned(a)}, {out}[None])"
        return f"matmul({self._operand(right.id)}, {turned(a)}, {out})"

    def _batched(self, value: Value, out: str) -> str:
        """A product of one matrix with a matrix for each sequence (and step)."""
        right = self.values[value.args[1]]
        base, lag = places.base(self.values, right.id)
        whole, columns = self.values[base].shape[0], size_text(right.shape[1], self.sizes)
        block = places.block(self.values, right.id, 0, places.size(right))
        assert block is not None, right
        low, high = block.low // right.shape[1], block.high // right.shape[1]
        part = "" if (low, high) == (0, whole) else f"[:, {low}:{high}]"
        operand = f"{self._array(base, lag)}.reshape(-1, {size_text(whole, self.sizes)}, {columns}){part}"
        made = f"{out}.reshape(-1, {size_text(value.shape[0], self.sizes)}, {columns})"
        return f"batched_matmul({self._matrix(self.values[value.args[0]])}, {operand}, {made})"

    def _matrix(self, value: Value) -> str:
        """A matrix without time or batch, as a view."""
        if value.op == "transpose":
            return turned(self._matrix(self.values[value.args[0]]))
        if value.op == "rows":
            low, high = value.attr
            return f"{self._matrix(self.values[value.args[0]])}[{low}:{high}]"
        if value.op in VIEWS:
            return self._matrix(self.values[value.args[0]])
        return self.storage.arrays[value.id].text

    def _operand(self, item: int) -> str:
        """A value as a view (..., features): for all steps, or of one step in a loop."""
        value = self.values[item]
        size = places.size(value)
        found = places.block(self.values, item, 0, size)
        assert found is not None, value
        text = self._array(found.base, found.lag)
        whole = places.size(self.values[found.base])
        if (found.low, found.high) == (0, whole):
            return text
        columns = f"{found.low or ''}:{found.high}"
        if self.storage.arrays[found.base].axes == "fixed":
            return f"{text}[{columns}]"
        return f"{text}[..., {columns}]"

    def _array(self, item: int, lag: int) -> str:
        """An array for all steps, or of one step in a loop."""
        array = self.storage.arrays[item]
        if array.axes != "steps":
            return array.text
        start = array.front - lag
        if self.inside:
            return f"{array.text}[t{f' + {start}' if start > 0 else f' - {-start}' if start < 0 else ''}]"
        stop = array.back + lag
        times = f"{start or ''}:{-stop or ''}" if start or stop else ""
        return f"{array.text}[{times}]" if times else array.text

    # ---- functions of the script
    def _begin(self) -> Lines:
        """The line that sets states to zero where sequences begin."""
        found = list(states(self.storage))
        if not self.storage.windows or not found:
            return []
        lines, parameters, taken = [], [], {*TAKEN, "fresh"}
        for array in found:
            name = identifier(array.name, taken)
            taken.add(name)
            parameters.append(f"{array.kind}* {name}")
            lines.append(f"    if (fresh[0] && i < B * {array.front * array.size}) {name}[i] = 0;")
        most = max(array.front * array.size for array in found)
        signature = ", ".join([*parameters, "const int* __restrict__ fresh", "int B"])
        head = "    const int i = blockIdx.x * blockDim.x + threadIdx.x;"
        text = "\n".join([f'extern "C" __global__ void begin({signature}) {{', head, *lines, "}"])
        arguments = (*(array.text for array in found), "w.fresh", "w.B")
        self.launches.append(Launch("begin", text, arguments, f"w.B * {most}"))
        call = f'launch(w, "begin", w.B * {most}, {", ".join(arguments)})'
        return ["# where a sequence begins, its states start from zero", call]

    def _gradients(self) -> Lines:
        """Gradients that are parts of others, and parameters that the loss does not depend on."""
        lines = []
        for parameter, gradient in self.program.roots.gradients:
            own, text = f"g.{self.layout.attribute[parameter]}", self._gradient(gradient)
            lines += [f"{own}[...] = {text}"] if text != own else []
        attribute = dict(self.layout.parameters)
        return [*lines, *(f"g.{attribute[name]}[...] = 0" for name in unread(self.program, self.spec.model))]

    def _gradient(self, item: int) -> str:
        value = self.values[item]
        if value.op == "transpose":
            return f"{self._gradient(value.args[0])}.T"
        if value.op == "rows":
            return f"{self._gradient(value.args[0])}[{value.attr[0]}:{value.attr[1]}]"
        if value.op in ("spread", "expand"):
            return self._gradient(value.args[0])
        if value.op == "constant":
            return repr(value.attr)
        return self.storage.arrays[item].text

    def _kernels(self) -> str:
        """The CUDA C text of all kernels, with the functions that they use."""
        texts = "\n\n".join(launch.text for launch in self.launches)
        helpers = helpers_of(texts)
        return f'KERNELS = r"""\n{helpers}{chr(10) * 2 if helpers else ""}{texts}\n"""'

    def _kernels_together(self) -> Lines:
        """The text of the kernels whose blocks wait for each other, and what starts them."""
        if not self.together:
            return []
        texts = "\n\n".join(launch.text for launch in self.together)
        helpers = helpers_of(texts)
        return [f'TOGETHER = r"""{CODE}\n{helpers}{chr(10) * 2 if helpers else ""}{texts}\n"""', SCRIPT.strip("\n")]

    def _function(self, signature: str, about: str, lines: Lines) -> str:
        return "\n".join([f"def {signature}:", f'    """{about}"""', *(f"    {line}" for line in lines or ["pass"])])

    def _carry(self) -> str:
        head = [
            "def carry(old, new):",
            '    """Let the next window go on where the last one ended: its states before the first step."""',
        ]
        head += ["    T = old.T - new.seen  # steps in front of those that both have"] if back(self.spec) else []
        end = "T" if back(self.spec) else "old.T"
        lines = []
        for array in states(self.storage):
            own = array.text.removeprefix("w.")
            lines.append(f"    new.{own}[: {array.front}] = old.{own}[{end} : {end} + {array.front}]")
        return "\n".join([*head, *(lines or ["    # nothing is remembered from step to step"])])

    def _allocate(self, lines: Lines) -> str:
        """All storage."""
        head = [
            "class Workspace:",
            '    """All storage of one window: inputs, values of every step, scratch; made once."""',
            "",
            "",
            "def allocate(T, B, dtype):",
            '    """Arrays with time hold a slice a step; with one more in front, where v[t-1] is read, v[t] is at t + 1."""',
            "    w = Workspace()",
            "    w.T, w.B, w.kernels = T, B, kernels(KERNELS, dtype)",
            "    w.loss = cp.zeros(1, dtype)",
        ]
        if self.together:
            head.append(
                "    w.together = {wait: kernels(TOGETHER, dtype, enable_cooperative_groups=wait) for wait in (True, False)}"
            )
            head.append("    w.arrived = cp.zeros(1, np.int32)  # blocks that wait for each other")
        if self.spec.model.masked:
            head.append("    w.length = cp.full(B, T, np.int32)")
        if self.storage.windows:
            head.append("    w.fresh = cp.ones(1, np.int32)  # does a sequence begin with this window?")
        if any("w.ones" in line for line in lines):
            head.append("    w.ones = cp.ones((T, B, 1), dtype)  # a product with them adds up")
        for item in self.storage.made:
            head += self._made(self.values[item], self.storage.arrays[item])
        return "\n".join([*head, "    return w"])

    def _made(self, value: Value, array: Array) -> Iterator[str]:
        """The line that makes an array."""
        kind = "np.int32" if array.kind == "int" else "dtype"
        if value.op == "numbers":
            yield f"    {array.text} = cp.asarray({matrix(value)})"
            return
        extra = array.front + array.back
        time = f"T + {extra}" if extra else "T"
        shape = (
            shape_text(value.shape, self.sizes)
            if value.op in DATA or array.axes == "fixed"
            else [size_text(array.size, self.sizes)]
        )
        axes = {
            "steps": [time, "B", *shape],
            "scratch": ["B", *shape],
            "sequence": ["B", *shape],
            "fixed": shape,
            "number": ["1"],
        }[array.axes]
        if value.op in ("share", "weight") and array.axes == "steps":
            axes = axes[:2]
        yield f"    {array.text} = cp.zeros(({', '.join(axes)}{',' if len(axes) == 1 else ''}), {kind})"
        if extra and value.op in DATA:
            yield f"    w.{array.name} = {array.text}[{array.front} : {array.front} + T]"

    def _output(self, item: int) -> str:
        """What `predict` gives of a value: (time, batch, ...)."""
        value = self.values[item]
        found, lag = places.base(self.values, item)
        text = self._array(found, lag)
        if len(value.shape) > 1:
            lead = {"step": "w.T, w.B, ", "sequence": "w.B, "}.get(value.time, "")
            return f"{text}.reshape({lead}{', '.join(map(str, value.shape))})"
        return text


PRODUCTS = ("batched_matmul", "gram", "matmul")
"""Functions of the frame that compute products."""

FORWARD = "The loss into w.loss; p holds the parameters, w the inputs and all storage.  Nothing waits for the device."
BACKWARD = "Gradients of the loss into g; forward must have run."


def helpers_of(texts: str) -> str:
    """The functions that kernels use."""
    used = [name for name in HELPERS if re.search(rf"\b{name}\(", texts)]
    wanted = {needed for name in used for needed in (name, *NEEDS.get(name, ()))}
    return "\n\n".join(text.strip("\n") for name, text in HELPERS.items() if name in wanted)


def turned(text: str) -> str:
    """A matrix turned, or turned back."""
    return text.removesuffix(".T") if text.endswith(".T") else f"{text}.T"


def kernels_of(schedule: Schedule) -> Iterator[tuple[Kernel, bool]]:
    """Every kernel, and whether it is launched in a loop."""
    for task in (*schedule.forward, *schedule.backward):
        for inner in task.tasks if isinstance(task, Loop) else (task,):
            if isinstance(inner, Kernel):
                yield inner, isinstance(task, Loop) or inner.direction != 0
        if isinstance(task, Loop) and task.together:
            yield task.together, True
