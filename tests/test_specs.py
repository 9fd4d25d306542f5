"""Every spec of the folder `specs/`: its gradients, its training, and what its script is made of."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.frontend.typed import Model
from rnnspec.script.gate import check as gate
from rnnspec.verify.compare import Array
from rnnspec.verify.in_complex import LIBRARY, ComplexStep, trainable
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import Probe
from rnnspec.verify.reference import Reference
from tests.corpus import FOLDER, LEVELS, SPECS, compiled, model_of, place, script
from tests.fuzz_models import BETWEEN_LEVELS, TOLERANCE, Drawn, Result, forward_agrees, is_random, same

ROOT = FOLDER.parent
STEP = 3
"""The training step whose random numbers are used."""
EVERY_ELEMENT = 100
"""Parameters up to this many numbers get a complex step for each, larger ones `DIRECTIONS` random ones."""
DIRECTIONS = 4

by_spec = pytest.mark.parametrize("name", SPECS)
TRUNCATED = [name for name in SPECS if compiled(name, 0).spec.train.truncation]


def test_the_folder_has_specs() -> None:
    assert len(SPECS) >= 9
    assert any(model_of(name).masked for name in SPECS)
    assert any(is_random(model_of(name)) for name in SPECS)
    assert TRUNCATED


# ------------------------------------------------------------------ gradients


def directions(model: Model, at: Probe) -> dict[str, Array]:
    """The moves of each trained parameter: one for every element of a small one, else a few random ones."""
    random = np.random.default_rng(7)
    found = {}
    for name in trainable(model):
        shape = at.params[name].shape
        size = math.prod(shape)
        moves = np.eye(size) if size <= EVERY_ELEMENT else random.standard_normal((DIRECTIONS, size)) / size**0.5
        found[name] = moves.reshape(-1, *shape)
    return found


def drawn_of(name: str, at: Probe, step: int) -> Drawn:
    """The random numbers of a training step, at least one of them zero; None for a spec that draws none."""
    model = model_of(name)
    if not is_random(model):
        return None
    batch, steps = at.batch[model.inputs[0].name].shape[:2]
    drawn = list(script(name, 0).draws(step, steps, batch))
    assert any((numbers == 0).any() for numbers in drawn)
    return drawn


def named(result: Result) -> dict[str, Array]:
    """Gradients by name, and the loss under the empty name."""
    loss, gradients = result
    return {"": np.array(loss), **gradients}


def along(result: Result, moves: dict[str, Array]) -> dict[str, Array]:
    """The derivatives along moves that gradients give, and the loss."""
    found = {name: moves[name].reshape(len(moves[name]), -1) @ result[1][name].ravel() for name in moves}
    return {"": np.array(result[0]), **found}


def derivatives(reference: ComplexStep, moves: dict[str, Array]) -> Result:
    """The loss, and its derivatives along moves."""
    return reference.loss, {name: reference.derivatives(name, moves[name]) for name in moves}


def results_agree(results: dict[int, Result], by_torch: Result, by_complex: Result, moves: dict[str, Array]) -> None:
    """Each level equals torch at every element and complex steps along all moves; the levels equal each other."""
    for level, result in results.items():
        same(f"level {level} against torch", named(result), named(by_torch), TOLERANCE)
        same(f"level {level} against complex steps", along(result, moves), named(by_complex), TOLERANCE)
    same("level 1 against level 0", named(results[1]), named(results[0]), BETWEEN_LEVELS)


@by_spec
def test_gradients_equal_both_references_at_both_levels(name: str) -> None:
    model, at = model_of(name), place(name)
    if model.masked:
        assert len(set(at.batch["length"])) > 1
    drawn, moves = drawn_of(name, at, STEP), directions(model, at)
    results: dict[int, Result] = {
        level: script(name, level).loss_and_gradients(at.params, at.batch, step=STEP) for level in LEVELS
    }
    by_torch = gradients_by_torch(model, at.params, at.batch, drawn)
    by_complex = derivatives(ComplexStep(model, at.params, at.batch, drawn), moves)
    results_agree(results, by_torch, by_complex, moves)
    assert all(np.any(gradient) for gradient in by_torch[1].values())


@by_spec
def test_loss_and_predictions_without_dropout(name: str) -> None:
    for level in LEVELS:
        forward_agrees(f"level {level}", script(name, level), model_of(name), place(name))


@pytest.mark.parametrize("name", TRUNCATED)
def test_gradients_of_a_window_that_goes_on(name: str) -> None:
    model, first, second = model_of(name), place(name, 0), place(name, 1)
    drawn, moves = drawn_of(name, second, STEP), directions(model, second)
    before = Reference(model, LIBRARY).run({n: p[None] for n, p in first.params.items()}, first.batch, drawn)
    state = before.state()
    results: dict[int, Result] = {}
    for level in LEVELS:
        module = script(name, level)
        w = module.prepare(first.batch, np.dtype(float), STEP)
        module.forward(module.views(first.params), w)
        goes_on = {**second.batch, "fresh": False}
        results[level] = module.loss_and_gradients(first.params, goes_on, step=STEP, state=w)
    by_torch = gradients_by_torch(model, first.params, second.batch, drawn, state)
    by_complex = derivatives(ComplexStep(model, first.params, second.batch, drawn, state), moves)
    results_agree(results, by_torch, by_complex, moves)
    fresh = gradients_by_torch(model, first.params, second.batch, drawn)
    assert fresh[0] != pytest.approx(by_torch[0], rel=1e-6), "the state is not seen at all"


# ------------------------------------------------------------------ training


@by_spec
def test_a_few_steps_of_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSPEC_DATA", str(FOLDER))
    losses: dict[int, list[float]] = {}
    for level in LEVELS:
        module, events = script(name, level), list[dict[str, Any]]()
        params = module.train(steps=3, report=events.append)
        found = [event["train/loss"] for event in events if event["event"] == "step"]
        assert len(found) == 3 and np.isfinite(found).all()
        assert events[0]["event"] == "start" and events[-1]["event"] == "end"
        assert all(np.isfinite(event["valid/loss"]) for event in events if event["event"] == "valid")
        assert any(not np.array_equal(params[n], value) for n, value in module.init(module.SEED).items())
        losses[level] = found
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


# ------------------------------------------------------------------ the same spec, the same bytes

COMPILE_ALL = """
import hashlib, json, sys
from pathlib import Path
from rnnspec.compiler import compile_spec
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.rnn")):
    for level in (0, 1):
        found[f"{path.name} {level}"] = hashlib.sha256(compile_spec(path, level=level).source.encode()).hexdigest()
print(json.dumps(found))
"""


def test_same_spec_same_bytes_whatever_the_hash_seed_and_folder(tmp_path: Path) -> None:
    runs = []
    for seed, folder in (("1", tmp_path / "a"), ("4242", tmp_path / "b" / "another name")):
        shutil.copytree(FOLDER, folder)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", COMPILE_ALL, str(folder)]
        runs.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True))
    here = {
        f"{name} {level}": hashlib.sha256(compiled(name, level).source.encode()).hexdigest()
        for name in SPECS
        for level in LEVELS
    }
    for run in runs:
        printed, _ = run.communicate(timeout=120)
        assert json.loads(printed) == here


# ------------------------------------------------------------------ what a script is made of


@pytest.fixture
def sources() -> Iterator[tuple[str, str]]:
    """The scripts of all specs at both levels, each with a name."""
    return ((f"{Path(name).stem}_{level}", compiled(name, level).source) for name in SPECS for level in LEVELS)


def imported(text: str) -> set[str]:
    """The modules that a script imports anywhere, without what follows the first dot."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_scripts_import_numpy_and_the_standard_library_only(sources: Iterator[tuple[str, str]]) -> None:
    for name, text in sources:
        assert imported(text) <= {"numpy", *sys.stdlib_module_names}, name
        assert "rnnspec" not in imported(text)


def test_the_gate_lets_every_script_pass(sources: Iterator[tuple[str, str]]) -> None:
    for _, text in sources:
        gate(text)


IMPORT_ALL = """
import importlib, signal, sys, threading
import numpy
sys.path.insert(0, ".")
found, writes = [], set("wax+")

def watch(event, arguments):
    if event == "open" and not set(str(arguments[1])) & writes and not (arguments[1] is None and arguments[2] & 3):
        return
    if event in ("open", "os.putenv", "os.chdir") or event.split(".")[0] in ("socket", "subprocess", "shutil", "ctypes"):
        found.append((event, arguments))
    if event in ("os.fork", "os.exec", "os.system", "os.remove", "os.rename", "os.mkdir", "os.posix_spawn"):
        found.append((event, arguments))

def state():
    return [numpy.random.get_state()[1].tolist(), numpy.geterr(), threading.active_count(), signal.getsignal(2)]

before = state()
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not found, found
assert state() == before
"""


def test_importing_a_script_has_no_side_effects(sources: Iterator[tuple[str, str]], tmp_path: Path) -> None:
    names = []
    for name, text in sources:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        names.append(name)
    command = [sys.executable, "-I", "-B", "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(names)
