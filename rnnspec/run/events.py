"""The events that a script prints while it trains, one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One line of a script: its kind (`start`, `step`, `valid`, `sample`, `end`, `stopped`, `diverged`) and values."""

    kind: str
    values: Mapping[str, object]

    def number(self, name: str) -> float | None:
        """A value as a number; None if the event has no number of that name."""
        value = self.values.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def whole(self, name: str) -> int | None:
        """A value as a whole number; None if the event has none of that name, or one that is not finite."""
        value = self.number(name)
        return int(value) if value is not None and math.isfinite(value) else None

    def text(self, name: str) -> str:
        """A value as text, empty if the event has none of that name."""
        return str(self.values.get(name, ""))

    def measures(self, group: str) -> dict[str, float]:
        """The numbers of one group by the name behind the slash: `valid/loss: 1.5` gives `loss: 1.5` for `valid`."""
        parts = ((name.partition("/"), self.number(name)) for name in self.values)
        return {tail: value for (head, _, tail), value in parts if head == group and tail and value is not None}


def parse(line: str) -> Event | None:
    """The event on one line of output; None where the line is anything else."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, dict) or not isinstance(values.get("event"), str):
        return None
    return Event(values["event"], values)
