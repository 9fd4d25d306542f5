"""Random models as scripts for a GPU: their gradients on the stand-in against references made from the equations."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from rnnspec.compiler import compile_spec
from rnnspec.passes import vjps
from rnnspec.verify.compare import GradientMismatch
from tests.corpus import place
from tests.fuzz_models import check_sketch, repeats, same
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.gpu_scripts import compiled, through_windows
from tests.gpu.marks import needs_compiler
from tests.models import random_sketch
from tests.sketch import Sketch
from tests.test_random_models import FOUND
from tests.test_truncation import SHORT, TWO, truncated
from tests.windowed import CUTS, OVERLAPPING, windows

pytestmark = needs_compiler
TOLERANCE = 1e-10


@pytest.mark.parametrize("name", FOUND)
def test_what_failed_once(name: str) -> None:
    check_sketch(FOUND[name], seed=1, device="gpu")


@pytest.mark.parametrize("seed", range(12))
def test_random_models(seed: int) -> None:
    check_sketch(random_sketch(random.Random(seed)), seed, device="gpu")


@pytest.mark.parametrize("number", range(4))
def test_random_models_in_windows(number: int, tmp_path: Path) -> None:
    """Each test looks for a suitable model among seeds of its own."""
    seed = next(seed for seed in range(1000 * number, 1000 * number + 1000) if truncated(seed))
    sketch = truncated(seed)
    assert sketch is not None
    check_in_windows(sketch, seed, tmp_path)


def test_words_of_a_kernel_in_windows(tmp_path: Path) -> None:
    check_in_windows(FOUND["words_of_a_kernel"], 1, tmp_path)


def check_in_windows(sketch: Sketch, seed: int, folder: Path) -> None:
    """The windows of a model at both levels, against the script for a CPU; raises GradientMismatch."""
    path = sketch.write(folder)
    text = path.read_text()
    for truncation, several in (("tbptt(4)", (CUTS, SHORT)), (TWO, (OVERLAPPING,))):
        path.write_text(f"{text}  truncation: {truncation}\n")
        cpu, *gpu = (compile_spec(path, device, level) for device, level in (("cpu", 1), ("gpu", 1), ("gpu", 2)))
        for cuts in several:
            steps = windows(cpu.spec.model, seed, cuts)
            want = through_windows(cpu.load(), steps)
            for made in gpu:
                with cupy_on_host(schedule=seed):
                    found = through_windows(made.load(), steps)
                for number, (got, right) in enumerate(zip(found, want, strict=True), 1):
                    same(f"level {made.level}, window {number}", got, right, TOLERANCE)


# ------------------------------------------------------------------ the checks bite


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vjps.VJPS, "squash", lambda graph, y, dy: [(y.args[0], dy)])
    with pytest.raises(GradientMismatch, match="level 1 against complex steps"):
        check_sketch(FOUND["same_for_all_steps"], seed=1, device="gpu")


def test_what_a_graph_does_not_repeat_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)
    with cupy_on_host():
        script = compiled("adding.rnn").load()
        repeats(script, place("adding.rnn"), step=1)
        monkeypatch.setattr(script, "forward", lambda p, w: w.loss.fill(next(calls)))
        with pytest.raises(GradientMismatch, match="a recorded step gives another result"):
            repeats(script, place("adding.rnn"), step=1)
