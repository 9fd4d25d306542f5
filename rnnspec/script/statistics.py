"""What the frame of a script does for running averages: weights of a batch, and the step of the averages towards it."""

from __future__ import annotations

from rnnspec.frontend.typed import Call, Model, Parameter, Spec, walk
from rnnspec.script.body import Body
from rnnspec.script.code import Code, identifier, lines, literal
from rnnspec.script.devices import Device

WEIGHTS = {
    "weight_of_step": ("1 / w.B", "{valid} / np.maximum(1, {valid}.sum(-1, keepdims=True))"),
    "weight_of_batch": ("1 / (w.T * w.B)", "{valid} / max(1, {valid}.sum())"),
    "weight_of_sequence": ("1 / w.B", "1 / w.B"),
}
"""What a step (or sequence) weighs in a mean over the batch; and where sequences differ in length."""

NUMBERS = {
    (False, "step"): ("w.T * w.B", "w.T"),
    (True, "step"): ("{valid}.sum()", "{valid}.any(-1).sum()"),
    (False, "sequence"): ("w.B", "1"),
    (True, "sequence"): ("w.B", "1"),
}
"""By (masked, relation to time): how many numbers a variance is made of, and how many means there are in a recurrence."""


def set_weights(spec: Spec, body: Body, device: Device) -> Code:
    """The weights that the equations read."""
    used = [name for name in WEIGHTS if name in body.reads]
    masked = spec.model.masked
    return lines(device.stored(f"w.{name}", WEIGHTS[name][masked].format(valid=device.valid)) for name in used)


def set_training(body: Body, device: Device) -> Code:
    """Whether statistics are those of the batch."""
    return device.stored("w.training", "step is not None") if "training" in body.reads else Code("")


def storage(spec: Spec, body: Body, device: Device) -> Code:
    """What a GPU keeps for the step of the averages: kernels, and the numbers that it depends on."""
    calls = len(_followed(spec.model, body))
    return Code(STORAGE.strip().format(calls=calls)) if calls and device.name == "gpu" else Code("")


STORAGE = """
w.kernels = {{**w.kernels, **kernels(AVERAGE_KERNELS, dtype)}}
w.counts = cp.zeros(({calls}, 2))  # for `follow`
"""


def set_counts(spec: Spec, body: Body, device: Device) -> Code:
    """The numbers that the step of the averages depends on, one row a call."""
    rows = [f"({numbers}, {means})" for numbers, means in _counts(spec, body, device)]
    return device.stored("w.counts", f"[{', '.join(rows)}]") if rows and device.name == "gpu" else Code("")


def _counts(spec: Spec, body: Body, device: Device) -> list[tuple[str, str]]:
    """For each call that has running averages: how many numbers its variances are made of, around how many means."""
    found = []
    for call in _followed(spec.model, body):
        numbers, means = (text.format(valid=device.valid) for text in NUMBERS[spec.model.masked, call.when])
        found.append((numbers, means if call.option("inside") else "1"))
    return found


def follow(spec: Spec, body: Body, device: Device) -> Code:
    """One line for each call that has running averages."""
    attribute, found = dict(body.layout.parameters), dict(body.averages)
    counts, made = _counts(spec, body, device), []
    for number, call in enumerate(_followed(spec.model, body)):
        names = [arg.name for arg in _averages(call)]
        own = ", ".join(f"p.{identifier(attribute[name])}" for name in names)
        batch = ", ".join(found[name] for name in names)
        momentum = literal(call.option("momentum"))
        if device.name == "gpu":
            made.append(f"follow(w, {own}, {batch}, {momentum}, w.counts[{number}], report)")
        else:
            made.append(f"follow({own}, {batch}, {momentum}, {', '.join(counts[number])})")
    return lines(made)


def _followed(model: Model, body: Body) -> list[Call]:
    """The calls whose running averages follow the batches."""
    followed = {name for name, _ in body.averages}
    written = (*(e.expr for e in model.equations), *(s.expr for s in model.starts))
    calls = (n for expr in written for n in walk(expr) if isinstance(n, Call) and n.function == "batch_norm")
    return [call for call in calls if {a.name for a in _averages(call)} <= followed]


def _averages(call: Call) -> list[Parameter]:
    return [arg for arg in call.args[-2:] if isinstance(arg, Parameter)]
