"""Values on their way into an operation: brought to one time and one shape, so that broadcasting is explicit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from rnnspec.frontend import typed
from rnnspec.ir.graph import Graph
from rnnspec.ir.ops import TIMES
from rnnspec.ir.program import Shape, Time


class Operands(ABC):
    """What a row of `functions.FUNCTIONS` may ask for: the graph, the mask, and operands that fit together."""

    mask: int  # 1 at the valid steps, 0 behind the end of a sequence
    valid: int  # the same as a condition
    share: int  # what one step (or sequence) weighs in the loss

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.drawn: dict[int, int] = {}  # place -> the random numbers drawn for it
        self.frame: dict[str, int] = {}  # what else the frame of the script sets, by name
        self.averages: list[tuple[int, int]] = []  # running average -> what it follows

    @abstractmethod
    def expression(self, expr: typed.Expr) -> int:
        """The value of an expression."""

    def training(self) -> int:
        """The condition that this is a step of training."""
        return self._framed("training", "training", "fixed")

    def weight(self, value: int, of: str) -> int:
        """What each step of a value weighs in a mean over its step or over the batch; or each sequence, without time."""
        time = self.graph[value].time
        return self._framed("weight", f"weight_of_{of if time == 'step' else 'sequence'}", time)

    def _framed(self, op: str, name: str, time: Time) -> int:
        if name not in self.frame:
            self.frame[name] = self.graph.leaf(op, name, (1,), time)
        return self.frame[name]

    def arguments(self, call: typed.Call) -> list[int]:
        """The values of a call's arguments."""
        return [self.expression(a) for a in call.args]

    def together(self, *values: int) -> list[int]:
        """Values at the latest time of any of them."""
        time = max((self.graph[v].time for v in values), key=TIMES.index)
        return [self.at_time(v, time) for v in values]

    def matched(self, *values: int) -> list[int]:
        """Operands of one elementwise operation: at the same time and of the same shape."""
        shape = next((self.graph[v].shape for v in values if self.graph[v].shape != (1,)), (1,))
        return [self.as_shape(v, shape) for v in self.together(*values)]

    def at_time(self, value: int, time: Time) -> int:
        """The same for every sequence, or every step."""
        return value if self.graph[value].time == time else self.graph.emit("expand", value, attr=time)

    def spread(self, number: int, like: int) -> int:
        """A number repeated over the shape of another value, at its time."""
        return self.as_shape(self.at_time(number, self.graph[like].time), self.graph[like].shape)

    def as_shape(self, value: int, shape: Shape) -> int:
        """A number repeated over a shape; the value itself where it has that shape."""
        return value if self.graph[value].shape == shape else self.graph.emit("spread", value, attr=(1, shape))


Rule = Callable[[Operands, typed.Call], int]
"""What a function is in operations: the value that stands for a call of it."""
