"""What the frame of a script does for running averages: weights of a batch, and the step of the averages towards it."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.frontend.typed import Call, Model, Parameter, Spec, walk
from rnnspec.script.body import Body
from rnnspec.script.code import Code, identifier, lines, literal

WEIGHTS = {
    "weight_of_step": ("1 / w.B", "w.mask / np.maximum(1, w.mask.sum(-1, keepdims=True))"),
    "weight_of_batch": ("1 / (w.T * w.B)", "w.mask / max(1, w.mask.sum())"),
    "weight_of_sequence": ("1 / w.B", "1 / w.B"),
}
"""What a step (or sequence) weighs in a mean over the batch; and where sequences differ in length."""

NUMBERS = {
    (False, "step"): ("w.T * w.B", "w.T"),
    (True, "step"): ("w.mask.sum()", "w.mask.any(-1).sum()"),
    (False, "sequence"): ("w.B", "1"),
    (True, "sequence"): ("w.B", "1"),
}
"""By (masked, relation to time): how many numbers a variance is made of, and how many means there are in a recurrence."""


def set_weights(spec: Spec, body: Body) -> Code:
    """The weights that the equations read."""
    used = (name for name in WEIGHTS if name in body.reads)
    return lines(f"w.{name}[...] = {WEIGHTS[name][spec.model.masked]}" for name in used)


def set_training(body: Body) -> Code:
    """Whether statistics are those of the batch."""
    return Code("w.training[...] = step is not None" if "training" in body.reads else "")


def follow(spec: Spec, body: Body) -> Code:
    """One line for each call that has running averages."""
    attribute, found = dict(body.parameters), dict(body.averages)
    made = []
    for call in _calls(spec.model):
        names = [arg.name for arg in call.args[-2:] if isinstance(arg, Parameter)]
        if all(name in found for name in names):
            numbers, means = NUMBERS[spec.model.masked, call.when]
            own = ", ".join(f"p.{identifier(attribute[name])}" for name in names)
            batch = ", ".join(found[name] for name in names)
            groups = means if call.option("inside") else "1"
            made.append(f"follow({own}, {batch}, {literal(call.option('momentum'))}, {numbers}, {groups})")
    return lines(made)


def _calls(model: Model) -> Iterator[Call]:
    for expr in (*(e.expr for e in model.equations), *(s.expr for s in model.starts)):
        yield from (n for n in walk(expr) if isinstance(n, Call) and n.function == "batch_norm")
