"""The lines between a gradient and the new parameters on a GPU, as the settings of a spec choose them from the tables."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Setting, Spec
from rnnspec.script.code import Code, fill, lines, literal
from rnnspec.script.gpu.updates.averages import AVERAGES, FOLLOW
from rnnspec.script.gpu.updates.clips import CLIPS
from rnnspec.script.gpu.updates.decide import declared, with_arguments
from rnnspec.script.gpu.updates.kernels import declaration, mentions
from rnnspec.script.gpu.updates.optimizers import OPTIMIZERS
from rnnspec.script.optimizer_rows import State, chosen
from rnnspec.script.optimizers import OPTIMIZERS as ON_HOST
from rnnspec.script.optimizers import used


@dataclass(frozen=True)
class Recipe:
    """For a number its gradient, its change and that of its average; for all numbers together what one thread finds `once`.

    `before` are kernels that run earlier, `shared` the names of what one thread finds for all others.
    """

    clip: Setting
    gradient: Code
    before: Code
    change: Code
    follow: Code
    once: Code
    shared: tuple[str, ...]
    state: tuple[State, ...]
    constants: Code


def recipe(spec: Spec) -> Recipe:
    """The lines of a spec."""
    train, scaled = spec.train, any(info.lr_scale != 1 and info.trainable for info in spec.model.parameters)
    optimizer, clip = train.optimizer, train.clip or Setting("none")
    row, gradient = OPTIMIZERS[optimizer.name], with_arguments(CLIPS[clip.name].gradient, clip)
    moved = ON_HOST[optimizer.name].moves.replace("weights", "weight")
    parts = [chosen(part, optimizer).strip("\n") for part in row.code]
    change = lines([*parts, "change *= lr_scale;" if scaled else "", f"{moved} -= change;"])
    follow = Code(row.average.strip("\n") or (FOLLOW if train.average else ""))
    share = fill(AVERAGES[train.average.name], **dict(train.average.arguments)) if train.average else ""
    once = lines([row.once.strip("\n"), share])
    before = Code(row.whole.kernels.strip("\n").replace("GRADIENT", gradient)) if row.whole else Code("")
    text = lines([change, follow, gradient, before])
    found = ["lr", *declared(CLIPS[clip.name].once, once)]
    return Recipe(
        clip=clip,
        gradient=gradient if not row.whole else Code("gradients[i]"),
        before=before,
        change=change,
        follow=follow,
        once=once,
        shared=tuple(name for name in found if mentions(text, name) or mentions(text, name.upper())),
        state=() if row.whole else used(optimizer, lines([change, once, follow])),
        constants=_constants(optimizer, lines([text, once])),
    )


def _constants(optimizer: Setting, text: str) -> Code:
    """The line that gives the arguments of an optimizer their names."""
    values = [(name, value) for name, value in optimizer.arguments if not isinstance(value, bool) and name != "lr"]
    return Code(declaration("constexpr real", [(name, literal(value)) for name, value in values if mentions(text, name)]))
