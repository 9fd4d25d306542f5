"""A spec with everything filled in: `spec.resolved.yaml` of a run folder.

What the user chose by name (source, optimizer, initial values, ...) is written with all its arguments, every parameter has a
row of its own, and the rest stands as it was written.  The result is a spec again, and it means the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnspec.commands.report import call_text
from rnnspec.frontend.overrides import apply_overrides
from rnnspec.frontend.schema import TRAIN_SETTINGS
from rnnspec.frontend.source import Mapping, Node, Scalar, load, read_yaml
from rnnspec.frontend.typed import Data, Monitor, ParameterInfo, Spec, Train

AS_WRITTEN = ("dims", "states", "cells", "model", "loss", "metrics")
PLAIN = re.compile(r"[A-Za-z0-9](?!.*(: |:\Z| #|\s\Z|\n|\t)).*\Z")
"""A text that means the same to YAML without quotes."""


def resolve(path: Path, overrides: Sequence[str], spec: Spec) -> str:
    """The text of a spec with its defaults; `spec` is what `path` and the overrides mean."""
    tree = apply_overrides(read_yaml(load(path)), overrides, []).root
    lines = ["rnnspec: 1", f"name: {spec.name}", *data(spec.data), *encodings(spec)]
    for key, value in tree.items:
        if key.value in AS_WRITTEN:
            lines += entry(key.value, value)
    written = [info for info in spec.model.parameters if not info.average]
    lines += ["params:", *(f"  {parameter(info)}" for info in written), *ties(tree)]
    return "\n".join([*lines, *train(spec.train), *monitor(spec.monitor)]) + "\n"


def entry(key: str, value: Node, indent: str = "") -> Iterator[str]:
    """A key with its value as they were written, in block style."""
    head, deeper = f"{indent}{scalar(key)}:", indent + "  "
    if isinstance(value, Mapping):
        yield head
        for name, inner in value.items:
            yield from entry(name.value, inner, deeper)
    elif isinstance(value, Scalar) and value.style == "|":
        yield f"{head} |"
        yield from (f"{deeper}{line}".rstrip() for line in value.value.splitlines())
    elif isinstance(value, Scalar):
        yield f"{head} {scalar(value.value, value.quoted)}"
    else:
        yield head
        yield from (f"{deeper}- {scalar(i.value, i.quoted)}" for i in value.items if isinstance(i, Scalar))


def scalar(value: str, quoted: bool = False) -> str:
    """A text as YAML: in quotes where it had them, or where YAML could read it as something else."""
    return json.dumps(value, ensure_ascii=False) if quoted or not PLAIN.match(value) else value


def data(chosen: Data) -> Iterator[str]:
    """The section `data`."""
    yield "data:"
    yield f"  source: {scalar(call_text(chosen.source))}"
    if chosen.sequence is not None:
        yield f"  sequence: {chosen.sequence}"
    if chosen.reset_after is not None:
        _, number = chosen.reset_after
        yield f"  reset_after: {scalar(chosen.vocabulary[number], quoted=True) if chosen.vocabulary else number}"
    if chosen.bucket:
        yield "  bucket: true"
    rest = 1 - chosen.held_out / max(1, chosen.count)
    shares = [(name, round(share / rest, 9)) for name, share in chosen.split if not (chosen.held_out and name == "test")]
    yield f"  split: {{{', '.join(f'{name}: {share!r}' for name, share in shares)}}}"


def encodings(spec: Spec) -> Iterator[str]:
    """The sections `inputs` and `targets`."""
    for section, items in (("inputs", spec.model.inputs), ("targets", spec.model.targets)):
        names = {item.name for item in items}
        yield f"{section}:"
        yield from (f"  {e.name}: {scalar(call_text(e.call))}" for e in spec.data.encodings if e.name in names)


def parameter(info: ParameterInfo) -> str:
    """A row of `params`."""
    init = call_text(info.init)
    attributes = [f"shape: [{', '.join(map(str, info.shape))}]", f"init: {scalar(init, quoted=',' in init)}"]
    attributes += [f"{name}: {getattr(info, name)!r}" for name in ("l1", "l2", "lr_scale", "weight_drop")]
    attributes += [f"max_norm: {info.max_norm!r}"] if info.max_norm is not None else []
    attributes += [] if info.trainable else ["trainable: false"]
    return f"{info.name}: {{{', '.join(attributes)}}}"


def ties(tree: Mapping) -> Iterator[str]:
    """Parameters that are others under another name: they have nothing but their tie."""
    section = tree.get("params")
    for key, value in section.items if isinstance(section, Mapping) else ():
        if isinstance(value, Mapping) and value.get("tie") is not None:
            yield from entry(key.value, value, "  ")


def train(chosen: Train) -> Iterator[str]:
    """The section `train`."""
    yield "train:"
    for name in TRAIN_SETTINGS:
        setting = getattr(chosen, name)
        if name == "clip" and chosen.state_clips:
            yield "  clip:"
            yield from [f"    gradient: {scalar(call_text(setting))}"] if setting is not None else []
            yield "    state:"
            yield from (f"      {state}: {scalar(call_text(limit))}" for state, (limit, _) in chosen.state_clips.items())
        elif setting is not None:
            yield f"  {name}: {scalar(call_text(setting))}"
    for name in ("batch", "steps", "epochs", "seed"):
        value = getattr(chosen, name)
        if value is not None:
            yield f"  {name}: {value}"


def monitor(chosen: Monitor) -> Iterator[str]:
    """The section `monitor`; it is left out where nothing is set."""
    rows = [f"  {name}: {value}" for name, value in vars(chosen).items() if value]
    yield from ["monitor:", *rows] if rows else []
