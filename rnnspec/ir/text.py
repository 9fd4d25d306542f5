"""A program as text, one value a line: what `rnnspec show --stage ir` prints and what the tests of passes compare."""

from __future__ import annotations

from rnnspec.ir.program import Program, Value

HEADINGS = {
    ("map", 0): "all steps at once:",
    ("loop", 1): "for t = 1 .. T:",
    ("loop", -1): "for t = T .. 1:",
    ("parts", 0): "some steps at a time:",
}
"""What stands above a block, by its kind and direction."""


def text(program: Program) -> str:
    """One line a value; blocks, where there are some, as headings."""
    names = unique_names(program)
    if not program.blocks:
        return "\n".join(line(v, names) for v in program.values.values())
    placed = {i for block in program.blocks for i in block.ids}
    lines = ["storage and views:"]
    lines += [f"    {line(v, names)}" for i, v in program.values.items() if i not in placed]
    for block in program.blocks:
        lines += [
            HEADINGS[block.kind, block.direction] + f"   ({block.recurrence})" * bool(block.recurrence),
            *(f"    {line(program.values[i], names)}" for i in block.ids),
        ]
    return "\n".join(lines)


def line(value: Value, names: dict[int, str]) -> str:
    """`name  [shape] time = op(operands) {attr}`."""
    note = "" if value.attr is None else f" {{{value.attr}}}"
    shape = ", ".join(map(str, value.shape))
    return f"{names[value.id]:<16} [{shape}] {value.time} = {value.op}({', '.join(names[a] for a in value.args)}){note}"


def unique_names(program: Program) -> dict[int, str]:
    """Display names, numbered where several values share one."""
    used: dict[str, int] = {}
    taken: set[str] = set()
    names = {}
    for value in program.values.values():
        name = value.name
        while name in taken:
            used[value.name] = used.get(value.name, 1) + 1
            name = f"{value.name}.{used[value.name]}"
        taken.add(name)
        names[value.id] = name
    return names
