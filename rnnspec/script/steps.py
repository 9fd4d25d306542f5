"""Expressions of one step, for the textbook script: operands by name, views as indices, the rest in line."""

from __future__ import annotations

from collections.abc import Callable

from rnnspec.frontend.typed import Spec
from rnnspec.ir import ops
from rnnspec.ir.program import Program, Value
from rnnspec.script.expressions import ATOM, EXPRESSIONS, LOOSE, POWER, PRODUCT, PRODUCTS, SUM, UNARY, Row, Text
from rnnspec.script.layout import Layout
from rnnspec.script.sizes import shape_text, size_text, sizes_of
from rnnspec.script.windows import carries, weighs_steps


class Steps:
    """Prints values of a scheduled program as expressions; `at` is `t` inside a loop, empty outside."""

    def __init__(
        self,
        program: Program,
        layout: Layout,
        spec: Spec,
        names: dict[int, str],
        arrays: set[int],
        pads: dict[int, tuple[int, int]],
        lines: set[int],
    ) -> None:
        self.program, self.values, self.layout, self.spec = program, program.values, layout, spec
        self.sizes = sizes_of(spec.model)
        self.names, self.arrays, self.pads, self.lines = names, arrays, pads, lines
        self.windows = carries(spec)
        self.share_of_step = weighs_steps(spec)
        self.helpers: set[str] = set()
        self.at = ""

    def is_condition(self, value: Value) -> bool:
        """Is it stored as true and false?"""
        return ops.is_condition(value, self.values)

    # ---- names
    def stored(self, item: int) -> str:
        """The array that holds all steps of a value."""
        padded = self.values[item].op in ops.DATA and item in self.pads
        return f"w.{self.names[item]}{'_all' if padded else ''}"

    def target(self, item: int) -> str:
        """Where a value is assigned to."""
        if item in self.arrays:
            return f"{self.stored(item)}[{self.at}]"
        crosses = self.values[item].time != "step" and not self._local(item)
        return f"w.{self.names[item]}" if crosses else self.names[item]

    def _local(self, item: int) -> bool:
        """Is a value without time read only in the function that computes it?"""
        if item in dict((*self.program.roots.outputs, *self.program.roots.averages)).values():
            return False
        split = next(k for k, b in enumerate(self.program.blocks) if self.program.roots.loss in b.ids)
        sides = {k <= split for k, b in enumerate(self.program.blocks) for i in b.ids if i == item or self._sees(i, item)}
        return len(sides) == 1

    def _sees(self, reader: int, item: int) -> bool:
        pending = list(self.values[reader].args)
        while pending:
            arg = pending.pop()
            if arg == item:
                return True
            if arg not in self.lines and self.values[arg].op not in ops.LEAVES:
                pending.extend(self.values[arg].args)
        return False

    # ---- operands
    def outside(self, item: int) -> str:
        """A value without time, outside of loops."""
        return self._at("", item).text

    def operand(self, item: int, binding: int) -> str:
        """A value as an operand of something that binds like this."""
        return self.text(item).within(binding)

    def text(self, item: int, lag: int = 0) -> Text:
        """A value at this step (or `lag` steps before): its name, or its expression."""
        value = self.values[item]
        if value.op in ops.VIEWS:
            return self._view(value, lag)
        if value.op in ops.LEAVES:
            return self._leaf(value, lag)
        if item in self.arrays:
            return Text(f"{self.stored(item)}[{self._index(lag)}]")
        if item in self.lines:
            return Text(self.target(item))
        return self.expression(value)

    def _index(self, lag: int) -> str:
        if lag == 0:
            return self.at
        return f"{self.at} {'-' if lag > 0 else '+'} {abs(lag)}"

    def _leaf(self, value: Value, lag: int) -> Text:
        if value.op == "constant":
            return Text(literal(value.attr), ATOM if value.attr >= 0 else UNARY)
        if value.op in ("param", "stacked"):
            return Text(f"p.{self.layout.attribute[value.id]}")
        if value.op == "share":
            return Text("w.share[t]" if self.share_of_step else "w.share")
        if value.op == "valid":
            return Text(f"{self.at} < w.length", LOOSE)
        if value.time != "step":
            return Text(self.stored(value.id))
        return Text(f"{self.stored(value.id)}[{self._index(lag)}]")

    def _view(self, value: Value, lag: int) -> Text:
        inner = self.values[value.args[0]]
        if value.op == "shift":
            return self.text(inner.id, lag + value.attr)
        text = self.text(inner.id, lag)
        if value.op == "rows":
            return Text(f"{text.within(ATOM)}[{value.attr[0]}:{value.attr[1]}]")
        if value.op == "transpose":
            return Text(f"{text.within(ATOM)}.T" if value.time == "fixed" else f"{text.within(ATOM)}.swapaxes(0, 1)")
        if value.op == "expand":
            plain = inner.time != "fixed" or self._plain(inner)
            return text if plain else Text(f"{text.within(ATOM)}[{'...' if len(inner.shape) > 1 else ':'}, None]")
        flat = len(value.shape) == 1 or value.time == "fixed" or self._plain(inner)
        return text if flat else Text(f"{text.within(ATOM)}[..., None, :]")

    def _plain(self, value: Value) -> bool:
        """Does it repeat over any shape by itself: a number of Python, or one for each sequence?"""
        while value.op in ("expand", "spread"):
            value = self.values[value.args[0]]
        if value.op in ops.ELEMENTWISE:  # `1 / 3` is a number too
            return all(self._plain(self.values[a]) for a in value.args)
        if value.op in ("constant", "valid"):
            return True
        return value.op == "share" and not self.share_of_step

    # ---- operations
    def expression(self, value: Value) -> Text:
        """The operation of a value on its operands."""
        special = SPECIAL.get(value.op)
        return special(self, value) if special else self._filled(value, self._row(value))

    def _row(self, value: Value) -> Row:
        if value.op == "squash":
            return EXPRESSIONS[value.attr[0][0]]
        if value.op == "matmul":
            left, right = (self.values[a] for a in value.args)
            if value.time == "fixed":
                return PRODUCTS["fixed", 1]
            return PRODUCTS["fixed" if left.time == "fixed" else "step", len(right.shape)]
        return EXPRESSIONS[value.op]

    def _filled(self, value: Value, row: Row) -> Text:
        self.helpers |= {row.helper} - {""}
        operands = [self.operand(a, row.operands[k] if k < len(row.operands) else LOOSE) for k, a in enumerate(value.args)]
        shape = ", ".join([*shape_text(value.shape, self.sizes), *(["w.B"] if value.time != "fixed" else [])])
        text = row.template.format(
            *operands,
            k=self._held(value),
            all=", ".join(operands),
            shape=f"({shape}{',' if ',' not in shape else ''})",
            rows=shape_text(value.shape, self.sizes)[0] if value.shape else "",
        )
        return Text(text, row.binding)

    def _held(self, value: Value) -> str:
        """What an operation holds beside its operands: a number, or a size by its name."""
        if value.op == "one_hot":
            return size_text(value.attr, self.sizes)
        held = value.attr if isinstance(value.attr, tuple) else (value.attr,)
        return ", ".join(literal(number) for number in held if isinstance(number, int | float))

    def _mul(self, value: Value) -> Text:
        return Text(" * ".join(self.operand(a, PRODUCT if k == 0 else POWER) for k, a in enumerate(value.args)), PRODUCT)

    def _add(self, value: Value) -> Text:
        text = ""
        for k, arg in enumerate(value.args):
            inner = self.operand(arg, SUM if k == 0 else PRODUCT)
            text += inner if k == 0 else f" - {inner[1:]}" if inner.startswith("-") else f" + {inner}"
        return Text(text, SUM)

    def _scale(self, value: Value) -> Text:
        if value.attr == -1:
            return Text(f"-{self.operand(value.args[0], PRODUCT)}", PRODUCT)
        return Text(f"{literal(value.attr)} * {self.operand(value.args[0], POWER)}", PRODUCT)

    def _offset(self, value: Value) -> Text:
        inner = self.operand(value.args[0], SUM)
        return Text(f"{inner} {'-' if value.attr < 0 else '+'} {literal(abs(value.attr))}", SUM)

    def _outer(self, value: Value) -> Text:
        a, b = (self.operand(x, ATOM) for x in value.args)
        return Text(f"np.outer({a}, {b})") if value.time == "fixed" else Text(f"{a}[:, None] * {b}[None]", PRODUCT)

    def _outer_sum(self, value: Value) -> Text:
        left = self.values[value.args[0]]
        a, b = (self.operand(x, ATOM) for x in value.args)
        if len(left.shape) == 1:
            return Text(f"np.outer({a}, {b})") if left.time == "fixed" else Text(f"{a} @ {b}.T", PRODUCT)
        if left.time == "fixed":
            return Text(f"{a} @ {b}.T", PRODUCT)
        return Text(f'np.einsum("mpb,npb->mn", {a}, {b})')

    def _batch_sum(self, value: Value) -> Text:
        return Text(f"{self.operand(value.args[0], ATOM)}.sum(-1)")

    def _time_sum(self, value: Value) -> Text:
        return self.text(value.args[0])

    def _mean_loss(self, value: Value) -> Text:
        terms, share = value.args
        return Text(f"({self.operand(terms, PRODUCT)} * {self.operand(share, POWER)}).sum()")

    def _over_features(self, what: str, text: str, value: Value) -> str:
        """The `sum`, `mean` ... over the features of an operand of `value`, as one row."""
        over = self.values[value.args[0]]
        if over.time == "fixed":
            return f"{text}.{what}().reshape(1)"
        return f"{text}.{what}(0, keepdims=True)" if len(over.shape) == 1 else f"{text}.{what}((0, 1))[None]"

    def _total(self, value: Value) -> Text:
        return Text(self._over_features("sum", self.operand(value.args[0], ATOM), value))

    def _extreme(self, value: Value) -> Text:
        return Text(self._over_features(value.op, self.operand(value.args[0], ATOM), value))

    def _dot(self, value: Value) -> Text:
        a, b = (self.operand(x, POWER) for x in value.args)
        return Text(self._over_features("sum", f"({a} * {b})", value))

    def _norm2(self, value: Value) -> Text:
        return Text(f"np.sqrt({self._over_features('sum', f'({self.operand(value.args[0], ATOM)} ** 2)', value)})")

    def _inv_rms(self, value: Value) -> Text:
        mean = self._over_features("mean", f"({self.operand(value.args[0], ATOM)} ** 2)", value)
        return Text(f"1 / np.sqrt({mean} + {value.attr[1]!r})", PRODUCT)

    def _itself(self, value: Value) -> Text:
        return self.text(value.args[0])

    def _last(self, value: Value) -> Text:
        if not self.spec.model.masked:
            return self._at("w.T - 1", value.args[0])
        array = self._at("w.length - 1, ..., np.arange(w.B)", value.args[0])
        return Text(f"np.moveaxis({array.text}, 0, -1)")

    def _at(self, index: str, item: int) -> Text:
        """A value at a given step, outside of loops."""
        at, self.at = self.at, index
        text = self.text(item)
        self.at = at
        return text

    def _at_last(self, value: Value) -> Text:
        inner = self.operand(value.args[0], POWER)
        when = "w.length - 1 == t" if self.spec.model.masked else "t == w.T - 1"
        return Text(f"{inner} * ({when})", PRODUCT)

    def _step_at(self, value: Value) -> Text:
        index = str(value.attr - 1) if value.attr > 0 else f"w.T - {-value.attr}"
        text = self._at(index, value.args[0]).within(POWER)
        text = f"{text} * w.fresh" if self.windows else text
        if abs(value.attr) == 1:
            return Text(text, PRODUCT)
        nothing = f"np.zeros_like({self._at('0', value.args[0]).text})"
        return Text(f"{text} if w.T >= {abs(value.attr)} else {nothing}", LOOSE)


SPECIAL: dict[str, Callable[[Steps, Value], Text]] = {
    "add": Steps._add,
    "mul": Steps._mul,
    "scale": Steps._scale,
    "offset": Steps._offset,
    "outer": Steps._outer,
    "outer_sum": Steps._outer_sum,
    "batch_sum": Steps._batch_sum,
    "time_sum": Steps._time_sum,
    "mean_loss": Steps._mean_loss,
    "total": Steps._total,
    "dot": Steps._dot,
    "max": Steps._extreme,
    "min": Steps._extreme,
    "norm2": Steps._norm2,
    "inv_rms": Steps._inv_rms,
    "stop_gradient": Steps._itself,
    "clip_gradient": Steps._itself,
    "last": Steps._last,
    "at_last": Steps._at_last,
    "step_at": Steps._step_at,
}
"""Operations whose text depends on more than their operands; all others are templates of `expressions`."""


def literal(number: float) -> str:
    """A number as a person writes it: 1, not 1.0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(number)
