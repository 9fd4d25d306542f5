"""The one comparison of gradients.  It raises; no caller can forget to look at a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-11
FLOOR = 1e-14
"""Round-off: a distance below this, times the largest gradient of the call (or 1), is never a mistake."""


@dataclass(frozen=True)
class Distance:
    """How far one gradient is from its reference, norm-wise and at the element that differs most."""

    name: str
    error: float  # |got - want| / scale; inf where the scale is 0 and the distance is not
    element: tuple[int, ...]
    got: float
    want: float
    allowed: bool
    apart: float  # |got - want|

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.element))}]" if self.element else ""
        return f"{self.name}: error {self.error:.1e}; {self.name}{place} is {self.got!r}, should be {self.want!r}"


class GradientMismatch(AssertionError):
    """Gradients differ from their reference; `distances` has all that could be measured, the worst first."""

    def __init__(self, message: str, distances: tuple[Distance, ...] = ()) -> None:
        super().__init__(message)
        self.distances = distances


def compare(
    got: Mapping[str, Array],
    want: Mapping[str, Array],
    tolerance: float = TOLERANCE,
    scales: Mapping[str, float] | None = None,
) -> tuple[Distance, ...]:
    """Demand that `got` equals the reference `want`: names, then shapes, then finite, then norm-wise distance.

    The distance of each parameter is relative to the norm of its reference, or to `scales[name]` where only a part of
    the gradient is compared.  Raises GradientMismatch, else returns the distances, the worst first.
    """
    _same_names(got, want)
    _same_shapes(got, want)
    _finite(got, want)
    scales = scales or {name: _norm(value) for name, value in want.items()}
    floor = FLOOR * max(1.0, *scales.values()) if scales else FLOOR
    found = [_distance(name, got[name], want[name], scales[name], tolerance, floor) for name in want]
    distances = tuple(sorted(found, key=lambda d: (d.allowed, -d.error)))
    if not all(d.allowed for d in distances):
        raise GradientMismatch(_message(distances, got, tolerance), distances)
    return distances


def _same_names(got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    if set(got) != set(want):
        missing, extra = sorted(set(want) - set(got)), sorted(set(got) - set(want))
        raise GradientMismatch(f"the names of the gradients differ: missing {missing}, not expected {extra}")


def _same_shapes(got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    for name in want:
        if np.shape(got[name]) != np.shape(want[name]):
            raise GradientMismatch(f"{name}: the shape is {np.shape(got[name])}, should be {np.shape(want[name])}")


def _finite(got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    for what, values in (("reference", want), ("gradient", got)):
        bad = [name for name, value in values.items() if not np.isfinite(value).all()]
        if bad:
            raise GradientMismatch(f"the {what} is not finite for {', '.join(bad)}")


def _norm(value: Array) -> float:
    """The Euclidean norm, in units of the largest element, whose square could be infinite."""
    elements = np.abs(np.ravel(value))
    largest = float(elements.max(initial=0.0))
    return largest * float(np.linalg.norm(elements / largest)) if largest else 0.0


def _distance(name: str, got: Array, want: Array, scale: float, tolerance: float, floor: float) -> Distance:
    apart = np.abs(np.asarray(got, np.float64) - want)
    distance = _norm(apart)
    element = np.unravel_index(int(np.argmax(apart)), apart.shape) if apart.size else ()
    at = tuple(int(i) for i in element)
    value = (float(np.asarray(got)[at]), float(np.asarray(want)[at])) if apart.size else (0.0, 0.0)
    error = distance / scale if scale else float("inf") if distance else 0.0
    return Distance(name, error, at, *value, allowed=distance <= max(tolerance * scale, floor), apart=distance)


def _message(distances: tuple[Distance, ...], got: Mapping[str, Array], tolerance: float) -> str:
    wrong = [d for d in distances if not d.allowed]
    lines = [f"{len(wrong)} of {len(distances)} gradients are wrong (norm-wise relative error above {tolerance:g})"]
    for d in wrong:
        lines.append(f"  {d}" + ("" if np.any(got[d.name]) else "  (the whole gradient is zero)"))
    return "\n".join(lines)
