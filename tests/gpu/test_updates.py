"""The update of a script for a GPU against that of the script for a CPU, 100 steps from the same gradients in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.gpu.updates.averages import AVERAGES
from rnnspec.script.gpu.updates.clips import CLIPS
from rnnspec.script.gpu.updates.optimizers import OPTIMIZERS
from tests.gpu.cupy_stand_in import Stream, cupy_on_host
from tests.gpu.device import Device
from tests.gpu.updates import Case, DeviceRun, Result, case, on_cpu, on_gpu, on_host
from tests.test_optimizers import CASES
from tests.training_specs import ATTRIBUTES, MAX_NORM, STEPS, Named, assert_close, gradient

LIMIT = 1e-12
SLOW = {"adafactor": 30}
"""Steps of an optimizer whose kernels take the stand-in long; the others run for all of them."""

CLIPPING = ("global_norm(2)", "parameter_norm(1.5)", "value(0.5)", "adaptive(ratio=0.9, eps=0.9)", "skip(max=30)", "none")
AVERAGING = ("ema(0.9)", "polyak", "polyak(start=30)")


@pytest.fixture
def device() -> Iterator[Device]:
    """A device whose threads run in an order that is not the natural one."""
    with cupy_on_host(schedule=1) as found:
        yield found


def assert_equal(got: Result, want: Result) -> None:
    """The same parameters, state and reports, up to rounding."""
    assert_close(got.shown, want.shown, LIMIT)
    assert_close(got.raw, want.raw, LIMIT)
    assert_close(got.saved, want.saved, LIMIT)
    for step, (found, wanted) in enumerate(zip(got.reports, want.reports, strict=True), start=1):
        assert found == pytest.approx(wanted, rel=LIMIT, abs=0), f"step {step}"


def compare(chosen: Case) -> None:
    """The same steps on both."""
    train = dict(chosen.train)
    steps = SLOW.get(train.get("optimizer", "").partition("(")[0], STEPS)
    want = on_cpu(chosen.on_cpu(), train.get("clip", "").startswith("skip"), steps=steps)
    assert_equal(on_gpu(chosen.on_gpu(), steps=steps), want)


def test_every_row_has_a_row_for_a_gpu() -> None:
    assert set(OPTIMIZERS) == set(SETTINGS["optimizer"]) == {name.partition(" ")[0] for name in CASES}
    assert set(CLIPS) == set(SETTINGS["clip"]) == {clip.partition("(")[0] for clip in CLIPPING}
    assert set(AVERAGES) == set(SETTINGS["average"]) == {average.partition("(")[0] for average in AVERAGING}


def full(name: str) -> Case:
    """An optimizer with penalties, a learning rate of its own for one parameter, and a limit where there may be one."""
    return case(ATTRIBUTES + MAX_NORM, optimizer=CASES[name][0])


@pytest.mark.parametrize("name", CASES)
def test_optimizer(device: Device, name: str) -> None:
    compare(full(name))


@pytest.mark.parametrize("name", ["sgd", "schedule_free_adamw"])
def test_without_attributes(device: Device, name: str) -> None:
    compare(case(optimizer=CASES[name][0]))


@pytest.mark.parametrize("name", ["sgd momentum", "nadam"])
@pytest.mark.parametrize("clip", CLIPPING)
def test_clip(device: Device, name: str, clip: str) -> None:
    compare(case(ATTRIBUTES, optimizer=CASES[name][0], clip=clip))


@pytest.mark.parametrize("clip", ["global_norm(2)", "value(0.5)"])
def test_clip_before_whole_parameters(device: Device, clip: str) -> None:
    compare(case(optimizer=CASES["adafactor"][0], clip=clip))


@pytest.mark.parametrize("params", ["", "params:\n" + MAX_NORM], ids=["", "max_norm"])
@pytest.mark.parametrize("average", AVERAGING)
def test_average(device: Device, average: str, params: str) -> None:
    compare(case(params, optimizer="adamw(lr=0.03)", average=average))


def test_average_of_steps_that_count(device: Device) -> None:
    compare(case(optimizer="nadam(lr=0.03)", clip="skip(max=30)", average="polyak(start=5)"))


LARGE = {
    "adamw": {"params": ATTRIBUTES + MAX_NORM, "optimizer": "adamw(lr=0.03)", "clip": "global_norm(2)", "average": "ema(0.9)"},
    "adafactor": {"optimizer": "adafactor(lr=0.03)", "clip": "parameter_norm(1.5)"},
    "sgd": {"optimizer": "sgd(lr=0.03)", "clip": "adaptive(ratio=0.9, eps=0.9)"},
}
"""With 130 units, rows and sums are longer than the blocks that add them up."""


@pytest.mark.parametrize("name", LARGE)
def test_many_blocks(device: Device, name: str) -> None:
    chosen = case(units=130, **LARGE[name])
    want = on_cpu(chosen.on_cpu(), steps=3)
    assert_equal(on_gpu(chosen.on_gpu(), steps=3), want)
    assert want.reports[-1]["clipped"] > 0


@pytest.mark.parametrize("clip", [clip for clip in CLIPPING if clip != "none"])
def test_some_steps_are_clipped_and_some_are_not(clip: str) -> None:
    chosen = case(ATTRIBUTES, optimizer=CASES["sgd momentum"][0], clip=clip)
    counts = [report["clipped"] for report in on_cpu(chosen.on_cpu(), clip.startswith("skip")).reports]
    assert 5 < counts[-1] < STEPS - 5 or clip.startswith(("parameter_norm", "value", "adaptive"))


# ------------------------------------------------------------------ steps that do not count


def everything(run: DeviceRun) -> Named:
    """All that lasts from step to step."""
    found = run.result()
    return {f"{kind}/{name}": array for kind in ("shown", "raw", "saved") for name, array in getattr(found, kind).items()}


def assert_same(got: Named, want: Named) -> None:
    """The same bits."""
    assert set(got) == set(want)
    assert all(got[name].tobytes() == want[name].tobytes() for name in want)


def spoiled(parameter: str, value: float) -> Named:
    """A gradient with one number that is wrong."""

    def found(params: Named, step: int) -> Named:
        gradients = gradient(params, step)
        gradients[parameter].flat[1] = value
        return gradients

    return found


BAD = {
    "loss": ("b_h", 0.0, math.nan, "the length of the gradient"),
    "not a number": ("W_h", math.nan, 3.0, "W_h"),
    "infinite": ("V_y", -math.inf, 3.0, "V_y"),
    "too long": ("W_x", 1e200, 3.0, "the length of the gradient"),
}
"""Where the gradient is wrong, by which number; the loss; what is said to be not finite, if it is not the loss."""


@pytest.mark.parametrize("name", CASES)
def test_nothing_changes_from_a_bad_step_on(device: Device, name: str) -> None:
    for parameter, number, loss, what in BAD.values():
        run = DeviceRun(full(name).on_gpu())
        for step in (1, 2):
            run.learn(step)
        before = everything(run)
        bad = run.learn(3, spoiled(parameter, number), loss)
        assert (bad["bad_step"], bad["applied"]) == (3, 2)
        assert run.made.first_not_finite(int(bad["bad_place"])) == what
        assert run.learn(4) == pytest.approx(bad, nan_ok=True)
        assert_same(everything(run), before)


@pytest.mark.parametrize("clip", CLIPPING)
def test_a_clip_does_not_hide_what_is_not_finite(device: Device, clip: str) -> None:
    run = DeviceRun(case(ATTRIBUTES, optimizer=CASES["sgd momentum"][0], clip=clip).on_gpu())
    report = run.learn(1, spoiled("W_h", math.inf))
    assert (report["bad_step"], report["clipped"], report["applied"]) == (1, 0, 0)
    assert run.made.first_not_finite(int(report["bad_place"])) == "W_h"


@pytest.mark.parametrize("name", ["nadam", "schedule_free_adamw", "adafactor"])
def test_a_skipped_step_changes_nothing(device: Device, name: str) -> None:
    run = DeviceRun(case(optimizer=CASES[name][0], clip="skip(max=30)").on_gpu())
    run.learn(1)
    before = everything(run)
    report = run.learn(2, spoiled("W_h", 31.0))
    assert (report["clipped"], report["applied"], report["left"], report["bad_step"]) == (1, 1, 0, 0)
    assert_same(everything(run), before)
    assert run.learn(3)["applied"] == 2
    assert any((everything(run)[key] != value).any() for key, value in before.items())


# ------------------------------------------------------------------ the device

ALL_AT_ONCE = case(
    ATTRIBUTES + MAX_NORM, optimizer=CASES["adafactor"][0], clip="adaptive(ratio=0.9, eps=0.9)", average="ema(0.9)"
)


@pytest.mark.parametrize("chosen", [ALL_AT_ONCE, full("adamw")], ids=["adafactor", "adamw"])
def test_the_order_of_threads_changes_no_bit(chosen: Case) -> None:
    found = []
    for schedule in range(4):
        with cupy_on_host(schedule):
            run = DeviceRun(chosen.on_gpu())
            reports = [run.learn(step) for step in range(1, 6)]
            found.append((everything(run), reports))
    for got, reports in found[1:]:
        assert_same(got, found[0][0])
        assert reports == found[0][1]


def test_a_recorded_update_is_the_same(device: Device) -> None:
    text, plain = ALL_AT_ONCE.on_gpu(), DeviceRun(ALL_AT_ONCE.on_gpu())
    reports = [plain.learn(step) for step in range(1, 4)]
    run, stream = DeviceRun(text), Stream(non_blocking=True)
    run.learn(1)  # compiles
    with stream:
        stream.begin_capture()
        run.optimizer.update(run)
        graph = stream.end_capture()
    for step in (2, 3):
        run.bring(step, gradient(on_host(run.raw.named), step))
        graph.launch()
        assert run.reported() == reports[step - 1]
    assert_same(everything(run), everything(plain))


@pytest.mark.parametrize("name", ["nadam", "adafactor", "schedule_free_adamw"])
def test_a_run_goes_on_from_what_was_saved(device: Device, name: str) -> None:
    run = DeviceRun(full(name).on_gpu())
    for step in range(1, 4):
        run.learn(step)
    resumed = DeviceRun(full(name).on_gpu())
    pairs = [(run.p.named, resumed.p.named), (run.raw.named, resumed.raw.named)]
    pairs.append((run.optimizer.saved(), resumed.optimizer.saved()))
    for old, new in pairs:
        for key, array in old.items():
            new[key].set(array.get())
    resumed.report.set(run.report.get())
    for one in (run, resumed):
        one.learn(4)
    assert_same(everything(resumed), everything(run))


@pytest.mark.parametrize("name", ["adamw", "adafactor", "nadam"])
def test_single_precision(device: Device, name: str) -> None:
    want = on_cpu(full(name).on_cpu(), steps=20)
    run = DeviceRun(full(name).on_gpu(), np.float32)
    for step in range(1, 21):
        run.learn(step)
    got = run.result()
    assert all(array.dtype == np.float32 for array in got.raw.values())
    assert_close(got.raw, want.raw, 2e-5)
    assert {key: array.shape for key, array in got.saved.items()} == {key: array.shape for key, array in want.saved.items()}


# ------------------------------------------------------------------ the checks bite

FIXED = ATTRIBUTES.replace("{trainable: false}", "{trainable: false, l1: 0.3}")
ADAMW = case(FIXED + MAX_NORM, optimizer="adamw(lr=0.03)", clip="global_norm(2)", average="ema(0.9)")
SKIP = case(optimizer="nadam(lr=0.03)", clip="skip(max=30)", average="polyak(start=5)")
ADAFACTOR = case(optimizer="adafactor(lr=0.5)", clip="parameter_norm(1.5)")
MUTANTS = [
    (ADAMW, "beta1 = 0.9,", "beta1 = 0.9000001,"),
    (ADAMW, "m = beta1 * m +", "m = beta2 * m +"),
    (ADAMW, "(1 - beta2) * gradient * gradient", "(1 - beta2) * gradient"),
    (ADAMW, "pow(double(beta2), step)", "pow(double(beta2), step + 1)"),
    (ADAMW, "weight -= change", "weight += change"),
    (ADAMW, "sqrt(v / v_share) + eps", "sqrt(v / v_share + eps)"),
    (ADAMW, "change += lr * decay * weight;", ""),
    (ADAMW, "change *= lr_scale;", ""),
    (ADAMW, "gradients[i] += 2 * l2[i] * weight", "gradients[i] += l2[i] * weight"),
    (ADAMW, "gradients[i] += l1[i] * sign(weight)", "gradients[i] -= l1[i] * sign(weight)"),
    (ADAMW, "norm > 2.0 ? 2.0 / norm : 1", "norm > 2.0 ? 1.0 / norm : 1"),
    (ADAMW, "average += share * (weight - average)", "average += share * weight"),
    (ADAMW, "step == 1 ? 1 :", "step == 2 ? 1 :"),
    (ADAMW, "if (left < norm) report[CLIPPED] += 1;", ""),
    (ADAMW, "limit / norm)", "norm / limit)"),
    (ADAMW, "i < SIZE;", "i < SIZE - 16;"),
    (ADAMW, "i < TRAINABLE;", "i < SIZE;"),
    (ADAMW, "kept_v[i] = v;", ""),
    (ADAMW, "        __syncthreads();\n        if (k < half)", "        if (k < half)"),
    (SKIP, "finite && norm <= 30.0", "finite"),
    (SKIP, "product *= mu;", ""),
    (SKIP, "kept_product[0] = product;", ""),
    (SKIP, "report[APPLIED] += 1;", ""),
    (ADAFACTOR, "1 / sqrt(step)", "1 / step"),
    (ADAFACTOR, "numbers[FRESH] * (mean", "(mean"),
    (ADAFACTOR, "fmax(1.0, moved / d)", "moved"),
    (ADAFACTOR, "matrix ? means[blockIdx.x]", "true ? means[blockIdx.x]"),
    (ADAFACTOR, "factor * factor;", "factor;"),
    (ADAFACTOR, "sum_of(squares, row[2], row[3])", "sum_of(squares, row[2], row[3] - 1)"),
]


def uneven(params: Named, step: int) -> Named:
    """A gradient that is very small for one vector."""
    found = gradient(params, step)
    return {**found, "b_h": 1e-10 * found["b_h"]}


def run_mutant(chosen: Case, text: str) -> None:
    """Some steps of a text against those on a CPU."""
    want = on_cpu(chosen.on_cpu(), chosen is SKIP, uneven, steps=12, lr=0.5)
    assert_equal(on_gpu(text, uneven, steps=12, lr=0.5), want)


@pytest.mark.parametrize(("chosen", "old", "new"), MUTANTS, ids=[f"{old} -> {new}" for _, old, new in MUTANTS])
def test_a_wrong_kernel_is_found(device: Device, chosen: Case, old: str, new: str) -> None:
    text = chosen.on_gpu()
    assert old in text
    DeviceRun(text.replace(old, new))  # it compiles
    with pytest.raises((AssertionError, RuntimeError)):
        run_mutant(chosen, text.replace(old, new))


@pytest.mark.parametrize("chosen", [ADAMW, SKIP, ADAFACTOR], ids=["adamw", "skip", "adafactor"])
def test_what_is_not_mutated_is_right(device: Device, chosen: Case) -> None:
    run_mutant(chosen, chosen.on_gpu())
