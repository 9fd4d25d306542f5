"""Settings of `train:` that do not go together: each is refused with one message at its place."""

from __future__ import annotations

import pytest

from rnnspec.frontend.check import check
from tests.training_specs import text_of

NO_VALIDATION = "there is no validation data to watch"
SCHEDULE_FREE = "schedule_free_sgd(lr=0.1)"


@pytest.mark.parametrize(
    ("train", "split", "message", "word"),
    [
        ({"stop": "patience(2)"}, "{train: 1}", NO_VALIDATION, "patience"),
        ({"schedule": "plateau(patience=2)"}, "{train: 1}", NO_VALIDATION, "plateau"),
        ({"stop": "patience(2, on='valid.los')"}, None, "there is no `valid.los` to watch", "patience"),
        ({"schedule": "constant(warmup=100)"}, None, "`warmup` is not before the end of the run", "constant"),
        ({"average": "polyak(start=100)"}, None, "`start` is not before the end of the run", "polyak"),
        ({"schedule": "cosine(final=0.5)"}, None, "`final` is above the learning rate of the optimizer", "cosine"),
        (
            {"optimizer": SCHEDULE_FREE, "average": "ema(0.9)"},
            None,
            "`schedule_free_sgd` averages the parameters by itself",
            "ema",
        ),
    ],
)
def test_contradictions(train: dict[str, str], split: str | None, message: str, word: str) -> None:
    text = text_of(**train)
    if split:
        text = text.replace("{train: 0.8, valid: 0.1, test: 0.1}", split)
    spec, (found,) = check(text)
    assert spec is None and (found.code, found.message) == ("E0606", message)
    assert found.span is not None and found.span.text.startswith(word)


def test_what_begins_before_the_end_is_accepted() -> None:
    spec, problems = check(text_of(schedule="constant(warmup=99)", average="polyak(start=99)"))
    assert spec is not None and not problems
