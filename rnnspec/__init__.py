"""rnnspec: write a recurrent network as equations; get a NumPy training script whose gradient is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Compiled", "SpecError", "compile_spec"]

if TYPE_CHECKING:
    from rnnspec.compiler import Compiled, compile_spec
    from rnnspec.diagnostics import SpecError


def __getattr__(name: str) -> object:
    """Import the compiler at first use, so that `import rnnspec` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module `rnnspec` has no attribute `{name}`")
    from rnnspec import compiler

    return getattr(compiler, name)
