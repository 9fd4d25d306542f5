"""Wrong losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rnnspec.frontend import typed
from rnnspec.ir.graph import Graph
from rnnspec.ir.program import Value
from rnnspec.passes import functions, losses, sums
from rnnspec.passes.functions import FUNCTIONS
from rnnspec.passes.operands import Operands
from rnnspec.passes.vjps import VJPS, Contributions, d_chosen
from rnnspec.script.calls import HELPERS
from rnnspec.script.metrics import EACH_FEATURE, EACH_SEQUENCE, EACH_STEP, FORMULAS
from tests import test_ctc, test_losses, test_metrics, test_pooling
from tests.faults.planting import Check, Fault, attribute, instead, row, text
from tests.faults.rules import first_lost


def against_torch(name: str, place: str = "step") -> list[Check]:
    """One loss against torch's."""

    def check() -> None:
        with TemporaryDirectory() as folder:
            test_losses.loss_equals_torch(test_losses.CASES[name], place, True, 1, Path(folder))

    return [check]


def measured() -> None:
    """All metrics against their formulas."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSPEC_DATA", folder)
        test_metrics.metrics_agree(True, Path(folder))


def sum_of(low: Operands, value: int) -> int:
    """The sum over the features in place of their mean."""
    return sums.total(low, value)


def delta_of_one(right: Any) -> Any:
    """`delta` is not read."""
    return lambda low, call: right(low, typed.Call(call.function, call.args, (), call.when, (("delta", 1.0),)))


def twice(right: Any) -> Any:
    """A factor of 1/2 is lost."""
    return lambda low, call: low.graph.emit("scale", right(low, call), attr=2.0)


def swapped(right: Any) -> Any:
    """Prediction and target change places."""
    return lambda low, call: right(
        low, typed.Call(call.function, (*call.args[1::-1], *call.args[2:]), (), call.when, call.options)
    )


def first_only(right: Any) -> Any:
    """Every class is kept."""
    return lambda low, name, row, target: right(low, name, (1.0,) * len(row) if name == "kept" else row, target)


def plain_mean(low: Operands, terms: int, weight: int) -> int:
    """A weighted sum is divided by the number of targets."""
    return terms


def in_formula(old: str, new: str) -> Any:
    """A formula with another text."""
    return lambda right: replace(right, text=text(old, new)(right.text))


METRICS = [
    Fault("r2 of all features at once", row(FORMULAS, "r2", in_formula("{0}", "{0}.mean()")), [measured]),
    Fault("bits are nats", row(FORMULAS, "bits_per_character", in_formula(" / np.log(2)", "")), [measured]),
    Fault("hits without a look at the class", row(EACH_FEATURE, "hits", text("& (", "| (")), [measured]),
    Fault("one more than k", row(EACH_STEP, "top_k", text("< k", "<= k")), [measured]),
]


def nothing(g: Graph, y: Value, dy: int) -> Contributions:
    """As if it were a constant."""
    return []


def pooled(name: str) -> list[Check]:
    """A value over time against torch's."""

    def check() -> None:
        with TemporaryDirectory() as folder:
            test_pooling.pooling_equals_torch(name, True, 1, Path(folder))

    return [check]


def every_step(low: Operands, value: int) -> int:
    """Steps after the end of a sequence count."""
    return low.graph.emit("time_sum", low.at_time(value, "step"))


POOLS = [
    Fault("padding is summed", attribute(functions, "sum_over_time", instead(every_step)), pooled("mean")),
    Fault("a sum over time without gradient", row(VJPS, "time_sum", instead(nothing)), pooled("sum")),
    Fault("the largest of the last steps", row(VJPS, "maximum", instead(d_chosen("less"))), pooled("max")),
]


def spelt() -> None:
    """CTC against torch's."""
    with TemporaryDirectory() as folder:
        test_ctc.ctc_equals_torch(True, 1, Path(folder))


def edited() -> None:
    """The edit distance against a plain one."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSPEC_DATA", folder)
        test_ctc.edit_distance_counts(True, Path(folder))


CTC = [
    Fault("a blank between equal labels is skipped", row(HELPERS, "label_skips", text("!= labels[:-1]", ">= 0")), [spelt]),
    Fault("paths end at a label only", row(HELPERS, "label_ends", text("(row == last) | ", "")), [spelt]),
    Fault("one way to a label is forgotten", row(VJPS, "logaddexp", first_lost), [spelt]),
    Fault("equal neighbours are spelt twice", row(EACH_SEQUENCE, "edits", text("if c and c != before", "if c")), [edited]),
]
FAULTS = [
    *METRICS,
    *CTC,
    *POOLS,
    Fault(
        "weights are not in the mean",
        attribute(losses, "weighted_mean", instead(plain_mean)),
        against_torch("class weights"),
    ),
    Fault("smoothing without gradient", row(VJPS, "log_softmax", instead(nothing)), against_torch("label smoothing")),
    Fault("ignored classes are smoothed", attribute(losses, "at_class", first_only), against_torch("all of cross_entropy")),
    Fault("a sum over features", attribute(losses, "mean_of", instead(sum_of)), against_torch("mse")),
    Fault("huber ignores delta", row(FUNCTIONS, "huber", delta_of_one), against_torch("huber with delta")),
    Fault("bce takes the target for scores", row(FUNCTIONS, "bce", swapped), against_torch("bce")),
    Fault("poisson_nll takes counts for rates", row(FUNCTIONS, "poisson_nll", swapped), against_torch("poisson_nll")),
    Fault("gaussian_nll is doubled", row(FUNCTIONS, "gaussian_nll", twice), against_torch("gaussian_nll", "last")),
]
