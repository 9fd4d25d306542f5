"""What a printer makes of a program: the part of the script between its parameters and its frame."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.ir.program import Time
from rnnspec.script.layout import Layout


@dataclass(frozen=True)
class Body:
    """Source text of `allocate`, `forward`, `backward` and, where states go on from batch to batch, `carry`; and where
    the parameters and outputs are.
    """

    functions: tuple[str, ...]  # that it calls by name: of NumPy, or of the frame for products on a GPU
    text: str
    layout: Layout  # of the parameters, attributes of p and g
    outputs: tuple[tuple[str, str, Time], ...]  # name in the spec, expression over all steps, step or sequence
    inputs: tuple[tuple[str, str], ...]  # inputs and targets that the program reads: name in the spec, attribute of w
    reads: frozenset[str]  # attributes of w that the frame fills for the program: these, and share, weights, random numbers
    carried: tuple[str, ...]  # attributes of w that `carry` reads: with them, training can go on in a new process
    averages: tuple[tuple[str, str], ...] = ()  # running averages: name in the spec, expression of what it follows
    limited: tuple[tuple[str, str], ...] = ()  # variables whose backward signal has a limit: expression of it over all steps
