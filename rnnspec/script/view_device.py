"""What a script knows about the device that it tells what to do."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.script.body import Body


@dataclass(frozen=True)
class Launches:
    """Which of the functions that start work on a device the printed body calls."""

    products: bool
    gram: bool
    batched: bool


def launches(body: Body) -> Launches:
    """The view of the device; there is a template of it for a GPU only."""
    called = {name: name in body.functions for name in ("matmul", "gram", "batched_matmul")}
    return Launches(products=any(called.values()), gram=called["gram"], batched=called["batched_matmul"])
