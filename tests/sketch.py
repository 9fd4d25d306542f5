"""A model before it is a file: its parts, printed as `.rnn` text, with a small data file beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnspec.frontend.bounds import with_bounds
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.typed import (
    Call,
    Equation,
    Expr,
    Input,
    Last,
    Mask,
    Model,
    Number,
    Parameter,
    ParameterInfo,
    Read,
    Start,
    Target,
)

OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "matmul": "@", "and": "and", "or": "or",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
SEQUENCES, STEPS = 6, 5


@dataclass(frozen=True)
class CellCall:
    """`name[t] = cell(vector, units=..., reverse=...)`, and `more` that the cell asks for."""

    name: str
    cell: str
    vector: Expr
    units: int
    reverse: bool
    more: str = ""


@dataclass(frozen=True)
class Sketch:
    """Everything random about a spec; the rest of the file is the same for all."""

    inputs: tuple[Input, ...]
    target: Target
    parameters: tuple[ParameterInfo, ...]
    lines: tuple[Equation | CellCall, ...]
    starts: tuple[Start, ...]
    loss: Expr
    masked: bool
    ties: tuple[tuple[str, str], ...] = ()  # parameters, and what each is tied to

    def text(self) -> str:
        """The `.rnn` file."""
        items = (*self.inputs, self.target)
        arrays = [f'"{_array(item)}"' for item in items] + ['"length"'] * self.masked
        parts = [
            "rnnspec: 1\nname: random",
            f'data:\n  source: npz("data.npz", arrays=[{", ".join(arrays)}])',
            "inputs:\n" + "\n".join(f"  {item.name}: {self._input(item)}" for item in self.inputs),
            f"targets:\n  {self.target.name}: {_target(self.target)}",
            *self._states(),
            "model: |\n" + "\n".join(f"  {line}" for line in self._equations()),
            f"loss: {text(self.loss)}",
            "params:\n" + "\n".join(f"  {info.name}: {self._attributes(info)}" for info in self.parameters),
            "train:\n  optimizer: sgd(lr=0.1)\n  batch: 3\n  steps: 1\n  dtype: float64",
        ]
        return "\n".join(parts) + "\n"

    def model(self) -> Model | None:
        """The typed model that the front end should make of the text; None with cells and ties, which it expands."""
        equations = tuple(line for line in self.lines if isinstance(line, Equation))
        if len(equations) < len(self.lines) or self.ties:
            return None
        made = Model(self.inputs, (self.target,), self.parameters, equations, self.starts, self.loss, masked=self.masked)
        return with_bounds(made)

    def write(self, folder: Path) -> Path:
        """Write the file and its data into a folder; returns the path of the file."""
        items = (*self.inputs, self.target)
        arrays = {_array(item): _values(item) for item in items}
        if self.masked:
            arrays["length"] = np.resize([STEPS, 1, 3], SEQUENCES)
        np.savez(folder / "data.npz", **arrays)
        path = folder / "random.rnn"
        path.write_text(self.text())
        return path

    def _input(self, item: Input) -> str:
        if item.when == "sequence":
            return f"vector({_array(item)}, size={item.shape[0]})"
        call = "one_hot" if item.encoding == "ids" else "vectors"
        return f"{call}({_array(item)}, size={item.shape[0]}{', length=length' if self.masked else ''})"

    def _attributes(self, info: ParameterInfo) -> str:
        tied = dict(self.ties).get(info.name)
        return f"{{tie: {tied}}}" if tied else _attributes(info)

    def _states(self) -> list[str]:
        """The shapes of variables that change with time: nothing else tells a number from a vector."""
        timed = [line for line in self.lines if isinstance(line, Equation) and line.when == "step"]
        shapes = [f"{line.name}: [{', '.join(map(str, line.expr.shape))}]" for line in timed]
        return [f"states: {{{', '.join(shapes)}}}"] if shapes else []

    def _equations(self) -> list[str]:
        starts = [f"{start.name}[{_step(start.step)}] = {text(start.expr)}" for start in self.starts]
        return starts + [_line(line) for line in self.lines]


def text(expr: Expr) -> str:
    """An expression in the notation of the language, with all brackets."""
    match expr:
        case Number():
            return repr(expr.value)
        case Parameter():
            return expr.name
        case Mask():
            return "mask"
        case Last():
            return f"{expr.name}[T]"
        case Read():
            return expr.name + (f"[t{-expr.lag:+d}]" if expr.lag else "[t]" if expr.when == "step" else "")
        case Call():
            return _call(expr)


def _call(expr: Call) -> str:
    args = [text(arg) for arg in expr.args]
    if expr.function in OPERATORS:
        return f"({args[0]} {OPERATORS[expr.function]} {args[1]})"
    if expr.function in ("neg", "not"):
        return f"({'-' if expr.function == 'neg' else 'not '}{args[0]})"
    if expr.function == "transpose":
        return f"{args[0]}.T"
    row = FUNCTIONS[expr.function]
    given = [(option.name, expr.option(option.key)) for option in row.options if expr.option(option.key) != option.default]
    args += [f"{name}={json.dumps(value)}" for name, value in given]
    return f"{expr.function}({', '.join(args)})"


def _line(line: Equation | CellCall) -> str:
    if isinstance(line, CellCall):
        rest = f"{', ' * bool(line.more)}{line.more}{', reverse=true' * line.reverse}"
        return f"{line.name}[t] = {line.cell}({text(line.vector)}, units={line.units}{rest})"
    return f"{line.name}{'[t]' if line.when == 'step' else ''} = {text(line.expr)}"


def _step(step: int) -> str:
    return f"T+{step}" if step > 0 else str(step)


def _array(item: Input | Target) -> str:
    return f"{item.name}_data"


def _target(item: Target) -> str:
    if item.encoding == "labels":
        return f"labels({_array(item)}, count={item.shape[0]})"
    if item.encoding == "classes":
        return f"classes({_array(item)}, count={item.shape[0]})"
    return f"values({_array(item)}, size={item.shape[0]})"


def _attributes(info: ParameterInfo) -> str:
    listed = [f"shape: [{', '.join(map(str, info.shape))}]", "init: normal(std=0.1)"]
    attributes = (("l1", info.l1), ("l2", info.l2), ("weight_drop", info.weight_drop))
    listed += [f"{name}: {value}" for name, value in attributes if value]
    listed += ["trainable: false"] * (not info.trainable)
    return "{" + ", ".join(listed) + "}"


def _values(item: Input | Target) -> np.ndarray:
    leading = (SEQUENCES, STEPS) if item.when == "step" else (SEQUENCES,)
    if isinstance(item, Target) and item.longest:
        return np.ones((SEQUENCES, item.longest), int)
    if item.encoding in ("ids", "classes"):
        return np.resize(np.arange(item.shape[0]), leading)
    low = 0 if isinstance(item, Target) else -1  # some losses compare with chances only
    return np.linspace(low, 1, int(np.prod((*leading, *item.shape)))).reshape(*leading, *item.shape)
