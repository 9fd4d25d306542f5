"""The intermediate representation: frozen values in one flat graph, and the blocks they are scheduled into.

A value has a feature shape only; batch is implicit, and how it relates to time is one of four words:

    fixed      no time and no batch              (parameters, their gradients)
    sequence   one array for each sequence       (h[T], a start, a condition)
    step       one array for each step           (states, gates, their adjoints)
    flat       steps and sequences as columns of one matrix       (operands of the weight gradients; for some
    lines      steps and sequences as lines of one matrix          steps at a time, where blocks say so)

A number is a vector of one row.  Time enters by one operation only: `shift(v, k)` is v[t-k], and its start or zero outside
the sequence.  A recurrence is a cycle through a shift; nothing else may be cyclic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Shape = tuple[int, ...]
Time = Literal["fixed", "sequence", "step", "flat", "lines"]


@dataclass(frozen=True)
class Origin:
    """The equation that a value comes from: its text, its place as `file:line`, and which others are computed with it."""

    text: str
    place: str = ""
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f", and so {', '.join(self.also)}" if self.also else ""
        return f"{self.text}   [{self.place}]{others}" if self.place else f"{self.text}{others}"

    @property
    def left(self) -> str:
        """The left side of the equation."""
        return self.text.rpartition(": ")[2].partition("=")[0].strip()


@dataclass(frozen=True)
class Value:
    """One value: `op` applied to `args`.  Identity is the integer `id`; `name` is for people."""

    id: int
    name: str
    op: str
    args: tuple[int, ...] = ()
    shape: Shape = ()
    time: Time = "step"
    attr: Any = None  # what the operation needs besides operands; its type is the `attr` column of ops.OPS
    origin: Origin | None = field(default=None, compare=False)


Recurrence = Literal["", "linear", "elementwise", "mixed", "dense"]


@dataclass(frozen=True)
class Block:
    """Values that are computed together.

    map     each for all steps at once
    loop    one step after another, +1 forwards, -1 backwards
    parts   some steps at a time, as columns and lines, and what they give is added up
    """

    kind: Literal["map", "loop", "parts"]
    ids: tuple[int, ...]
    direction: int = 0
    recurrence: Recurrence = ""  # of a loop, once the pass `classify` has said it


@dataclass(frozen=True)
class Roots:
    """What a program is for: the values that must be computed, by what they are."""

    loss: int  # fixed, one row
    outputs: tuple[tuple[str, int], ...] = ()  # name in the spec -> value; what loss and metrics read
    gradients: tuple[tuple[int, int], ...] = ()  # parameter or stack of parameters -> its gradient
    averages: tuple[tuple[int, int], ...] = ()  # running average (a parameter) -> what it follows, fixed
    limited: tuple[tuple[str, int], ...] = ()  # variable whose backward signal has a limit -> the signal in front of it

    def ids(self) -> tuple[int, ...]:
        """Every root, each once."""
        listed = [self.loss, *(v for _, v in (*self.outputs, *self.limited)), *(g for _, g in self.gradients)]
        listed += [item for pair in self.averages for item in pair]
        return tuple(dict.fromkeys(listed))


@dataclass(frozen=True)
class Program:
    """Values in an order in which each stands behind its operands, except that the operand of a shift may come later."""

    name: str
    values: dict[int, Value]
    roots: Roots
    blocks: tuple[Block, ...] = ()

    def users(self) -> dict[int, list[Value]]:
        """Value -> the values that read it, each once."""
        found: dict[int, list[Value]] = {i: [] for i in self.values}
        for value in self.values.values():
            for arg in dict.fromkeys(value.args):
                found[arg].append(value)
        return found

    def leaves(self, op: str) -> Iterator[Value]:
        """Values made by one kind of leaf operation, in order."""
        return (v for v in self.values.values() if v.op == op)
