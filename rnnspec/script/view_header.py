"""What the head of a script shows: its equations, its sizes, its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec import __version__
from rnnspec.diagnostics import Span
from rnnspec.frontend.typed import Equation, Model, Spec, Start
from rnnspec.script.body import Body
from rnnspec.script.code import Code, definitions, fill, identifier, lines, literal, prose, table
from rnnspec.script.devices import Device
from rnnspec.script.initialisers import initial_values, initialiser_functions
from rnnspec.script.names import is_constant
from rnnspec.script.precision import math, stored
from rnnspec.script.sources import imports, reads_packages
from rnnspec.script.windows import back, learned

IMPORTS = ("argparse", "hashlib", "json", "math", "os", "signal", "sys", "time")
FIND = "from importlib.util import find_spec"
FROM_IMPORTS = ("from functools import lru_cache", "from pathlib import Path")


@dataclass(frozen=True)
class Header:
    """Docstring and imports."""

    title: Code
    equations: Code
    version: Code
    file: Code
    digest: Code
    inside: Code
    imports: Code
    functions: Code
    arrays: Code


@dataclass(frozen=True)
class Sizes:
    """Constants: sizes of the model by name, and the numbers of `train:`."""

    named: Code
    batch: Code
    cuts: Code
    steps: Code
    epochs: Code
    lr: Code
    seed: Code
    dtype: Code
    math: Code


@dataclass(frozen=True)
class Parameters:
    """Where parameters are stored, and how they start."""

    zeros: Code
    fill: Code
    layout: Code
    rows: Code
    names: Code
    trained: Code
    trainable: Code
    size: Code
    initialisers: Code
    initial: Code


def header(spec: Spec, body: Body, source: Code, device: Device) -> Header:
    """The view of the head; `source` is where the data comes from."""
    reads = ", ".join(item.name for item in spec.model.inputs)
    predicts = ", ".join(item.name for item in spec.model.targets)
    froms = sorted([*FROM_IMPORTS, FIND]) if reads_packages(spec) else FROM_IMPORTS
    modules = sorted({*IMPORTS, *imports(source), *device.modules})
    functions = ", ".join(sorted(map(identifier, body.functions))) if device.name == "cpu" else ""
    return Header(
        title=prose(f"Train {spec.name}: read {reads}, predict {predicts}."),
        equations=lines(_equations(spec.model)),
        version=prose(__version__),
        file=prose(spec.path.name),
        digest=prose(spec.digest[:12]),
        inside=Code(device.inside.strip()),
        imports=lines([*(f"import {name}" for name in modules), *froms]),
        functions=Code(f"from numpy import {functions}" if functions else ""),
        arrays=Code(device.arrays.rstrip()),
    )


def _equations(model: Model) -> list[str]:
    """Every equation as it is written, with its place; a cell's equations are indented below its call."""
    rows = list(_equation_rows(model))
    if model.loss_span:
        rows.append((f"loss = {prose(model.loss_span.text)}", prose(model.loss_span.place)))
    width = min(max((len(text) for text, _ in rows), default=0), 88)
    return [f"{text:<{width}}   {place}" for text, place in rows]


def _equation_rows(model: Model) -> Iterator[tuple[str, str]]:
    """Text and place in the order of the spec, equations of a cell where it is called."""
    items: list[Equation | Start] = [*model.starts, *model.equations]
    calls: set[int] = set()
    for item, span in sorted(((i, i.span) for i in items if i.span), key=_order):
        call = _call(item)
        if call is not None and call.start not in calls:
            calls.add(call.start)
            written = "=" in call.text.partition("(")[0]
            yield prose(call.text if written else f"{item.name.partition('.')[0]}[t] = {call.text}"), prose(call.place)
        yield ("    " if call else "") + prose(span.text), prose(span.place)


def _call(item: Equation | Start) -> Span | None:
    return item.call if isinstance(item, Equation) else None


def _order(row: tuple[Equation | Start, Span]) -> tuple[int, int]:
    call = _call(row[0])
    return (call.start, row[1].start) if call else (row[1].start, -1)


def sizes(spec: Spec, device: Device) -> Sizes:
    """The view of the constants."""
    train = spec.train
    return Sizes(
        named=lines(f"{identifier(name)} = {n}" for name, n in dict(spec.model.sizes).items() if is_constant(name)),
        batch=literal(train.batch),
        cuts=lines(f"{name} = {n}  # {meaning}" for name, n, meaning in _cuts(spec) if n),
        steps=literal(train.steps),
        epochs=literal(train.epochs),
        lr=literal(train.optimizer["lr"]),
        seed=literal(train.seed),
        dtype=Code(device.dtype.format(name=identifier(stored(train)))),
        math=fill(MATH, math=math(train)) if device.name == "gpu" else Code(""),
    )


MATH = "MATH = {math}  # how matrices of single precision are multiplied: float32, tf32 or bfloat16"


def _cuts(spec: Spec) -> Iterator[tuple[str, int | None, str]]:
    yield "SEQUENCE", spec.data.sequence, "steps that the stream is cut into"
    if spec.train.truncation:
        yield "WINDOW", learned(spec), "steps that are learned at a time"
        yield "BACK", back(spec), "steps in front of a window that its gradient reaches too"


def parameters(spec: Spec, body: Body, device: Device) -> Parameters:
    """The view of the parameters."""
    infos, layout = spec.model.parameters, body.layout
    rows = [(literal(identifier(row[0])), literal((identifier(row[1]), *row[2:]))) for row in layout.rows]
    fixed = tuple(info.name for info in infos if not info.trainable)
    trained = fill("[name for name in PARAMETERS if name not in {fixed}]", fixed=fixed) if fixed else Code("list(PARAMETERS)")
    return Parameters(
        zeros=Code(f"{device.zeros}(SIZE, dtype)"),
        fill=device.stored("view", "params[name]"),
        layout=table((literal(identifier(name)), literal((start, shape))) for name, start, shape in layout.places),
        rows=table(rows) if rows else Code(""),
        names=table(
            (literal(name), literal((identifier(here), spec.model.shape_of(name)))) for name, here in layout.parameters
        ),
        trained=trained,
        trainable=literal(layout.trainable),
        size=literal(layout.size),
        initialisers=definitions(initialiser_functions(infos)),
        initial=table((literal(name), value) for name, value in initial_values(spec).items()),
    )
