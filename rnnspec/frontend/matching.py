"""Which value each argument of a call gets: the one matcher of functions, settings and cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Span, suggest
from rnnspec.frontend.syntax import CallNode, Named, Node

ALIASES = {
    "learning_rate": "lr",
    "eta": "lr",
    "alpha": "lr",
    "step_size": "lr",
    "weight_decay": "decay",
    "epsilon": "eps",
    "stddev": "std",
    "sigma": "std",
    "max_norm": "max",
    "threshold": "max",
    "clip_factor": "ratio",
    "steps": "k1",
    "hidden_size": "units",
    "hidden": "units",
    "num_units": "units",
    "size": "units",
}
"""What other systems call some arguments."""

OF_LAYERS = {
    "bidirectional": "write a second layer with `reverse=true`, and `concat` of both",
    "layers": "write an equation for each layer: one reads what the other gives",
    "num_layers": "write an equation for each layer: one reads what the other gives",
    "dropout": "write `dropout(h[t], 0.2)` in an equation behind the layer",
    "activation": "write a cell of your own under `cells:`: `rnnspec cells` shows the equations of this one",
}
"""What layers of other systems take as arguments, and a cell does not."""

Say = Callable[..., Diagnostic]
"""Makes a diagnostic: `problem`, or that of the scope where the call stands."""

Kind = Literal["arguments", "named arguments"]


def matched(
    call: CallNode,
    names: Sequence[str],
    positional: Sequence[Node],
    say: Say,
    problems: list[Diagnostic],
    kind: Kind = "arguments",
) -> dict[str, Node]:
    """What is given for each argument, by its name; one that does not exist or is given twice is a problem.

    `names` are all arguments, those that may be given by position first; `positional` is what stands there; `kind` is what
    messages call them where a call takes values without a name too.
    """
    given = dict(zip(names, positional, strict=False))
    places: dict[str, Span] = {name: node.span for name, node in given.items()}
    for argument in call.named:
        name = argument.name
        if name not in names:
            problems.append(_unknown(call, argument, names, say, kind))
        elif name in given:
            first = [(places[name], "first given here")]
            problems.append(say("E0604", f"the argument `{name}` is given twice", argument.name_span, others=first))
        else:
            given[name], places[name] = argument.value, argument.name_span
    return given


def _unknown(call: CallNode, argument: Named, names: Sequence[str], say: Say, kind: Kind) -> Diagnostic:
    name = argument.name
    alias = ALIASES.get(name)
    meant = alias if alias in names else suggest(name, names)
    help = f"did you mean `{meant}`?" if meant else None
    if name in OF_LAYERS and "reverse" in names:
        help = OF_LAYERS[name]
    if name == "betas" and "beta1" in names:
        help = "write `beta1=0.9, beta2=0.999`"
    if call.name == "adam" and name in ("decay", "weight_decay"):
        help = "write `adamw(...)`, which has `decay`; a penalty in the loss is `l2:` under `params:`"
    note = f"{kind} of `{call.name}`: {', '.join(names)}" if names else f"`{call.name}` takes no {kind}"
    return say("E0604", f"`{call.name}` has no argument `{name}`", argument.name_span, help=help, note=note)
