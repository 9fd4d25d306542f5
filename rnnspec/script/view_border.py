"""What a script knows about the border between arrays of people and its own storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.frontend.typed import Input, Spec, Target
from rnnspec.script import draws, statistics
from rnnspec.script.body import Body
from rnnspec.script.code import Code, lines, literal, prose, table
from rnnspec.script.devices import Device
from rnnspec.script.encodings import load_line
from rnnspec.script.shares import share
from rnnspec.script.view_data import batch_and_time
from rnnspec.script.view_update import penalties
from rnnspec.script.windows import back, carries


@dataclass(frozen=True)
class Border:
    """From arrays of people to storage and back."""

    truncated: bool
    carries: bool
    seen: Code
    masked: bool
    draws: bool
    inputs: Code
    targets: Code
    share: Code
    about_step: Code
    about_state: Code
    batch_and_time: Code
    workspace: Code
    draw: Code
    drawing: Code
    drawn: Code
    set_drawn: Code
    weights: Code
    valid: Code
    training: Code
    counts: Code
    storage: Code
    follow: Code
    loss: Code
    loss_with_gradients: Code
    outputs: Code


ABOUT_STATE = "A batch with `fresh` False goes on where another ended: `state` is the storage of that one."
NO_STATE = "Every batch starts anew, so `state` is not needed."
STEP = "`step` draws the random numbers of that training step; None takes their mean, as in evaluation."
AVERAGES = "With `step`, statistics are those of the batch; with None, running averages."
NO_STEP = "Nothing is drawn, so `step` is not needed."


def border(spec: Spec, body: Body, device: Device) -> Border:
    """The view of the border."""
    drawing = draws.places(spec.model)
    read = [place for place in drawing if draws.attribute(place) in body.reads]
    truncated = spec.train.truncation is not None
    use = '"evaluation" if step is None else "training"'
    weights = statistics.set_weights(spec, body, device)
    counts = statistics.set_counts(spec, body, device)
    loss, loss_with_gradients = _losses(spec, device)
    return Border(
        truncated=truncated,
        carries=carries(spec),
        seen=Code('w.seen = batch.get("seen", 0)' if back(spec) else ""),
        masked=spec.model.masked,
        draws=bool(read),
        inputs=_loaded(spec.model.inputs, body, device),
        targets=_loaded(spec.model.targets, body, device),
        share=share(spec, device),
        about_step=prose(" ".join([STEP] * bool(read) + [AVERAGES] * bool(body.averages)) or NO_STEP),
        about_state=prose(ABOUT_STATE if carries(spec) else NO_STATE),
        batch_and_time=batch_and_time(spec),
        workspace=Code(f"workspace(T, B, dtype, {use})" if truncated or device.name == "gpu" else "workspace(T, B, dtype)"),
        draw=Code("set_drawn(w, None if step is None else draws(step, T, B, seed))" if read else ""),
        drawing=draws.drawing_functions(drawing),
        drawn=draws.drawn(drawing),
        set_drawn=lines(draws.set_drawn(read, device)),
        weights=weights,
        valid=_valid(lines([share(spec, device), weights, counts])),
        training=statistics.set_training(body, device),
        counts=counts,
        storage=statistics.storage(spec, body, device),
        follow=statistics.follow(spec, body, device),
        loss=loss,
        loss_with_gradients=loss_with_gradients,
        outputs=table((literal(name), device.outside[when].format(value=text)) for name, text, when in body.outputs),
    )


def _loaded(items: Sequence[Input | Target], body: Body, device: Device) -> Code:
    """The lines that bring those entries of a batch to storage that are read."""
    here = dict(body.inputs)
    return lines(load_line(item, here[item.name], device) for item in items if item.name in here)


def _valid(used: Code) -> Code:
    """Which steps count, for lines that use it by this name."""
    return Code('valid = np.arange(w.T)[:, None] < batch["length"]' if "valid" in used else "")


def _losses(spec: Spec, device: Device) -> tuple[Code, Code]:
    """The loss of a batch with its penalties, by itself and behind a gradient that has theirs too."""
    penalised = any(penalties(spec).values())
    if device.name == "gpu":
        both = [f"float(w.loss[0]){f' + float({call}.sum())' if penalised else ''}" for call in PENALISE]
        return Code(both[0]), Code(both[1])
    alone, behind = (f" + {call}" if penalised else "" for call in PENALISE)
    return Code(f"float(forward(p, w){alone})"), Code(f"float(loss{behind})")


PENALISE = ("penalise(p)", "penalise(p, g)")
