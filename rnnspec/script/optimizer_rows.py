"""What a row in the table of optimizers is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rnnspec.frontend.typed import Setting

Choice = str | Mapping[str, str]
"""A text, or one for each argument that makes a difference: that of the first argument that is set, or else that of `""`."""


@dataclass(frozen=True)
class State:
    """What an optimizer keeps from step to step, and what it is before the first one."""

    name: str
    meaning: str
    start: str = "np.zeros_like(p.trained)"
    by_name: bool = False  # an array for each parameter, in a dict

    @property
    def is_number(self) -> bool:
        """Whether it is one number, whatever is trained."""
        return self.start.endswith("(())")

    @property
    def lines(self) -> str:
        """The lines that make it."""
        made = f"self.{self.name} = {self.start}"
        return f"# {self.meaning}\n{made}" if self.by_name else f"{made}  # {self.meaning}"

    @property
    def saved(self) -> str:
        """Its entries in a dict of arrays."""
        each = f'**{{f"{self.name}/{{name}}": array for name, array in self.{self.name}.items()}}'
        return each if self.by_name else f'"{self.name}": self.{self.name}'


@dataclass(frozen=True)
class Interpolation:
    """How an optimizer averages what it moves, and where it takes the next gradient: in one sentence, and in lines."""

    title: str
    code: str


@dataclass(frozen=True)
class Optimizer:
    """What it does in one sentence, its lines, and the state that they may use.

    It moves `weights`; one that averages by itself moves something else, and makes the weights when it has averaged.
    """

    title: Choice
    code: tuple[Choice, ...]
    state: tuple[State, ...] = ()
    moves: str = "weights"
    average: Interpolation | None = None


def chosen(choice: Choice, setting: Setting) -> str:
    """The text that the arguments of a setting choose."""
    if isinstance(choice, str):
        return choice
    return next(text for argument, text in choice.items() if not argument or setting[argument])
