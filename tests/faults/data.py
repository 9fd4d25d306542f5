"""Wrong data and wrong initial values: what every batch and every run starts from."""

from __future__ import annotations

from rnnspec.script import view_data
from rnnspec.script.initialisers import INITIALISERS, Initialiser
from tests import test_bucket, test_initialisers
from tests.faults.planting import Fault, Plant, attribute, instead, row, text


def rounded_down(right: Initialiser) -> Initialiser:
    """One zero fewer in each column."""
    return Initialiser(right.value, text("math.ceil", "math.floor")(right.function))


def bucketed() -> None:
    """Batches of similar lengths, compiled anew."""
    test_bucket.script.cache_clear()
    try:
        test_bucket.test_every_sequence_is_drawn_once("train")
        test_bucket.test_the_order_is_random_and_repeatable()
    finally:
        test_bucket.script.cache_clear()


def batches(code: str) -> Plant:
    """Where batches of similar lengths begin."""
    return attribute(view_data, "SHUFFLED_BATCHES", instead(code))


LEFT_OUT = 'generator(seed, "order", epoch, 1).permutation(n // BATCH) * BATCH'

FAULTS = (
    Fault("the input gate starts like the forget gate", row(INITIALISERS, "negative", instead(Initialiser("{of}"))),
          [test_initialisers.test_chrono]),
    Fault("sparse columns have a zero too few", row(INITIALISERS, "sparse", rounded_down),
          [test_initialisers.test_sparse_is_that_of_torch]),
    Fault("batches of similar lengths leave the last one out", batches(LEFT_OUT), [bucketed]),
    Fault("batches of similar lengths come in order", batches("range(0, n, BATCH)"), [bucketed]),
)  # fmt: skip
