"""Wrong statistics of a batch, and running averages that do something else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rnnspec.passes.vjps import VJPS
from rnnspec.script.statistics import WEIGHTS
from tests import test_batch_norm
from tests.faults.planting import Fault, instead, row
from tests.faults.scripts import in_script


def unmasked(right: tuple[str, str]) -> tuple[str, str]:
    """The weights of sequences of one length for all."""
    return right[0], right[0]


def averages_kept() -> None:
    """A run that is resumed, in a folder of its own."""
    with TemporaryDirectory() as folder:
        test_batch_norm.averages_are_kept(Path(folder))


NORMS = [partial(test_batch_norm.torch_agrees, test_batch_norm.MASKED, level) for level in (0, 1)]
CONSTANT = instead(lambda g, y, dy: [])

FAULTS = [
    Fault("padding counts in the means of a step", row(WEIGHTS, "weight_of_step", unmasked), NORMS),
    Fault("padding counts in the means of a batch", row(WEIGHTS, "weight_of_batch", unmasked), NORMS),
    Fault("variances have a bias", in_script(" * (n / (n - means))", ""), NORMS),
    Fault(
        "evaluation has the statistics of the batch",
        in_script("training[...] = step is not None", "training[...] = True"),
        NORMS,
    ),
    Fault("averages do not move", in_script("    update_averages(p, run.w)\n", ""), [averages_kept]),
    Fault("statistics of a step are constants", row(VJPS, "batch_total", CONSTANT), NORMS),
    Fault("statistics of a batch are constants", row(VJPS, "batch_sum", CONSTANT), NORMS),
]
