"""The kernel in which one thread finds what is the same for all numbers in a step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, lines, literal
from rnnspec.script.gpu.updates.clips import CLIPS
from rnnspec.script.gpu.updates.kernels import Array, declaration, head, mentions, stores
from rnnspec.script.optimizer_rows import State


@dataclass(frozen=True)
class Decide:
    """Its head; its lines: sums by all threads, whether the step counts, and then those of one thread."""

    head: Code
    sums: Code
    penalty: Code
    applies: Code
    once: Code


def with_arguments(text: str, setting: Setting) -> Code:
    """Lines of a clip with its arguments written out, which are in capitals there."""
    written = {name.upper(): literal(value) for name, value in setting.arguments}
    return Code(re.sub(r"\b[A-Z]+\b", lambda found: written.get(found[0], found[0]), text.strip("\n")))


def declared(*texts: str) -> list[str]:
    """What lines of one thread find, by their names."""
    return re.findall(r"(?m)^const double (\w+) =", "\n".join(texts))


def arrays(clip: Setting, state: Iterable[State], penalised: bool) -> list[Array]:
    """What the kernel is given."""
    kept = [one.name for one in state if one.is_number]
    sums = ["squares", *(["left_squares"] if mentions(CLIPS[clip.name].once, "left_squares") else [])]
    return [
        Array("const real", "loss", "run.w.loss"),
        Array("const double", "rates", "run.rates"),
        Array("const real", "gradients", "g.trained"),
        *(Array("const double", name, f"self.{name}") for name in sums),
        *([Array("const double", "penalties", "penalties")] if penalised else []),
        *(Array("double", f"kept_{name}", f"self.{name}") for name in kept),
        Array("double", "report", "run.report"),
        Array("double", "numbers", "self.numbers"),
    ]


def decide(clip: Setting, once: Code, shared: Sequence[str], state: Iterable[State], penalised: bool) -> Decide:
    """The kernel for a clip and the lines of an optimizer and an average; `shared` names what all threads want of them."""
    row, state = CLIPS[clip.name], list(state)
    places = [(f"kept_{kept.name}[0]", kept.name) for kept in state if kept.is_number]
    rates = [("lr", "rates[0]")] if "lr" in shared or mentions(once, "lr") else []
    steps = [("step", "report[APPLIED]")] if mentions(once, "step") else []
    return Decide(
        head=Code(head("decide", arrays(clip, state, penalised))),
        sums=lines(
            [with_arguments(row.once, clip), "const double penalty = sum_of(penalties, 0, PARTS);" if penalised else ""]
        ),
        penalty=Code("report[PENALTY] = penalty;" if penalised else ""),
        applies=with_arguments(f"finite && {row.keeps}" if row.keeps else "finite", clip),
        once=lines(
            [
                declaration("const double", [*rates, *steps]),
                declaration("double", ((name, place) for place, name in places)),
                once,
                stores([*((f"numbers[{name.upper()}]", name) for name in shared), *places]),
            ]
        ),
    )
