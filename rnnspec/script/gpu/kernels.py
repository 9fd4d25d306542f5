"""A kernel as a whole: who computes what, from which arrays, and how it is launched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rnnspec.ir.program import Value
from rnnspec.script.expressions import Text
from rnnspec.script.gpu import places, reads
from rnnspec.script.gpu.cuda import Kernel, Launch, Scope
from rnnspec.script.gpu.operations import REDUCTIONS, literal
from rnnspec.script.gpu.plan import Atom, Plan
from rnnspec.script.gpu.special import everywhere, product_atoms, steps_and_sequences, weight_columns
from rnnspec.script.gpu.storage import Storage

WIDEST = 256  # threads of a block
STEP = "    "
TIME = {1: "for (int t = 0; t < T; t++) {", -1: "for (int t = T - 1; t >= 0; t--) {"}
SOME_STEPS = {1: "for (int t = from; t < from + steps; t++) {", -1: "for (int t = from + steps - 1; t >= from; t--) {"}


def kernel(plan: Plan, values: Mapping[int, Value], storage: Storage, spoken: set[str], prefix: str, name: str) -> Launch:
    """The text of a kernel, and how it is launched."""
    made = Kernel(plan, values, storage, spoken, prefix)
    whole = WHOLE.get(values[plan.kernel.ids[0]].op)
    if whole is not None:
        return whole(made, name)
    if plan.kernel.grid:
        return gridwise(made, name)
    return elementwise(made, name) if plan.is_elementwise else blockwise(made, name)


def elementwise(made: Kernel, name: str) -> Launch:
    """One thread for each element of each sequence (and step)."""
    plan, lengths = made.plan, made.plan.lengths
    length = lengths[0] if lengths else 1
    kept = {Atom(f.base, f.low, f.high) for f in plan.carried}
    wanted = [a for i in plan.kernel.ids for a in plan.atoms(i) if made.is_written(made.values[i]) or a in kept]
    made.compute(wanted, 0, Counter(dict.fromkeys(kept, 2)), made.outer, STEP)
    made.lines += [
        f"{STEP}{name} = {made.outer.atoms[Atom(f.base, f.low, f.high)].text};" for f, (name, _) in made.registers.items()
    ]
    samples = samples_of(made)
    head = [f"{STEP}const int i = blockIdx.x * blockDim.x + threadIdx.x;"]
    head.append(f"{STEP}if (i >= {times(samples, length)}) return;")
    if length > 1:
        head.append(f"{STEP}const int j = {f'i % {length}' if samples else 'i'};  // the element")
    place = f"i / {length}" if length > 1 else "i"
    return written(made, name, [*head, *coordinates(made, place)], script_count(samples, length))


def gridwise(made: Kernel, name: str) -> Launch:
    """All blocks together: each computes some units of all sequences, and waits for the others between two steps."""
    plan, values = made.plan, made.values
    (length,), atoms, columns = plan.lengths, product_atoms(made), weight_columns(made)
    wanted = [a for i in plan.kernel.ids if made.is_written(values[i]) for a in plan.atoms(i)]
    made.compute(wanted, 0, Counter(), made.outer, STEP)
    turned = all(values[values[a.id].args[0]].op == "transpose" for a in atoms)  # then its columns lie side by side
    neighbours = "u = i % each, k = i / each" if turned else f"u = i / {columns}, k = i % {columns}"
    copies = [f"weights[({n} * each + u) * {columns + 1} + k] = {made.weight(a)};" for n, a in enumerate(atoms)]
    head = [
        f"{STEP}RS_DYN_SMEM(real, weights);  // the rows of the matrices for the units of this block",
        f"{STEP}const int first = blockIdx.x * each;",
        f"{STEP}for (int i = threadIdx.x; i < each * {columns}; i += blockDim.x) {{",
        f"{STEP * 2}const int {neighbours}, j = first + u;",
        f"{STEP * 2}if (j >= {length}) continue;",
        *(f"{STEP * 2}{line}" for line in copies),
        f"{STEP}}}",
        f"{STEP}__syncthreads();",
    ]
    step = [
        f"{STEP}for (int i = threadIdx.x; i < B * each; i += blockDim.x) {{",
        f"{STEP * 2}const int u = i % each, j = first + u, b = i / each;",
        f"{STEP * 2}if (j >= {length}) continue;",
        f"{STEP * 2}const size_t s = (size_t) t * B + b;  // the place of this step and sequence",
        *(f"{STEP}{line}" for line in made.lines),
        f"{STEP}}}",
        f"{STEP}if (steps > 1) RS_GRID_SYNC();",
    ]
    loop = [STEP + SOME_STEPS[plan.kernel.direction], *(f"{STEP}{line}" for line in step), f"{STEP}}}"]
    whole = ["int T"] if "T" in made.used else []
    signature = ", ".join([*declarations(made), *whole, "int* arrived", "int from", "int steps", "int B", "int each"])
    text = "\n".join([f'extern "C" __global__ void {name}({signature}) {{', *head, *loop, "}"])
    arguments = (*made.parameters, *(["w.T"] if whole else []))
    return Launch(name, text, arguments, "", 0, (length, len(atoms), columns))


def blockwise(made: Kernel, name: str) -> Launch:
    """One block for each sequence (and step); its threads share the elements."""
    plan = made.plan
    for phase in range(plan.phases):
        run_phase(made, phase)
    samples = samples_of(made)
    width = min(WIDEST, -(-max(plan.lengths, default=1) // 32) * 32)
    return written(made, name, coordinates(made, "blockIdx.x"), script_count(samples, 1), width)


def run_phase(made: Kernel, phase: int) -> None:
    """The lines from one barrier to the next."""
    plan, values = made.plan, made.values
    ids = plan.kernel.ids
    sums = [i for i in ids if reads.is_reduction(values[i]) and plan.ready[i] == phase + 1]
    stored = [i for i in ids if plan.ready[i] == phase and not reads.is_reduction(values[i])]
    wanted = [a for i in stored if made.is_written(values[i]) for a in plan.atoms(i)]
    terms = [term for i in sums for term in terms_of(made, i)]
    inner = [source for _, source in terms if isinstance(source, Atom) and not made.is_loaded(source, phase)]
    single = [a for a in made.needed([*wanted, *inner], phase) if a.length == 1]
    counts: Counter[Any] = Counter(dict.fromkeys(single, 2))
    made.compute(single, phase, counts, made.outer, STEP)
    partial = {number: partial_sum(made, values[number.id]) for number in dict.fromkeys(number for number, _ in terms)}
    for length in sorted({a.length for a in [*wanted, *inner] if a.length > 1} | {length_of(s) for _, s in terms} - {1}):
        own = [a for a in wanted if a.length == length]
        run_loop(made, phase, length, own, [(t, s) for t, s in terms if length_of(s) == length], partial)
    for term, source in terms:
        if length_of(source) == 1:
            text = made.outer.atoms[source] if isinstance(source, Atom) else made.leaf(source[0], source[1], str(source[2]))
            made.lines.append(f"{STEP}if (threadIdx.x == 0) {accumulate(values[term.id], partial[term], text)}")
    if any(plan.ready[i] == phase for i in plan.shared):
        made.lines.append(f"{STEP}__syncthreads();")
    for item in sums:
        finish(made, item, {t: partial[t] for t, _ in terms if t.id == item})


def terms_of(made: Kernel, item: int) -> list[tuple[Atom, Any]]:
    """What each number of a reduction is made of: atoms of this kernel, or elements of an array."""
    plan, values = made.plan, made.values
    arg = values[item].args[0]
    whole = places.size(values[arg])
    width = whole // reads.groups(values[item])
    found: list[tuple[Atom, Any]] = []
    for k, low in enumerate(range(0, whole, width)):
        block = places.block(values, arg, low, low + width)
        assert block is not None
        number = Atom(item, k, k + 1)
        if plan.here(block):
            inner = [a for a in plan.atoms(block.base) if block.low <= a.low < block.high]
            found += [(number, a) for a in inner]
        else:
            found.append((number, (block.base, block.lag, block.low, block.high)))
    return found


def length_of(source: Any) -> int:
    """Elements of an atom, or of a range of an array."""
    return source.length if isinstance(source, Atom) else source[3] - source[2]


def partial_sum(made: Kernel, value: Value) -> str:
    """The variable in which a thread gathers its part of a reduction."""
    name = made.variable(f"{value.name}_part")
    made.lines.append(f"{STEP}real {name} = {REDUCTIONS[value.op][1]};")
    return name


def accumulate(value: Value, partial: str, element: Text) -> str:
    """The statement that takes in an element."""
    return REDUCTIONS[value.op][2].format(partial, element.text)


def run_loop(
    made: Kernel, phase: int, length: int, wanted: list[Atom], terms: list[tuple[Atom, Any]], partial: dict[Atom, str]
) -> None:
    """One loop over elements: what is written, and what is added up."""
    made.lines.append(f"{STEP}for (int j = threadIdx.x; j < {length}; j += blockDim.x) {{")
    scope, deep = Scope(), STEP * 2
    inner = [s for _, s in terms if isinstance(s, Atom) and not made.is_loaded(s, phase)]
    made.compute([*wanted, *inner], phase, Counter(inner), scope, deep)
    made.scope = scope
    for term, source in terms:
        if isinstance(source, Atom) and not made.is_loaded(source, phase):
            text = scope.atoms[source]
        else:
            base, lag, low, high = (source.id, 0, source.low, source.high) if isinstance(source, Atom) else source
            text = made.read((base, lag, low, high), Counter(), deep)
        made.lines.append(f"{deep}{accumulate(made.values[term.id], partial[term], text)}")
    made.lines.append(f"{STEP}}}")


def finish(made: Kernel, item: int, partial: dict[Atom, str]) -> None:
    """The numbers of a reduction, known to all threads; the first one writes them."""
    value = made.values[item]
    function = REDUCTIONS[value.op][0]
    made.used.add(function)
    for atom, part in partial.items():
        name = made.variable(made.part_name(atom))
        text = f"{function}({part})"
        text = f"-{text}" if value.op == "min" else text
        text = f"{literal(value.attr[1])} * {text}" if value.op == "weighted_total" else text
        made.lines.append(f"{STEP}const real {name} = {text};")
        made.outer.atoms[atom] = Text(name)
        if item in made.storage.arrays:
            made.write(atom, Text(name), STEP)


def mean_loss(made: Kernel, name: str) -> Launch:
    """The weighted sum of the loss terms: one block."""
    (item,) = made.plan.kernel.ids
    value = made.values[item]
    terms, share = value.args
    made.used.update(["add_up"])
    made.comment(value, STEP)
    weight = everywhere(made, share, "0") if made.storage.arrays[share].axes == "steps" else f"{made.array(share)}[0]"
    head = f"for (int k = threadIdx.x; k < {steps_and_sequences(made, value)}; k += blockDim.x)"
    made.lines += [
        f"{STEP}real part = 0;",
        f"{STEP}{head} part += {everywhere(made, terms, '0')} * {weight};",
        f"{STEP}const real sum = add_up(part);",
        f"{STEP}if (threadIdx.x == 0) {made.address(item, 0, '0')} = sum;",
    ]
    made.written.add(made.storage.arrays[item].text)
    return written(made, name, [], "1", 1024)


def lookup_sum(made: Kernel, name: str) -> Launch:
    """Columns added up by id: a block for each id looks for it, many places at a time, and adds the columns that it finds."""
    (item,) = made.plan.kernel.ids
    value = made.values[item]
    terms, ids = value.args
    made.used.add("largest")
    made.comment(value, STEP)
    rows, count = value.shape[0], steps_and_sequences(made, value)
    made.lines += [
        f"{STEP}for (int first = 0; first < {rows}; first += blockDim.x) {{",
        f"{STEP * 2}const int j = first + threadIdx.x;",
        f"{STEP * 2}real sum = 0;",
        f"{STEP * 2}for (int start = 0; start < {count}; start += blockDim.x) {{",
        f"{STEP * 3}int k = start + threadIdx.x;",
        f"{STEP * 3}const bool here = k < {count} && {everywhere(made, ids, '0')} == int(blockIdx.x);",
        f"{STEP * 3}places[threadIdx.x] = here ? k : -1;",
        f"{STEP * 3}if (largest(here) == 0) continue;  // most often; the others have written their places by now",
        f"{STEP * 3}for (unsigned l = 0; l < blockDim.x; l++) {{",
        f"{STEP * 4}k = places[l];",
        f"{STEP * 4}if (k >= 0 && j < {rows}) sum += {everywhere(made, terms, 'j')};",
        f"{STEP * 3}}}",
        f"{STEP * 3}__syncthreads();  // before places are written again",
        f"{STEP * 2}}}",
        f"{STEP * 2}if (j < {rows}) {made.array(item)}[j * {value.attr} + blockIdx.x] = sum;",
        f"{STEP}}}",
    ]
    made.written.add(made.storage.arrays[item].text)
    width = min(WIDEST, -(-rows // 32) * 32)
    return written(made, name, [f"{STEP}__shared__ int places[{WIDEST}];"], str(value.attr), width)


WHOLE = {"mean_loss": mean_loss, "lookup_sum": lookup_sum}
"""Operations that are a kernel of their own."""


def samples_of(made: Kernel) -> str:
    """How many sequences (and steps) there are, in a kernel; empty where there is no such thing."""
    time = made.plan.kernel.time
    if time == "fixed":
        return ""
    return "T * B" if time == "step" and not made.plan.inside else "B"


def times(samples: str, length: int) -> str:
    """How many threads there are."""
    return " * ".join([samples] * bool(samples) + [str(length)] * (length > 1 or not samples))


def script_count(samples: str, length: int) -> str:
    """The same as the script writes it."""
    return times(samples.replace("T", "w.T").replace("B", "w.B"), length)


def coordinates(made: Kernel, place: str) -> list[str]:
    """Lines that say which step and sequence a thread is at."""
    used, time = made.used, made.plan.kernel.time
    if time == "fixed":
        return []
    if time == "step" and not made.plan.inside:
        lines = [f"{STEP}const size_t s = {place};  // the place: t * B + b"] if used & {"s", "t", "b"} else []
        lines += [f"{STEP}const int b = s % B;"] if "b" in used else []
        lines += [f"{STEP}const int t = s / B;"] if "t" in used else []
        return lines
    lines = [f"{STEP}const int b = {place};"]
    if made.plan.kernel.direction:
        return lines
    if "s" in used:
        used.update("tB")
        lines.append(f"{STEP}const size_t s = (size_t) t * B + b;  // the place of this step and sequence")
    return lines if used & {"s", "b"} else []


def through_time(made: Kernel, head: list[str]) -> list[str]:
    """The lines of a kernel that goes through time: what it begins with, and its steps in a loop."""
    made.used.update("tbB")
    loop = TIME[made.plan.kernel.direction]
    first = [f"{STEP}real {name} = {value};" for name, value in made.registers.values()]
    place = [f"{STEP * 2}const size_t s = (size_t) t * B + b;  // the place of this step and sequence"]
    wait = [] if made.plan.is_elementwise else [f"{STEP * 2}__syncthreads();  // the next step reads what others have written"]
    return [*head, *first, STEP + loop, *place, *(f"{STEP}{line}" for line in made.lines), *wait, f"{STEP}}}"]


def written(made: Kernel, name: str, head: list[str], threads: str, width: int = 0) -> Launch:
    """The whole text."""
    samples, plan = samples_of(made), made.plan
    body = "\n".join(through_time(made, head) if plan.kernel.direction else [*head, *made.lines])
    whole = width == 0 and samples
    numbers = []
    if "T" in made.used or plan.kernel.direction or (whole and "T" in samples):
        numbers.append(("T", "w.T"))
    if "B" in made.used or whole or (("b" in made.used or "t" in made.used) and "T" in samples):
        numbers.append(("B", "w.B"))
    if plan.inside and "t" in made.used and not plan.kernel.direction:
        numbers.append(("t", "t"))
    signature = ", ".join([*declarations(made), *(f"int {n}" for n, _ in numbers)])
    text = f'extern "C" __global__ void {name}({signature}) {{\n{body}\n}}'
    return Launch(name, text, (*made.parameters, *(value for _, value in numbers)), threads, width)


def declarations(made: Kernel) -> list[str]:
    """The arrays of a kernel as parameters; what it does not write stays as it is meanwhile."""
    found = made.parameters.items()
    return [f"{kind}* {own}" if text in made.written else f"const {kind}* __restrict__ {own}" for text, (kind, own) in found]
