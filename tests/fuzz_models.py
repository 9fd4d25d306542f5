"""Random models through the whole compiler, their gradients against references made from the equations.

    python -m tests.fuzz_models --n 5000 --seed 1 --level 0 1 --torch-every 10
    python -m tests.fuzz_models --device gpu --n 500
    python -m tests.fuzz_models --n 1000 --wider

The front end must read the text of each model as the tree that it was printed from.  Then the model is compiled at each
level, and `loss_and_gradients` runs on one batch, on another, and on the first again: nothing may stay behind.  What it
gives must equal complex steps (and torch, for every k-th model) and be the same at all levels.  Scripts for a GPU run on the
stand-in, with the threads of each model in an order of its own, and must give the same bits when they are recorded and
repeated.  Prints every spec that fails; exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np

from rnnspec import compile_spec
from rnnspec.compiler import LEVELS, Compiled
from rnnspec.frontend.typed import Call, Model, walk
from rnnspec.script.devices import DEVICES, Name
from rnnspec.verify.compare import GradientMismatch, compare
from rnnspec.verify.in_complex import LIBRARY, gradients_by_complex_step
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import Probe, longest_lag, probe
from rnnspec.verify.reference import DRAWN, Reference
from tests.models import random_sketch
from tests.sketch import Sketch
from tests.wider_models import wider_sketch

TOLERANCE = 1e-11
BETWEEN_LEVELS = 1e-12
ROUND_OFF = 1e-13

WAYS = {
    ", all steps in a launch": {"BARRIER": 0.0},
    ", a launch a step": {"BARRIER": 1.0},
    ", products by the library": {"PRODUCT": 0.0, "KERNEL": 0.0},
}
"""What a script for a GPU with products in its kernels must believe of their costs in order to go one of its ways."""

Result = tuple[float, dict[str, np.ndarray]]
Drawn = list[np.ndarray] | None


class IllConditioned(Exception):
    """A model passed, but only up to what round-off does to it."""


def main(arguments: list[str] | None = None) -> int:
    """Check `--n` models; returns the exit code."""
    parser = argparse.ArgumentParser(description="Random models through the whole compiler.")
    parser.add_argument("--n", type=int, default=200, help="how many models")
    parser.add_argument("--seed", type=int, default=0, help="number of the first model")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what the scripts are for")
    parser.add_argument("--level", type=int, nargs="+", help="optimisation levels; those of the device")
    parser.add_argument("--torch-every", type=int, default=10, help="compare every k-th model with torch as well")
    parser.add_argument("--wider", action="store_true", help="models of `tests/wider_models.py`")
    chosen = parser.parse_args(arguments)
    maker = wider_sketch if chosen.wider else random_sketch
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(chosen.seed, chosen.seed + chosen.n):
        try:
            sketch = maker(random.Random(seed))
            check_sketch(sketch, seed, chosen.level, seed % chosen.torch_every == 0, chosen.device)
            counts["right"] += 1
        except IllConditioned:
            counts["right, but ill-conditioned"] += 1
        except Exception as error:  # whatever goes wrong is a find
            counts["wrong"] += 1
            report(seed, error, maker(random.Random(seed)).text())
    listed = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{chosen.n} models from seed {chosen.seed} in {time.monotonic() - began:.0f} s: {listed}")
    return 1 if counts["wrong"] or sum(counts.values()) != chosen.n else 0


def check_sketch(
    sketch: Sketch, seed: int, levels: Sequence[int] | None = None, with_torch: bool = False, device: Name = "cpu"
) -> None:
    """Check one model at the probe of a seed, at all levels of the device if none are named; raises what is wrong with it."""
    levels = levels or LEVELS[device]
    with tempfile.TemporaryDirectory() as folder:
        path = sketch.write(Path(folder))
        compiled = {level: compile_spec(path, device, level) for level in levels}
    model = compiled[levels[0]].spec.model
    read_as_printed(sketch, model)
    steps, batch, step = max(5, longest_lag(model) + 2), 3, 3
    first, second = probe(model, seed, steps, batch), probe(model, seed + 1, steps + 1, batch + 1)
    with host_of(device, schedule=seed):
        scripts = loaded(compiled)
        drawing = [script for script in scripts.values() if hasattr(script, "draws")]  # none if nothing of it is used
        drawn = list(drawing[0].draws(step, steps, batch)) if drawing else []
        results = {name: run(script, first, second, step) for name, script in scripts.items()}
        for name, script in scripts.items():
            forward_agrees(name, script, model, first)
            if device == "gpu":
                repeats(script, first, step)
    loss, want = gradients_by_complex_step(model, first.params, first.batch, drawn)
    reference = {"": np.array(loss), **want}
    try:
        agree(results, reference, 1.0)
    except GradientMismatch:
        agree(without_round_off(results, reference), reference, conditioning(model, first, drawn, want))
        raise IllConditioned from None
    if with_torch:
        conditioning(model, first, drawn, want)


def host_of(device: Name, schedule: int) -> AbstractContextManager[object]:
    """Where scripts for a device can run: those for a GPU on the stand-in, which needs Linux and its compiler."""
    if device == "cpu":
        return nullcontext()
    from tests.gpu.cupy_stand_in import cupy_on_host

    return cupy_on_host(schedule)


def loaded(compiled: Mapping[int, Compiled]) -> dict[str, ModuleType]:
    """The script of each level, in each of the ways that it may choose from."""
    scripts = {}
    for level, made in compiled.items():
        for way, costs in WAYS.items() if "launch_together(" in made.source else [("", {})]:
            scripts[f"level {level}{way}"] = script = made.load()
            vars(script).update(costs)
    return scripts


def read_as_printed(sketch: Sketch, model: Model) -> None:
    """The front end must find the very tree that the text was printed from (cells and random numbers aside)."""
    want = sketch.model()
    dropped = want is not None and any(info.weight_drop for info in want.parameters)
    if want is None or dropped or is_random(want) or is_normalised(want):
        return
    for part in ("inputs", "targets", "loss", "masked"):
        if getattr(model, part) != getattr(want, part):
            raise AssertionError(f"{part}: read as {getattr(model, part)}")
    for made, wanted in ((model.equations, want.equations), (model.starts, want.starts)):
        if set(made) != set(wanted):
            raise AssertionError(f"read as {set(made) - set(wanted)}, should be {set(wanted) - set(made)}")


def forward_agrees(name: str, script: ModuleType, model: Model, at: Probe) -> None:
    """`loss` and `predict`, which draw nothing, must give what the equations give at all valid steps."""
    values = Reference(model, LIBRARY).run({name: value[None] for name, value in at.params.items()}, at.batch)
    got = {"": np.array(script.loss(at.params, at.batch))}
    want = {"": values.loss_parts().sum()}
    inputs = {name: value for name, value in at.batch.items() if name not in {t.name for t in model.targets}}
    for name, predicted in script.predict(at.params, inputs).items():
        got[name], want[name] = predicted, values.over_time(name)
        if model.masked and name in values.steps:
            valid = np.arange(predicted.shape[1]) < at.batch["length"][:, None]
            got[name], want[name] = got[name][valid], want[name][valid]
    same(f"{name}: loss and predict", got, want, TOLERANCE)


def conditioning(model: Model, at: Probe, drawn: Drawn, want: dict[str, np.ndarray]) -> float:
    """How much more than the usual error a model may have: 20 times the distance between torch and complex steps."""
    _, other = gradients_by_torch(model, at.params, at.batch, drawn)
    try:
        distances = compare(other, want, 1e-6)
    except GradientMismatch as mismatch:
        raise AssertionError(f"the references differ: {mismatch}") from None
    return max(1.0, *(20 * d.error / TOLERANCE for d in distances if np.isfinite(d.error)))


def without_round_off(results: dict[str, Result], want: dict[str, np.ndarray]) -> dict[str, Result]:
    """Results with zero for what both references find to be exactly zero, and round-off keeps from being so.

    The layer norm of a vector with equal elements multiplies the last digit by 1 / sqrt(eps) = 316: 2.2e-16 * 316 = 7e-14.
    """
    most = ROUND_OFF * max(1.0, *(float(np.linalg.norm(w)) for w in want.values()))

    def settled(name: str, got: np.ndarray) -> np.ndarray:
        return np.zeros_like(got) if not want[name].any() and np.linalg.norm(got) <= most else got

    return {name: (loss, {n: settled(n, g) for n, g in found.items()}) for name, (loss, found) in results.items()}


def agree(results: dict[str, Result], want: dict[str, np.ndarray], factor: float) -> None:
    """All scripts must give the reference, and the same among each other."""
    first, *others = names = list(results)
    found = {name: {"": np.array(loss), **gradients} for name, (loss, gradients) in results.items()}
    for name in names:
        same(f"{name} against complex steps", found[name], want, TOLERANCE * factor)
    for name in others:
        same(f"{name} against {first}", found[name], found[first], BETWEEN_LEVELS * factor)


def run(script: ModuleType, first: Probe, second: Probe, step: int) -> Result:
    """The result for `first`, which must be the same after a call with another batch."""
    loss, gradients = script.loss_and_gradients(first.params, first.batch, step=step)
    kept = {name: value.copy() for name, value in gradients.items()}
    script.loss_and_gradients(second.params, second.batch, step=step)
    again, repeated = script.loss_and_gradients(first.params, first.batch, step=step)
    if again != loss or any(not np.array_equal(kept[name], repeated[name], equal_nan=True) for name in kept):
        raise GradientMismatch("the same batch gives another result after a call with another batch")
    return loss, kept


def repeats(script: ModuleType, at: Probe, step: int) -> None:
    """Forward and backward of a script for a GPU must give the same bits when they are called, recorded, and repeated."""
    from tests.gpu.graphs import replayed

    called, *graphs = replayed(script, at, times=3, step=step)
    if any(not np.array_equal(graph[name], called[name], equal_nan=True) for graph in graphs for name in called):
        raise GradientMismatch("a recorded step gives another result")


def same(what: str, got: dict[str, np.ndarray], want: dict[str, np.ndarray], tolerance: float) -> None:
    """Compare, and say what was compared where it fails."""
    try:
        compare(got, want, tolerance)
    except GradientMismatch as mismatch:
        raise GradientMismatch(f"{what}: {mismatch}", mismatch.distances) from None


def is_random(model: Model) -> bool:
    """Whether any equation draws random numbers."""
    nodes = (node for equation in model.equations for node in walk(equation.expr))
    return any(isinstance(node, Call) and node.function in DRAWN for node in nodes)


def is_normalised(model: Model) -> bool:
    """Whether any equation has running averages, which the text does not show."""
    nodes = (node for equation in model.equations for node in walk(equation.expr))
    return any(isinstance(node, Call) and node.function == "batch_norm" for node in nodes)


def report(seed: int, error: Exception, spec: str) -> None:
    """Print a find: the seed, what is wrong, and the spec."""
    print(f"---- seed {seed}: {type(error).__name__}: {error}")
    if not isinstance(error, GradientMismatch):
        print("".join(traceback.format_tb(error.__traceback__)[-3:]))
    print(spec, flush=True)


if __name__ == "__main__":
    sys.exit(main())
