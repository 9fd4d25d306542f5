"""Kernels with a thread for each number of the parameters: what they load and store around the lines of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnnspec.script.code import Code, lines
from rnnspec.script.gpu.updates.kernels import Array, assigns, declaration, head, mentions, stores
from rnnspec.script.optimizer_rows import State

NUMBERS = Array("const double", "numbers", "self.numbers")
"""What one thread has found for all others."""


def arrays_of(text: str, state: Iterable[State]) -> dict[str, Array]:
    """The arrays that some lines read a number of, by the name of that number."""
    known = {
        "gradient": ("gradients", "g.trained"),
        "weight": ("weights", "p.trained"),
        **{kept.name: (f"kept_{kept.name}", f"self.{kept.name}") for kept in state if not kept.is_number},
        "lr_scale": ("lr_scales", "self.lr_scale"),
        "average": ("averages", "run.p.trained"),
    }
    used = {variable: names for variable, names in known.items() if mentions(text, variable)}
    kinds = {variable: "real" if assigns(text, variable) else "const real" for variable in used}
    return {variable: Array(kinds[variable], *names) for variable, names in used.items()}


def kernel(name: str, comment: str, text: Code, arrays: dict[str, Array], shared: Sequence[str], gradient: str) -> Code:
    """A kernel that runs some lines for each number; `shared` names what is the same for all, `gradient` says where it is."""
    places = {variable: f"{array.name}[i]" for variable, array in arrays.items()}
    places |= {"gradient": gradient} if "gradient" in arrays else {}
    changed = {variable: place for variable, place in places.items() if assigns(text, variable)}
    fixed = {variable: place for variable, place in places.items() if variable not in changed}
    numbers = [(number, f"numbers[{number.upper()}]") for number in shared if mentions(text, number)]
    loads = [declaration("const real", numbers), declaration("const real", fixed.items()), declaration("real", changed.items())]
    opening = [
        comment,
        head(name, [NUMBERS, *arrays.values()]),
        "    const int i = blockIdx.x * blockDim.x + threadIdx.x;",
        "    if (i >= TRAINABLE || numbers[APPLIES] == 0) return;",
    ]
    saved = stores((place, variable) for variable, place in changed.items())
    return Code("\n".join([*opening, *_indented(lines(loads)), "", *_indented(text), "", *_indented(saved), "}"]))


def _indented(text: str) -> list[str]:
    return [f"    {line}" if line else "" for line in text.split("\n")]
