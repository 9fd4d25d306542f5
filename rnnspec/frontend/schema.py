"""The outer shape of a spec: its sections, their keys, and which are required.  Unknown keys are never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend.source import Mapping, Node, Scalar

SECTIONS = {
    "rnnspec": "version of the format: 1",
    "name": "name of the experiment",
    "data": "where the sequences come from",
    "inputs": "what the model reads",
    "targets": "what it should predict",
    "dims": "named sizes",
    "states": "sizes of states",
    "cells": "groups of equations with their own states and parameters",
    "model": "the equations",
    "loss": "what is made small",
    "metrics": "what is measured beside it",
    "params": "shapes, initial values and penalties of parameters",
    "train": "how it is trained",
    "monitor": "what is shown while it trains",
}

REQUIRED = ("rnnspec", "data", "inputs", "targets", "model", "loss", "train")

TRAIN_SETTINGS = ("optimizer", "schedule", "clip", "average", "truncation", "checkpoint", "stop", "dtype")
"""Keys of `train` of whose values one is chosen from the table of settings."""

KEYS = {
    "data": ("source", "sequence", "reset_after", "split", "bucket"),
    "data.split": ("train", "valid", "test"),
    "train": (*TRAIN_SETTINGS, "batch", "steps", "epochs", "seed"),
    "train.clip": ("gradient", "state"),
    "monitor": ("every", "validate", "sample"),
    "cells.*": ("args", "inputs", "states", "output", "equations", "params"),
    "params.*": ("shape", "init", "l1", "l2", "trainable", "tie", "max_norm", "lr_scale", "weight_drop"),
}
"""Keys of the mappings whose keys are fixed; in all others (`dims`, `inputs`, ...) the user chooses the names."""

EXAMPLES = {
    ("data", "source"): 'text("data.txt")',
    ("train", "optimizer"): "adam(lr=1e-3)",
    ("train", "batch"): "32",
}


@dataclass(frozen=True)
class Fields:
    """The entries of one mapping, each known and given once; a value is None where its problem is already reported."""

    name: str
    span: Span  # of its key, where a missing entry is reported
    items: tuple[tuple[Scalar, Node | None], ...] = ()

    def __contains__(self, name: str) -> bool:
        return self.key(name) is not None

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        """Keys and values, without the broken ones."""
        return ((key, value) for key, value in self.items if value is not None)

    def get(self, name: str) -> Node | None:
        """The value of an entry; None if it is absent or broken."""
        return next((value for key, value in self.items if key.value == name), None)

    def key(self, name: str) -> Scalar | None:
        """The key of an entry, for its place; None if it is absent."""
        return next((key for key, _ in self.items if key.value == name), None)


def read_spec(root: Mapping, problems: list[Diagnostic]) -> Fields:
    """The sections of a spec; unknown and missing ones and a wrong version are reported."""
    start = Span(root.span.source, 0, 0)
    sections = _known(Fields("spec", start, root.items), root.flow, tuple(SECTIONS), problems)
    version = sections.get("rnnspec")
    if version is not None and not (isinstance(version, Scalar) and version.value == "1"):
        message, help = "this version of the spec format is not supported", "this compiler reads `rnnspec: 1`"
        problems.append(problem("E0011", message, version.span, help=help))
    missing = [f"`{name}`" for name in REQUIRED if name not in sections]
    if missing:
        message = f"the spec lacks the section{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        problems.append(problem("E0004", message, start, help="`rnnspec new` writes a complete example"))
    return sections


def read_section(spec: Fields, name: str, problems: list[Diagnostic], required: tuple[str, ...] = ()) -> Fields:
    """A section that is a mapping, such as `train`; without entries where the spec does not have it."""
    key, value = spec.key(name), spec.get(name)
    if key is None or value is None:
        return Fields(name, spec.span)
    return read_fields(key, value, problems, KEYS.get(name), name, required)


def read_fields(
    key: Scalar,
    value: Node,
    problems: list[Diagnostic],
    keys: tuple[str, ...] | None = None,
    name: str = "",
    required: tuple[str, ...] = (),
) -> Fields:
    """The entries of the mapping under a key; `keys` are the known ones (None: any), `name` is how messages call it."""
    name = name or key.value
    if not isinstance(value, Mapping):
        message = f"`{name}` must be a mapping of `name: value` lines"
        problems.append(problem("E0005", message, value.span.first))
        return Fields(name, key.span)
    fields = Fields(name, key.span, value.items)
    if keys is not None:
        fields = _known(fields, value.flow, keys, problems)
    for missing in (entry for entry in required if entry not in fields):
        example = EXAMPLES.get((name, missing))
        help = f"write `{missing}: {example}`" if example else f"add `{missing}:` under `{name}:`"
        problems.append(problem("E0004", f"`{name}` lacks `{missing}`", key.span, help=help))
    return fields


def _known(fields: Fields, flow: bool, keys: tuple[str, ...], problems: list[Diagnostic]) -> Fields:
    """The entries whose keys are known; all others are reported."""
    known: list[tuple[Scalar, Node | None]] = []
    for key, value in fields.items:
        if key.value in keys:
            known.append((key, value))
        elif flow and _cut_by_comma(key, value):
            help = "write this mapping as indented lines, or quote the whole value"
            message, label = "a comma ended this value inside `{...}`", "read as a new key"
            problems.append(problem("E0010", message, key.span, label, help=help))
            if known:  # the value before it has lost its end
                known[-1] = (known[-1][0], None)
        else:
            meant = suggest(key.value, keys)
            problems.append(_unknown(fields.name, key, keys, meant))
            if meant and meant not in fields:  # so that it is not reported as missing too
                known.append((replace(key, value=meant), None))
    return Fields(fields.name, fields.span, tuple(known))


def _cut_by_comma(key: Scalar, value: Node | None) -> bool:
    """Whether a key of a `{...}` mapping is really the rest of a call, as in `{optimizer: sgd(lr=1, momentum=0.9)}`."""
    return isinstance(value, Scalar) and value.value == "" and (")" in key.value or "=" in key.value)


def _unknown(name: str, key: Scalar, keys: tuple[str, ...], meant: str | None) -> Diagnostic:
    message = f"`{key.value}` is not a setting of `{name}`" if name != "spec" else f"unknown section `{key.value}`"
    if meant:
        return problem("E0003", message, key.span, help=f"did you mean `{meant}`?")
    return problem("E0003", message, key.span, note="known: " + ", ".join(keys))
