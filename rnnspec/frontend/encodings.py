"""How columns enter a model: the sections `inputs:` and `targets:`, with sizes checked against the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend.entering import bare_column
from rnnspec.frontend.equations import parse_value
from rnnspec.frontend.offers import Column, Offer
from rnnspec.frontend.schema import Fields
from rnnspec.frontend.settings import resolve
from rnnspec.frontend.sizes import Form, Origin, Size, vector
from rnnspec.frontend.source import Node, Scalar
from rnnspec.frontend.syntax import CallNode, RefNode, StringNode, walk
from rnnspec.frontend.syntax import Node as SyntaxNode
from rnnspec.frontend.typed import Setting, When
from rnnspec.frontend.words import OF_BATCHES, is_name, malformed, taken

Section = Literal["inputs", "targets"]

VOCABULARY = "V"


@dataclass(frozen=True)
class Item:
    """An input or a target; its size is known."""

    name: str
    section: Section
    when: When
    whole: bool  # classes rather than numbers
    form: Form
    span: Span  # of its name
    call: Setting
    flat: bool = False  # numbers that have no axis for their size in the data
    longest: int = 0  # so many labels a sequence may have; 0 for what is no sequence of labels

    @property
    def size(self) -> int:
        """How many numbers it has, or how many classes there are."""
        (size,) = self.form.known or (0,)
        return size


@dataclass
class Encoder:
    """Reads inputs and targets, given what the source offers."""

    offer: Offer
    sizes: Mapping[str, Size]
    calls: Mapping[str, CallNode]
    problems: list[Diagnostic]
    items: list[Item] = field(default_factory=list)
    broken: dict[str, Span] = field(default_factory=dict)  # names with a problem

    def read(self, fields: Fields, section: Section) -> None:
        """The entries of one of the two sections; targets come first, because `current` looks at them."""
        for key, node in fields:
            if not self._name_is_free(key, section):
                continue
            item = self._item(key, node, section)
            if item is None:
                self.broken[key.value] = key.span
            else:
                self.items.append(item)

    def _name_is_free(self, key: Scalar, section: Section) -> bool:
        name = key.value
        if not is_name(name):
            self.problems.append(malformed(name, "an input" if section == "inputs" else "a target", key.span))
            return False
        wrong = taken(name, key.span, ("a size", self.sizes), ("a part of every batch", OF_BATCHES))
        if wrong is not None:
            self.problems.append(wrong)
            return False
        before = {item.name: item.span for item in self.items} | self.broken
        if name in before:
            first, second = sorted((before[name], key.span), key=lambda span: span.start)
            others = [(first, "first defined here")]
            self.problems.append(problem("E0202", f"`{name}` is defined twice", second, others=others))
            return False
        return True

    def _item(self, key: Scalar, node: Node, section: Section) -> Item | None:
        call: SyntaxNode | None = self.calls.get(f"{section}.{key.value}")
        call = call or parse_value(node, self.problems)
        if call is None:
            return None
        if isinstance(call, RefNode) and call.name in self.offer.columns and call.name not in ENCODINGS:
            self.problems.append(bare_column(call, section, self.offer))
            return None
        setting = resolve(call, section, self.problems, f"`{key.value}`")
        if setting is None or not isinstance(call, CallNode):
            return None
        reader = _Reader(self, call, setting)
        found = ENCODINGS[setting.name](reader)
        if found is None:
            return None
        when, whole, form = found
        axes = self.offer.columns[named(setting)[0]].axes
        flat = not whole and not self.offer.stream and len(axes) == (when == "step")
        longest = axes[0] if setting.name == "labels" else 0
        return Item(key.value, section, when, whole, form, key.span, setting, flat, longest)

    def target_of(self, column: str) -> Item | None:
        """The target that is made from a column."""
        items = (item for item in self.items if item.section == "targets")
        return next((item for item in items if column in named(item.call)), None)


Found = tuple[When, bool, Form]


@dataclass
class _Reader:
    """One call of an encoding, checked against the columns it names."""

    encoder: Encoder
    call: CallNode
    setting: Setting

    def fail(self, code: str, message: str, column: str = "", help: str | None = None, note: str | None = None) -> None:
        """Report a problem with this call, at the name of a column if one is given."""
        span = self.place(column) if column else self.call.span
        self.encoder.problems.append(problem(code, message, span, help=help, note=note))

    def place(self, text: str) -> Span:
        """Where the name of a column is written."""
        for node in walk(self.call):
            if isinstance(node, StringNode) and node.text == text or isinstance(node, RefNode) and node.name == text:
                return node.span
        return self.call.span

    def column(self, name: str) -> Column | None:
        """A column of the source."""
        columns = self.encoder.offer.columns
        if name not in columns:
            near = suggest(name, columns)
            help = f"did you mean `{near}`?" if near else None
            note = "columns: " + ", ".join(columns)
            self.fail("E0702", f"the data source has no column `{name}`", name, help, note)
        return columns.get(name)

    def columns(self) -> dict[str, Column] | None:
        """All columns that the first argument names."""
        names = named(self.setting)
        found = {name: self.column(name) for name in names}
        known = {name: column for name, column in found.items() if column is not None}
        return known if len(known) == len(names) else None

    def fits(self, name: str, column: Column, axes: int, what: str) -> bool:
        """Whether a column has so many axes behind the sequence."""
        stream = self.encoder.offer.stream
        if len(column.axes) + stream == axes:
            return True
        shape = ", ".join(["steps" if stream else "sequences", *map(str, column.axes)])
        self.fail("E0704", f"`{self.setting.name}` needs an array ({what})", name, note=f"`{name}` is ({shape})")
        return False

    def given(self, size: int) -> Form:
        """The shape of something whose size stands in the call."""
        return vector(Size(size, None, Origin(self.call.span, f"{size} given here")))

    def found(self, count: int) -> Form:
        """The shape of something that has so many classes in the data."""
        return vector(Size(count, None, Origin(self.call.span, f"{count} classes, from the data")))

    def counted(self, count: int) -> Form:
        """The shape of some columns side by side."""
        return vector(Size(count, None, Origin(self.call.span, f"{count} column{'s' if count != 1 else ''}")))

    def whole(self, name: str, column: Column) -> bool:
        """Whether a column holds classes."""
        if not column.whole:
            message = f"`{self.setting.name}` needs whole numbers, but the column `{name}` holds others"
            self.fail("E0704", message, name)
        return column.whole

    def classes(self, name: str, column: Column, size: int) -> bool:
        """Whether all classes of a column are below a size."""
        most = column.largest()
        if most is None or 0 <= most < size:
            return True
        note = "its numbers start below 0" if most < 0 else f"its numbers go up to {most}, so that is {most + 1} classes"
        self.fail("E0704", f"the column `{name}` does not fit into {size} classes", note=note)
        return False


def named(setting: Setting) -> tuple[str, ...]:
    """The columns that the first argument of an encoding names."""
    first = setting.arguments[0][1]
    return first if isinstance(first, tuple) else (str(first),)


# ------------------------------------------------------------------ one function an encoding


def _one_hot(reader: _Reader) -> Found | None:
    name = str(reader.setting["column"])
    column = reader.column(name)
    if column is None or not reader.fits(name, column, 1, "sequence, time") or not reader.whole(name, column):
        return None
    size = cast("int | None", reader.setting["size"])
    if not _length(reader):
        return None
    if size is not None:
        return ("step", True, reader.given(size)) if reader.classes(name, column, size) else None
    if reader.encoder.offer.vocabulary:
        return "step", True, vector(reader.encoder.sizes[VOCABULARY])
    if column.classes is None:
        reader.fail("E0605", "`one_hot` needs the argument `size` here", help=f"write `one_hot({name}, size=...)`")
        return None
    return "step", True, reader.found(column.classes)


def _vectors(reader: _Reader) -> Found | None:
    name, size = str(reader.setting["array"]), cast(int, reader.setting["size"])
    column = reader.column(name)
    if column is None or not _length(reader):
        return None
    if size == 1 and len(column.axes) == 1:
        return "step", False, reader.given(1)
    if not reader.fits(name, column, 2, "sequence, time, size"):
        return None
    return _sized(reader, name, column, size, "step")


def _sized(reader: _Reader, name: str, column: Column, size: int, when: When) -> Found | None:
    if column.axes[-1] != size:
        message = f"the size is {size}, but the array `{name}` has {column.axes[-1]}"
        reader.fail("E0704", message, help=f"write `size={column.axes[-1]}`")
        return None
    return when, False, reader.given(size)


def _length(reader: _Reader) -> bool:
    """Whether the column of lengths, if one is named, can be one."""
    name = cast("str | None", reader.setting["length"])
    if name is None:
        return True
    column = reader.column(name)
    if column is None:
        return False
    if reader.encoder.offer.stream:
        reader.fail("E0704", "a stream has no lengths: it is one sequence", name)
        return False
    if not reader.fits(name, column, 0, "sequence") or not reader.whole(name, column):
        return False
    return _lengths_fit(reader, name)


def _lengths_fit(reader: _Reader, name: str) -> bool:
    steps = reader.encoder.offer.columns[named(reader.setting)[0]].axes[:1]
    found = reader.encoder.offer.columns[name].extent()
    least = 0 if reader.setting.name == "labels" else 1
    if not steps or found is None or least <= found.low <= found.high <= steps[0]:
        return True
    message = f"the lengths in `{name}` must be from {least} to {steps[0]}, the number of steps"
    reader.fail("E0704", message, name, note=f"they are {found}")
    return False


def _columns(reader: _Reader) -> Found | None:
    columns = reader.columns()
    if columns is None:
        return None
    if not reader.encoder.offer.stream or any(column.whole for column in columns.values()):
        help = "write `vectors(...)` for an array, `one_hot(...)` for classes"
        reader.fail("E0704", "`columns` needs the columns of a table", help=help)
        return None
    return "step", False, reader.counted(len(columns))


def _current(reader: _Reader) -> Found | None:
    name = str(reader.setting["column"])
    if reader.column(name) is None:
        return None
    target = reader.encoder.target_of(name)
    if target is None or target.when != "step":
        message = f"`current` repeats what a target is made from, but no target has a `{name}` for each step"
        reader.fail("E0704", message, name)
        return None
    if target.whole:
        return "step", True, target.form
    column = reader.encoder.offer.columns[name]
    return "step", False, reader.counted(1) if reader.encoder.offer.stream else reader.given(column.axes[-1])


def _vector(reader: _Reader) -> Found | None:
    name, size = str(reader.setting["array"]), cast(int, reader.setting["size"])
    column = reader.column(name)
    if column is not None and not column.axes and size == 1 and not reader.encoder.offer.stream:
        return "sequence", False, reader.given(1)
    if column is None or not reader.fits(name, column, 1, "sequence, size"):
        return None
    if reader.encoder.offer.stream:
        reader.fail("E0704", "a stream has no value per sequence")
        return None
    return _sized(reader, name, column, size, "sequence")


def _next(reader: _Reader) -> Found | None:
    columns = reader.columns()
    if columns is None:
        return None
    steps = cast(int, reader.setting["steps"])
    (name, first), stream = next(iter(columns.items())), reader.encoder.offer.stream
    if first.whole:
        if len(columns) > 1 or steps > 1:
            reader.fail("E0704", "`next` predicts one class, of one column, one step ahead")
            return None
        if not reader.fits(name, first, 1, "sequence, time"):
            return None
        if first.classes is None:
            reader.fail("E0704", f"it is not known how many classes `{name}` has", help="store what comes next as an array")
            return None
        if reader.encoder.offer.vocabulary:
            return "step", True, vector(reader.encoder.sizes[VOCABULARY])
        return "step", True, reader.found(first.classes)
    if stream:
        return "step", False, reader.counted(len(columns) * steps)
    if not all(reader.fits(name, column, 2, "sequence, time, size") for name, column in columns.items()):
        return None
    return "step", False, reader.counted(steps * sum(column.axes[-1] for column in columns.values()))


def _classes(reader: _Reader) -> Found | None:
    name, count = str(reader.setting["array"]), cast(int, reader.setting["count"])
    column = reader.column(name)
    if column is None or not reader.whole(name, column) or not reader.classes(name, column, count):
        return None
    if len(column.axes) > 1:
        reader.fits(name, column, 1, "sequence) or (sequence, time")
        return None
    step = reader.encoder.offer.stream or len(column.axes) == 1
    return "step" if step else "sequence", True, reader.given(count)


def _labels(reader: _Reader) -> Found | None:
    name, count = str(reader.setting["array"]), cast(int, reader.setting["count"])
    column = reader.column(name)
    if column is None or not _length(reader) or not reader.fits(name, column, 1, "sequence, label"):
        return None
    if reader.encoder.offer.stream:
        reader.fail("E0704", "a stream has no labels per sequence")
        return None
    if not reader.whole(name, column) or not reader.classes(name, column, count):
        return None
    return "sequence", True, reader.given(count)


def _values(reader: _Reader) -> Found | None:
    name, size = str(reader.setting["array"]), cast(int, reader.setting["size"])
    column = reader.column(name)
    if column is None:
        return None
    axes = len(column.axes)
    if reader.encoder.offer.stream:
        reader.fail("E0704", "`values` needs sequences; a stream is one", help="write `next(...)`")
        return None
    if size == 1 and (axes == 0 or (axes == 1 and column.axes != (1,))):
        return "step" if axes else "sequence", False, reader.given(1)
    if axes not in (1, 2):
        reader.fits(name, column, 2, "sequence, size) or (sequence, time, size")
        return None
    return _sized(reader, name, column, size, "step" if axes == 2 else "sequence")


ENCODINGS: dict[str, Callable[[_Reader], Found | None]] = {
    "one_hot": _one_hot,
    "vectors": _vectors,
    "columns": _columns,
    "current": _current,
    "vector": _vector,
    "next": _next,
    "classes": _classes,
    "labels": _labels,
    "values": _values,
}
