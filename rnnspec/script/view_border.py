"""What a script knows about the border between arrays of people and its own storage."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Input, Spec, Target
from rnnspec.script import draws, statistics
from rnnspec.script.body import Body
from rnnspec.script.code import Code, lines, literal, prose, table
from rnnspec.script.encodings import load_line
from rnnspec.script.view_data import batch_and_time
from rnnspec.script.view_update import penalties
from rnnspec.script.windows import back, carries


@dataclass(frozen=True)
class Load:
    """How one target of a batch enters storage."""

    key: Code
    load: Code


@dataclass(frozen=True)
class Border:
    """From arrays of people to storage and back."""

    truncated: bool
    carries: bool
    seen: Code
    masked: bool
    draws: bool
    inputs: Code
    targets: tuple[Load, ...]
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
    training: Code
    follow: Code
    loss: Code
    loss_with_gradients: Code
    outputs: Code


ABOUT_STATE = "A batch with `fresh` False goes on where another ended: `state` is the storage of that one."
NO_STATE = "Every batch starts anew, so `state` is not needed."
STEP = "`step` draws the random numbers of that training step; None takes their mean, as in evaluation."
AVERAGES = "With `step`, statistics are those of the batch; with None, running averages."
NO_STEP = "Nothing is drawn, so `step` is not needed."


def border(spec: Spec, body: Body) -> Border:
    """The view of the border."""
    here = dict(body.inputs)
    drawing = draws.places(spec.model)
    read = [place for place in drawing if draws.attribute(place) in body.reads]
    truncated = spec.train.truncation is not None
    penalised = any(penalties(spec).values())
    training_use = '"evaluation" if step is None else "training"'
    return Border(
        truncated=truncated,
        carries=carries(spec),
        seen=Code('w.seen = batch.get("seen", 0)' if back(spec) else ""),
        masked=spec.model.masked,
        draws=bool(read),
        inputs=lines(load_line(item, here[item.name]) for item in spec.model.inputs if item.name in here),
        targets=tuple(_target(item, here[item.name]) for item in spec.model.targets if item.name in here),
        share=_share(spec),
        about_step=prose(" ".join([STEP] * bool(read) + [AVERAGES] * bool(body.averages)) or NO_STEP),
        about_state=prose(ABOUT_STATE if carries(spec) else NO_STATE),
        batch_and_time=batch_and_time(spec),
        workspace=Code(f"workspace(T, B, dtype, {training_use})" if truncated else "workspace(T, B, dtype)"),
        draw=Code("set_drawn(w, None if step is None else draws(step, T, B, seed))" if read else ""),
        drawing=draws.drawing_functions(drawing),
        drawn=draws.drawn(drawing),
        set_drawn=lines(draws.set_drawn(read)),
        weights=statistics.set_weights(spec, body),
        training=statistics.set_training(body),
        follow=statistics.follow(spec, body),
        loss=Code("forward(p, w) + penalise(p)" if penalised else "forward(p, w)"),
        loss_with_gradients=Code("loss + penalise(p, g)" if penalised else "loss"),
        outputs=table((literal(name), Code(f"np.moveaxis({text}, -1, 0).copy()")) for name, text, _ in body.outputs),
    )


def _target(item: Input | Target, here: str) -> Load:
    return Load(literal(item.name), load_line(item, here))


def _share(spec: Spec) -> Code:
    if spec.model.loss.when != "step":
        return Code("w.share = 1 / w.B  # what a sequence weighs in the loss")
    if back(spec):
        return Code(SHARE_OF_MASKED if spec.model.masked else SHARE_OF_NEW)
    share = "w.mask / w.mask.sum()" if spec.model.masked else "1 / (w.T * w.B)"
    return Code(f"w.share = {share}  # what a step weighs in the loss")


SHARE_OF_NEW = """w.share[: w.seen] = 0  # what a step weighs in the loss: nothing if it was in the window before
w.share[w.seen :] = 1 / ((w.T - w.seen) * w.B)"""
SHARE_OF_MASKED = """w.share[...] = w.mask
w.share[: w.seen] = 0  # what a step weighs in the loss: nothing if it was in the window before
w.share /= w.share.sum()"""
