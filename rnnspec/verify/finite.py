"""Whether a model is finite where it is checked: where it is not, no gradient can be compared with another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.diagnostics import Span
from rnnspec.frontend.typed import Model
from rnnspec.verify.in_complex import LIBRARY
from rnnspec.verify.probe import Probe
from rnnspec.verify.reference import Array, Reference, Run


class NotFinite(ArithmeticError):
    """The loss is not finite at a place that is drawn as for every model; the message names the first equation to blame."""


def demand_finite(model: Model, at: Probe, drawn: Sequence[Array] | None) -> None:
    """Raise NotFinite if the loss of a model is not finite, without a warning of NumPy."""
    reference = Reference(model, LIBRARY)
    with np.errstate(all="ignore"):
        run = reference.run({name: value[None] for name, value in at.params.items()}, at.batch, drawn)
        if not np.isfinite(run.loss_parts()).all():
            raise NotFinite(_message(*_first(reference, run)))


def _first(reference: Reference, run: Run) -> tuple[str, Span | None]:
    """The equation that was the first to give a number that is not finite, else the loss."""
    for group in reference.groups:
        for step in range(1, run.last_step + 1)[:: group.direction]:
            for equation in group.equations:
                value = run.steps[equation.name][step] if equation.when == "step" else run.once[equation.name]
                if not np.isfinite(value).all():
                    return f"the equation of `{equation.name}`", equation.call or equation.span
    return "the loss", reference.model.loss_span


def _message(what: str, span: Span | None) -> str:
    place = f" ({span.place})" if span is not None else ""
    return (
        f"{what}{place} is not finite at the random numbers where the gradient is checked, so there is nothing to compare\n"
        "  help: keep what enters `exp`, and repeated products, small; keep what `/`, `log` and `sqrt` take above 0"
    )
