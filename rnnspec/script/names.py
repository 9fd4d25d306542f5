"""Identifiers of the script: from names of the spec to names that Python allows and nothing else uses."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable
from keyword import iskeyword, issoftkeyword

from rnnspec.script.frame import frame_uses
from rnnspec.script.gate import FORBIDDEN_NAMES, IMPORTS

USED = frozenset(["p", "w", "g", "t", "loss", "np", "float", "range", "reversed", *IMPORTS, *FORBIDDEN_NAMES])
"""What `forward` and `backward` are given, give back and use, and what no script may bind; printers add their functions."""

PRINTED = frozenset(["T", "B", "BACK", "Workspace", "KERNELS", "TOGETHER", "BARRIER", "KERNEL", "PRODUCT", "SPEED", "READING"])
"""Names in capitals that are in no template: the printers write them."""

VIEWS = frozenset(["vector", "trained", "named", "fill"])
"""What `Views` has beside the parameters."""


def is_constant(name: str) -> bool:
    """Whether a size of the spec is a constant of the same name in the script: `H`, but not `units` or `BATCH`."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]*", name) or name in PRINTED:
        return False
    return not hasattr(builtins, name) and not frame_uses(name)


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """A Python identifier close to a name of the spec, none of those taken: `h1.W_i` becomes `h1_W_i`."""
    taken = set(taken)
    base = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "v"
    if base[0].isdigit():
        base = f"v_{base}"
    if iskeyword(base) or issoftkeyword(base):
        base += "_"
    found, count = base, 1
    while found in taken:
        count += 1
        found = f"{base}_{count}"
    return found


def attributes(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """An identifier for each name, all different."""
    found: dict[str, str] = {}
    for name in names:
        found[name] = identifier(name, {*taken, *found.values()})
    return found
