"""Stack: sibling operations on adjacent rows become one operation.

Seeds are products that share their vector; from there packs grow along the readers: when neighbours in a stack are each read
by the same kind of operation, and the other operands can be lined up too, those operations become one on the stacked rows.
The members stay in the program as named views (`rows`), so nothing downstream needs to know.

This runs before differentiation, so that the backward pass comes out stacked: the adjoint of a stacked product is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from rnnspec.ir.ops import CONDITIONS, ELEMENTWISE, GROUPED, infer
from rnnspec.ir.order import Cycle, sort_values
from rnnspec.ir.program import Origin, Program, Value
from rnnspec.passes.names import common_name

DEPTH = 12  # how far downstream the row order looks
PACKABLE = (ELEMENTWISE - CONDITIONS - {"select", "minimum", "maximum"}) | GROUPED
Values = dict[int, Value]


def stack(program: Program) -> Program:
    """The same program with like operations on like operands done in one."""
    values, roots = dict(program.values), program.roots.ids()
    for members in seeds(program):
        values = pack(values, members, roots) or values
    grown = True
    while grown:
        grown = False
        for members in candidates(values):
            made = pack(values, members, roots)
            if made:
                values, grown = made, True
                break
    return replace(program, values=sort_values(values, roots))


def seeds(program: Program) -> list[list[int]]:
    """Groups of products that share their vector, each in the order its rows should have."""
    order = growth_order(program)
    groups: dict[tuple[int, int], list[int]] = {}
    for value in program.values.values():
        factors = factors_of(program.values, value.args[0]) if value.op == "matmul" and len(value.shape) == 1 else []
        if factors and own_storage(program.values, factors[0]):
            groups.setdefault((value.args[1], len(factors)), []).append(value.id)
    return [sorted(group, key=lambda i: order[i]) for group in groups.values() if len(group) > 1]


def factors_of(values: Values, matrix: int) -> list[int]:
    """The parameter that a matrix is, or a parameter and its random numbers (weight-drop) whose product nobody else reads."""
    args = values[matrix].args
    if values[matrix].op != "mul" or [values[a].op for a in args] != ["param", "drawn"]:
        return [matrix]
    return list(args) if sum(matrix in v.args for v in values.values()) == 1 else []


def growth_order(program: Program) -> dict[int, tuple[int, ...]]:
    """Sort keys of products: what happens to each downstream, nearest operation first, ranked by first appearance.

    Values with a long common future get keys with a long common prefix, and end side by side: the three sigmoid gates of an
    LSTM stand together even where the sigmoid is several operations away.
    """
    users = program.users()
    numbers: dict[Any, int] = {}

    @cache
    def future(item: int, depth: int) -> int:
        """A number for what the readers of a value are, and the readers of those: equal numbers, equal futures."""
        if depth == 0:
            return 0
        readers = (
            (u.op, tuple(kind for kind, _ in u.attr) if u.op == "squash" else (), len(u.args), future(u.id, depth - 1))
            for u in users[item]
            if u.op != "shift"
        )
        return numbers.setdefault(tuple(sorted(readers)), len(numbers) + 1)

    tables: list[dict[int, int]] = [{} for _ in range(DEPTH)]
    return {
        i: tuple(table.setdefault(future(i, depth + 1), len(table)) for depth, table in enumerate(tables))
        for i, value in program.values.items()
        if value.op == "matmul"
    }


def candidates(values: Values) -> Iterator[list[int]]:
    """Runs of neighbouring views whose readers are the same operation: the longest first for each starting view."""
    views: dict[int, list[Value]] = {}
    readers: dict[int, list[Value]] = {}
    for value in values.values():
        if value.op == "rows":
            views.setdefault(value.args[0], []).append(value)
        for arg in dict.fromkeys(value.args):
            readers.setdefault(arg, []).append(value)
    for group in views.values():
        group.sort(key=lambda v: v.attr)
        runs = [run for start in range(len(group)) for run in _runs(group[start:], readers)]
        yield from sorted(([v.id for v in run] for run in runs), key=len, reverse=True)


def _runs(group: list[Value], readers: dict[int, list[Value]]) -> Iterator[list[Value]]:
    """Readers of the first view, each with like readers of the views that follow without a gap."""
    for reader in readers.get(group[0].id, []):
        if reader.op not in PACKABLE:
            continue
        run = [reader]
        for before, view in zip(group, group[1:], strict=False):
            alike = [r for r in readers.get(view.id, []) if kind(r) == kind(reader) and r not in run]
            if before.attr[1] != view.attr[0] or not alike:
                break
            run.append(alike[0])
        yield from (run[:n] for n in range(len(run), 1, -1))


def kind(value: Value) -> tuple[Any, ...]:
    """What must be equal for two operations to become one; a reduction must have groups of one size."""
    attr = None if value.op == "squash" else value.attr
    rows = value.shape[0] if value.op in GROUPED | {"rms_scale"} else None
    return (value.op, len(value.args), attr, rows, value.shape[1:], value.time)


def pack(values: Values, members: list[int], roots: tuple[int, ...]) -> Values | None:
    """The values with `members` computed by one operation; None where their operands cannot be lined up."""
    made, ops = dict(values), [values[m] for m in members]
    if any(m.op == "rows" for m in ops):
        return None
    args = _packed_args(made, ops)
    if None in args:
        return None
    whole = add(made, ops[0].op, [a for a in args if a is not None], packed_attr(ops), ops)
    start = 0
    for value in ops:
        made[value.id] = replace(value, op="rows", args=(whole,), attr=(start, start + value.shape[0]))
        start += value.shape[0]
    try:
        return sort_values(made, roots)
    except Cycle:  # one member depends on another
        return None


def _packed_args(made: Values, ops: list[Value]) -> list[int | None]:
    if ops[0].op == "matmul":
        return [stacked_matrix(made, [v.args[0] for v in ops]), ops[0].args[1]]
    orderly = ops[0].op in ("add", "mul")
    columns = zip(*(sorted(v.args, key=lambda a: rank(made[a])) if orderly else v.args for v in ops), strict=True)
    if ops[0].op in GROUPED and len({made[v.args[0]].shape for v in ops}) > 1:
        return [None]
    return [line_up(made, list(column), ops) for column in columns]


def packed_attr(ops: list[Value]) -> Any:
    """What the one operation needs: kinds one after another, groups added up."""
    if ops[0].op == "squash":
        return merge_kinds([k for v in ops for k in v.attr])
    if ops[0].op == "total":
        return sum(v.attr for v in ops)
    if ops[0].op == "inv_rms":
        return (sum(v.attr[0] for v in ops), ops[0].attr[1])
    return ops[0].attr


def rank(value: Value) -> tuple[int, int]:
    """Operands of sums and products in an order that lines up: rows of a stack first, then others, then what is repeated."""
    place = {"rows": 0, "expand": 2, "spread": 3}.get(value.op, 1)
    return place, value.args[0] if value.op == "rows" else 0


def add(made: Values, op: str, args: list[int], attr: Any, like: list[Value]) -> int:
    """A new value among `made`, named after those it stands for."""
    shape, time = infer(op, [made[a] for a in args], attr)
    name, origin = common_name([v.name for v in like]), common_origin(like)
    value = Value(max(made) + 1, name, op, tuple(args), shape, time, attr, origin)
    made[value.id] = value
    return value.id


def common_origin(like: list[Value]) -> Origin | None:
    """The first equation, and the left sides of the others."""
    found = list(dict.fromkeys(v.origin for v in like if v.origin))
    also = tuple(dict.fromkeys(left for o in found for left in (o.left, *o.also) if left != found[0].left))
    return replace(found[0], also=also) if found else None


def line_up(made: Values, items: list[int], like: list[Value]) -> int | None:
    """One value that holds these, one after another, without a copy; None where there is none."""
    parts = [made[i] for i in items]
    ops = {p.op for p in parts}
    if ops == {"rows"} and len({p.args for p in parts}) == 1:
        if any(a.attr[1] != b.attr[0] for a, b in zip(parts, parts[1:], strict=False)):
            return None
        span, base = (parts[0].attr[0], parts[-1].attr[1]), parts[0].args[0]
        return base if span == (0, made[base].shape[0]) else add(made, "rows", [base], span, parts)
    if ops == {"expand"} and len({p.attr for p in parts}) == 1:
        inner = [p.args[0] for p in parts]
        if len(set(inner)) == 1 and made[inner[0]].op == "constant":
            return None
        whole = stacked(made, inner) if all(made[i].op == "param" for i in inner) else line_up(made, inner, parts)
        return None if whole is None else add(made, "expand", [whole], parts[0].attr, parts)
    if ops == {"spread"} and len({p.attr for p in parts}) == 1:
        groups, shape = parts[0].attr
        whole = line_up(made, [p.args[0] for p in parts], parts)
        attr = (groups * len(parts), (shape[0] * len(parts), *shape[1:]))
        return None if whole is None else add(made, "spread", [whole], attr, parts)
    return None


def stacked_matrix(made: Values, items: list[int]) -> int | None:
    """The matrices of some products as one: parameters, or products of parameters and their random numbers."""
    columns = list(zip(*(factors_of(made, i) for i in items), strict=True))
    whole = stacked(made, list(columns[0]))
    if len(columns) == 1 or whole is None:
        return whole
    drawn = add(made, "concat", list(columns[1]), None, [made[i] for i in columns[1]])
    return add(made, "mul", [whole, drawn], None, [made[i] for i in items])


def stacked(made: Values, items: list[int]) -> int | None:
    """Parameters stored one after another: the stack is the storage, its members are views of it."""
    for value in made.values():
        if value.op == "stacked" and value.args == tuple(items):
            return value.id
    parts = [made[i] for i in items]
    if len(set(items)) < len(items) or any(p.op != "param" or not own_storage(made, p.id) for p in parts):
        return None
    if len({(p.attr, p.shape[1:]) for p in parts}) > 1:
        return None
    if any(set(v.args) & set(items) for v in made.values() if v.op == "stacked"):
        return None
    return add(made, "stacked", items, None, parts)


def own_storage(values: Values, item: int) -> bool:
    """Is the parameter read once only (itself or through its expansion)?  Else it keeps a storage and gradient of its own."""
    readers = [v for v in values.values() if item in v.args]
    if [v.op for v in readers] == ["expand"]:
        expansion = readers[0].id
        readers = [v for v in values.values() if expansion in v.args]
    return len(readers) == 1 and len(set(readers[0].args)) == len(readers[0].args)


def merge_kinds(kinds: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Neighbouring blocks of one kind become one block."""
    merged: list[tuple[str, int]] = []
    for name, rows in kinds:
        if merged and merged[-1][0] == name:
            rows += merged.pop()[1]
        merged.append((name, rows))
    return tuple(merged)
