"""What the front end makes of right specs, and at which line it finds what is wrong with others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.diagnostics import Diagnostic, render
from rnnspec.frontend.check import check
from rnnspec.frontend.text import text
from rnnspec.frontend.typed import Model, ParameterInfo, Spec, walk

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.rnn"))

BASE = {
    "rnnspec": "1",
    "data": "\n  source: recall(symbols=4, length=12, delay=2)",
    "inputs": "\n  x: one_hot(ids)",
    "targets": "\n  target: classes(out, count=5)",
    "dims": "{H: 6}",
    "states": "{h: H}",
    "model": """|
  h[t] = tanh(W_h @ x[t] + U_h @ h[t-1] + b_h)
  y[t] = W_y @ h[t] + b_y""",
    "loss": "cross_entropy(y[t], target[t])",
    "train": "\n  optimizer: adam(lr=1e-3)\n  batch: 20\n  steps: 100",
}


def written(**sections: str | None) -> bytes:
    """The base spec with some sections replaced, added or (None) left out."""
    parts = {**BASE, **sections}
    return "".join(f"{name}: {value}\n" for name, value in parts.items() if value is not None).encode()


def equations(*lines: str) -> str:
    """A block of equations."""
    return "\n  ".join(["|", *lines])


def checked(*overrides: str, **sections: str | None) -> Spec:
    """The base spec with some sections replaced, which must be right."""
    spec, diagnostics = check(written(**sections), overrides)
    assert spec is not None, "\n\n".join(map(render, diagnostics))
    return spec


def model_of(*lines: str, **sections: str | None) -> Model:
    """The model of the base spec with other equations."""
    return checked(model=equations(*lines), **sections).model


def shown(model: Model) -> list[str]:
    """The equations and starts of a model as text."""
    return [text(item) for item in (*model.equations, *model.starts)]


def parameter(model: Model, name: str) -> ParameterInfo:
    """What is known about a parameter."""
    return next(info for info in model.parameters if info.name == name)


# ------------------------------------------------------------------ the specs folder


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_are_right(path: Path) -> None:
    spec, diagnostics = check(path)
    assert spec is not None and not diagnostics, "\n\n".join(map(render, diagnostics))
    assert spec.name and spec.path == path and len(spec.digest) == 64


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_node_has_a_shape_and_a_place(path: Path) -> None:
    spec, _ = check(path)
    assert spec is not None
    for equation in spec.model.equations:
        assert spec.model.shape_of(equation.name) == equation.expr.shape
        for node in walk(equation.expr):
            assert node.span is not None
            assert all(size > 0 for size in node.shape)


# ------------------------------------------------------------------ shapes


def test_sizes_come_from_data_and_states() -> None:
    model = checked().model
    assert {info.name: info.shape for info in model.parameters} == {
        "W_h": (6, 5), "U_h": (6, 6), "b_h": (6,), "W_y": (5, 6), "b_y": (5,),
    }  # fmt: skip
    assert all(info.implicit for info in model.parameters)
    assert model.sizes == (("H", 6),)


def test_equations_are_order_free() -> None:
    lines = ["y[t] = W_y @ h[t] + b_y", "h[t] = g[t] * h[t-1] + g[t-1] * x[t]", "g[t] = sum(h[t-1])"]
    for order in (lines, lines[::-1], [lines[1], lines[2], lines[0]]):
        model = model_of(*order, dims=None, states=None)
        assert model.shape_of("g") == () and model.shape_of("h") == (5,)


def test_products() -> None:
    model = model_of(
        "A[t] = 0.9 * A[t-1] + outer(k[t], x[t])",
        "k[t] = W_k @ x[t]",
        "r[t] = k[t] @ A[t]",
        "B[t] = A[t] @ A[t-1].T",
        "y[t] = W_y @ concat(r[t], B[t-1] @ k[t]) + dot(k[t], k[t-1]) * b_y",
        states="{k: H}",
    )
    assert [model.shape_of(name) for name in "AkrBy"] == [(6, 5), (6,), (5,), (6, 6), (5,)]
    assert parameter(model, "W_y").shape == (5, 11)


def test_sizes_travel_backwards_through_parts() -> None:
    model = model_of("h[t] = chunk(W_h @ x[t], 2, 3)", "y[t] = W_y @ h[t]")
    assert parameter(model, "W_h").shape == (18, 5)


@pytest.mark.parametrize(
    "right",
    [
        "-0.5 * h[t] - -2 * b_y",
        "(-0.5) ** 2 * h[t] ** -2",
        "-h[t] ** 2 / (h[t] / b_y)",
        "h[t] - (b_y - x[t]) + (b_y + x[t])",
        "(W_a @ W_b.T).T @ (W_a @ h[t]) + W_c @ x[t]",
        "where(not (h[t] > 1 or h[t] < -1) and mask > 0, h[t], -(-x[t]))",
        'dropout(layer_norm(h[t], g_h, b_y, eps=0.1), 0.5, shared="time")',
        "sum(outer(h[t], h[t])) * chunk(concat(h[t], x[t]), 2, 2)",
    ],
)
def test_the_text_of_an_expression_means_the_same(right: str) -> None:
    lines = ["h[t] = tanh(W_h @ x[t])", f"y[t] = {right}"]
    params = "{W_a: {shape: [5, 5]}, W_b: {shape: [5, 5]}}" if "W_a" in right else None
    model = model_of(*lines, states=None, params=params)
    assert model_of(*shown(model), states=None, params=params).equations == model.equations


# ------------------------------------------------------------------ time


def test_relations_to_time() -> None:
    model = model_of(
        "h[t] = tanh(W_h @ x[t] + U_h @ h[t-1] + c)",
        "c = tanh(b_c)",
        "last = c * h[T]",
        "y[t] = W_y @ h[t] + V_y @ last",
    )
    assert {e.name: e.when for e in model.equations} == {"h": "step", "c": "fixed", "last": "sequence", "y": "step"}


def test_starts() -> None:
    model = model_of(
        "h[0] = b_s", "h[-1] = 0.5", "h[t] = W_h @ x[t] + h[t-1] * h[t-2]",
        "r[T+1] = tanh(b_r)", "r[t] = tanh(W_r @ x[t] + U_r @ r[t+1])",
        "y[t] = W_y @ h[t] + V_y @ r[t]", states="{h: H, r: H}",
    )  # fmt: skip
    assert [(start.name, start.step) for start in model.starts] == [("h", 0), ("h", -1), ("r", 1)]
    assert shown(model)[-3:] == ["h[0] = b_s", "h[-1] = 0.5", "r[T+1] = tanh(b_r)"]


# ------------------------------------------------------------------ cells

LEAKY = """
  leaky:
    args: {n: int}
    inputs: [u]
    states: {h: n}
    output: h
    equations: |
      h[0] = b_start
      h[t] = tanh(W @ u[t] + V @ u[t-1] + U * h[t-1] / n)
    params: {U: {shape: [n], init: ones}}
"""


def test_an_instance_has_full_names() -> None:
    model = model_of("m[t] = leaky(x[t], n=H)", "y[t] = W_y @ m[t]", cells=LEAKY, states=None)
    assert shown(model) == [
        "m[t] = tanh(m.W @ x[t] + m.V @ x[t-1] + m.U * m[t-1] / 6)", "y[t] = W_y @ m[t]", "m[0] = m.b_start",
    ]  # fmt: skip
    assert parameter(model, "m.U").init.name == "ones"
    assert model.sizes == (("H", 6), ("m.n", 6))
    assert model.equations[0].call is not None and model.equations[0].call.text == "leaky(x[t], n=H)"


def test_reverse_turns_every_index_around() -> None:
    model = model_of("m[t] = leaky(x[t], n=6, reverse=true)", "y[t] = W_y @ m[t]", cells=LEAKY, states=None)
    assert shown(model) == [
        "m[t] = tanh(m.W @ x[t] + m.V @ x[t+1] + m.U * m[t+1] / 6)", "y[t] = W_y @ m[t]", "m[T+1] = m.b_start",
    ]  # fmt: skip


def test_an_expression_as_input_becomes_an_equation() -> None:
    model = model_of("m[t] = leaky(2 * x[t], n=6)", "y[t] = W_y @ m[t]", cells=LEAKY, states=None)
    assert shown(model)[:2] == ["m.u[t] = 2 * x[t]", "m[t] = tanh(m.W @ m.u[t] + m.V @ m.u[t-1] + m.U * m[t-1] / 6)"]


STEPPED = """
  stepped:
    args: {n: int = 6, rate: float = 0.5, shift: float=-1e-3}
    inputs: [u]
    states: {h: n}
    output: h
    equations: |
      h[t] = h[t-1] + rate * dropout(W @ u[t] + shift, rate)
"""


def test_arguments_have_types_and_defaults() -> None:
    lines = ["m[t] = stepped(x[t])", "k[t] = stepped(x[t], n=H, rate=.25)", "y[t] = W_y @ m[t] + V_y @ k[t]"]
    model = model_of(*lines, cells=STEPPED, states=None)
    assert shown(model)[:2] == [
        "m[t] = m[t-1] + 0.5 * dropout(m.W @ x[t] + -0.001, 0.5)",
        "k[t] = k[t-1] + 0.25 * dropout(k.W @ x[t] + -0.001, 0.25)",
    ]
    assert model.sizes == (("H", 6), ("m.n", 6), ("k.n", 6))


WRONG_ARGUMENTS = {
    "no type": ("n", "m[t] = stepped(x[t])", "E0601", "the type of the argument `n` must be `int` or `float`"),
    "half": ("int = 1.5", "m[t] = stepped(x[t])", "E0601", "the default of `n` must be a whole number"),
    "word": ("float = big", "m[t] = stepped(x[t])", "E0601", "the default of `n` must be a number"),
    "nothing": ("int = 0", "m[t] = stepped(x[t])", "E0602", "the default of `n` must be at least 1"),
    "text": ("int", 'm[t] = stepped(x[t], n=4, rate="1")', "E0601", "`rate` must be a number"),
    "missing": ("float", "m[t] = stepped(x[t])", "E0605", "`stepped` needs the argument `n`"),
    "unknown": ("int = 6", "m[t] = stepped(x[t], rat=1)", "E0604", "`stepped` has no argument `rat`"),
    "a number as a size": ("float", "m[t] = stepped(x[t], n=6)", "E0201", "the size `n` is not defined"),
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_wrong_arguments(name: str) -> None:
    kind, call, code, message = WRONG_ARGUMENTS[name]
    cells = STEPPED.replace("n: int = 6", f"n: {kind}")
    _, found = check(written(model=equations(call, "y[t] = W_y @ m[t]"), cells=cells, states=None))
    assert [(error.code, error.message) for error in found] == [(code, message)]


@pytest.mark.parametrize(
    ("call", "message", "help"),
    [
        ("layer_norm(a[t], epsilon=1e-3)", "`layer_norm` has no argument `epsilon`", "did you mean `eps`?"),
        ("clamp(a[t], 0, 1, high=2)", "the argument `high` is given twice", None),
        ("lstm(x[t], units=3, units=4)", "the argument `units` is given twice", None),
        ("lstm(x[t], unit=3)", "`lstm` has no argument `unit`", "did you mean `units`?"),
    ],
)
def test_functions_and_cells_match_arguments_alike(call: str, message: str, help: str | None) -> None:
    lines = equations("a[t] = W_a @ x[t]", f"m[t] = {call}", "y[t] = W_y @ m[t]")
    _, (found,) = check(written(model=lines, states="{a: 6}"))
    assert (found.code, found.message, dict(found.notes).get("help")) == ("E0604", message, help)


def test_a_cell_that_is_meant_is_named() -> None:
    _, (found,) = check(written(model=equations("m[t] = lstm_peepholes(x[t], units=3)", "y[t] = W_y @ m[t]"), states=None))
    assert (found.code, found.message) == ("E0205", "there is no cell called `lstm_peepholes`")
    assert found.notes == (("help", "did you mean `lstm_peephole`?"), ("note", "`rnnspec cells` lists them all"))


def test_a_cell_that_looks_back_says_how_to_give_it_a_value_without_time() -> None:
    lines = ("c = W_c @ x[T]", "h[t] = qrnn(c, units=3)", "y[t] = W_y @ h[t]")
    _, (found, *_) = check(written(model=equations(*lines), states="{c: 4}"))
    assert found.message == "`c` does not change with time, but the cell `qrnn` reads it at another step"
    assert found.notes[0] == ("help", "add an equation such as `v[t] = c`, and give `v[t]` to the cell")
    model_of("c = W_c @ x[T]", "v[t] = c", "h[t] = qrnn(v[t], units=3)", "y[t] = W_y @ h[t]", states="{c: 4}")


def test_inner_values_can_be_read_and_handed_on() -> None:
    model = model_of("a[t] = lstm(x[t], units=4)", "b[t] = rnn(a.c[t], units=3)", "y[t] = W_y @ b[t]", states=None)
    assert "b[t] = tanh(b.W_h @ a.c[t] + b.U_h @ b[t-1] + b.b_h)" in shown(model)


@pytest.mark.parametrize(("read", "meant"), [("a.h[t]", "a[t]"), ("a.h", "a"), ("a.o[t-1]", None), ("a.q[t]", "a.z[t]")])
def test_the_output_of_a_cell_has_the_name_of_the_call(read: str, meant: str | None) -> None:
    lines = ["a[t] = lstm(x[t], units=4)", f"h[t] = tanh(W_h @ {read})", "y[t] = W_y @ h[t]"]
    _, found = check(written(model=equations(*lines)))
    assert [error.notes[0] for error in found] == ([("help", f"did you mean `{meant}`?")] if meant else [])


@pytest.mark.parametrize(
    ("metrics", "help"),
    [
        ("{accuracy: accuracy(y[T], target[T])}", "a value inside `{...}` cannot have brackets of its own"),
        ("{rmse: rmse(s, y)}", "`metrics` is a list, and a metric has no key"),
        ("\n  right: accuracy(y[t], target[t])", "`metrics` is a list, and a metric has no key"),
        ("\n  - right: accuracy(y[t], target[t])", "a call has no key"),
    ],
)
def test_a_metric_with_a_key(metrics: str, help: str) -> None:
    _, (found,) = check(written(metrics=metrics))
    assert found.message == help


# ------------------------------------------------------------------ parameters


def test_a_ring_of_ties_is_reported_as_one() -> None:
    _, found = check(written(params="{W_y: {tie: W_h.T}, W_h: {tie: W_y.T}}"))
    assert [(error.code, error.message) for error in found] == [("E0504", "`W_h` and `W_y` are tied to each other")]


def test_the_most_specific_key_wins_for_each_attribute() -> None:
    params = """
  W_*: {init: zeros, l2: 0.1}
  W_h: {init: ones}
  h1.U_*: {lr_scale: 0.5}
  "*.U_i": {init: identity}
"""
    lines = ["h[t] = tanh(W_h @ h1[t] + U_h @ h[t-1])", "h1[t] = lstm(x[t], units=4)", "y[t] = W_y @ h[t]"]
    model = model_of(*lines, params=params)
    assert (parameter(model, "W_h").init.name, parameter(model, "W_h").l2) == ("ones", 0.1)
    assert parameter(model, "W_y").init.name == "zeros"
    assert (parameter(model, "h1.U_i").init.name, parameter(model, "h1.U_i").lr_scale) == ("identity", 0.5)
    assert (parameter(model, "h1.U_f").init.name, parameter(model, "h1.b_f").init["value"]) == ("orthogonal", 1.0)


def test_a_tied_parameter_is_the_other_one() -> None:
    lines = ["e[t] = E @ x[t]", "h[t] = tanh(e[t] + U_h @ h[t-1])", "y[t] = W_y @ h[t]"]
    model = model_of(*lines, params="{W_y: {tie: E.T}}")
    assert shown(model)[-1] == "y[t] = E.T @ h[t]"
    assert [info.name for info in model.parameters] == ["E", "U_h"]


# ------------------------------------------------------------------ data


@pytest.mark.parametrize(
    ("source", "sequence", "split", "note"),
    [
        ("recall(4, 12, 2, sequences=10)", None, "{train: 0.8, valid: 0.1, test: 0.1}", None),
        ("recall(4, 12, 2, sequences=5)", None, "{train: 0.8, valid: 0.1, test: 0.1}", "`valid`: it gets none of 5 sequences"),
        ("recall(4, 12, 2, sequences=1)", None, "{train: 1}", None),
        ("mackey_glass(60)", 9, "{train: 0.8, valid: 0.2}", None),
        ("mackey_glass(60)", 10, "{train: 0.8, valid: 0.2}", None),
        ("mackey_glass(60)", 11, "{train: 0.8, valid: 0.2}", None),
        ("mackey_glass(60)", 12, "{train: 0.8, valid: 0.2}", "`valid`: it gets 12 of 60 steps, and needs 13"),
        ("mackey_glass(60)", 59, "{train: 1}", None),
        ("mackey_glass(60)", 60, "{train: 1}", "`train`: it gets 60 of 60 steps, and needs 61"),
    ],
)
def test_every_part_gets_some_data(source: str, sequence: int | None, split: str, note: str | None) -> None:
    sections = {"data": f"\n  source: {source}\n  split: {split}"}
    if sequence:
        sections["data"] += f"\n  sequence: {sequence}"
        sections |= {"inputs": "\n  x: columns([x])", "targets": "\n  target: next([x])", "loss": "mse(y[t], target[t])"}
    _, found = check(written(**sections))
    said = [f"{error.message.removeprefix('there is too little data for the part ')}: {error.notes[-1][1]}" for error in found]
    assert said == ([note] if note else [])


@pytest.mark.parametrize(
    ("least", "most", "right"), [(1, 4, True), (0, 4, False), (0, 0, False), (-1, 4, False), (1, 5, False)]
)
def test_a_sequence_has_a_step_at_least(tmp_path: Path, least: int, most: int, right: bool) -> None:
    lengths = np.array([2, least, most])
    np.savez(tmp_path / "d.npz", X=np.zeros((3, 4, 5)), n=lengths, out=np.zeros((3, 4), int))
    inputs = "\n  x: vectors(X, size=5, length=n)"
    (tmp_path / "a.rnn").write_bytes(written(data="{source: 'npz(\"d.npz\", arrays=[X, n, out])'}", inputs=inputs))
    _, found = check(tmp_path / "a.rnn")
    said = ["the lengths in `n` must be from 1 to 4, the number of steps"]
    assert [error.message for error in found] == ([] if right else said)


@pytest.mark.parametrize(("faulty", "count"), [("0", 3), ("0.5", 4)])
def test_brackets_without_mistakes_have_no_class_for_them(faulty: str, count: int) -> None:
    def found(count: int) -> list[str]:
        data, targets = f"{{source: 'dyck(pairs=2, faulty={faulty})'}}", f"\n  target: classes(out, count={count})"
        return [error.message for error in check(written(data=data, targets=targets))[1]]

    assert found(count) == [] and found(count - 1) == [f"the column `out` does not fit into {count - 1} classes"]


def test_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "d.npz", X=rng.normal(size=(7, 4, 3)), a=rng.normal(size=(7, 2)), n=np.full(7, 4), label=np.arange(7) % 3
    )
    spec_text = written(
        data='{source: \'npz("d.npz", arrays=["X", "a", "n", "label"])\'}',
        inputs="\n  x: vectors(X, size=3, length=n)\n  a: vector(a, size=2)",
        targets="\n  label: classes(label, count=3)",
        model=equations("h[0] = W_a @ a", "h[t] = tanh(W_h @ x[t] + U_h @ h[t-1])", "y = W_y @ h[T]"),
        loss="cross_entropy(y, label) + 0.1 * mean(abs(y))",
        metrics="\n  - accuracy(y, label)\n  - accuracy(y, label)",
    )
    spec, diagnostics = check(spec_text, name=str(tmp_path / "model.rnn"))
    assert spec is not None, "\n\n".join(map(render, diagnostics))
    assert spec.model.masked and spec.model.loss.when == "sequence"
    assert [(i.name, i.shape, i.when) for i in spec.model.inputs] == [("x", (3,), "step"), ("a", (2,), "sequence")]
    assert [metric.name for metric in spec.model.metrics] == ["accuracy", "accuracy_2"]
    assert spec.data.source["path"] == tmp_path / "d.npz"


def test_the_vocabulary_is_that_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("banana\n", encoding="utf-8")
    spec, _ = check(
        written(data="{source: 'text(\"t.txt\")', sequence: 3}", targets="{target: next(ids)}"),
        name=str(tmp_path / "model.rnn"),
    )
    assert spec is not None
    assert (spec.data.vocabulary, spec.model.shape_of("y"), dict(spec.model.sizes)["V"]) == (tuple("\nabn"), (4,), 4)


# ------------------------------------------------------------------ overrides


def test_overrides_reach_everywhere() -> None:
    spec = checked("train.batch=64", "train.optimizer.lr=3e-3", "dims.H=9", "train.epochs=2", "train.clip=value(1)")
    assert (spec.train.batch, spec.train.optimizer["lr"], spec.model.shape_of("h")) == (64, 3e-3, (9,))
    assert (spec.train.steps, spec.train.epochs) == (None, 2)
    assert spec.train.clip is not None and spec.train.clip.name == "value"
    assert spec.digest != checked().digest


def test_overrides_of_calls() -> None:
    spec = checked("data.source.length=30", "inputs.x.size=7", "params.W_y.init.std=0.2", params="{W_y: {init: normal(0.1)}}")
    assert spec.data.source["length"] == 30 and spec.model.inputs[0].shape == (7,)
    assert parameter(spec.model, "W_y").init["std"] == 0.2


@pytest.mark.parametrize(
    ("override", "code", "help"),
    [
        ("train.bach=64", "E0003", "did you mean `train.batch`?"),
        ("trian.batch=64", "E0003", "did you mean `train`?"),
        ("train.optimizer.lrr=1", "E0604", "did you mean `lr`?"),
        ("params.W_y.l2=0.1", "E0003", "write `params:` in the file: what stands there can be changed from here"),
        ("train.batch=many", "E0601", None),
        ("train.batch", "E0005", "write for example `train.batch=64`"),
    ],
)
def test_wrong_overrides_point_at_themselves(override: str, code: str, help: str | None) -> None:
    _, diagnostics = check(written(), [override])
    (found,) = diagnostics
    assert found.code == code and found.span is not None and found.span.source.name == "command line"
    assert help is None or ("help", help) in found.notes


@pytest.mark.parametrize(
    ("expression", "help"),
    [
        ("max(h[t-1], b_h)", "write `maximum(a, b)` for the larger of two"),
        ("minimum(h[t-1])", "write `min(v)` for the smallest of all features"),
        ("clip(h[t-1], -1, 1)", "write `clamp`"),
        ("swish(h[t-1])", "write `silu`"),
        ("detach(h[t-1])", "write `stop_gradient`"),
        ("hard_tan(h[t-1])", "did you mean `hard_tanh`?"),
    ],
)
def test_the_function_that_is_meant(expression: str, help: str) -> None:
    _, diagnostics = check(written(model=equations(f"h[t] = W_h @ x[t] + {expression}", "y[t] = W_y @ h[t]")))
    assert ("help", help) in [note for found in diagnostics for note in found.notes]


# ------------------------------------------------------------------ what is wrong, by line

MARKED = {
    "defined twice": equations("h[t] = W_h @ x[t]", "h[t] = tanh(b_h)  # error: E0202", "y[t] = W_y @ h[t]"),
    "an input": equations("x[t] = 2 * b_x  # error: E0202", "h[t] = W_h @ x[t]", "y[t] = W_y @ h[t]"),
    "a size as variable": equations("H[t] = x[t]  # error: E0204", "h[t] = W_h @ x[t]", "y[t] = W_y @ h[t]"),
    "t as value": equations("h[t] = W_h @ x[t] / t  # error: E0404", "y[t] = W_y @ h[t]"),
    "far back": equations("h[t] = W_h @ x[t-65]  # error: E0406", "y[t] = W_y @ h[t]"),
    "fixed step": equations("h[t] = W_h @ x[1]  # error: E0406", "y[t] = W_y @ h[t]"),
    "before the last": equations("h[t] = W_h @ x[T-1]  # error: E0406", "y[t] = W_y @ h[t]"),
    "last on the left": equations("h[t] = W_h @ x[t]", "h[T] = b_h  # error: E0405", "y[t] = W_y @ h[t]"),
    "start at 2": equations("h[2] = b_h  # error: E0405", "h[t] = W_h @ x[t]", "y[t] = W_y @ h[t]"),
    "start alone": equations("hh[0] = b_h  # error: E0201", "h[t] = W_h @ x[t]", "y[t] = W_y @ h[t]"),
    "start reads [t]": equations("h[0] = W_s @ x[t]  # error: E0407", "h[t] = h[t-1]", "y[t] = W_y @ h[t]"),
    "index on untimed": equations("c = b_c", "h[t] = W_h @ x[t] + c[t]  # error: E0404", "y[t] = W_y @ h[t]"),
    "cell that looks back at a value without time": equations(
        "c = W_c @ x[T]", "h[t] = qrnn(c, units=3)  # error: E0404", "y[t] = W_y @ h[t]"
    ),
    "condition as value": equations("h[t] = W_h @ x[t]", "y[t] = W_y @ (h[t] > 0)  # error: E0209"),
    "loss in the model": equations("h[t] = mse(x[t], x[t]) * b_h  # error: E0205", "y[t] = W_y @ h[t]"),
    "variable called": equations("h[t] = W_h @ x[t]", "y[t] = W_y @ h(t)  # error: E0205"),
    "no such part": equations("h[t] = W_h @ x[t]", "y[t] = W_y @ chunk(h[t], 3, 2)  # error: E0602"),
    "bounds the wrong way round": equations("h[t] = W_h @ x[t]", "y[t] = W_y @ clamp(h[t], 1, -1)  # error: E0602"),
    "max of two": equations("h[t] = max(W_h @ x[t], b_h)  # error: E0604", "y[t] = W_y @ h[t]"),
    "dropout of a parameter": equations("h[t] = dropout(W_h, 0.5) @ x[t]  # error: E0303", "y[t] = W_y @ h[t]"),
    "through [T]": equations("h[t] = W_h @ x[t] + c  # error: E0401", "c = V_c @ h[T]", "y[t] = W_y @ h[t]"),
    "both ways through two": equations(
        "h[t] = tanh(g[t-1])", "g[t] = tanh(h[t+1])  # error: E0402", "y[t] = W_y @ (h[t] + g[t])"
    ),
    "start of another size": equations("h[0] = x[T]  # error: E0301", "h[t] = tanh(h[t-1])", "y[t] = W_y @ h[t]"),
    "cell in an expression": equations("h[t] = 2 * gru(x[t], units=3)  # error: E0206", "y[t] = W_y @ h[t]"),
    "two inputs": equations("h[t] = gru(x[t], x[t], units=6)  # error: E0604", "y[t] = W_y @ h[t]"),
    "cell without time": equations("h = gru(x[t], units=6)  # error: E0405", "y[t] = W_y @ h[t]"),
    "foreign parameter": equations("h[t] = gru(x[t], units=6)", "y[t] = h.W_q @ h[t]  # error: E0201"),
    "string": equations("h[t] = W_h @ x[t]", 'y[t] = W_y @ h[t] + "b"  # error: E0209'),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_marked_lines(name: str) -> None:
    source = written(model=MARKED[name])
    _, diagnostics = check(source)
    found = {(error.code, error.span.line) for error in diagnostics if error.level == "error" and error.span}
    lines = source.decode().split("\n")
    marks = {(m[1], n) for n, line in enumerate(lines, 1) if (m := re.search(r"# error: (\w+)", line))}
    assert found == marks, "\n\n".join(map(render, diagnostics))


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ({"loss": "mse(y[t], target[t])"}, "E0607"),
        ({"loss": "{mse: mse(s, y)}"}, "E0007"),
        ({"loss": "mean(square(y[t] - target[t]))"}, "E0607"),
        ({"loss": "cross_entropy(y[T], target[t])"}, "E0607"),
        ({"loss": "cross_entropy(y[t], target[t-1])"}, "E0607"),
        ({"loss": "crossentropy(y[t], target[t])"}, "E0603"),
        ({"loss": "cross_entropy(y[t], target[t], weights=[1, 2])"}, "E0607"),
        ({"loss": "cross_entropy(y[t], target[t], ignore=99)"}, "E0607"),
        ({"loss": "cross_entropy(y[t], target[t], weights=2)"}, "E0601"),
        ({"loss": "cross_entropy(y[t], target[t], weights=[0, 0])"}, "E0602"),
        ({"loss": "cross_entropy(y[t], target[t], weights=[1, -1])"}, "E0602"),
        ({"loss": "cross_entropy(y[t], target[t], smoothing=1)"}, "E0602"),
        ({"metrics": "\n  - cross_entropy(y[t], target[t], smoothing=0.1)"}, "E0604"),
        ({"metrics": "\n  - accuracy(y[t], y[t])"}, "E0607"),
        ({"metrics": "\n  - accuracy(x[t], target[t])"}, "E0610"),
        ({"metrics": "[accuracy(y[t], target[t])]"}, "E0001"),
        ({"loss": "mean(square(mean_over_time(b_y)))"}, "E0404"),
        ({"model": "|\n  h[t] = tanh(W_h @ h[t-1] + W_x @ x[t] + mean_over_time(h[t]))\n  y[t] = W_y @ h[t]"}, "E0401"),
        ({"loss": "ctc(y[t], target[t])"}, "E0607"),
        ({"targets": "\n  target: labels(out, count=9)"}, "E0404"),
        ({"targets": "\n  target: labels(out, count=9)", "loss": "cross_entropy(y[T], target)"}, "E0607"),
        ({"targets": "\n  target: labels(out, count=9)", "loss": "ctc(y[T], target)"}, "E0404"),
        ({"dims": "{H: 0}"}, "E0602"),
        ({"states": "{h: K}"}, "E0201"),
        ({"params": "{W_y: {shape: [5, Q]}}"}, "E0201"),
        ({"params": "{W_y: {tie: W_y2}}"}, "E0504"),
        ({"params": "{W_y: {tie: W_h}}"}, "E0301"),
        ({"inputs": "\n  x: one_hot(ids, size=3)"}, "E0704"),
        ({"inputs": "\n  x: current(ids)"}, "E0704"),
        ({"data": "{source: 'recall(length=3, delay=9)'}"}, "E0703"),
        ({"data": "{source: 'recall(4)', sequence: 9}"}, "E0705"),
        ({"data": "{source: 'recall(4)', split: {train: 0.5, valid: 0.4}}"}, "E0606"),
        ({"monitor": "{sample: 100}"}, "E0606"),
        ({"train": '{optimizer: adam(lr=1e-3), batch: 4, epochs: 2, stop: patience(2)}'}, "E0606"),
        ({"name": "../../etc"}, "E0601"),
    ],
)  # fmt: skip
def test_sections_that_do_not_fit(sections: dict[str, str], code: str) -> None:
    spec, diagnostics = check(written(**sections))
    assert spec is None and code in {found.code for found in diagnostics}, "\n\n".join(map(render, diagnostics))


# ------------------------------------------------------------------ robustness


def places_are_inside(diagnostics: list[Diagnostic]) -> bool:
    """Whether every label points into its text."""
    spans = (label.span for found in diagnostics for label in found.labels)
    return all(0 <= span.start <= span.end <= len(span.source.text) for span in spans)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    spec, diagnostics = check(raw)
    assert spec is None and diagnostics and places_are_inside(diagnostics)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_makes_it_raise(data: st.DataObject) -> None:
    words = re.findall(r"\w+|\s+|.", written().decode(), re.DOTALL)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.sampled_from(words + ["[t]", "@", "(", ")", "h1.c[t]", "tie", "where", "gru"]))
    spec, diagnostics = check("".join(words).encode())
    assert (spec is None) == any(found.level == "error" for found in diagnostics)
    assert places_are_inside(diagnostics) and all(map(render, diagnostics))


def test_a_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    spec, diagnostics = check(tmp_path / "nowhere.rnn")
    assert spec is None and [found.code for found in diagnostics] == ["E0001"]
