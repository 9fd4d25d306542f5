"""Wrong lines between a gradient and the new parameters: norms, clips, schedules, optimizers, penalties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnspec.script import averages, schedules, view_update
from rnnspec.script.averages import AVERAGES
from rnnspec.script.clips import CLIPS
from rnnspec.script.optimizers import OPTIMIZERS
from rnnspec.script.schedules import SCHEDULES
from rnnspec.script.view_update import PENALTIES
from tests import test_averages, test_clips, test_optimizers, test_resume, test_schedules, test_training_step
from tests.faults.planting import Check, Fault, attribute, models, row, text
from tests.faults.scripts import in_script

SCHEDULE_FREE: Check = partial(test_optimizers.test_optimizer_equals_torch, "schedule_free_sgd")


def in_code(old: str, new: str) -> Callable[[Any], Any]:
    """An optimizer with another text in its lines, where it occurs."""

    def wrong(right: Any) -> Any:
        assert old in str(right.code), old
        texts = (part if isinstance(part, dict) else {"": part} for part in right.code)
        return replace(right, code=tuple({a: t.replace(old, new) for a, t in part.items()} for part in texts))

    return wrong


def in_penalty(old: str, new: str) -> Callable[[Any], Any]:
    """A penalty with another text in its lines."""
    return lambda right: (right[0], text(old, new)(right[1]))


def steps_by_hand(case: str) -> Check:
    """Steps of training against the equations and torch's optimizer."""

    def check() -> None:
        with TemporaryDirectory() as folder:
            test_training_step.steps_agree(Path(folder), case)

    return check


def optimizer(case: str, old: str, new: str) -> Fault:
    """A wrong line of an optimizer, to be seen in one of its cases."""
    check: Check = partial(test_optimizers.test_optimizer_equals_torch, case)
    return Fault(f"{case}: {old}", row(OPTIMIZERS, case.split()[0], in_code(old, new)), [check])


def schedule(name: str, old: str, new: str) -> Fault:
    """A wrong line of a schedule."""
    check: Check = partial(test_schedules.test_schedule_equals_torch, name)
    return Fault(f"{name}: {old}", row(SCHEDULES, name, text(old, new)), [check])


def plateau(old: str, new: str) -> Fault:
    """A wrong line of what follows a validation."""
    check: Check = partial(test_schedules.test_plateau_equals_torch, 1, 3)
    return Fault(f"plateau: {old}", attribute(schedules, "PLATEAU", text(old, new)), [check])


def averaging(old: str, new: str) -> Fault:
    """A wrong line of how a schedule-free optimizer averages."""

    def wrong(right: Any) -> Any:
        return replace(right, average=replace(right.average, code=text(old, new)(right.average.code)))

    return Fault(f"schedule_free_sgd: {old}", row(OPTIMIZERS, "schedule_free_sgd", wrong), [SCHEDULE_FREE])


def average(case: str, old: str, new: str) -> Fault:
    """A wrong share of an average."""
    check: Check = partial(test_averages.test_average_equals_torch, case)
    name = case.partition("(")[0]
    return Fault(
        f"{name}: {old}", row(AVERAGES, name, lambda right: replace(right, share=text(old, new)(right.share))), [check]
    )


def resumed(case: str) -> Check:
    """An interrupted run against a whole one."""

    def check() -> None:
        with TemporaryDirectory() as folder:
            test_resume.test_a_resumed_run_ends_with_the_same_bytes(case, Path(folder))

    return check


def shown() -> None:
    """What is validated and kept is the average."""
    with TemporaryDirectory() as folder:
        test_averages.test_the_average_is_what_is_validated_kept_and_given({"average": "ema(0.9)"}, Path(folder))


def in_clip(old: str, new: str) -> Callable[[Any], Any]:
    """A clip with another text in its lines."""
    return lambda right: replace(right, code=text(old, new)(right.code))


def clip(test: str, name: str, old: str, new: str) -> Fault:
    """A wrong line of a clip."""
    check: Check = partial(getattr(test_clips, test), 1)
    return Fault(f"{name}: {old}", row(CLIPS, name, in_clip(old, new)), [check], (AssertionError, ValueError))


def skipped(optimizer: str) -> Check:
    """Steps that are skipped."""
    return partial(test_clips.test_a_skipped_step_changes_nothing, optimizer)


BY_HAND = [steps_by_hand("adam")]
EMA = [partial(test_averages.test_average_equals_torch, "ema(0.9)")]
WARM_UP = [partial(test_schedules.test_a_warm_up_comes_first, "exponential")]
START = in_code("change *= lr * root / (1 - {beta1}**step)", "change *= lr * root")

FAULTS = [
    Fault("the gradient is not clipped", row(CLIPS, "global_norm", in_clip("{max} / norm", "1")), BY_HAND),
    Fault("rows are not limited", in_script("    limit_norms(p)\n", ""), [steps_by_hand("adamw")]),
    Fault("what moves is not limited", attribute(view_update, "LIMIT_Z", text("limit_norms(p)\n", "")), [SCHEDULE_FREE]),
    Fault(
        "what is limited does not move", attribute(view_update, "LIMIT_Z", text("np.copyto(z, weights)\n", "")), [SCHEDULE_FREE]
    ),
    Fault(
        "the average does not move", in_script("run.optimizer.average(run.p, p, lr, step)", "pass"), [steps_by_hand("adamw")]
    ),
    clip("test_global_norm", "global_norm", "{max} / norm", "{max} / norm**2"),
    Fault("numbers below 0 are not cut", row(CLIPS, "value", in_clip("-{max}", "-1e9")), [test_clips.test_value]),
    clip("test_parameter_norm", "parameter_norm", "{max} / max({max}, ", "{max} / max(1, "),
    clip("test_adaptive", "adaptive", "axis=-1, keepdims=True), {eps}", "axis=-2, keepdims=True), {eps}"),
    clip("test_adaptive", "adaptive", "np.maximum(np.linalg.norm(weights, axis=-1, keepdims=True), {eps})", "{eps}"),
    Fault("skipped steps count as steps", in_script("step - run.clipped", "step"), [skipped("nadam(lr=0.03)")]),
    Fault("steps are not skipped", in_script("if not clipped:", "if True:"), [skipped("sgd(lr=0.1, momentum=0.9)")]),
    Fault("a resumed run counts clipped steps anew", in_script('int(entries["run/clipped"])', "0"), [resumed("skip")]),
    Fault("another norm", in_script("math.sqrt(np.dot(g.trained, g.trained))", "float(abs(g.trained).sum())"), BY_HAND),
    Fault("no correction of Adam's start", row(OPTIMIZERS, "adam", START), BY_HAND),
    Fault("the warm-up is one step late", attribute(schedules, "WARMUP", text("LR * step", "LR * (step - 1)")), WARM_UP),
    Fault("the learning rate is one step late", row(SCHEDULES, "exponential", text("done", "(done + 1)")), BY_HAND),
    Fault("half the gradient of l2", row(PENALTIES, "l2", in_penalty("    scratch *= 2\n", "")), models(0)),
    Fault("the gradient of l1 is lost", row(PENALTIES, "l1", in_penalty("g.vector += scratch", "pass")), BY_HAND),
    optimizer("sgd nesterov", "np.multiply(velocity, {momentum}, out=change)", "np.copyto(change, velocity)"),
    optimizer("sgd momentum", "velocity += gradient", "velocity += (1 - {momentum}) * gradient"),
    optimizer("adam", "1 - {beta1}**step", "1"),
    optimizer("adam amsgrad", "np.maximum(v_max, v, out=v_max)", "v"),
    optimizer("adamw", "lr * {decay}", "{decay}"),
    optimizer("nadam", "mu, ahead =", "ahead, mu ="),
    optimizer("nadam", "product *= mu", "product *= ahead"),
    optimizer("radam", "length > 5", "length > 50"),
    optimizer("radam", "(rectified * (1 - {beta2}**step))", "(1 - {beta2}**step)"),
    optimizer("rmsprop centered", "np.multiply(m, m, out=change)", "change[:] = 0"),
    optimizer("rmsprop momentum", "velocity += change", "velocity += change * (1 - {momentum})"),
    optimizer("adagrad", "v += change", "v[:] = change"),
    optimizer("adadelta", "np.add(u, {eps}, out=change)", "np.add(u, 0, out=change)"),
    optimizer("adadelta", "np.multiply(change, change, out=gradient)", "np.multiply(gradient, gradient, out=gradient)"),
    optimizer("lion", "(1 - {beta2}) / (1 - {beta1})", "(1 - {beta2})"),
    optimizer("adafactor", "/ max(rows[name].mean(), tiny)", ""),
    optimizer("adafactor", "/ {d})", "* 2)"),
    optimizer("adafactor", "step**{beta2_decay}", "0.001"),
    optimizer("schedule_free_adamw", "root = (1 - {beta2}**step) ** 0.5", "root = 1"),
    averaging("lr**2 / float(total)", "1 / step"),
    averaging("np.multiply(z, 1 - {momentum}, out=change)", "np.copyto(change, z)"),
    average("ema(0.9)", "1 if step == 1 else ", ""),
    average("polyak(start=30)", "- {start} + 1", "- {start}"),
    Fault("the average adds up", attribute(averages, "FOLLOW", text("np.subtract(weights, average", "np.add(weights, 0")), EMA),
    Fault(
        "the parameters are validated, not their average",
        in_script('measure(run.p, "valid")', 'measure(run.raw, "valid")'),
        [shown],
    ),
    Fault(
        "a resumed run goes on from the average",
        in_script('{name: entries[f"raw/{name}"]', "{name: entries[name]"),
        [resumed("ema(0.9)")],
    ),
    Fault(
        "a resumed run forgets its plateaus",
        in_script('self.plateau[:] = entries["run/plateau"]', "pass"),
        [resumed("plateau that acts")],
    ),
    Fault(
        "a resumed run forgets the optimizer",
        in_script("        vector[...] = entries", "        vector[...] += 0 * entries"),
        [resumed("adam")],
    ),
    schedule("step", "done //", "(done + 1) //"),
    schedule("exponential", "done", "(done + 1)"),
    schedule("cosine", "done", "(done + 1)"),
    schedule("linear", "({final} - LR)", "{final}"),
    schedule("inverse_sqrt", "math.sqrt", ""),
    schedule("cosine_restarts", "cycle * {growth}", "cycle + {growth}"),
    schedule("one_cycle", "{pct_start} * steps - 1", "{pct_start} * steps"),
    schedule("one_cycle", "/ {div_factor} / {final_div_factor}", "/ {final_div_factor}"),
    plateau("min(waited + 1, 0)", "0"),
    plateau("{first}", "0"),
    plateau("waited > {patience}", "waited >= {patience}"),
    plateau("best * (1 - {threshold})", "best"),
    plateau("max(factor * {factor}, {final} / LR)", "factor * {factor}"),
    schedule("cosine", "(LR - {final})", "LR"),
]
