"""Functions of the language that draw random numbers while training: one row each, how and what evaluation takes instead.

Numbers are drawn step by step: where a batch has more steps, the first ones get the same numbers, so padding changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from rnnspec.frontend.typed import Call, Model, walk
from rnnspec.script.code import Code, literal
from rnnspec.script.devices import Device


@dataclass(frozen=True)
class Draw:
    """The option of the call that its numbers depend on, the function that draws them, and their mean, `{0}` the option."""

    option: str
    function: str
    mean: str


DRAWS: dict[str, Draw] = {
    "dropout": Draw(
        "rate",
        '''
def dropout(place, p, sequences, steps, *size):
    """0 with probability p, else 1 / (1 - p)."""
    numbers = generator(seed, "draws", step, place).random((steps, sequences, *size), np.float32)
    return (numbers.swapaxes(0, 1) >= p) / (1 - p)
''',
        "1",
    ),
    "zoneout": Draw(
        "rate",
        '''
def zoneout(place, p, sequences, steps, *size):
    """1 with probability p, where the old value is kept, else 0."""
    numbers = generator(seed, "draws", step, place).random((steps, sequences, *size), np.float32)
    return (numbers.swapaxes(0, 1) < p) * 1.0
''',
        "{0}",
    ),
    "noise": Draw(
        "std",
        '''
def noise(place, std, sequences, steps, *size):
    """Normal random numbers."""
    numbers = generator(seed, "draws", step, place).standard_normal((steps, sequences, *size), np.float32)
    return std * numbers.swapaxes(0, 1)
''',
        "0",
    ),
}

Place = tuple[int, Call]


def places(model: Model) -> list[Place]:
    """Every call that draws, by its place."""
    written = [*(e.expr for e in model.equations), *(s.expr for s in model.starts), model.loss]
    nodes = (node for expr in written for node in walk(expr))
    found = {cast(int, n.option("place")): n for n in nodes if isinstance(n, Call) and n.function in DRAWS}
    return sorted(found.items())


def attribute(place: Place) -> str:
    """Where the numbers of a place are stored."""
    return f"{place[1].function}_{place[0]}"


def drawing_functions(found: list[Place]) -> Code:
    """How to draw for these places."""
    return Code("\n\n".join(dict.fromkeys(DRAWS[call.function].function.strip("\n") for _, call in found)))


def drawn(found: list[Place]) -> Code:
    """A list with the numbers of all places, (batch, time, feature ...)."""
    calls = []
    for place, call in found:
        steps = "T" if call.when == "step" and not dict(call.options).get("shared") else "1"
        shape = ", ".join(["B" if call.when != "fixed" else "1", steps, *map(str, call.shape or (1,))])
        calls.append(f"    {call.function}({place}, {_number(call)}, {shape}),")
    return Code("\n".join(["[", *calls, "]"]))


def set_drawn(found: list[Place], device: Device) -> Iterator[str]:
    """The numbers of each place brought to storage; their mean where nothing was drawn."""
    for place, call in found:
        part = {"step": f"drawn[{place}]", "sequence": f"drawn[{place}][:, 0]", "fixed": f"drawn[{place}][0, 0]"}[call.when]
        value = device.numbers[call.when].format(value=part)
        mean = DRAWS[call.function].mean.format(_number(call))
        yield device.stored(f"w.{attribute((place, call))}", f"{mean} if drawn is None else {value}")


def _number(call: Call) -> Code:
    return literal(call.option(DRAWS[call.function].option))
