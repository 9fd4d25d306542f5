"""Operations that read more than the elements beside their own: one row each.

A row is given the kernel under construction, the atom and its value; it may add lines, and gives the expression of an element.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnnspec.ir.program import Value
from rnnspec.script.expressions import PRODUCT, SUM, UNARY, Text
from rnnspec.script.gpu import places
from rnnspec.script.gpu.operations import literal
from rnnspec.script.gpu.places import grouped

if TYPE_CHECKING:
    from rnnspec.script.gpu.cuda import Kernel
    from rnnspec.script.gpu.plan import Atom

Special = Callable[["Kernel", "Atom", Value, int, "Counter[Any]", str], Text]


def number(kernel: Kernel, item: int, index: str, indent: str) -> str:
    """A whole number of the data as a variable."""
    found = places.element(kernel.values, item, index)
    text = kernel.leaf(found.base, found.lag, found.index).text
    name = kernel.variable(kernel.values[found.base].name)
    kernel.lines.append(f"{indent}const int {name} = {text};")
    return name


def lookup(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """W @ one_hot(id): a column of W."""
    matrix, ids = value.args
    columns = kernel.values[matrix].shape[1]
    column = number(kernel, ids, "0", indent)
    return Text(kernel.element(matrix, f"{grouped(kernel.row(atom))} * {columns} + {column}"))


def one_hot(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """1 in the row that the id names."""
    return Text(f"real({kernel.row(atom)} == {number(kernel, value.args[0], '0', indent)})")


def cross_entropy(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """-log p of the class."""
    _, target, logs = value.args
    return Text(f"-{kernel.element(logs, number(kernel, target, '0', indent))}", UNARY)


def softmax_error(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """p, less one at the class."""
    (logs,) = kernel.side(atom, phase, counts, indent)
    return Text(f"exp({logs.text}) - real({kernel.row(atom)} == {number(kernel, value.args[1], '0', indent)})", SUM)


def outer(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """a b^T."""
    a, b = value.args
    columns, row = value.shape[1], kernel.row(atom)
    return Text(
        f"{kernel.element(a, f'{grouped(row)} / {columns}')} * {kernel.element(b, f'{grouped(row)} % {columns}')}", PRODUCT
    )


def matmul(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """A @ b, where each sequence (and step) has an A of its own, or this block has the rows of A that it needs."""
    if kernel.plan.kernel.grid and kernel.values[value.args[0]].time == "fixed":
        return past_product(kernel, atom, indent)
    a, b = value.args
    inner, columns = kernel.values[a].shape[1], places.size(value) // value.shape[0]
    row = grouped(kernel.row(atom))
    left = kernel.element(a, f"{row} / {columns} * {inner} + k" if columns > 1 else f"{row} * {inner} + k")
    right = kernel.element(b, f"k * {columns} + {row} % {columns}" if columns > 1 else "k")
    return summed(kernel, value, f"for (int k = 0; k < {inner}; k++)", f"{left} * {right}", indent)


def past_product(kernel: Kernel, atom: Atom, indent: str) -> Text:
    """A row of a matrix that this block keeps, times what all blocks left of the step before: one loop for all such rows."""
    if atom not in kernel.sums:
        operand = kernel.values[atom.id].args[1]
        rows = [a for a in product_atoms(kernel) if kernel.values[a.id].args[1] == operand]
        names = [kernel.variable(kernel.part_name(a)) for a in rows]
        columns, stride = places.size(kernel.values[operand]), weight_columns(kernel) + 1
        kernel.lines.append(f"{indent}real {', '.join(f'{name} = 0' for name in names)};")
        kernel.lines.append(f"{indent}for (int k = 0; k < {columns}; k++) {{")
        kernel.lines.append(f"{indent}    const real past = {kernel.element(operand, 'k')};")
        for name, a in zip(names, rows, strict=True):
            place = product_atoms(kernel).index(a)
            kernel.lines.append(f"{indent}    {name} += weights[({place} * each + u) * {stride} + k] * past;")
            kernel.sums[a] = Text(name)
        kernel.lines.append(f"{indent}}}")
    return kernel.sums[atom]


def product_atoms(kernel: Kernel) -> list[Atom]:
    """The rows of products that each unit of a block needs, in the order in which the block keeps their weights."""
    ids = [i for i in kernel.plan.kernel.ids if kernel.values[i].op == "matmul" and kernel.values[i].time == "step"]
    return [a for i in ids if kernel.values[kernel.values[i].args[0]].time == "fixed" for a in kernel.plan.atoms(i)]


def weight_columns(kernel: Kernel) -> int:
    """The columns of the widest of these products."""
    return max(places.size(kernel.values[kernel.values[a.id].args[1]]) for a in product_atoms(kernel))


def summed(kernel: Kernel, value: Value, head: str, term: str, indent: str) -> Text:
    """The sum of a term over a loop, as a variable."""
    name = kernel.variable(value.name)
    kernel.lines += [f"{indent}real {name} = 0;", f"{indent}{head} {name} += {term};"]
    return Text(name)


def cumsum(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The sum up to this row."""
    return summed(kernel, value, f"for (int k = 0; k <= {kernel.row(atom)}; k++)", kernel.element(value.args[0], "k"), indent)


def total(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The sum over the rows of a group, where there are many groups: each is added up by one thread."""
    groups = value.attr[0] if value.op == "weighted_total" else value.attr
    width = places.size(kernel.values[value.args[0]]) // groups
    term = kernel.element(value.args[0], f"{grouped(kernel.row(atom))} * {width} + k")
    found = summed(kernel, value, f"for (int k = 0; k < {width}; k++)", term, indent)
    if value.op == "total":
        return found
    return Text(f"{literal(value.attr[1])} * {found.text}", PRODUCT)


def batch_total(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The sum over the sequences of a step."""
    found = places.element(kernel.values, value.args[0], kernel.row(atom))
    array = kernel.storage.arrays[found.base]
    kernel.used.update("tB")
    name, step = kernel.array(found.base), array.front - found.lag
    time = f"(t + {step})" if step else "t"
    index = "k" if array.axes == "scratch" else f"((size_t) {time} * B + k)"
    term = f"{name}[{index}]" if array.size == 1 else f"{name}[{index} * {array.size} + {found.index}]"
    return summed(kernel, value, "for (int k = 0; k < B; k++)", term, indent)


def time_sum(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The sum over the steps of a sequence."""
    kernel.used.add("T")
    return summed(kernel, value, "for (int k = 0; k < T; k++)", at_step(kernel, value.args[0], kernel.row(atom), "k"), indent)


def at_step(kernel: Kernel, item: int, index: str, step: str) -> str:
    """An element of an operand at a step, counted from 0."""
    found = places.element(kernel.values, item, index)
    if found.base not in kernel.storage.arrays:
        return kernel.leaf(found.base, found.lag, found.index, step).within(PRODUCT)
    array = kernel.storage.arrays[found.base]
    offset = array.front - found.lag
    return kernel.address(found.base, 0, found.index, f"{step} + {offset}" if offset else step)


def last(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The last step, or the last valid one of each sequence."""
    return Text(at_step(kernel, value.args[0], kernel.row(atom), last_step(kernel)))


def last_step(kernel: Kernel) -> str:
    """The number of the last step of a sequence."""
    if kernel.storage.masked:
        kernel.used.add("b")
        return f"{kernel.given('length')}[b] - 1"
    kernel.used.add("T")
    return "T - 1"


def at_last(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """Zero but at the last valid step."""
    kernel.used.update("tb")
    return Text(f"t == {last_step(kernel)} ? {kernel.element(value.args[0], kernel.row(atom))} : real(0)", -1)


def step_at(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """The adjoint of a start: only where the sequence begins in this window, and is long enough."""
    kernel.used.add("T")
    step = str(value.attr - 1) if value.attr > 0 else f"T - {-value.attr}"
    text = at_step(kernel, value.args[0], kernel.row(atom), step)
    conditions = [f"T >= {abs(value.attr)}"] if abs(value.attr) > 1 else []
    if kernel.storage.windows:
        conditions.append(f"{kernel.given('fresh')}[0]")
    return Text(f"{' && '.join(conditions)} ? {text} : real(0)", -1) if conditions else Text(text)


def outer_sum(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """a b^T of matrices, summed over steps, sequences and columns."""
    (a, b), row = value.args, grouped(kernel.row(atom))
    rows, columns = value.shape
    inner = places.size(kernel.values[a]) // rows
    left = everywhere(kernel, a, f"{row} / {columns} * {inner} + l")
    right = everywhere(kernel, b, f"{row} % {columns} * {inner} + l")
    head = f"for (int k = 0; k < {steps_and_sequences(kernel, value)}; k++) for (int l = 0; l < {inner}; l++)"
    return summed(kernel, value, head, f"{left} * {right}", indent)


def steps_and_sequences(kernel: Kernel, value: Value) -> str:
    """How many terms a sum has: a step of a sequence each, or a sequence."""
    times = {kernel.values[a].time for a in value.args}
    if "step" in times:
        kernel.used.update("TB")
        return "T * B"
    kernel.used.add("B")
    return "B" if "sequence" in times else "1"


def everywhere(kernel: Kernel, item: int, index: str) -> str:
    """An element of an operand at place `k` of all steps and sequences."""
    found = places.element(kernel.values, item, index)
    value, array = kernel.values[found.base], kernel.storage.arrays[found.base]
    name = kernel.array(found.base)
    if value.time == "fixed":
        return f"{name}[{found.index}]"
    offset = array.front - found.lag if array.axes == "steps" else 0
    if offset:
        kernel.used.add("B")
    place = f"((size_t) k + {offset} * B)" if offset else "(size_t) k" if array.size > 1 else "k"
    return f"{name}[{place}]" if array.size == 1 else f"{name}[{place} * {array.size} + {found.index}]"


def label_rows(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """1 at the class of the rows blank, label, blank, label .. blank."""
    row = grouped(kernel.row(atom))
    place, label = f"{row} / {value.attr}", kernel.element(value.args[0], f"{row} / {value.attr} / 2")
    return Text(f"real({row} % {value.attr} == ({place} % 2 ? {label} : 0))")


def label_skips(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """0 where a path may skip the blank before a label, because that differs from the label before, else log(0)."""
    row = grouped(kernel.row(atom))
    here, before = kernel.element(value.args[0], f"{row} / 2"), kernel.element(value.args[0], f"{row} / 2 - 1")
    return Text(f"{row} % 2 && {row} >= 3 && {here} != {before} ? real(0) : real(-1e+30)", -1)


def label_ends(kernel: Kernel, atom: Atom, value: Value, phase: int, counts: Counter[Any], indent: str) -> Text:
    """0 at the last label of each sequence and at the blank after it, where a path may end, else log(0)."""
    (labels,), name = value.args, kernel.variable("last")
    term = f"2 * ({kernel.element(labels, 'k')} > 0)"
    longest = places.size(kernel.values[labels])
    kernel.lines += [f"{indent}int {name} = 0;", f"{indent}for (int k = 0; k < {longest}; k++) {name} += {term};"]
    row = grouped(kernel.row(atom))
    return Text(f"{row} == {name} || {row} == {name} - 1 ? real(0) : real(-1e+30)", -1)


SPECIAL: dict[str, Special] = {
    "lookup": lookup,
    "one_hot": one_hot,
    "cross_entropy": cross_entropy,
    "softmax_error": softmax_error,
    "outer": outer,
    "matmul": matmul,
    "cumsum": cumsum,
    "total": total,
    "weighted_total": total,
    "batch_total": batch_total,
    "time_sum": time_sum,
    "last": last,
    "at_last": at_last,
    "step_at": step_at,
    "outer_sum": outer_sum,
    "label_rows": label_rows,
    "label_skips": label_skips,
    "label_ends": label_ends,
}
