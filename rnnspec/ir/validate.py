"""What must hold of every program; run after each pass in the tests."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.ir.ops import COMPUTED, LEAVES, OPS, SUMS, VIEWS, WHOLE, infer
from rnnspec.ir.order import now_args, recurrences
from rnnspec.ir.program import Program, Value


def validate(program: Program) -> None:
    """Raise ValueError unless the program is well formed.

    Operands exist and stand before their readers, shapes and times fit, cycles pass through shifts, a gradient has the shape
    of its parameter; and in blocks, everything is computed before it is read.
    """
    seen: set[int] = set()
    for i, value in program.values.items():
        if value.id != i or value.op not in OPS:
            raise ValueError(f"{value}: bad identity or operation")
        missing = [a for a in value.args if a not in program.values]
        if missing:
            raise ValueError(f"{value}: operand {missing[0]} does not exist")
        late = [a for a in now_args(value) if a not in seen]
        if late:
            raise ValueError(f"{value}: operand {late[0]} comes later")
        if value.op not in LEAVES | {"shift"}:
            expected = infer(value.op, [program.values[a] for a in value.args], value.attr)
            if expected != (value.shape, value.time):
                raise ValueError(f"{value}: should be {expected}")
        seen.add(i)
    _check_gradients(program)
    _check_directions(program)
    _check_blocks(program)


def _check_gradients(program: Program) -> None:
    for parameter, gradient in program.roots.gradients:
        a, b = program.values[parameter], program.values[gradient]
        if (a.shape, a.time) != (b.shape, b.time):
            raise ValueError(f"{b}: not a gradient of {a}")


def _check_directions(program: Program) -> None:
    for members in recurrences(program.values)[1].values():
        signs = {program.values[i].attr > 0 for i in members if program.values[i].op == "shift"}
        if len(signs) != 1:
            raise ValueError(f"a recurrence that looks both ways: {sorted(members)}")


def _check_blocks(program: Program) -> None:
    if not program.blocks:
        return
    placed = [i for block in program.blocks for i in block.ids]
    computed = [i for i, v in program.values.items() if v.op in COMPUTED]
    if sorted(placed) != sorted(computed):
        raise ValueError("blocks must hold every computed value once")
    complete: set[int] = set()
    for block in program.blocks:
        if block.kind == "parts" and any(not _in_parts(program.values[i]) for i in block.ids):
            raise ValueError("only sums, and columns and lines for them, are computed in parts")
        if block.kind != "parts" and any(_reads_parts(program, i) for i in block.ids):
            raise ValueError("columns and lines are those of one part, and read where they are computed")
        here: set[int] = set()
        for item in block.ids:
            for read, lag in _reads(program, item):
                whole = program.values[item].op in WHOLE or program.values[read].op in SUMS
                passed = read in block.ids and block.direction * lag > 0
                inside = (read in here and (lag == 0 or block.kind != "loop")) or passed
                if read not in complete and (not inside or (whole and block.kind != "map")):
                    raise ValueError(f"{program.values[item]}: reads {program.values[read]} before it is computed")
            here.add(item)
        complete |= here


def _in_parts(value: Value) -> bool:
    return value.op in SUMS or value.time in ("flat", "lines")


def _reads_parts(program: Program, item: int) -> bool:
    value = program.values[item]
    return any(program.values[i].time in ("flat", "lines") for i in (item, *value.args))


def _reads(program: Program, item: int, lag: int = 0) -> Iterator[tuple[int, int]]:
    """The computed values that a value reads, views looked through, and how many steps back."""
    value = program.values[item]
    for number, arg in enumerate(value.args):
        back = lag + value.attr if value.op == "shift" and number == 0 else lag
        if program.values[arg].op in VIEWS:
            yield from _reads(program, arg, back)
        elif program.values[arg].op not in LEAVES:
            yield arg, back
