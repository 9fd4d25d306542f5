"""Kernels whose arrays depend on the spec: their heads and statements in CUDA C, and the calls that launch them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 120
"""Characters of a line."""


@dataclass(frozen=True)
class Array:
    """An array that a kernel is given: its elements and its name there, and what the script passes for it."""

    kind: str  # `real`, `const real`, ...
    name: str
    passed: str

    @property
    def declared(self) -> str:
        """How the kernel declares it."""
        return f"{self.kind}* __restrict__ {self.name}"


def mentions(text: str, name: str) -> bool:
    """Whether a name stands in some lines, not counting comments."""
    return re.search(rf"\b{name}\b", re.sub(r"//.*", "", text)) is not None


def assigns(text: str, name: str) -> bool:
    """Whether some lines of CUDA C change a variable."""
    return re.search(rf"(?m)^{name} [-+*/]?= ", text) is not None


def head(name: str, arrays: Sequence[Array]) -> str:
    """The first line of a kernel, or several, up to its brace."""
    start = f'extern "C" __global__ void {name}('
    return _wrapped(start, [array.declared for array in arrays], ") {", " " * len(start))


def launch(how: str, owner: str, name: str, counts: Sequence[str], arrays: Sequence[Array], indent: int) -> str:
    """The call that launches a kernel with so many threads, or blocks and threads of each.

    It is formatted for a line that begins with `indent` blanks.
    """
    arguments = [owner, f'"{name}"', *counts, *(array.passed for array in arrays)]
    line = f"{how}({', '.join(arguments)})"
    if indent + len(line) <= WIDTH:
        return line
    inner = f"    {', '.join(arguments)}"
    if indent + len(inner) <= WIDTH:
        return f"{how}(\n{inner}\n)"
    return "\n".join([f"{how}(", *(f"    {argument}," for argument in arguments), ")"])


def declaration(kind: str, values: Iterable[tuple[str, str]]) -> str:
    """The statement that gives names to values; empty if there are none."""
    parts = [f"{name} = {value}" for name, value in values]
    return _wrapped(f"{kind} ", parts, ";", "    ", indent=4) if parts else ""


def stores(values: Iterable[tuple[str, str]]) -> str:
    """The statements that put values into places."""
    return "\n".join(f"{place} = {value};" for place, value in values)


def _wrapped(start: str, parts: Sequence[str], end: str, continued: str, indent: int = 0) -> str:
    """Parts after each other, on new lines where one would be too long."""
    lines, line = [], start
    for number, part in enumerate(parts):
        piece = part + (end if number == len(parts) - 1 else ", ")
        if indent + len(line + piece.rstrip()) > WIDTH:
            lines.append(line.rstrip())
            line = continued
        line += piece
    return "\n".join([*lines, line])
