"""`clip: {gradient: ..., state: {h: value(5.0)}}`: the backward signal of a state is limited at every step (Graves 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend.schema import KEYS, Fields, read_fields
from rnnspec.frontend.settings import resolve
from rnnspec.frontend.source import Mapping as YamlMapping
from rnnspec.frontend.source import Node
from rnnspec.frontend.syntax import CallNode
from rnnspec.frontend.typed import Model, Setting

StateClips = Mapping[str, tuple[Setting, Span]]
"""What limits a state, and where its name is written."""


def read_clip(train: Fields, problems: list[Diagnostic]) -> tuple[Node | None, Fields | None]:
    """The clip of the whole gradient, and those of states: a call is the first alone."""
    key, node = train.key("clip"), train.get("clip")
    parts = KEYS["train.clip"]
    if key is None or not isinstance(node, YamlMapping) or not any(name.value in parts for name, _ in node.items):
        return node, None
    fields = read_fields(key, node, problems, parts, "clip")
    name, states = fields.key("state"), fields.get("state")
    found = read_fields(name, states, problems, None, "clip.state") if name is not None and states is not None else None
    return fields.get("gradient"), found


def read_state_clips(states: Fields | None, calls: Mapping[str, CallNode], problems: list[Diagnostic]) -> StateClips:
    """The clip of each state by its name."""
    found: dict[str, tuple[Setting, Span]] = {}
    for key, node in states or ():
        setting = resolve(
            calls.get(f"train.clip.state.{key.value}", node), "state_clip", problems, f"the clip of `{key.value}`"
        )
        if setting is not None:
            found[key.value] = (setting, key.span)
    return found


def with_state_clips(model: Model, clips: StateClips, problems: list[Diagnostic]) -> Model:
    """The model with the clips of its states; each must be a variable that changes with time."""
    timed = [equation.name for equation in model.equations if equation.when == "step"]
    for name, (_, span) in clips.items():
        if name not in timed:
            near = suggest(name, timed)
            message = f"there is no `{name}[t]` whose backward signal could be clipped"
            help = f"did you mean `{near}`?" if near else None
            problems.append(problem("E0606", message, span, help=help, note="there are: " + ", ".join(timed)))
    return replace(model, state_clips=tuple((name, setting) for name, (setting, _) in clips.items()))
