"""Settings of `train:` that need something else in the spec, or that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnspec.diagnostics import Diagnostic, problem
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.typed import Call, Model, Setting, Train, walk


def check_training(train: Train, model: Model, split: tuple[tuple[str, float], ...], problems: list[Diagnostic]) -> None:
    """Report what does not go together."""
    problems += _watched(train, model, dict(split))
    problems += _after_the_end(train)
    problems += _above_the_rate(train)
    problems += _schedule_free(train)
    problems += _single_sequence(train, model)


def _single_sequence(train: Train, model: Model) -> Iterator[Diagnostic]:
    """Statistics over the sequences need more than one: in a recurrence, or without time, there is nothing else."""
    written = [(e.expr, e.call) for e in model.equations] + [(s.expr, None) for s in model.starts]
    for expr, cell in written if train.batch == 1 else ():
        for node in walk(expr):
            averaged = isinstance(node, Call) and node.function in FUNCTIONS and FUNCTIONS[node.function].averaged
            if isinstance(node, Call) and averaged and node.span and (node.option("inside") or node.when == "sequence"):
                message = f"`{node.function}` needs more than one sequence in a batch here"
                yield problem("E0602", message, cell or node.span, help="write for example `batch: 32` under `train:`")


def _watched(train: Train, model: Model, parts: Mapping[str, float]) -> Iterator[Diagnostic]:
    """What `patience` watches must exist, and validations where somebody waits for them."""
    known = [f"valid.{name}" for name in ("loss", *(metric.name for metric in model.metrics))]
    if train.stop is not None and train.stop["on"] not in known:
        message = f"there is no `{train.stop['on']}` to watch"
        yield _contradiction(message, train.stop, note="available: " + ", ".join(known))
        return
    plateau = train.schedule if train.schedule and train.schedule.name == "plateau" else None
    for setting in (train.stop, plateau):
        if setting is not None and "valid" not in parts:
            help = "write `split: {train: 0.9, valid: 0.1}` under `data:`"
            yield _contradiction("there is no validation data to watch", setting, help=help)


def _after_the_end(train: Train) -> Iterator[Diagnostic]:
    """What begins at a step must begin within a run whose steps are known."""
    schedule, average = train.schedule, train.average
    for setting, first in ((schedule, "warmup"), (average, "start")):
        begin = dict(setting.arguments).get(first) if setting else None
        if setting is not None and isinstance(begin, int) and train.steps is not None and begin >= train.steps:
            yield _contradiction(f"`{first}` is not before the end of the run", setting, note=f"it has {train.steps} steps")


def _above_the_rate(train: Train) -> Iterator[Diagnostic]:
    """Schedules lead down: the rise is the warm-up."""
    final, lr = dict(train.schedule.arguments).get("final") if train.schedule else None, train.optimizer["lr"]
    if train.schedule is not None and isinstance(final, float) and isinstance(lr, float) and final > lr:
        note = f"the learning rate is {lr:g}; a schedule leads down from there"
        yield _contradiction("`final` is above the learning rate of the optimizer", train.schedule, note=note)


def _schedule_free(train: Train) -> Iterator[Diagnostic]:
    """An optimizer that averages by itself."""
    name = train.optimizer.name
    if name.startswith("schedule_free") and train.average is not None:
        yield _contradiction(f"`{name}` averages the parameters by itself", train.average, help="leave `average` out")


def _contradiction(message: str, setting: Setting, help: str | None = None, note: str | None = None) -> Diagnostic:
    assert setting.span is not None
    return problem("E0606", message, setting.span, help=help, note=note)
