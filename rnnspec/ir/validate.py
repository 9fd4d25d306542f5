"""What must hold of every program; run after each pass in the tests."""

from __future__ import annotations

from rnnspec.ir.ops import LEAVES, OPS, VIEWS, infer
from rnnspec.ir.order import recurrences
from rnnspec.ir.program import Program


def validate(program: Program) -> None:
    """Raise ValueError unless the program is well formed: operands exist, shapes and times fit, cycles pass through shifts."""
    seen: set[int] = set()
    for i, value in program.values.items():
        if value.id != i or value.op not in OPS:
            raise ValueError(f"{value}: bad identity or operation")
        missing = [a for a in value.args if a not in program.values]
        if missing:
            raise ValueError(f"{value}: operand {missing[0]} does not exist")
        late = [a for a in (value.args[1:] if value.op == "shift" else value.args) if a not in seen]
        if late:
            raise ValueError(f"{value}: operand {late[0]} comes later")
        if value.op not in LEAVES | {"shift"}:
            expected = infer(value.op, [program.values[a] for a in value.args], value.attr)
            if expected != (value.shape, value.time):
                raise ValueError(f"{value}: should be {expected}")
        seen.add(i)
    _check_directions(program)
    _check_blocks(program)


def _check_directions(program: Program) -> None:
    for members in recurrences(program.values)[1].values():
        signs = {program.values[i].attr > 0 for i in members if program.values[i].op == "shift"}
        if len(signs) != 1:
            raise ValueError(f"a recurrence that looks both ways: {sorted(members)}")


def _check_blocks(program: Program) -> None:
    if not program.blocks:
        return
    placed = [i for block in program.blocks for i in block.ids]
    computed = [i for i, v in program.values.items() if v.op not in LEAVES | VIEWS]
    if sorted(placed) != sorted(computed):
        raise ValueError("blocks must hold every computed value once")
