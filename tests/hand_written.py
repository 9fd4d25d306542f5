"""Two specs with bodies written by hand: a character model and a classifier of sequences of unequal length.

They let the frame of the script be tested by itself, without the front end and without the printers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from rnnspec.diagnostics import Source, Span
from rnnspec.frontend.typed import (
    Data,
    Encoding,
    Equation,
    Expr,
    Input,
    Last,
    Metric,
    Model,
    Monitor,
    Parameter,
    ParameterInfo,
    Read,
    Setting,
    Spec,
    Target,
    Train,
)
from rnnspec.script.body import Body
from rnnspec.script.layout import Layout
from rnnspec.script.render import render
from tests.nodes import add, call

TEXT = "abracadabra simsalabim\n" * 60
VOCABULARY = "".join(sorted(set(TEXT)))
V, H = len(VOCABULARY), 7

EQUATIONS = {
    "h": "h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)",
    "y": "y[t] = W_hy @ h[t] + b_y",
    "loss": "cross_entropy(y[t], target[t])",
}
SOURCE = Source("elman.rnn", "\n".join(EQUATIONS.values()))


def span(name: str) -> Span:
    """Where an equation stands in the made-up file."""
    start = SOURCE.text.index(EQUATIONS[name])
    return Span(SOURCE, start, start + len(EQUATIONS[name]))


def setting(name: str, **arguments: object) -> Setting:
    """A resolved call."""
    return Setting(name, tuple(arguments.items()))


def adam(**changed: object) -> Setting:
    """The optimizer `adam` with its defaults."""
    return setting("adam", **{"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, **changed})


def info(name: str, *shape: int, init: str = "glorot_uniform", **more: object) -> ParameterInfo:
    """A parameter."""
    return ParameterInfo(name, shape, Setting(init), **more)  # type: ignore[arg-type]


def elman_model() -> Model:
    """The vanilla network over characters."""
    x, h = Read("x", (V,), "step"), Read("h", (H,), "step")
    pre = add(
        call("matmul", Parameter("W_xh", (H, V)), x),
        call("matmul", Parameter("W_hh", (H, H)), replace(h, lag=1)),
        Parameter("b_h", (H,)),
    )
    y: Expr = add(call("matmul", Parameter("W_hy", (V, H)), h), Parameter("b_y", (V,)))
    loss = call("cross_entropy", Read("y", (V,), "step"), Read("target", (V,), "step"))
    return Model(
        inputs=(Input("x", (V,), "step", "ids"),),
        targets=(Target("target", (V,), "step", "classes"),),
        parameters=(
            info("W_xh", H, V),
            info("W_hh", H, H),
            info("b_h", H, init="zeros"),
            info("W_hy", V, H),
            info("b_y", V, init="zeros"),
        ),
        equations=(Equation("h", call("tanh", pre), "step", span("h")), Equation("y", y, "step", span("y"))),
        starts=(),
        loss=loss,
        loss_span=span("loss"),
        metrics=tuple(Metric(n, replace(loss, function=n), ascending=n == "accuracy") for n in ("accuracy", "perplexity")),
        sizes=(("H", H), ("V", V)),
    )


def elman(folder: Path = Path("/nowhere"), **train: object) -> Spec:
    """The character model on `tiny.txt` in a folder: sequences of 10 steps."""
    data = Data(
        setting("text", path=(folder / "tiny.txt",), unit="char", boundary=None, most=None),
        (
            Encoding("x", setting("one_hot", column="ids", size=None, length=None)),
            Encoding("target", setting("next", column="ids", steps=1)),
        ),
        sequence=10,
        split=(("train", 0.8), ("valid", 0.1), ("test", 0.1)),
        vocabulary=tuple(VOCABULARY),
        files=(folder / "tiny.txt",),
        stream=True,
    )
    settings = Train(**{"optimizer": adam(), "batch": 8, "epochs": 3, **train})  # type: ignore[arg-type]
    return Spec("elman", folder / "elman.rnn", "0123456789abcdef" * 4, elman_model(), data, settings, Monitor())


ELMAN = """
class Workspace:
    \"\"\"All storage.\"\"\"


def allocate(T, B, dtype):
    \"\"\"Storage for T steps of B sequences.\"\"\"
    w = Workspace()
    w.T, w.B, w.fresh, w.share = T, B, True, 1.0
    w.x = np.zeros((T, B), int)
    w.target = np.zeros((T, B), int)
    w.h = np.zeros((T + 1, H, B), dtype)
    w.y = np.zeros((T, V, B), dtype)
    w.dy = np.zeros((T, V, B), dtype)
    return w


def forward(p, w):
    \"\"\"The loss.\"\"\"
    if w.fresh:
        w.h[0] = 0
    for t in range(w.T):
        w.h[t + 1] = tanh(p.W_xh[:, w.x[t]] + p.W_hh @ w.h[t] + p.b_h[:, None])
        w.y[t] = p.W_hy @ w.h[t + 1] + p.b_y[:, None]
    shifted = w.y - w.y.max(1, keepdims=True)
    logs = shifted - np.log(exp(shifted).sum(1, keepdims=True))
    right = np.arange(V)[:, None] == w.target[:, None]
    w.dy[...] = (exp(logs) - right) * w.share
    return -float((logs * right * w.share).sum())


def backward(p, w, g):
    \"\"\"Gradients of the loss into g.\"\"\"
    g.vector[:] = 0
    dh = np.zeros_like(w.h[0])
    for t in reversed(range(w.T)):
        g.W_hy += w.dy[t] @ w.h[t + 1].T
        g.b_y += w.dy[t].sum(1)
        da = (dh + p.W_hy.T @ w.dy[t]) * (1 - w.h[t + 1] ** 2)
        np.add.at(g.W_xh.T, w.x[t], da.T)
        g.W_hh += da @ w.h[t].T
        g.b_h += da.sum(1)
        dh = p.W_hh.T @ da


def carry(old, new):
    \"\"\"The states of the last step stand before the first one of the next window.\"\"\"
    new.h[0] = old.h[old.T]
"""


def elman_body() -> Body:
    """The body of the character model; b_h and b_y are rows of one stack."""
    sizes = (("W_xh", (H, V)), ("W_hh", (H, H)), ("W_hy", (V, H)), ("b_h_b_y", (H + V,)))
    places, start = [], 0
    for name, shape in sizes:
        places.append((name, start, shape))
        start += -(-int(np.prod(shape)) // 16) * 16
    return Body(
        functions=("exp", "tanh"),
        text=ELMAN,
        layout=Layout(
            attribute={},
            parameters=tuple((p.name, p.name) for p in elman_model().parameters),
            places=tuple(places),
            rows=(("b_h", "b_h_b_y", 0, H), ("b_y", "b_h_b_y", H, H + V)),
            trainable=start,
            size=start,
        ),
        outputs=(("y", "w.y", "step"),),
        inputs=(("x", "x"), ("target", "target")),
        reads=frozenset(["x", "target", "share"]),
        carried=("h",),
    )


def classifier(folder: Path = Path("/nowhere"), **train: object) -> Spec:
    """A classifier of sequences of unequal length from `data.npz`: the sum of W @ x over time."""
    scores = Read("scores", (3,), "sequence")
    summed = add(Read("s", (3,), "step", 1), call("matmul", Parameter("cell.W", (3, 2)), Read("x", (2,), "step")))
    loss = call("cross_entropy", scores, Read("label", (3,), "sequence"))
    model = Model(
        inputs=(Input("x", (2,), "step", "real"),),
        targets=(Target("label", (3,), "sequence", "classes"),),
        parameters=(info("cell.W", 3, 2), info("b", 3, init="zeros", trainable=False)),
        equations=(
            Equation("s", summed, "step"),
            Equation("scores", add(Last("s", (3,)), Parameter("b", (3,))), "sequence"),
        ),
        starts=(),
        loss=loss,
        metrics=(Metric("accuracy", replace(loss, function="accuracy"), ascending=True),),
        masked=True,
    )
    data = Data(
        setting("npz", path=folder / "data.npz", arrays=["X", "length", "label"]),
        (
            Encoding("x", setting("vectors", array="X", size=2, length="length")),
            Encoding("label", setting("classes", array="label", count=3)),
        ),
        split=(("train", 0.75), ("valid", 0.25)),
        files=(folder / "data.npz",),
    )
    settings = Train(**{"optimizer": adam(), "batch": 4, "epochs": 2, **train})  # type: ignore[arg-type]
    return Spec("classifier", folder / "classifier.rnn", "f" * 64, model, data, settings, Monitor())


CLASSIFIER = """
class Workspace:
    \"\"\"All storage.\"\"\"


def allocate(T, B, dtype):
    \"\"\"Storage for T steps of B sequences.\"\"\"
    w = Workspace()
    w.T, w.B, w.share = T, B, 1.0
    w.x = np.zeros((T, 2, B), dtype)
    w.label = np.zeros(B, int)
    w.length = np.full(B, T)
    w.mask = np.ones((T, 1, B), dtype)
    w.scores = np.zeros((3, B), dtype)
    return w


def forward(p, w):
    \"\"\"The loss.\"\"\"
    w.total = (w.x * w.mask).sum(0)
    w.scores[...] = p.cell_W @ w.total + p.b[:, None]
    shifted = w.scores - w.scores.max(0)
    logs = shifted - np.log(np.exp(shifted).sum(0))
    right = np.arange(3)[:, None] == w.label
    w.dscores = (np.exp(logs) - right) * w.share
    return -float((logs * right * w.share).sum())


def backward(p, w, g):
    \"\"\"Gradients of the loss into g.\"\"\"
    np.matmul(w.dscores, w.total.T, out=g.cell_W)


def carry(old, new):
    \"\"\"Nothing is carried.\"\"\"
"""


def classifier_body() -> Body:
    """The body of the classifier; its bias is not trained."""
    return Body(
        functions=(),
        text=CLASSIFIER,
        layout=Layout(
            attribute={},
            parameters=(("cell.W", "cell_W"), ("b", "b")),
            places=(("cell_W", 0, (3, 2)), ("b", 16, (3,))),
            rows=(),
            trainable=16,
            size=32,
        ),
        outputs=(("scores", "w.scores", "sequence"),),
        inputs=(("x", "x"), ("label", "label")),
        reads=frozenset(["x", "label", "share", "mask"]),
        carried=(),
    )


def load(text: str, name: str = "generated") -> ModuleType:
    """A script as a module."""
    module = ModuleType(name)
    exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    return module


def values(script: ModuleType, split: str = "train") -> dict[str, np.ndarray]:
    """All inputs and targets of one part of the data, in order."""
    places, steps = script.dataset()[1][split]
    found: dict[str, np.ndarray] = script.examples(split, np.arange(len(places)), 0, steps)
    return found


def elman_script(folder: Path = Path("/nowhere"), **train: object) -> ModuleType:
    """The character model's script as a module."""
    return load(render(elman(folder, **train), elman_body()))
