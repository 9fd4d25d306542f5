"""How inputs and targets are made from columns, and how a batch of them enters the storage of forward: one row each.

A row gets the column at the same step or at later ones: `at(column, 1)` is the expression for one step later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rnnspec.frontend.typed import Encoding, Input, Spec, Target
from rnnspec.script.code import Code, fill, identifier, literal, table
from rnnspec.script.sources import source_row

Item = Input | Target
At = Callable[[str, int], Code]


def horizon(spec: Spec) -> int:
    """How many steps ahead the targets look at most."""
    calls = [e.call for e in spec.data.encodings if e.call.name == "next"]
    return max((cast(int, call["steps"]) for call in calls), default=0)


def examples(spec: Spec) -> Code:
    """The dict from inputs and targets to arrays (sequence, time, ...), made from `columns`."""
    every: list[Item] = [*spec.model.inputs, *spec.model.targets]
    items = {item.name: item for item in every}
    rows = []
    for encoding in spec.data.encodings:
        item = items[encoding.name]
        rows.append((literal(item.name), _cast(spec, item, ROWS[encoding.call.name](spec, encoding, item))))
    length = length_column(spec)
    if length:
        ahead = fill(" - {steps}", steps=horizon(spec)) if horizon(spec) else ""
        rows.append((literal("length"), Code(f"columns[{literal(length)}].astype(np.int64){ahead}")))
    return table(rows)


def length_column(spec: Spec) -> str:
    """The column with the number of valid steps of each sequence; empty where all are equally long."""
    named = (dict(e.call.arguments).get("length") for e in spec.data.encodings)
    return next((cast(str, name) for name in named if name), "") if spec.model.masked else ""


def _cast(spec: Spec, item: Item, value: Code) -> Code:
    """In files, whole numbers may be of any type and features may be missing an axis."""
    whole = item.encoding in ("ids", "classes")
    if spec.data.source.name != "npz":
        return value if whole else Code(f"{value}.astype(DTYPE)")
    if whole:
        return Code(f"{value}.astype(np.int64)")
    lead = "(n, -1, {size})" if item.when == "step" else "(n, {size})"
    return Code(f"{value}.reshape{fill(lead, size=item.shape[0])}.astype(DTYPE)")


def _at(spec: Spec) -> At:
    """Where a column is read: at the places `t` of a stream, or in sequences that end before the horizon."""
    stream, last = source_row(spec.data.source).stream, horizon(spec)

    def at(column: str, ahead: int) -> Code:
        if stream:
            return fill("columns[{column}][t + {ahead}]" if ahead else "columns[{column}][t]", column=column, ahead=ahead)
        if not last:
            return fill("columns[{column}]", column=column)
        stop = f"{ahead - last}" if ahead < last else ""
        return fill("columns[{column}][:, {start}:{stop}]", column=column, start=Code(str(ahead or "")), stop=Code(stop))

    return at


def _named(encoding: Encoding) -> list[str]:
    """The columns of a call: its first argument, one name or a list of them."""
    first = encoding.call.arguments[0][1]
    return list(first) if isinstance(first, list | tuple) else [cast(str, first)]


def _same_step(spec: Spec, encoding: Encoding, item: Item) -> Code:
    if item.when == "sequence":
        return fill("columns[{column}]", column=_named(encoding)[0])
    if item.encoding == "real" and spec.data.source.name == "csv":
        return _side_by_side(spec, encoding, item)
    return _at(spec)(_named(encoding)[0], 0)


def _side_by_side(spec: Spec, encoding: Encoding, item: Item) -> Code:
    columns = literal(_named(encoding))
    return Code(f"np.stack([columns[name][t] for name in {columns}], axis=-1)")


def _next(spec: Spec, encoding: Encoding, item: Item) -> Code:
    if item.encoding == "classes":
        return _at(spec)(_named(encoding)[0], 1)
    steps = cast(int, encoding.call["steps"])
    if not source_row(spec.data.source).stream:
        later = ", ".join(_at(spec)(column, k) for k in range(1, steps + 1) for column in _named(encoding))
        return Code(f"np.concatenate([{later}], axis=-1)")
    columns = literal(_named(encoding))
    if steps == 1:
        return Code(f"np.stack([columns[name][t + 1] for name in {columns}], axis=-1)")
    return Code(f"np.stack([columns[name][t + k] for k in range(1, {steps + 1}) for name in {columns}], axis=-1)")


ROWS: dict[str, Callable[[Spec, Encoding, Item], Code]] = {
    "one_hot": _same_step,
    "vectors": _same_step,
    "vector": _same_step,
    "current": _same_step,
    "columns": _side_by_side,
    "next": _next,
    "classes": _same_step,
    "values": _same_step,
}


def load_line(item: Item, here: str) -> Code:
    """Copy one entry of a batch into storage, where it has the name `here`: features become rows, the batch columns."""
    name, key = identifier(here), literal(item.name)
    if item.encoding in ("ids", "classes"):
        return Code(f"w.{name}[...] = batch[{key}].T")
    number = "" if item.shape else "[..., None]"
    return Code(f"w.{name}[...] = np.moveaxis(batch[{key}]{number}, 0, -1)")


def select_line(item: Item) -> Code:
    """One entry of a batch, taken from the data."""
    key = literal(item.name)
    steps = ", first:last" if item.when == "step" else ""
    return Code(f"data[{key}][rows{steps}]")
