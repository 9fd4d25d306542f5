"""The frame of generated scripts: its templates, what may enter them, and what a script can be asked to do."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import get_args, get_origin, get_type_hints

import jinja2
import numpy as np
import pytest
from jinja2 import nodes

from rnnspec.conventions import TOKEN
from rnnspec.frontend.typed import Equation, Monitor, Parameter, Read, Spec
from rnnspec.script import gate, render
from rnnspec.script.code import Code, fill, literal, pattern, prose
from rnnspec.script.devices import DEVICES
from rnnspec.script.templates import environment
from rnnspec.script.view import View
from tests.hand_written import (
    TEXT,
    H,
    V,
    adam,
    classifier,
    classifier_body,
    elman,
    elman_body,
    elman_script,
    load,
    setting,
    values,
)
from tests.nodes import call

FOLDER = Path(__file__).parent.parent / "templates"
TEMPLATES = sorted(FOLDER.rglob("*.j2"))


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data of both specs, where scripts look for it."""
    (tmp_path / "tiny.txt").write_text(TEXT)
    rng = np.random.default_rng(0)
    length, label = rng.integers(1, 12, 40), rng.integers(0, 3, 40)
    x = rng.standard_normal((40, 12, 2)) + label[:, None, None]
    x[np.arange(12) >= length[:, None]] = np.nan
    np.savez(tmp_path / "data.npz", X=x, length=length, label=label)
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    return tmp_path


def lanes(**train: object) -> Spec:
    """The character model on an endless stream, in windows of 7 steps."""
    spec = elman(truncation=setting("tbptt", k1=7, k2=None), **train)
    return replace(spec, data=replace(spec.data, sequence=None))


SPECS = {
    "sequences": lambda: render.render(elman(clip=setting("global_norm", max=1.0)), elman_body()),
    "lanes": lambda: render.render(lanes(), elman_body()),
    "masked": lambda: render.render(classifier(), classifier_body()),
}


# ------------------------------------------------------------------ templates


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_template_is_python_before_it_is_rendered(path: Path) -> None:
    text = path.read_text()
    ast.parse(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert sum(line.startswith("#%") for line in lines) <= max(4, len(lines) / 4)
    assert max(map(len, text.splitlines())) <= 120


def test_templates_and_views_name_the_same_fields() -> None:
    used = {device: used_on(device) for device in DEVICES}
    made = {device: set(offered(View, "", device)) for device in DEVICES}
    assert all(used[device] <= made[device] for device in DEVICES)
    assert set().union(*used.values()) == set().union(*made.values())


def used_on(device: str) -> set[str]:
    """The fields that the templates of a device name: its own, and those that it has none of its own for."""
    found = {path.name: path for folder in (FOLDER, FOLDER / device) for path in TEMPLATES if path.parent == folder}
    return {use for path in found.values() for use in uses(path.read_text())}


def offered(kind: type, prefix: str, device: str) -> Iterator[str]:
    """The fields of a view as a template writes them: of a tuple, those of its elements, of a choice, those of the device."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        inner, name = hints[field.name], f"{prefix}{field.name}"
        kinds = [one for one in (inner, *get_args(inner)) if is_dataclass(one) and isinstance(one, type)]
        if len(kinds) > 1:
            kinds = [one for one in kinds if (".gpu." in one.__module__) == (device == "gpu")]
        if not kinds or get_origin(inner) is tuple:
            yield name
        for one in kinds:
            yield from offered(one, f"{name}.", device)


def uses(text: str) -> Iterator[str]:
    """The fields that a template names; those of a loop's variable count for what it runs over."""
    tree = environment().parse(text)
    loops = {loop.target.name: path(loop.iter, {}) for loop in tree.find_all(nodes.For)}  # type: ignore[attr-defined]
    inner = {id(n.node) for n in tree.find_all(nodes.Getattr)}
    for node in tree.find_all((nodes.Getattr, nodes.Name)):
        variable = isinstance(node, nodes.Name) and node.name in loops
        if id(node) not in inner and not variable and path(node, loops) not in loops.values():
            yield path(node, loops)
    yield from loops.values()


def path(node: nodes.Node, loops: dict[str, str]) -> str:
    if isinstance(node, nodes.Getattr):
        return f"{path(node.node, loops)}.{node.attr}"
    assert isinstance(node, nodes.Name)
    return loops.get(node.name, node.name)


def test_what_is_missing_in_a_view_is_an_error() -> None:
    template = environment().from_string("{{ header.titel }}")
    with pytest.raises((jinja2.UndefinedError, TypeError)):
        template.render(header=object())


def test_plain_text_cannot_be_substituted() -> None:
    template = environment().from_string("{{ name }}")
    assert template.render(name=Code("x")) == "x"
    with pytest.raises(TypeError):
        template.render(name="import os")


def test_layout_keeps_columns_and_drops_empty_substitutions() -> None:
    text = environment().from_string("def f():\n    {{ a }}\n    {{ b }}\n    return 1\n")
    assert render.layout(text.render(a=Code("x = 1\nif x:\n    x = 2"), b=Code(""))) == (
        "def f():\n    x = 1\n    if x:\n        x = 2\n    return 1\n"
    )


# ------------------------------------------------------------------ what may enter

HOSTILE = [
    '"""\nimport os\n"""',
    "'''",
    "\\",
    '\\"',
    "a\nimport os",
    "# ",
    "{{ x }}",
    "{0}",
    "\u2028import os",
    "\x00\x1e\x1f",
    "it's \"quoted\" \\' text",
    "\U0001f600 \ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_literals_give_back_the_text(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(fill("[{a}, {b}]", a=text, b=(text, 1.5, None))) == [text, (text, 1.5, None)]
    assert literal(text).isascii() and "\n" not in literal(text)


def test_patterns_are_written_raw() -> None:
    assert pattern(TOKEN) == f'r"{TOKEN}"' and ast.literal_eval(pattern(TOKEN)) == TOKEN


@pytest.mark.parametrize("text", ['a"b', "a\\", "a\nb", "ä"])
def test_patterns_that_would_not_stay_one_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no pattern"):
        pattern(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    spec = replace(elman(), name=text, path=Path("/nowhere") / text.replace("\x00", "").replace("/", ""))
    script = render.render(replace(spec, data=replace(spec.data, vocabulary=tuple(text))), elman_body())
    plain = render.render(elman(), elman_body())
    assert shape(script) == shape(plain)


def shape(script: str) -> list[str]:
    """The statements of a script, without their texts."""
    return [type(node).__name__ for node in ast.walk(ast.parse(script)) if isinstance(node, ast.stmt)]


def test_prose_is_one_harmless_line() -> None:
    for text in HOSTILE:
        assert "\n" not in prose(text) and '"' not in prose(text) and "\\" not in prose(text)
        assert prose(text).isascii()


PLANTED = [
    "import subprocess",
    "from os import system",
    "from . import x",
    "import socket",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'exec')",
    "__import__('os')",
    "open('x')",
    "().__class__",
    "np.ctypeslib",
    "os.system('ls')",
    "os.execv('x', [])",
    "os.popen('ls')",
    "np.load('x')",
    "np.load('x', allow_pickle=True)",
    "np.fromfile('x')",
    "globals()",
    "sys.modules",
    "path.rmdir()",
    "def __getattr__(name):\n    return 1",
    "x = breakpoint",
]


@pytest.mark.parametrize("line", PLANTED)
def test_gate_refuses(line: str) -> None:
    script = SPECS["sequences"]()
    with pytest.raises(gate.NotAllowed):
        gate.check(f"{script}\n{line}\n")


@pytest.mark.parametrize("line", ["import ctypes", "import cupy as cp"])
def test_gate_lets_scripts_for_a_gpu_alone_import_more(line: str) -> None:
    gate.check(line, "gpu")
    with pytest.raises(gate.NotAllowed):
        gate.check(line)


@pytest.mark.parametrize(
    "line",
    [*PLANTED, "import cupy", "cp.load('x')", "cp.fuse", "ctypes.memmove", "ctypes.pythonapi", "x = ctypes", "import torch"],
)
def test_gate_refuses_on_a_gpu(line: str) -> None:
    start = "import ctypes\nimport cupy as cp\nimport numpy as np\n"
    gate.check(start, "gpu")
    with pytest.raises(gate.NotAllowed):
        gate.check(f"{start}{line}\n", "gpu")


# ------------------------------------------------------------------ the text


def test_same_spec_same_bytes_from_two_folders() -> None:
    texts = {render.render(elman(Path(folder)), elman_body()) for folder in ("/a", "/b/c")}
    assert len(texts) == 1
    assert "/a" not in texts.pop()


@pytest.mark.parametrize("case", SPECS)
def test_script_is_clean(case: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SPECS[case]())
    rules = ["--isolated", "--no-cache", "--line-length", "120"]
    subprocess.run(["ruff", "check", *rules, "--select", "B,E,F,I,UP,W,C4,SIM,RET", script], check=True, env=with_ruff())
    subprocess.run(["ruff", "format", *rules, "--check", script], check=True, env=with_ruff())


def with_ruff() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_script_has_only_what_the_spec_uses() -> None:
    plain = render.render(replace(classifier(), data=replace(classifier().data, split=(("train", 1.0),))), classifier_body())
    for word in (
        "set_drawn",
        "penal",
        "limit_norms",
        "lr_scale",
        "validate",
        "best",
        "WINDOW",
        "VOCABULARY",
        "test/",
    ):
        assert word not in plain, word
    assert "def sample" not in plain and "def clip" not in plain


def test_head_shows_equations_with_their_lines() -> None:
    head = ast.get_docstring(ast.parse(SPECS["sequences"]()), clean=False) or ""
    assert "    h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)   elman.rnn:1\n" in head
    assert re.search(r"    loss = cross_entropy\(y\[t\], target\[t\]\) +elman.rnn:3\n", head)
    assert "0123456789ab)" in head


# ------------------------------------------------------------------ functions of a script


def test_gradients_and_predictions_at_the_border() -> None:
    script = elman_script(dtype=setting("float64"))
    params = script.init(1)
    assert {name: array.shape for name, array in params.items()}["W_hy"] == (11, 7)
    batch = next(script.batches("train"))
    assert batch["x"].shape == batch["target"].shape == (8, 10)
    loss, gradients = script.loss_and_gradients(params, batch)
    assert loss == script.loss(params, batch)
    move = {name: np.random.default_rng(5).standard_normal(array.shape) for name, array in params.items()}
    there, back = ({n: a + e * move[n] for n, a in params.items()} for e in (1e-5, -1e-5))
    along = sum((gradients[name] * move[name]).sum() for name in params)
    assert along == pytest.approx((script.loss(there, batch) - script.loss(back, batch)) / 2e-5, rel=1e-7)
    y = script.predict(params, {"x": batch["x"]})["y"]
    assert y.shape == (8, 10, 11)
    picked = np.take_along_axis(y - np.log(np.exp(y).sum(-1, keepdims=True)), batch["target"][..., None], -1)
    assert loss == pytest.approx(-picked.mean(), rel=1e-12)


def test_everything_is_computed_in_the_type_of_the_parameters() -> None:
    script = elman_script(dtype=setting("float32"))
    params = script.init()
    batch = next(script.batches("train"))
    assert script.loss_and_gradients(params, batch)[1]["W_hh"].dtype == np.float32
    double = {name: array.astype(np.float64) for name, array in params.items()}
    assert script.loss_and_gradients(double, batch)[1]["W_hh"].dtype == np.float64


def test_padding_and_untrained_parameters() -> None:
    script = load(SPECS["masked"]())
    params = script.init()
    batch = next(script.batches("train"))
    longest = batch["length"].max()
    assert batch["x"].shape == (4, longest, 2)
    assert np.isfinite(batch["x"]).all()
    _, gradients = script.loss_and_gradients(params, batch)
    assert set(gradients) == {"cell.W"}
    padded = {**batch, "x": np.pad(batch["x"], ((0, 0), (0, 3), (0, 0)))}
    np.testing.assert_allclose(script.loss(params, padded), script.loss(params, batch), rtol=1e-6)


def test_windows_carry_their_states() -> None:
    script = load(render.render(lanes(dtype=setting("float64")), elman_body()))
    params, p = script.init(2), script.Views(np.float64)
    p.fill(params)
    whole = {name: values(script, "valid")[name][:, :21] for name in ("x", "target")}
    w, found = None, []
    for first in range(0, 21, 7):
        window = {name: array[:, first : first + 7] for name, array in whole.items()}
        w = script.prepare({**window, "fresh": first == 0}, np.dtype(np.float64), state=w)
        script.forward(p, w)
        found.append(script.outputs(w)["y"])
    np.testing.assert_allclose(np.concatenate(found, axis=1), script.predict(params, whole)["y"], rtol=1e-12)


@pytest.mark.parametrize("case", ["sequences", "masked"])
def test_measures_do_not_depend_on_the_cut_into_batches(case: str) -> None:
    script = load(SPECS[case]())
    p = script.views(script.init(4))
    whole = script.measure(p, "valid")
    script.BATCH = 3
    for name, number in script.measure(p, "valid").items():
        assert number == pytest.approx(whole[name], rel=1e-5), name


def test_perplexity_is_the_exponential_of_the_mean_loss() -> None:
    script = elman_script()
    found = script.measure(script.views(script.init()), "valid")
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    assert set(found) == {"loss", "accuracy", "perplexity"}


def test_predictions_of_a_part_are_those_of_its_batches() -> None:
    script = load(render.render(lanes(), elman_body()))
    params = script.init(2)
    found = script.predictions(script.views(params), "valid")["y"]
    want = script.predict(params, {"x": values(script, "valid")["x"]})["y"]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)


def dropped(**options: object) -> ModuleType:
    """The character model with dropout between state and output."""
    spec = elman(dtype=setting("float64"))
    h = call("dropout", Read("h", (H,), "step"), rate=0.25, place=0, **options)
    y = Equation("y", call("matmul", Parameter("W_hy", (V, H)), h), "step")
    model = replace(spec.model, equations=(spec.model.equations[0], y))
    text = elman_body().text.replace("w.y[t] = p.W_hy @ w.h[t + 1]", "w.y[t] = p.W_hy @ (w.h[t + 1] * w.dropout_0[t])")
    text = text.replace("    return w\n", "    w.dropout_0 = np.ones((T, H, B), dtype)\n    return w\n")
    body = replace(elman_body(), text=text, reads=elman_body().reads | {"dropout_0"})
    return load(render.render(replace(spec, model=model), body))


def test_draws_depend_on_the_step_alone() -> None:
    script = dropped()
    (mask,) = script.draws(3, 10, 50)
    assert mask.shape == (50, 10, H) and set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert abs(mask.mean() - 1) < 0.05
    assert (script.draws(3, 10, 50)[0] == mask).all() and (script.draws(4, 10, 50)[0] != mask).any()
    assert (script.draws(3, 10, 50, seed=1)[0] != mask).any()
    assert dropped(shared="time").draws(3, 10, 50)[0].shape == (50, 1, H)


@pytest.mark.parametrize("options", [{}, {"shared": "time"}])
def test_dropout_is_used_in_training_only(options: dict[str, object]) -> None:
    script, plain = dropped(**options), elman_script(dtype=setting("float64"))
    params, batch = script.init(1), next(script.batches("train"))
    assert script.loss(params, batch) == plain.loss(params, batch)
    first, again, other = (script.loss_and_gradients(params, batch, step=n)[0] for n in (1, 1, 2))
    assert first == again != other and first != script.loss(params, batch)
    assert script.loss(params, batch) == plain.loss(params, batch)


# ------------------------------------------------------------------ training


def events_of(script: ModuleType, **arguments: object) -> tuple[dict[str, np.ndarray], list[dict[str, object]]]:
    events: list[dict[str, object]] = []
    return script.train(report=events.append, **arguments), events


def test_training_learns_and_reports() -> None:
    script = load(render.render(replace(elman(), monitor=Monitor(sample=20)), elman_body()))
    _, events = events_of(script, epochs=6)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "start" and kinds[-2:] == ["sample", "end"] and kinds.count("valid") == 6
    steps = [event for event in events if event["event"] == "step"]
    assert set(steps[0]) >= {"step", "epoch", "train/loss", "grad/norm", "lr", "time/step_ms"}
    assert steps[-1]["train/loss"] < 0.7 * steps[0]["train/loss"]  # type: ignore[operator]
    assert {"best", "seconds", "test/loss", "test/accuracy"} <= set(events[-1])
    json.dumps(events)


@pytest.mark.parametrize("spec", [elman, lanes])
def test_a_resumed_run_ends_bit_for_bit_the_same(spec: object, tmp_path: Path) -> None:
    text = render.render(spec(), elman_body())  # type: ignore[operator]
    want, events = events_of(load(text), out=tmp_path / "whole")
    total = next(e["steps"] for e in events if e["event"] == "start")
    for cut in (1, 5, int(total) - 3):  # type: ignore[call-overload]
        out, count = tmp_path / f"cut {cut}", iter(range(10**6))
        events_of(load(text), out=out, stopping=lambda count=count, cut=cut: next(count) + 1 >= cut)
        got, after = events_of(load(text), out=out, resume=True)
        assert all((got[name] == want[name]).all() for name in want)
        losses = [(e["step"], e["train/loss"]) for e in events if e["event"] == "step"]
        again = [(e["step"], e["train/loss"]) for e in after if e["event"] == "step"]
        assert again == losses[len(losses) - len(again) :] and again
        last = [np.load(folder / "last.npz") for folder in (out, tmp_path / "whole")]
        assert all((last[0][name] == last[1][name]).all() for name in last[1].files)


def test_the_state_is_part_of_a_checkpoint(tmp_path: Path) -> None:
    script = load(render.render(lanes(), elman_body()))
    events_of(script, out=tmp_path, steps=3)
    assert "carried/h" in np.load(tmp_path / "last.npz").files


def test_patience_ends_a_run_early() -> None:
    spec = elman(stop=setting("patience", epochs=2, on="valid.loss"), optimizer=adam(lr=1e-30), epochs=50)
    _, events = events_of(load(render.render(spec, elman_body())))
    assert {"event": "stopped", "reason": "patience"} in events
    assert events[-1]["event"] == "end" and events[-1]["step"] < 200  # type: ignore[operator]


def test_checkpoints_are_kept_as_told(tmp_path: Path) -> None:
    spec = elman(checkpoint=setting("every", steps=4, keep=2), epochs=None, steps=13)
    events_of(load(render.render(spec, elman_body())), out=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000012.npz", "step-00000013.npz"]
    assert {p.name for p in tmp_path.iterdir()} >= {"last.npz", "best.npz"}


@pytest.mark.parametrize("damage", ["flip", "cut", "digest", "other"])
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    script = elman_script()
    path = tmp_path / "last.npz"
    script.write(path, script.Run(0).entries())
    assert set(script.read(path)) > set(script.PARAMETERS)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    elif damage == "cut":
        content = content[: len(content) // 2]
    path.write_bytes(content)
    if damage == "digest":
        np.savez(path, **{**script.Run(1).entries(), "digest": "0" * 64})
    if damage == "other":
        script.write(path, {"W_xh": np.zeros((2, 3))})
    with pytest.raises(SystemExit, match="damaged|another model"):
        script.read(path)


def test_a_file_stays_whole_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = elman_script()
    path = tmp_path / "last.npz"
    script.write(path, script.Run(0).entries())
    before = path.read_bytes()
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            with pytest.raises(OSError, match="full"):
                script.write(path, script.Run(1).entries())
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.glob("*.tmp")] == []


def failing(*arguments: object) -> None:
    raise OSError("the disk is full")


# ------------------------------------------------------------------ command line


def run(folder: Path, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(script or SPECS["sequences"]())
    command = [sys.executable, "-I", "train.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_commands(tmp_path: Path) -> None:
    assert run(tmp_path, "train", "--events", "--steps", "6").returncode == 0
    lines = run(tmp_path, "train", "--steps", "6", "--out", "other").stdout.splitlines()
    assert lines[0].startswith("start") and lines[-1].startswith("end")
    assert lines[1].startswith("step     1   epoch 1   train/loss ")
    assert "test/loss" in json.loads(run(tmp_path, "evaluate", "--events").stdout)
    assert run(tmp_path, "predict", "--split", "valid").returncode == 0
    assert np.load(tmp_path / "run/predictions.npz")["y"].shape[1:] == (10, 11)
    first, again = (run(tmp_path, "sample", "--length", "30", "--events").stdout for _ in range(2))
    assert first == again and len(json.loads(first)["text"]) == 30
    assert "last.npz" in run(tmp_path, "evaluate", "--out", "nothing").stderr


def test_numbers_that_are_not_finite_end_a_run(tmp_path: Path) -> None:
    script = SPECS["sequences"]().replace("    return -float(", "    w.y[0, 0, 0] = np.nan\n    return np.nan * float(")
    done = run(tmp_path, "--events", script=script)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "diverged", "step": 1, "what": "loss"}
    script = SPECS["sequences"]().replace("        g.b_y += w", "        g.b_y += np.inf * w")
    done = run(tmp_path, "--events", script=script)
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "diverged", "step": 1, "what": "b_y"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_with_a_checkpoint(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SPECS["lanes"]())
    command = [sys.executable, "-I", "train.py", "--events", "--epochs", "100000"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "start"
    time.sleep(0.3)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1]) == {"event": "stopped", "reason": "interrupted"}
    assert np.load(tmp_path / "run/last.npz")["step"] > 0
