"""What a script knows about learning: the loop, what it keeps, and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import indent

from rnnspec.frontend.typed import Spec
from rnnspec.script.averages import average_lines
from rnnspec.script.body import Body
from rnnspec.script.clips import clip_lines, shares_limited, skips
from rnnspec.script.code import Code, fill, lines, literal, prose, table
from rnnspec.script.devices import Device, Name
from rnnspec.script.sources import reads_files
from rnnspec.script.view_data import has_lanes
from rnnspec.script.view_update import limits_apart, limits_of, penalties
from rnnspec.script.windows import back, text_scores


@dataclass(frozen=True)
class Training:
    """The loop and what it keeps."""

    valid: bool
    test: bool
    truncated: bool
    batches: Code
    averaged: bool
    weights: Code
    counts: Code
    saved_counts: Code
    restored_counts: Code
    restored: Code
    restored_states: Code
    written: Code
    copied: Code
    learn: Code
    look: Code
    look_before_saving: Code
    worst: Code
    better: Code
    judge: Code
    judged: Code
    which: Code
    carried: Code
    keep: Code
    save_due: Code
    penalty: Code
    plateau: bool
    rate: Code
    clip: bool
    update: Code
    follow: Code
    numbers: Code
    limited: Code  # shares of the backward signals that clips of states have changed; empty without such clips
    every: Code
    check: Code
    parameters: Code
    patience: Code
    sample: Code
    unit: Code
    amount: Code


@dataclass(frozen=True)
class CommandLine:
    """The options."""

    description: Code
    commands: Code
    which: Code
    trained: Code
    split: Code
    file: bool
    sampled: bool
    length: Code


FOLLOW: dict[Name, str] = {"cpu": "update_averages(p, run.w)", "gpu": "update_averages(p, w, run.report)"}
BOTH = "\nrun.p.vector[TRAINABLE:] = p.vector[TRAINABLE:]  # the running averages serve both"


def training(spec: Spec, body: Body, device: Device) -> Training:
    """The view of the loop."""
    train, monitor = spec.train, spec.monitor
    parts = dict(spec.data.split)
    judge = str(train.stop["on"]).partition(".")[2] if train.stop else "loss"
    up = any(metric.ascending for metric in spec.model.metrics if metric.name == judge)
    scores = text_scores(spec)
    penalised = any(penalties(spec).values())
    plateau = train.schedule is not None and train.schedule.name == "plateau"
    averaged = bool(average_lines(train.optimizer, train.average))
    counts = counts_of(spec, device)
    return Training(
        valid="valid" in parts,
        test="test" in parts,
        truncated=train.truncation is not None,
        batches=Code(f'batches("train", self.seed, self.epoch, self.place{", BACK" if back(spec) else ""})'),
        averaged=averaged,
        weights=Code("run.raw" if averaged else "run.p"),
        counts=Code(counts.start.strip()),
        saved_counts=Code(counts.saved),
        restored_counts=Code(counts.restored),
        restored=device.stored("vector", 'entries[f"optimizer/{name}"]'),
        restored_states=device.stored("getattr(self.w, name)", 'entries[f"carried/{name}"]'),
        written=Code(device.written),
        copied=Code(device.copied),
        learn=Code(device.learn.strip()),
        look=Code(device.look.format(run="run")),
        look_before_saving=Code(device.look.format(run="self")),
        worst=Code("-math.inf" if up else "math.inf"),
        better=Code(f"found[{literal(judge)}] {'>' if up else '<'} run.best_value"),
        judge=literal(judge),
        judged=literal(f"valid/{judge}"),
        which=Code("the best on the validation part" if "valid" in parts else "the last ones"),
        carried=literal(body.carried),
        keep=_keep(spec),
        save_due=_save_due(spec),
        penalty=Code("penalty = penalise(p, g)" if penalised else ""),
        plateau=plateau,
        rate=Code("float(run.plateau[0]) * learning_rate(step, steps)" if plateau else "learning_rate(step, steps)"),
        clip=bool(clip_lines(train.clip)),
        update=_update(spec),
        follow=Code(FOLLOW[device.name] + BOTH * averaged if body.averages else ""),
        numbers=_numbers(spec, device),
        limited=shares_limited(spec.model, body, device),
        every=literal(monitor.every) if monitor.every else Code("max(1, steps // 100)"),
        check=_check(spec),
        parameters=literal(sum(math.prod(info.shape) for info in spec.model.parameters)),
        patience=literal(train.stop["epochs"]) if train.stop and "valid" in parts else Code(""),
        sample=literal(monitor.sample) if monitor.sample and scores else Code(""),
        unit=Code("steps" if has_lanes(spec) else "sequences"),
        amount=Code("len(places) * T" if has_lanes(spec) else "len(places)"),
    )


def _update(spec: Spec) -> Code:
    """The lines that change the parameters; where steps may be skipped, only the others count."""
    train, parameters = spec.train, spec.model.parameters
    count = "step - run.clipped" if skips(train.clip) else "step"
    calls = [
        f"run.optimizer.update(p, g, lr, {count})",
        "limit_norms(p)" if limits_of(parameters) and limits_apart(train.optimizer) else "",
        f"run.optimizer.average(run.p, p, lr, {count})" if average_lines(train.optimizer, train.average) else "",
    ]
    return Code("if not clipped:\n" + indent(lines(calls), "    ")) if skips(train.clip) else lines(calls)


@dataclass(frozen=True)
class Counts:
    """What a run counts: before the first step, in a checkpoint, and back."""

    start: str
    saved: str
    restored: str


COUNTS: dict[Name, Counts] = {
    "cpu": Counts(
        start="self.clipped = 0  # steps whose gradient was too long",
        saved='entries["run/clipped"] = self.clipped',
        restored='self.clipped = int(entries["run/clipped"])',
    ),
    "gpu": Counts(
        start="""
self.rates = cp.zeros(2)  # learning rate and number of a step: what the GPU is told of it,
self.report = cp.zeros(len(REPORT))  # and what it says of all steps so far
""",
        saved='entries["run/report"] = self.report',
        restored='upload(self.report, entries["run/report"])',
    ),
}


def counts_of(spec: Spec, device: Device) -> Counts:
    """What is counted: by a CPU only where gradients may be too long."""
    return COUNTS[device.name] if device.name == "gpu" or clip_lines(spec.train.clip) else Counts("", "", "")


NUMBERS: dict[Name, dict[str, str]] = {
    "cpu": {**{n: n for n in ("loss", "penalty", "norm", "left", "lr")}, "clipped": "run.clipped / step"},
    "gpu": {
        **{n: f'found["{n}"]' for n in ("loss", "penalty", "norm", "left")},
        "clipped": 'found["clipped"] / run.step',
        "lr": "float(run.rates[0])",
    },
}
"""The numbers of a step, and the share of all steps that were clipped."""


def _numbers(spec: Spec, device: Device) -> Code:
    """What is reported of a step, by name."""
    numbers = {"train/loss": "loss"}
    if any(penalties(spec).values()):
        numbers["train/penalty"] = "penalty"
    numbers["grad/norm"] = "norm"
    if clip_lines(spec.train.clip):
        share = "grad/skipped" if skips(spec.train.clip) else "grad/clipped"
        numbers |= {"grad/clipped_norm": "left", share: "clipped"}
    numbers["lr"] = "lr"
    return table((literal(name), Code(NUMBERS[device.name][number])) for name, number in numbers.items())


def _keep(spec: Spec) -> Code:
    checkpoint = spec.train.checkpoint
    if checkpoint is None or checkpoint.name == "none" or checkpoint["keep"] == 1:
        return Code("")
    return fill(KEEP, keep=checkpoint["keep"])


KEEP = """
write(out / f"step-{{self.step:08d}}.npz", self.entries())
for old in sorted(out.glob("step-*.npz"))[:-{keep}]:
    old.unlink()
"""


def _save_due(spec: Spec) -> Code:
    checkpoint = spec.train.checkpoint
    if checkpoint is None:
        return Code("run.step % check == 0")
    return Code("") if checkpoint.name == "none" else fill("run.step % {steps} == 0", steps=checkpoint["steps"])


def _check(spec: Spec) -> Code:
    if spec.monitor.validate:
        return literal(spec.monitor.validate)
    return Code('len(plan("train", run.seed, 0))' if spec.train.epochs else "max(1, steps // 10)")


BEST_OR_LAST = 'out / ("best.npz" if (out / "best.npz").is_file() else "last.npz")'


def command_line(spec: Spec) -> CommandLine:
    """The view of the command line."""
    sampled = bool(text_scores(spec))
    commands = ["train", "evaluate", "predict", *(["sample"] if sampled else [])]
    parts = [name for name, _ in spec.data.split]
    return CommandLine(
        description=literal(prose(f"Train {spec.name}, and use it.")),
        commands=Code("{" + ", ".join(f'"{name}": {name}_command' for name in commands) + "}"),
        which=Code(", the best if there are any" if "valid" in parts else ""),
        trained=Code(BEST_OR_LAST if "valid" in parts else 'out / "last.npz"'),
        split=literal(next((name for name in ("test", "valid") if name in parts), "train")),
        file=reads_files(spec),
        sampled=sampled,
        length=literal(spec.monitor.sample or 300),
    )
