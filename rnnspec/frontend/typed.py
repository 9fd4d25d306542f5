"""The typed tree: what the front end hands to the rest of the compiler.

Every node knows its feature shape, how it relates to time, and where it stands in the file.  Nothing here is wrong: all errors
of the user are out by now.  Cells are expanded (their names are `h1.c`), sizes are numbers, initialisers and settings carry
all their defaults.

A feature shape is a tuple of numbers: `()` a number, `(H,)` a vector, `(H, X)` a matrix.  Batch and time are implicit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rnnspec.diagnostics import Span

Shape = tuple[int, ...]
When = Literal["fixed", "sequence", "step"]
"""How a value relates to time: parameters and numbers are `fixed`, one value per sequence, or one per step of each sequence."""

WHEN_ORDER: tuple[When, ...] = ("fixed", "sequence", "step")


def latest(*whens: When) -> When:
    """The relation to time of something computed from values with these relations."""
    return max(whens, key=WHEN_ORDER.index, default="fixed")


@dataclass(frozen=True)
class Number:
    """A number written in the equations."""

    value: float
    span: Span | None = field(default=None, compare=False)
    shape: Shape = ()
    when: When = "fixed"
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """A trainable array, by its full name (`W_xh`, `h1.U_i`)."""

    name: str
    shape: Shape
    span: Span | None = field(default=None, compare=False)
    when: When = "fixed"
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Read:
    """An input, a target or the left side of an equation: `v[t - lag]` where it changes with time, else plain `v` (lag 0).

    A negative lag reads a later step: `h[t+1]` has lag -1.
    """

    name: str
    shape: Shape
    when: When
    lag: int = 0
    span: Span | None = field(default=None, compare=False)
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Last:
    """`v[T]`: the value of a timed variable (or input) at the last valid step of each sequence."""

    name: str
    shape: Shape
    span: Span | None = field(default=None, compare=False)
    when: When = "sequence"
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Mask:
    """The built-in `mask`: 1 at the valid steps of a sequence, 0 behind its end."""

    span: Span | None = field(default=None, compare=False)
    shape: Shape = ()
    when: When = "step"
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Call:
    """An operator or a function applied to values; `options` are its arguments that are not values (rate, eps, part ...).

    Operators: neg add sub mul div pow matmul transpose, and the conditions less less_equal greater greater_equal equal
    not_equal and or not.  All other names are rows of `functions.FUNCTIONS`.  In elementwise calls one side may be a plain
    number `()` and the other of any shape; there is no other broadcasting.  `pow` has a `Number` as its second argument.
    """

    function: str
    args: tuple[Expr, ...]
    shape: Shape
    when: When
    options: tuple[tuple[str, object], ...] = ()
    span: Span | None = field(default=None, compare=False)

    def option(self, name: str) -> object:
        """The value of one option; KeyError if the function has none of that name."""
        return dict(self.options)[name]


Expr = Number | Parameter | Read | Last | Mask | Call


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of an expression, itself first."""
    yield expr
    for arg in expr.args:
        yield from walk(arg)


@dataclass(frozen=True)
class Input:
    """A value that the data provides.  `ids`: whole numbers below `shape[0]`, read by the model as one-hot vectors."""

    name: str
    shape: Shape
    when: When  # step or sequence
    encoding: Literal["ids", "real"]
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Target:
    """What the model should predict.  `classes`: whole numbers below `shape[0]`; `real`: numbers of that shape; `labels`:
    up to `longest` whole numbers from 1 up to but without `shape[0]`, then zeros.  `low`, `high`: what real numbers must be
    at least and at most for the loss.
    """

    name: str
    shape: Shape
    when: When
    encoding: Literal["classes", "real", "labels"]
    span: Span | None = field(default=None, compare=False)
    longest: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Equation:
    """`name[t] = expr` (when = step) or `name = expr` (sequence, or fixed where it reads parameters only)."""

    name: str
    expr: Expr
    when: When
    span: Span | None = field(default=None, compare=False)  # of the whole equation, in the file it was written in
    call: Span | None = field(default=None, compare=False)  # for an equation of a cell: where the spec calls the cell


@dataclass(frozen=True)
class Start:
    """An initial value: step 0 is `v[0]`, -1 is `v[-1]`; 1 and 2 stand for `v[T+1]`, `v[T+2]` of a backward recurrence."""

    name: str
    step: int
    expr: Expr  # fixed or sequence
    span: Span | None = field(default=None, compare=False)


class Word(str):
    """An argument that is written without quotes: the name of data that comes with Python, or of another parameter."""

    __slots__ = ()


@dataclass(frozen=True)
class PackageFile:
    """A file that comes with a package; `install` is what pip calls that."""

    package: str
    install: str
    name: str  # from the folder of the package


@dataclass(frozen=True)
class Setting:
    """A resolved call such as `adam(lr=1e-3)`: every argument of its row in the settings table, defaults filled in."""

    name: str
    arguments: tuple[tuple[str, object], ...] = ()
    span: Span | None = field(default=None, compare=False)

    def __getitem__(self, name: str) -> object:
        return dict(self.arguments)[name]


@dataclass(frozen=True)
class ParameterInfo:
    """One trainable array and everything said about it under `params:`, in a cell, or by default."""

    name: str
    shape: Shape
    init: Setting
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    lr_scale: float = 1.0
    trainable: bool = True
    weight_drop: float = 0.0  # its readers find it in a call of `dropout`
    average: bool = False  # a running average: it follows the batches
    implicit: bool = False  # declared by use
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Metric:
    """One row of `metrics:`; its name is that of the function (`accuracy`), numbered where two rows share it."""

    name: str
    expr: Call  # a function of a prediction and a target
    span: Span | None = field(default=None, compare=False)
    ascending: bool = False  # better the higher it is


@dataclass(frozen=True)
class Model:
    """The mathematics of a spec.  Equations stand in the order written; dependencies within a step have no cycle."""

    inputs: tuple[Input, ...]
    targets: tuple[Target, ...]
    parameters: tuple[ParameterInfo, ...]  # in order of first use
    equations: tuple[Equation, ...]
    starts: tuple[Start, ...]
    loss: Expr  # shape (); averaged over the valid steps (when = step) or over the sequences
    loss_span: Span | None = field(default=None, compare=False)
    metrics: tuple[Metric, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()  # named sizes: dims, V, and cell arguments; for display
    masked: bool = False  # sequences may differ in length
    state_clips: tuple[tuple[str, Setting], ...] = ()  # variables whose backward signal is limited at every step
    begins: str = ""  # the input that is above 0 where all states go back to their start; empty if they never do

    def shape_of(self, name: str) -> Shape:
        """Feature shape of an input, target, parameter or variable; KeyError for an unknown name."""
        shapes = {e.name: e.expr.shape for e in self.equations}
        shapes |= {p.name: p.shape for p in self.parameters}
        shapes |= {i.name: i.shape for i in self.inputs} | {t.name: t.shape for t in self.targets}
        return shapes[name]

    def equation(self, name: str) -> Equation | None:
        """The equation with this left side; None for inputs, targets and parameters."""
        return next((e for e in self.equations if e.name == name), None)


@dataclass(frozen=True)
class Encoding:
    """How one input or target is made from columns: `one_hot(ids)`, `vectors(X, size=16, length=length)`, `next(ids)` ..."""

    name: str  # of the input or target
    call: Setting
    flat: bool = False  # numbers that have no axis for their size in the data


@dataclass(frozen=True)
class Data:
    """Where sequences come from and how they enter."""

    source: Setting  # files as absolute `Path`s
    encodings: tuple[Encoding, ...]  # inputs, then targets
    sequence: int | None = None  # cut a stream into independent sequences of this many steps
    reset_after: tuple[str, int] | None = None  # an input, and the id behind which states go back to their start
    split: tuple[tuple[str, float], ...] = (("train", 1.0),)  # train, valid, test
    vocabulary: tuple[str, ...] = ()  # text: the characters (or words, or bytes), in order of their ids
    stream: bool = False  # one long sequence
    bucket: bool = False  # sequences of similar lengths share a batch
    files: tuple[Path | PackageFile, ...] = ()
    labels: tuple[str, ...] = ()  # of classes, in order of their ids, where files call them by names
    count: int = 0  # sequences, or steps of a stream; 0 where nobody has counted: ...
    held_out: int = 0  # ... the last ones, from a file of their own, are the part `test`


@dataclass(frozen=True)
class Train:
    """The section `train:`; settings that were not given are None or have their default."""

    optimizer: Setting
    batch: int
    schedule: Setting | None = None
    clip: Setting | None = None
    average: Setting | None = None
    truncation: Setting | None = None  # tbptt(k1, k2); k2 is None where it is k1
    checkpoint: Setting | None = None
    stop: Setting | None = None
    steps: int | None = None  # exactly one of steps and epochs is set
    epochs: int | None = None
    seed: int = 0
    dtype: Setting = Setting("float32")  # what the script computes in while it trains
    state_clips: Mapping[str, tuple[Setting, Span]] = field(default_factory=dict)  # by variable, and where it is named


@dataclass(frozen=True)
class Monitor:
    """The section `monitor:`: what is shown while training."""

    every: int | None = None  # steps between training-loss events; None: about 100 in a run
    validate: int | None = None  # steps between validations; None: at the end of each epoch (or 10 times in a run by steps)
    sample: int = 0  # characters of text to generate at the end (language models)


@dataclass(frozen=True)
class Spec:
    """A whole .rnn file, checked."""

    name: str
    path: Path
    digest: str  # SHA-256 of the file with its overrides
    model: Model
    data: Data
    train: Train
    monitor: Monitor
