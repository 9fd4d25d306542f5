"""What a script knows about its update: the optimizer, penalties, limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rnnspec.frontend.typed import ParameterInfo, Setting, Spec
from rnnspec.script.averages import average_lines, average_title
from rnnspec.script.clips import clip_lines
from rnnspec.script.code import Code, fill, lines, literal, prose
from rnnspec.script.optimizer_rows import State
from rnnspec.script.optimizers import OPTIMIZERS, optimizer_lines, title_of, used
from rnnspec.script.schedules import plateau_lines, schedule_lines


@dataclass(frozen=True)
class Update:
    """From gradients to new parameters."""

    spread: bool
    penalties: bool
    penalty_title: Code
    penalty_tables: Code
    penalty_lines: Code
    title: Code
    state: Code
    saved: Code
    views: Code
    unpack: Code
    lines: Code
    lr_scale: Code
    scale_change: Code
    moves: Code
    average: Code
    average_title: Code
    average_unpack: Code
    schedule: Code
    plateau: Code
    clip: Code
    max_norm: Code


def update(spec: Spec) -> Update:
    """The view of the update."""
    setting, infos = spec.train.optimizer, spec.model.parameters
    found = penalties(spec)
    code, average = optimizer_lines(setting), average_lines(setting, spec.train.average)
    limits = limits_of(infos)
    moves = _moves(setting, bool(limits))
    state = used(setting, f"{code}\n{moves}\n{average}")
    scales = {info.name: info.lr_scale for info in infos if info.lr_scale != 1 and info.trainable}
    scaled = fill("self.lr_scale = spread({scales}, 1.0, p.vector.dtype)[:TRAINABLE]", scales=scales)
    return Update(
        spread=bool(scales or any(found.values())),
        penalties=any(found.values()),
        penalty_title=Code(" + ".join(PENALTIES[name][0] for name, table in found.items() if table)),
        penalty_tables=Code(", ".join(fill("spread({table}, 0.0, dtype)", table=table) for table in found.values() if table)),
        penalty_lines=_penalty_lines(found),
        title=prose(title_of(setting)),
        state=lines(kept.lines for kept in state),
        saved=_saved(state),
        views=_views(f"{code}\n{moves}"),
        unpack=_unpack(setting, f"{code}\n{moves}"),
        lines=code,
        lr_scale=scaled if scales else Code(""),
        scale_change=Code("change *= self.lr_scale" if scales else ""),
        moves=moves,
        average=average,
        average_title=prose(average_title(setting, spec.train.average)),
        average_unpack=_unpack(setting, average),
        schedule=schedule_lines(spec.train.schedule),
        plateau=plateau_lines(spec.train.schedule),
        clip=clip_lines(spec.train.clip),
        max_norm=literal(limits) if limits else Code(""),
    )


def limits_of(parameters: Iterable[ParameterInfo]) -> dict[str, float]:
    """How long the rows of each trained parameter may be, where that is limited."""
    return {info.name: info.max_norm for info in parameters if info.max_norm is not None and info.trainable}


def limits_apart(setting: Setting) -> bool:
    """Whether rows are limited behind the optimizer: one that averages limits what it moves, and so its average."""
    return OPTIMIZERS[setting.name].moves == "weights"


LIMIT_Z = """
# rows that are not too long have averages that are not too long
np.copyto(weights, z)
limit_norms(p)
np.copyto(z, weights)
"""


def _moves(setting: Setting, limited: bool) -> Code:
    """The lines that move, and limit where that is not left to somebody else."""
    moves = f"{OPTIMIZERS[setting.name].moves} -= change"
    return Code(moves + LIMIT_Z.rstrip() if limited and not limits_apart(setting) else moves)


def _saved(state: tuple[State, ...]) -> Code:
    """A dict of all that is kept; one entry a line where there are arrays by name."""
    entries = [kept.saved for kept in state]
    if any(kept.by_name for kept in state):
        return lines(["{", *(f"    {entry}," for entry in entries), "}"])
    return Code("{" + ", ".join(entries) + "}")


def _views(code: str) -> Code:
    """The line that gives names to the vectors that some lines use."""
    vectors = {"weights": "p.trained", "gradient": "g.trained"}
    names = [name for name in vectors if re.search(rf"\b{name}\b", re.sub(r"#.*", "", code))]
    return Code(f"{', '.join(names)} = {', '.join(vectors[name] for name in names)}")


def _unpack(setting: Setting, code: str) -> Code:
    """The line that gives names to what some lines use of the optimizer."""
    names = [*(state.name for state in used(setting, code)), "change"]
    return Code(f"{', '.join(names)} = {', '.join(f'self.{name}' for name in names)}")


PENALTIES = {
    "l1": (
        "l1 * sum |w|",
        """
np.sign(p.vector, out=scratch)
np.multiply(l1, scratch, out=scratch)
penalty += np.dot(scratch, p.vector)
if g is not None:
    g.vector += scratch
""",
    ),
    "l2": (
        "l2 * sum w ** 2",
        """
np.multiply(l2, p.vector, out=scratch)
penalty += np.dot(scratch, p.vector)
if g is not None:
    scratch *= 2
    g.vector += scratch
""",
    ),
}
"""What is added to the loss and to the gradient."""


def penalties(spec: Spec) -> dict[str, dict[str, float]]:
    """By kind, the factors of the parameters that are penalised."""
    infos: tuple[ParameterInfo, ...] = spec.model.parameters
    return {kind: {i.name: getattr(i, kind) for i in infos if getattr(i, kind)} for kind in PENALTIES}


def _penalty_lines(penalties: dict[str, dict[str, float]]) -> Code:
    kinds = [kind for kind, factors in penalties.items() if factors]
    head = [f"{', '.join([*kinds, 'scratch'])} = penalty_weights(p.vector.dtype)", "penalty = 0.0"]
    return lines([*head, *(PENALTIES[kind][1].strip("\n") for kind in kinds)])
