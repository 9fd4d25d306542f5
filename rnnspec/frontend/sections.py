"""The sections that are settings rather than mathematics: `dims`, `data`, `train`, `monitor`, and the name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.schema import KEYS, TRAIN_SETTINGS, Fields, read_fields, read_section
from rnnspec.frontend.settings import resolve
from rnnspec.frontend.sizes import Origin, Size
from rnnspec.frontend.source import Node, Scalar
from rnnspec.frontend.state_clips import read_clip, read_state_clips
from rnnspec.frontend.syntax import CallNode
from rnnspec.frontend.typed import Monitor, Setting, Train
from rnnspec.frontend.values import Range, read_flag, read_number, read_whole
from rnnspec.frontend.words import is_name, malformed, taken

SPEC_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
FROM_ZERO = Range(0, 2**63)


def read_name(spec: Fields, path: Path, problems: list[Diagnostic]) -> str:
    """The name of the experiment; that of the file where none is given."""
    node = spec.get("name")
    if node is None:
        return path.stem if SPEC_NAME.match(path.stem) else "spec"
    if isinstance(node, Scalar) and SPEC_NAME.match(node.value):
        return node.value
    note = "folders are named after it: letters, digits, `-`, `_` and `.`, at most 64"
    problems.append(problem("E0601", "this is not a valid `name`", node.span.first, note=note))
    return "spec"


def read_dims(spec: Fields, problems: list[Diagnostic]) -> dict[str, Size]:
    """The named sizes."""
    sizes: dict[str, Size] = {}
    for key, node in read_section(spec, "dims", problems):
        name = key.value
        wrong = taken(name, key.span) if is_name(name) else malformed(name, "a size", key.span)
        if wrong is not None:
            problems.append(wrong)
            continue
        value = read_whole(node, f"the size `{name}`", problems)
        if value is not None:
            sizes[name] = Size(value, name, Origin(key.span, f"`{name}` is {value} here"))
    return sizes


def _count(fields: Fields, name: str, problems: list[Diagnostic]) -> int | None:
    """The whole number from 1 under a key; None where it is absent or wrong."""
    node = fields.get(name)
    return None if node is None else read_whole(node, f"`{name}`", problems)


# ------------------------------------------------------------------ data


@dataclass(frozen=True)
class DataSection:
    """The section `data:`."""

    source: Setting | None  # None where it has a problem
    sequence: int | None
    cut: Span  # of the key `sequence`, or of `data` where there is none
    reset_after: Node | None
    split: tuple[tuple[str, float], ...]
    span: Span  # of its key
    source_span: Span  # of `source: ...`
    bucket: Span | None  # of its key, where sequences of similar lengths share a batch


def read_data(spec: Fields, folder: Path, calls: Mapping[str, CallNode], problems: list[Diagnostic]) -> DataSection:
    """Where the sequences come from; file names are relative to `folder`."""
    fields = read_section(spec, "data", problems, required=("source",))
    node = calls.get("data.source", fields.get("source"))
    source = None if node is None else resolve(node, "source", problems, folder=folder)
    sequence = _count(fields, "sequence", problems)
    key = fields.key("source")
    line = key.span if key and source and source.span else fields.span
    if source and source.span and source.span.source is line.source:
        line = Span(line.source, line.start, source.span.end)
    chosen = fields.get("bucket")
    bucket = chosen is not None and read_flag(chosen, "`bucket`", problems)
    place = chosen.span.first if chosen is not None and bucket else None
    cut = fields.key("sequence")
    parts, cut_span = _read_split(fields, problems), cut.span if cut else fields.span
    return DataSection(source, sequence, cut_span, fields.get("reset_after"), parts, fields.span, line, place)


def _read_split(fields: Fields, problems: list[Diagnostic]) -> tuple[tuple[str, float], ...]:
    key, node = fields.key("split"), fields.get("split")
    if key is None or node is None:
        return (("train", 1.0),)
    parts = read_fields(key, node, problems, KEYS["data.split"], "split", required=("train",))
    allowed = Range(0, 1, closed=True)
    shares = {name.value: read_number(value, f"`{name.value}`", problems, allowed) for name, value in parts}
    known = {name: share for name, share in shares.items() if share is not None}
    total = sum(known.values())
    if len(known) == len(parts.items) and known and abs(total - 1) > 1e-9:
        problems.append(problem("E0606", f"the parts of `split` add up to {total:g}, not 1", key.span))
    elif known.get("train") == 0:
        problems.append(problem("E0606", "there is nothing to train on", key.span))
    return tuple((name, known[name]) for name in KEYS["data.split"] if known.get(name))


def hold_out(data: DataSection, count: int, held_out: int, problems: list[Diagnostic]) -> tuple[tuple[str, float], ...]:
    """The shares of all sequences where the last ones come from a file of their own: those are the part `test`."""
    if not held_out:
        return data.split
    if "test" in dict(data.split):
        help = "leave `test` out of `split`: it is for the other sequences"
        problems.append(problem("E0606", "the part `test` has a file of its own", data.span, help=help))
    rest = 1 - held_out / count
    return (*((name, share * rest) for name, share in data.split), ("test", held_out / count))


# ------------------------------------------------------------------ train


def read_train(spec: Fields, calls: Mapping[str, CallNode], problems: list[Diagnostic]) -> Train | None:
    """How the model is trained; None after an error."""
    count = len(problems)
    fields = read_section(spec, "train", problems, required=("optimizer", "batch"))
    settings: dict[str, Setting | None] = {}
    clip, states = read_clip(fields, problems)
    for name in TRAIN_SETTINGS:
        place = f"train.{name}.gradient" if name == "clip" and states else f"train.{name}"
        node = calls.get(place, clip if name == "clip" else fields.get(name))
        settings[name] = None if node is None else resolve(node, name, problems)
    counts = {name: _count(fields, name, problems) for name in ("batch", "steps", "epochs")}
    _check_duration(fields, problems)
    _check_truncation(settings["truncation"], problems)
    seed = fields.get("seed")
    number = 0 if seed is None else read_whole(seed, "`seed`", problems, FROM_ZERO)
    optimizer, batch = settings["optimizer"], counts["batch"]
    if len(problems) > count or optimizer is None or batch is None or number is None:
        return None
    others = {name: setting for name, setting in settings.items() if setting is not None and name != "optimizer"}
    return Train(
        optimizer=optimizer,
        batch=batch,
        steps=counts["steps"],
        epochs=counts["epochs"],
        seed=number,
        state_clips=read_state_clips(states, calls, problems),
        **others,
    )


def _check_duration(fields: Fields, problems: list[Diagnostic]) -> None:
    """Either steps or epochs."""
    steps, epochs = fields.key("steps"), fields.key("epochs")
    if steps is not None and epochs is not None:
        others = [(steps.span, "also given here")]
        problems.append(problem("E0606", "`steps` and `epochs` cannot both be given", epochs.span, others=others))
    if steps is None and epochs is None and fields.items:
        help = "write `epochs: 10`, or `steps: 1000`"
        problems.append(problem("E0004", "`train` lacks `steps` or `epochs`", fields.span, help=help))


def _check_truncation(truncation: Setting | None, problems: list[Diagnostic]) -> None:
    """A gradient reaches back over the steps that are learned at least."""
    k1, k2 = (truncation["k1"], truncation["k2"]) if truncation else (0, None)
    if truncation and truncation.span and isinstance(k1, int) and isinstance(k2, int) and k2 < k1:
        message = f"`k2` is {k2}, but {k1} steps are learned at a time: the gradient must reach back over all of them"
        problems.append(problem("E0606", message, truncation.span, help=f"write `tbptt(k1={k2}, k2={k1})`"))


# ------------------------------------------------------------------ monitor


def read_monitor(spec: Fields, problems: list[Diagnostic]) -> Monitor:
    """What is shown while training."""
    fields = read_section(spec, "monitor", problems)
    node = fields.get("sample")
    sample = 0 if node is None else read_whole(node, "`sample`", problems, Range(0, 1_000_000))
    return Monitor(_count(fields, "every", problems), _count(fields, "validate", problems), sample or 0)


def check_sample(spec: Fields, monitor: Monitor, vocabulary: tuple[str, ...], problems: list[Diagnostic]) -> None:
    """Only a text can be written."""
    fields = read_section(spec, "monitor", [])
    key = fields.key("sample")
    if monitor.sample and not vocabulary and key is not None:
        problems.append(problem("E0606", "`sample` writes text, but the data is not `text(...)`", key.span))
