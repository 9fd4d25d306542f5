"""How inputs and targets are made from columns, and how a batch of them enters the storage of forward: one row each.

A row gets the column at the same step or at later ones: `at(column, 1)` is the expression for one step later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rnnspec.frontend.typed import Encoding, Input, Spec, Target
from rnnspec.script.code import Code, fill, identifier, literal, table
from rnnspec.script.devices import Device

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
        value = ROWS[encoding.call.name](spec, encoding, items[encoding.name])
        number = "[..., None]" if encoding.flat else ".astype(int)" if spec.data.vocabulary else ""
        rows.append((literal(encoding.name), Code(value + number)))
    length = length_column(spec)
    if length:
        ahead = f" - {horizon(spec)}" if horizon(spec) else ""
        rows.append((literal("length"), fill(f"np.clip(columns[{{name}}][rows]{ahead} - first, 0, last - first)", name=length)))
    if spec.data.reset_after:
        rows.append((literal(spec.model.begins), _begins(spec, *spec.data.reset_after)))
    if spec.train.truncation:
        rows.append((literal("fresh"), Code("first == 0")))
    return table(rows)


def _begins(spec: Spec, name: str, symbol: int) -> Code:
    """Where the step before had a symbol.  In front of the first step, where states start anyway, there may be any."""
    column = named(next(e for e in spec.data.encodings if e.name == name))[0]
    if spec.data.stream:
        return fill("columns[{column}][t - 1] == {symbol}", column=column, symbol=symbol)
    steps = "np.arange(first - 1, last - 1)"
    return fill(f"columns[{{column}}][rows[:, None], {steps}] == {{symbol}}", column=column, symbol=symbol)


def length_column(spec: Spec) -> str:
    """The column with the number of valid steps of each sequence; empty where all are equally long."""
    named = (dict(e.call.arguments).get("length") for e in spec.data.encodings if e.call.name != "labels")
    return next((cast(str, name) for name in named if name), "") if spec.model.masked else ""


def _at(spec: Spec) -> At:
    """Where a column is read: at the places `t` of a stream, or from step `first` to `last` of some sequences."""
    place = "[t{later}]" if spec.data.stream else "[rows, first{later}:last{later}]"

    def at(column: str, ahead: int) -> Code:
        return fill("columns[{column}]" + place, column=column, later=Code(f" + {ahead}" if ahead else ""))

    return at


def named(encoding: Encoding) -> list[str]:
    """The columns of a call: its first argument, one name or a list of them."""
    first = encoding.call.arguments[0][1]
    return list(first) if isinstance(first, list | tuple) else [cast(str, first)]


def _same_step(spec: Spec, encoding: Encoding, item: Item) -> Code:
    if item.when == "sequence":
        return fill("columns[{column}][rows]", column=named(encoding)[0])
    if item.encoding == "real" and spec.data.stream:
        return _side_by_side(spec, encoding, item)
    return _at(spec)(named(encoding)[0], 0)


def _side_by_side(spec: Spec, encoding: Encoding, item: Item) -> Code:
    columns = literal(named(encoding))
    return Code(f"np.stack([columns[name][t] for name in {columns}], axis=-1)")


def _next(spec: Spec, encoding: Encoding, item: Item) -> Code:
    if item.encoding == "classes":
        return _at(spec)(named(encoding)[0], 1)
    steps = cast(int, encoding.call["steps"])
    if not spec.data.stream:
        later = ", ".join(_at(spec)(column, k) for k in range(1, steps + 1) for column in named(encoding))
        return Code(f"np.concatenate([{later}], axis=-1)")
    columns = literal(named(encoding))
    if steps == 1:
        return Code(f"np.stack([columns[name][t + 1] for name in {columns}], axis=-1)")
    return Code(f"np.stack([columns[name][t + k] for k in range(1, {steps + 1}) for name in {columns}], axis=-1)")


def _labels(spec: Spec, encoding: Encoding, item: Item) -> Code:
    """Zeros stand after the last label."""
    name, length = named(encoding)[0], encoding.call["length"]
    if length is None:
        return fill("columns[{name}][rows]", name=name)
    valid = fill("np.arange(columns[{name}].shape[1]) < columns[{length}][rows, None]", name=name, length=length)
    return fill("np.where({valid}, columns[{name}][rows], 0)", valid=valid, name=name)


ROWS: dict[str, Callable[[Spec, Encoding, Item], Code]] = {
    "one_hot": _same_step,
    "vectors": _same_step,
    "vector": _same_step,
    "current": _same_step,
    "columns": _side_by_side,
    "next": _next,
    "classes": _same_step,
    "labels": _labels,
    "values": _same_step,
}


def load_line(item: Item, here: str, device: Device) -> Code:
    """Copy one entry of a batch, checked by `entry`, into storage, where it has the name `here`."""
    target, numbers = f"w.{identifier(here)}", item.encoding == "real"
    features = item.shape if numbers else (item.longest,) if isinstance(item, Target) and item.longest else ()
    axes = ["w.B", *(["w.T"] if item.when == "step" else []), *map(str, features)]
    shape = f"({', '.join(axes)})" if len(axes) > 1 else "(w.B,)"
    if numbers:
        value = f"entry(batch, {literal(item.name)}, {shape}){'' if item.shape else '[..., None]'}"
        return device.stored(target, device.numbers[item.when].format(value=value))
    value = f"entry(batch, {literal(item.name)}, {shape}, {item.shape[0]})"
    return device.stored(target, device.ids[item.when].format(value=value))
