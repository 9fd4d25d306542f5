"""Reading the text of CUDA kernels: their parameters, and the same text for a host compiler."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

TYPES = {"float": np.dtype("float32"), "double": np.dtype("float64"), "int": np.dtype("int32")}
"""Types of a parameter; `real` is one of the first two, by a macro."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\((\d+)[^)]*\)\s*)?(\w+)\s*\(([^)]*)\)')
_PARAMETER = re.compile(r"(const\s+)?(\w+)\s*(\*?)\s*(__restrict__\s+)?(\w+)")
_POINTER = re.compile(r"\b((?:const\s+)?(?:real|float|double|int))\s*\*\s*(?:__restrict__\b)?")
_SHARED = re.compile(r"__shared__\s+(\w+)\s+(\w+)\s*((?:\[[^\]]*\])+)\s*;")

_ASSIGNED = re.compile(r"\](?=\s*(?:[-+*/]?=(?!=)|\+\+|--))")
_NAME = re.compile(r"(?:\b(\w+)\s+)?\b(\w+)$")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: a number, or a pointer to elements of its type.

    Of a restricted one the text promises that nobody writes by another pointer what is read by this one, or the reverse.
    """

    name: str
    dtype: np.dtype
    pointer: bool
    constant: bool
    restricted: bool


@dataclass(frozen=True)
class Kernel:
    """A kernel's parameters, and the threads of a block that it is made for (0: not said)."""

    parameters: tuple[Parameter, ...]
    launch_bounds: int


def macros(options: tuple[str, ...]) -> dict[str, str]:
    """The macros of `-Dname=value` options."""
    return dict((option[2:] + "=1").split("=")[:2] for option in options if option.startswith("-D"))


def without_comments(code: str) -> str:
    """The same lines with blanks where comments were."""
    return _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), code)


def kernels(code: str, options: tuple[str, ...]) -> dict[str, Kernel]:
    """Every kernel of a text; ValueError for a parameter of a type that no script may pass."""
    types = macros(options)
    found = {}
    for bounds, name, parameters in _KERNEL.findall(without_comments(code)):
        texts = [text.strip() for text in parameters.split(",")]
        found[name] = Kernel(tuple(_parameter(text, types) for text in texts if text), int(bounds or 0))
    return found


def _parameter(text: str, types: dict[str, str]) -> Parameter:
    match = _PARAMETER.fullmatch(text)
    dtype = TYPES.get(types.get(match[2], match[2])) if match else None
    if match is None or dtype is None:
        raise ValueError(f"a kernel's parameter cannot be read: {text!r}")
    return Parameter(match[5], dtype, match[3] == "*", bool(match[1]), bool(match[4]))


def for_the_host(code: str, names: list[str], checked: bool = True) -> str:
    """The text of a module for a host compiler, with an entry for each kernel named; lines keep their numbers.

    Its accesses to memory are checked, or left to the sanitizers of the compiler.
    """
    text = without_comments(code)
    if checked:
        text = with_writes(_POINTER.sub(r"rs::Pointer<\1> ", text))
    arrays = iter(range(text.count("__shared__")))
    text = _SHARED.sub(lambda found: f"RS_SHARED({found[1]}, {found[2]}, {found[3]}, {next(arrays)});", text)
    sanitized = "" if checked else "#define RS_SANITIZED\n"
    entries = "\n".join(f"RS_EXPORT({name})" for name in names)
    return f'{sanitized}#include "cuda_on_host.h"\n#line 1 "kernels"\n{text}\n{entries}\n'


def with_writes(text: str) -> str:
    """`x[i] = y` as `rs::write(x, i) = y`, so that a write can be told from a read; likewise `x[i] += y` and so on."""
    for assigned in reversed(list(_ASSIGNED.finditer(text))):
        close = assigned.start()
        opening = _opening(text, close)
        start = opening
        while text[start - 1] == "]":  # x[i][j]
            start = _opening(text, start - 1)
        name = _NAME.search(text[:start])
        if name is not None and (name[1] or "else") in ("else", "do"):  # after another word the name is being declared
            array, index = text[name.start(2) : opening], text[opening + 1 : close]
            text = f"{text[: name.start(2)]}rs::write({array}, {index}){text[close + 1 :]}"
    return text


def _opening(text: str, close: int) -> int:
    depth = 0
    for place in range(close, -1, -1):
        depth += (text[place] == "]") - (text[place] == "[")
        if not depth:
            return place
    raise ValueError("a ] without its [")
