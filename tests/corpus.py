"""The specs of the folder `specs/`: a file put there is tested without a word about it anywhere else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType

from rnnspec.compiler import Compiled, compile_spec
from rnnspec.frontend.typed import Model
from rnnspec.verify.probe import Probe, longest_lag, probe

FOLDER = Path(__file__).resolve().parent.parent / "specs"
SPECS = sorted(path.name for path in FOLDER.glob("*.rnn"))
LEVELS = (0, 1)


@cache
def compiled(name: str, level: int) -> Compiled:
    """A spec of the folder, compiled at one level."""
    return compile_spec(FOLDER / name, level=level)


@cache
def script(name: str, level: int) -> ModuleType:
    """The script of a spec; set RNNSPEC_DATA to `FOLDER` before it reads its data."""
    return compiled(name, level).load()


def model_of(name: str) -> Model:
    """The typed tree of a spec."""
    return compiled(name, 0).spec.model


def place(name: str, seed: int = 0, batch: int = 3) -> Probe:
    """A random place to look at a spec: long enough for its lags, and unequal lengths where sequences may differ."""
    return probe(model_of(name), seed, max(4, longest_lag(model_of(name)) + 2), batch)
