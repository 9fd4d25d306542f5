"""Losses that compare with numbers of a certain range, such as `bce`: what the data holds is looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.encodings import Item, named
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.offers import Offer
from rnnspec.frontend.typed import Call, Last, Model, Read, walk


def with_bounds(model: Model) -> Model:
    """The model, its targets with what its loss needs them to be."""
    needs = dict(_needs(model))
    bounds = {name: FUNCTIONS[function].targets for name, function in needs.items()}
    return replace(
        model,
        targets=tuple(
            replace(target, low=bounds[target.name].low, high=bounds[target.name].high) if target.name in bounds else target
            for target in model.targets
        ),
    )


def _needs(model: Model) -> Iterator[tuple[str, str]]:
    """The targets that are compared with by a function that needs numbers of a range, and this function."""
    for node in walk(model.loss):
        if isinstance(node, Call) and node.function in FUNCTIONS and str(FUNCTIONS[node.function].targets):
            target = node.args[1]
            if isinstance(target, Read | Last):
                yield target.name, node.function


def check_bounds(model: Model, items: Iterable[Item], offer: Offer) -> Iterator[Diagnostic]:
    """Targets whose numbers are outside of what the loss needs, as far as the data tells."""
    needs = dict(_needs(model))
    lengths = lengths_of(items, offer) if model.masked else None
    for item in items:
        for column in named(item.call) if item.name in needs else ():
            function = needs[item.name]
            allowed, found = FUNCTIONS[function].targets, offer.columns[column].extent(lengths if item.when == "step" else None)
            if found is not None and not (found.low in allowed and found.high in allowed):
                message = f"`{function}` needs targets that are {allowed}, but those of `{item.name}` are not"
                yield problem("E0704", message, item.span, note=f"the numbers of `{column}` are {found}")


def lengths_of(items: Iterable[Item], offer: Offer) -> NDArray[Any] | None:
    """How many steps of each sequence count, where that can be read."""
    names = (dict(item.call.arguments).get("length") for item in items if not item.longest)
    numbers = next((offer.columns[str(name)].numbers for name in names if name), None)
    return numbers() if numbers else None
