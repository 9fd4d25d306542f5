"""What a script knows about the border between arrays of people and its own storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from rnnspec.frontend.typed import Call, Input, Spec, Target, walk
from rnnspec.script.body import Body
from rnnspec.script.code import Code, lines, literal, prose, table
from rnnspec.script.encodings import load_line
from rnnspec.script.view_data import batch_and_time
from rnnspec.script.view_update import penalties
from rnnspec.script.windows import carries


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
    masked: bool
    dropout: bool
    inputs: Code
    targets: tuple[Load, ...]
    share: Code
    about_step: Code
    about_state: Code
    batch_and_time: Code
    workspace: Code
    drop: Code
    masks: Code
    set_masks: Code
    loss: Code
    loss_with_gradients: Code
    outputs: Code


ABOUT_STATE = "A batch with `fresh` False goes on where another ended: `state` is the storage of that one."
NO_STATE = "Every batch starts anew, so `state` is not needed."
NO_STEP = "Nothing is dropped, so `step` is not needed."


def border(spec: Spec, body: Body) -> Border:
    """The view of the border."""
    here = dict(body.inputs)
    places = [place for place in _dropouts(spec) if re.search(rf"\bw\.dropout_{place[0]}\b", body.text)]
    truncated = spec.train.truncation is not None
    penalised = any(penalties(spec).values())
    training_use = '"evaluation" if step is None else "training"'
    return Border(
        truncated=truncated,
        carries=carries(spec),
        masked=spec.model.masked,
        dropout=bool(places),
        inputs=lines(load_line(item, here[item.name]) for item in spec.model.inputs if item.name in here),
        targets=tuple(_target(item, here[item.name]) for item in spec.model.targets if item.name in here),
        share=_share(spec),
        about_step=prose("`step` draws the dropout masks of that training step, None drops nothing." if places else NO_STEP),
        about_state=prose(ABOUT_STATE if carries(spec) else NO_STATE),
        batch_and_time=batch_and_time(spec),
        workspace=Code(f"workspace(T, B, dtype, {training_use})" if truncated else "workspace(T, B, dtype)"),
        drop=Code("drop(w, None if step is None else dropout_masks(step, T, B, seed))" if places else ""),
        masks=_masks(_dropouts(spec)),
        set_masks=_set_masks(places),
        loss=Code("forward(p, w) + penalise(p)" if penalised else "forward(p, w)"),
        loss_with_gradients=Code("loss + penalise(p, g)" if penalised else "loss"),
        outputs=table((literal(name), Code(f"np.moveaxis({text}, -1, 0).copy()")) for name, text, _ in body.outputs),
    )


def _target(item: Input | Target, here: str) -> Load:
    return Load(literal(item.name), load_line(item, here))


def _share(spec: Spec) -> Code:
    if spec.model.loss.when != "step":
        return Code("1 / w.B")
    return Code("w.mask / w.mask.sum()" if spec.model.masked else "1 / (w.T * w.B)")


Place = tuple[int, Call]


def _dropouts(spec: Spec) -> list[Place]:
    """Every dropout of the model, by place."""
    nodes = (node for equation in spec.model.equations for node in walk(equation.expr))
    found = {cast(int, n.option("place")): n for n in nodes if isinstance(n, Call) and n.function == "dropout"}
    return sorted(found.items())


def _masks(places: list[Place]) -> Code:
    calls = []
    for place, call in places:
        steps = "T" if call.when == "step" and not dict(call.options).get("shared") else "1"
        shape = ", ".join(["B" if call.when != "fixed" else "1", steps, *map(str, call.shape or (1,))])
        calls.append(f"    mask({place}, {literal(call.option('rate'))}, {shape}),")
    return Code("\n".join(["[", *calls, "]"]))


def _set_masks(places: list[Place]) -> Code:
    made = []
    for place, call in places:
        part = {"step": f"masks[{place}]", "sequence": f"masks[{place}][:, 0]", "fixed": f"masks[{place}][0, 0]"}[call.when]
        value = part if call.when == "fixed" else f"np.moveaxis({part}, 0, -1)"
        made.append(f"w.dropout_{place}[...] = 1 if masks is None else {value}")
    return lines(made)
