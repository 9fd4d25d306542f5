"""The comparison must bite: every way in which a gradient can be wrong is refused, and so is a certificate about it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnspec.commands.report import comparison
from rnnspec.frontend.typed import Data, Model, Monitor, Setting, Spec, Train
from rnnspec.verify.certificate import Certificate, _measured, verify
from rnnspec.verify.compare import GradientMismatch, compare
from rnnspec.verify.in_torch import gradients_by_torch
from tests.test_references import elman

Gradients = dict[str, np.ndarray]


def reference() -> Gradients:
    random = np.random.default_rng(0)
    shapes = {"W": (4, 3), "U": (4, 4), "b": (4,)}
    return {name: random.standard_normal(shape) * (1e-6 if name == "b" else 1) for name, shape in shapes.items()}


def test_equal_gradients_pass_and_are_measured() -> None:
    distances = compare(reference(), reference())
    assert {d.name for d in distances} == {"W", "U", "b"}
    assert all(d.error == 0 and d.allowed for d in distances)


def test_round_off_passes() -> None:
    got = {name: value * (1 + 1e-14) for name, value in reference().items()}
    assert all(0 < d.error < 1e-13 for d in compare(got, reference()))


def test_gradients_whose_squares_are_infinite_are_compared_too() -> None:
    want = {name: value * 1e200 for name, value in reference().items()}
    assert all(d.error == 0 for d in compare(want, want))
    with pytest.raises(GradientMismatch, match="1 of 3 gradients are wrong"):
        compare({**want, "W": want["W"] * 1.01}, want)


def missing(g: Gradients) -> None:
    del g["U"]


def extra(g: Gradients) -> None:
    g["V"] = g["U"]


def renamed(g: Gradients) -> None:
    g["V"] = g.pop("U")


def transposed(g: Gradients) -> None:
    g["W"] = g["W"].T


def square_transposed(g: Gradients) -> None:
    g["U"] = g["U"].T


def with_another_axis(g: Gradients) -> None:
    g["b"] = g["b"][:, None]


def swapped(g: Gradients) -> None:
    g["W"], g["U"] = g["U"], g["W"]


def nan(g: Gradients) -> None:
    g["W"][1, 2] = np.nan


def infinite(g: Gradients) -> None:
    g["W"][1, 2] = np.inf


def all_nan(g: Gradients) -> None:
    g["b"][:] = np.nan


def zero(g: Gradients) -> None:
    g["b"][:] = 0


def negative(g: Gradients) -> None:
    g["b"] *= -1


def doubled(g: Gradients) -> None:
    g["W"] *= 2


def scaled_a_little(g: Gradients) -> None:
    g["b"] *= 1 + 1e-7


def one_element(g: Gradients) -> None:
    g["W"][0, 0] += 1e-9


FAULTS = [
    missing, extra, renamed, transposed, square_transposed, with_another_axis, swapped, nan, infinite, all_nan, zero,
    negative, doubled, scaled_a_little, one_element,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_fault_is_refused(fault: Callable[[Gradients], None]) -> None:
    got = reference()
    fault(got)
    with pytest.raises(GradientMismatch):
        compare(got, reference())


def test_a_reference_that_is_not_finite_proves_nothing() -> None:
    broken = reference()
    nan(broken)
    with pytest.raises(GradientMismatch, match="the reference is not finite for W"):
        compare(broken, broken)


def test_a_zero_reference_asks_for_zero_up_to_round_off() -> None:
    want = {**reference(), "V": np.zeros(3)}
    compare({**want, "V": np.full(3, 1e-15)}, want)
    with pytest.raises(GradientMismatch, match="V: error inf"):
        compare({**want, "V": np.full(3, 1e-9)}, want)


def test_the_message_names_the_worst_parameter_and_its_worst_element() -> None:
    got = reference()
    got["W"][2, 1] += 0.5
    got["b"][:] = 0
    with pytest.raises(GradientMismatch) as caught:
        compare(got, reference())
    first, second, third = str(caught.value).splitlines()
    assert first == "2 of 3 gradients are wrong (norm-wise relative error above 1e-11)"
    assert second.startswith("  b: error 1.0e+00") and second.endswith("(the whole gradient is zero)")
    assert third.startswith("  W: error") and "W[2, 1] is" in third
    assert [d.name for d in caught.value.distances] == ["b", "W", "U"]


class Script:
    """Stands for a generated script: right by torch, then spoiled by a fault."""

    def __init__(self, model: Model, fault: Callable[[Gradients], None] | None = None, loss: float = 0.0) -> None:
        self.model, self.fault, self.loss = model, fault, loss

    def loss_and_gradients(self, params: Gradients, batch: Gradients, step: int | None = None) -> tuple[float, Gradients]:
        loss, gradients = gradients_by_torch(self.model, params, batch)
        if self.fault:
            self.fault(gradients)
        return loss + self.loss, gradients


def spec(model: Model) -> Spec:
    data = Data(Setting("npz"), ())
    return Spec("elman", Path("elman.rnn"), "0" * 64, model, data, Train(Setting("sgd"), 2, steps=1), Monitor())


def certificate(fault: Callable[[Gradients], None] | None = None, quick: bool = False, loss: float = 0.0) -> Certificate:
    model = elman()
    return verify(Script(model, fault, loss), spec(model), quick=quick)


@pytest.mark.parametrize("quick", [False, True])
def test_a_right_script_gets_its_certificate(quick: bool) -> None:
    made = certificate(quick=quick)
    assert made.passed
    made.require()
    assert {c.parameter for c in made.checks} == {"loss", "W", "U", "b", "W_y", "b_y"}
    assert made.worst.error < 1e-12
    content = json.loads(made.to_json())
    assert content["passed"] is True and len(content["checks"]) == len(made.checks)
    assert made.to_json() == certificate(quick=quick).to_json()


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_wrong_script_gets_none(fault: Callable[[Gradients], None], quick: bool) -> None:
    made = certificate(fault, quick)
    assert not made.passed and not made.worst.passed
    with pytest.raises(GradientMismatch):
        made.require()
    assert json.loads(made.to_json())["passed"] is False


def test_complex_steps_need_no_torch() -> None:
    code = "import sys, rnnspec.verify.certificate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_wrong_loss_is_seen() -> None:
    made = certificate(loss=1e-9)
    assert [c.parameter for c in made.checks if not c.passed] == ["loss"]


def test_a_certificate_without_checks_proves_nothing() -> None:
    empty = replace(certificate(), checks=())
    with pytest.raises(GradientMismatch):
        empty.require()


def test_what_cannot_be_compared_is_a_value_error() -> None:
    for wanted, text in (({"against": ("numpy",)}, "there is no reference `numpy`"), ({"padding": True}, "equally long")):
        with pytest.raises(ValueError, match=text):
            verify(Script(elman()), spec(elman()), **wanted)  # type: ignore[arg-type]


def test_a_gradient_that_is_zero_is_not_the_worst() -> None:
    """Its relative error is that of round-off; one that is wrong is still found."""
    made = certificate()
    zero = replace(made.checks[1], error=4.6, round_off=1e-17)
    with_zero = replace(made, checks=(*made.checks, zero))
    assert with_zero.worst == made.worst and "zero, up to 1e-17" in comparison(with_zero)
    assert replace(made, checks=(*made.checks, replace(zero, passed=False, round_off=0.0))).worst.error == 4.6
    row = _measured("torch", "every element", "b", np.full(2, 1e-17), np.zeros(2))
    assert row.passed and row.round_off == pytest.approx(1.4e-17, rel=0.1)
    wrong = _measured("torch", "every element", "b", np.full(2, 1e-13), np.zeros(2))
    assert not wrong.passed and not wrong.round_off


def test_the_worst_is_the_largest_error_whatever_its_tolerance() -> None:
    made = certificate()
    first, second = replace(made.checks[0], error=1e-13, tolerance=1e-11), replace(made.checks[1], error=5e-14, tolerance=1e-12)
    assert replace(made, checks=(first, second)).worst == first


def test_the_worst_of_sampled_elements_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.verify.certificate.FULL", 8)
    monkeypatch.setattr("rnnspec.verify.certificate.SAMPLES", 8)

    def wrong_in_a_row(g: Gradients) -> None:
        g["U"][2] += 1

    sampled = [c for c in certificate(wrong_in_a_row).checks if c.parameter == "U" and "elements" in c.method]
    assert not sampled[0].passed and sampled[0].element[0] == 2 and len(sampled[0].element) == 2
