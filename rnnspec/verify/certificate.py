"""The certificate: what was compared with what, how closely, and whether it agreed.

`verify` runs a generated script in float64 at a random place and compares its loss and gradients with references made
from the typed tree.  References are `complex-step` (needs NumPy only) and `torch`.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from rnnspec.frontend.typed import Model, ParameterInfo, Spec
from rnnspec.verify.compare import Distance, GradientMismatch, compare
from rnnspec.verify.finite import demand_finite
from rnnspec.verify.in_complex import ComplexStep
from rnnspec.verify.padding import padded
from rnnspec.verify.probe import Probe, longest_lag, probe
from rnnspec.verify.reference import Array

TOLERANCE = {"complex-step": 1e-11, "torch": 1e-11, "more padding": 1e-12}
FULL = 400
"""Parameters up to this many numbers are checked at every element, larger ones along directions and at samples."""
DIRECTIONS = 2
SAMPLES = 16
PADDING = 3
"""Steps that are appended to see that they change nothing."""


class Script(Protocol):
    """What a generated script must offer to be verified; `draws(step, T, B)` too if it draws."""

    def loss_and_gradients(
        self, params: dict[str, Array], batch: dict[str, Array], step: int | None = None
    ) -> tuple[float, dict[str, Array]]: ...


@dataclass(frozen=True)
class Check:
    """One parameter (or the loss) against one reference."""

    parameter: str
    reference: str
    method: str  # every element, n directions, n elements, value
    error: float  # norm-wise, relative
    tolerance: float
    element: tuple[int, ...]  # where the two differ most
    passed: bool
    problem: str = ""
    round_off: float = 0.0  # the distance where a gradient is (next to) zero, so that `error` says nothing


@dataclass(frozen=True)
class Certificate:
    """The result of `verify`."""

    spec: str
    digest: str
    checks: tuple[Check, ...]
    steps: int
    batch: int
    lengths: tuple[int, ...]  # of the sequences, where they differ
    seed: int
    drawn: bool  # checked with the random numbers of a training step
    versions: tuple[tuple[str, str], ...]
    unproven: tuple[str, ...] = ()  # states whose clip no reference has looked at
    device: str = "cpu"  # which the script was made for, and ran on
    trains_in: str = "float32"  # `train.dtype`; what is compared here was computed in float64

    @property
    def passed(self) -> bool:
        """True if there was something to check and all of it agreed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def worst(self) -> Check:
        """The check that failed, or else has the largest error; one that is mere round-off does not count."""
        return max(self.checks, key=lambda c: (not c.passed, not c.round_off, c.error))

    def require(self) -> None:
        """Raise GradientMismatch unless everything agreed."""
        if not self.passed:
            bad = [f"  {c.parameter} against {c.reference}: {c.problem}" for c in self.checks if not c.passed]
            raise GradientMismatch("\n".join(["the gradients of the script are not proven", *bad]))

    def to_json(self) -> str:
        """All fields as JSON text, the same bytes for the same content; an error without a number is null."""
        content = {"passed": self.passed, **asdict(self)}
        for check in content["checks"]:
            check["error"] = check["error"] if math.isfinite(check["error"]) else None
        return json.dumps(content, indent=2, allow_nan=False)


def verify(
    script: Script,
    spec: Spec,
    against: Sequence[str] = ("complex-step",),
    T: int = 5,
    B: int = 3,
    quick: bool = False,
    seed: int = 0,
    padding: bool = False,
    unlimited: Script | None = None,
    device: str = "cpu",
) -> Certificate:
    """Compare the gradients of a loaded script with each reference in `against`.

    `quick` compares each parameter along one random direction, in about a second at most for a million numbers.
    T grows where the model looks further back.  `padding` also compares the script with itself on a batch with more padding; it
    needs sequences of different lengths.  A model with clips of states has a backward pass that is no
    derivative: complex steps are compared with `unlimited`, its script without these clips, torch with the script itself.
    """
    refuse(spec.model, against, padding)
    steps = max(T, longest_lag(spec.model) + 2)
    at = probe(spec.model, seed, steps, B)
    draws = getattr(script, "draws", None)
    drawn = draws(1, steps, B) if draws else []
    demand_finite(spec.model, at, drawn)
    checks: list[Check] = []
    for reference in against:
        judged = unlimited if unlimited is not None and reference == "complex-step" else script
        got = judged.loss_and_gradients(at.params, at.batch, step=1)
        checks += _REFERENCES[reference](spec.model, at, drawn, got, quick)
    checks += _by_padding(script, spec.model, at) if padding else []
    return Certificate(
        spec=spec.name,
        digest=spec.digest,
        checks=tuple(checks),
        steps=steps,
        batch=B,
        lengths=tuple(int(n) for n in at.batch["length"]) if spec.model.masked else (),
        seed=seed,
        drawn=bool(draws),
        versions=_versions(["numpy", *(["cupy"] if device == "gpu" else []), *(["torch"] if "torch" in against else [])]),
        unproven=tuple(name for name, _ in spec.model.state_clips) if "torch" not in against else (),
        device=device,
        trains_in=spec.train.dtype.name,
    )


def refuse(model: Model, against: Sequence[str], padding: bool) -> None:
    """ValueError for what cannot be compared."""
    for name in against:
        if name not in _REFERENCES:
            raise ValueError(f"there is no reference `{name}`; there are {' and '.join(_REFERENCES)}")
    if padding and not model.masked:
        raise ValueError("all sequences of this spec are equally long: more padding has nothing to check")


Drawn = Sequence[Array] | None
Got = tuple[float, dict[str, Array]]


def _by_complex_step(model: Model, at: Probe, drawn: Drawn, got: Got, quick: bool) -> list[Check]:
    reference = ComplexStep(model, at.params, at.batch, drawn)
    random = np.random.Generator(np.random.Philox(len(at.params)))
    checks = [_value("complex-step", got[0], reference.loss), *_names("complex-step", model, got)]
    for info in _trainable(model):
        if info.name in got[1]:
            checks += _parameter(reference, info, got[1][info.name], random, quick)
    return checks


def _parameter(
    reference: ComplexStep, info: ParameterInfo, gradient: Array, random: np.random.Generator, quick: bool
) -> list[Check]:
    """One gradient: at every element, or else along directions and (unless quick) at sampled elements."""
    size = int(np.prod(info.shape))
    if not quick and size <= FULL:
        return [_measured("complex-step", "every element", info.name, gradient, reference.gradient(info.name))]
    if np.shape(gradient) != info.shape:
        return [_failed("complex-step", info.name, f"the shape is {np.shape(gradient)}, should be {info.shape}")]
    count = 1 if quick else DIRECTIONS
    moves = random.standard_normal((count, *info.shape))
    moves /= np.sqrt(size)
    along = moves.reshape(count, -1) @ gradient.ravel()
    scale = float(np.linalg.norm(gradient))
    want = reference.derivatives(info.name, moves)
    label = f"{count} direction{'s' if count > 1 else ''}"
    checks = [_measured("complex-step", label, info.name, along, want, scale)]
    if not quick:
        chosen = np.sort(random.choice(size, SAMPLES, replace=False))
        units = np.zeros((SAMPLES, size))
        units[np.arange(SAMPLES), chosen] = 1
        want = reference.derivatives(info.name, units.reshape(SAMPLES, *info.shape))
        pair = [(numbers @ units).reshape(info.shape) for numbers in (gradient.ravel()[chosen], want)]  # at their places
        checks.append(_measured("complex-step", f"{SAMPLES} elements", info.name, *pair))
    return checks


def _by_torch(model: Model, at: Probe, drawn: Drawn, got: Got, quick: bool) -> list[Check]:
    from rnnspec.verify.in_torch import gradients_by_torch

    loss, want = gradients_by_torch(model, at.params, at.batch, drawn)
    checks = [_value("torch", got[0], loss), *_names("torch", model, got)]
    return checks + [_measured("torch", "every element", n, got[1][n], want[n]) for n in want if n in got[1]]


def _by_padding(script: Script, model: Model, at: Probe) -> list[Check]:
    """Loss and gradients of the same batch with other numbers, and more steps, after the end of each sequence."""
    want = script.loss_and_gradients(at.params, at.batch, step=1)
    got = script.loss_and_gradients(at.params, padded(model, at.batch, PADDING), step=1)
    method = f"{PADDING} more steps"
    pairs = {"loss": (np.array(got[0]), np.array(want[0]))} | {name: (got[1][name], want[1][name]) for name in want[1]}
    return [_measured("more padding", method, name, *pair) for name, pair in pairs.items()]


_REFERENCES: dict[str, Callable[[Model, Probe, Drawn, Got, bool], list[Check]]] = {
    "complex-step": _by_complex_step,
    "torch": _by_torch,
}


def _measured(reference: str, method: str, name: str, got: Array, want: Array, scale: float | None = None) -> Check:
    """One comparison as a row of the certificate, whether it passes or not."""
    tolerance = TOLERANCE[reference]
    try:
        (distance,) = compare({name: got}, {name: want}, tolerance, None if scale is None else {name: scale})
    except GradientMismatch as mismatch:
        if not mismatch.distances:
            return _failed(reference, name, str(mismatch))
        (distance,) = mismatch.distances
    return _row(reference, method, tolerance, distance)


def _row(reference: str, method: str, tolerance: float, distance: Distance) -> Check:
    problem = "" if distance.allowed else str(distance)
    round_off = distance.apart if distance.allowed and distance.error > tolerance else 0.0
    found = (distance.error, tolerance, distance.element, distance.allowed, problem, round_off)
    return Check(distance.name, reference, method, *found)


def _value(reference: str, got: float, want: float) -> Check:
    return _measured(reference, "value", "loss", np.array(got), np.array(want))


def _failed(reference: str, name: str, problem: str) -> Check:
    return Check(name, reference, "names and shapes", float("inf"), TOLERANCE[reference], (), False, problem)


def _names(reference: str, model: Model, got: Got) -> list[Check]:
    """Failed checks for gradients that are missing or that nobody asked for."""
    want = {info.name for info in _trainable(model)}
    missing = [_failed(reference, name, "there is no gradient") for name in sorted(want - set(got[1]))]
    extra = [_failed(reference, name, "a gradient that should not be there") for name in sorted(set(got[1]) - want)]
    return missing + extra


def _trainable(model: Model) -> list[ParameterInfo]:
    return [info for info in model.parameters if info.trainable]


def _versions(packages: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The versions of Python and of packages that are imported already."""
    return (("python", platform.python_version()), *((name, sys.modules[name].__version__) for name in packages))
