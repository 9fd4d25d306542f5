"""The references against each other, against known layers of PyTorch, and against answers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rnnspec.frontend.typed import (
    Equation,
    Expr,
    Input,
    Last,
    Mask,
    Model,
    Parameter,
    ParameterInfo,
    Read,
    Setting,
    Start,
    Target,
    walk,
)
from rnnspec.verify.compare import compare
from rnnspec.verify.in_complex import LIBRARY, directional_by_complex_step, gradients_by_complex_step
from rnnspec.verify.in_torch import gradients_by_torch
from rnnspec.verify.probe import Probe, longest_lag, probe
from rnnspec.verify.reference import Reference, Run
from tests.fuzz_models import is_normalised
from tests.models import sketches
from tests.nodes import add, at, call, mul, sigmoid, tanh
from tests.sketch import Sketch

X, H, Y = 3, 4, 2
x, y_target = Read("x", (X,), "step"), Read("target", (Y,), "step")
inputs = (Input("x", (X,), "step", "real"),)
targets = (Target("target", (Y,), "step", "real"),)


def h(lag: int = 0) -> Read:
    return Read("h", (H,), "step", lag)


def p(name: str, *shape: int) -> Parameter:
    return Parameter(name, shape)


def model(
    equations: dict[str, Expr],
    loss: Expr,
    starts: tuple[Start, ...] = (),
    masked: bool = False,
    **penalties: float,
) -> Model:
    """A model with the inputs and targets above; the parameters are whatever the equations read."""
    trees = [*equations.values(), *(start.expr for start in starts)]
    found = {n.name: n.shape for tree in trees for n in walk(tree) if isinstance(n, Parameter)}
    infos = tuple(ParameterInfo(name, shape, Setting("zeros"), **penalties) for name, shape in found.items())
    made = tuple(Equation(name, expr, expr.when) for name, expr in equations.items())
    return Model(inputs, targets, infos, made, starts, loss, masked=masked)


def rnn(read: Callable[[int], Read], suffix: str = "", lag: int = 1) -> Expr:
    return tanh(add(at(p(f"W{suffix}", H, X), x), at(p(f"U{suffix}", H, H), read(lag)), p(f"b{suffix}", H)))


def readout(vector: Expr) -> Expr:
    return add(at(p("W_y", Y, *vector.shape), vector), p("b_y", Y))


y = Read("y", (Y,), "step")
mse = call("mse", y, y_target)


def elman() -> Model:
    return model({"h": rnn(h), "y": readout(h())}, mse)


def lstm(reverse: bool = False, masked: bool = False) -> Model:
    lag = -1 if reverse else 1

    def gate(k: str) -> Expr:
        return add(at(p(f"W_{k}", H, X), x), at(p(f"U_{k}", H, H), h(lag)), p(f"b_{k}", H))

    def part(name: str, lag: int = 0) -> Read:
        return Read(name, (H,), "step", lag)

    equations: dict[str, Expr] = {k: sigmoid(gate(k)) for k in "ifo"} | {"z": tanh(gate("z"))}
    equations["c"] = add(mul(part("f"), part("c", lag)), mul(part("i"), part("z")))
    equations["h"] = mul(part("o"), tanh(part("c")))
    equations["y"] = readout(h())
    return model(equations, mse, masked=masked)


def gru() -> Model:
    def gate(k: str) -> Expr:
        return add(at(p(f"W_{k}", H, X), x), at(p(f"U_{k}", H, H), h(1)), p(f"b_{k}", H))

    def part(name: str) -> Read:
        return Read(name, (H,), "step")

    inner = add(at(p("U_n", H, H), h(1)), p("c_n", H))
    new = tanh(add(at(p("W_n", H, X), x), p("b_n", H), mul(part("r"), inner)))
    mixed = add(mul(call("sub", 1, part("z")), part("n")), mul(part("z"), h(1)))
    return model({"r": sigmoid(gate("r")), "z": sigmoid(gate("z")), "n": new, "h": mixed, "y": readout(h())}, mse)


def matrix_state() -> Model:
    """A fast-weight memory: write an outer product, read with a query."""
    memory = Read("M", (H, Y), "step", 1)
    key, value = tanh(at(p("W_k", Y, X), x)), tanh(at(p("W_v", H, X), x))
    forget = sigmoid(call("dot", p("a_f", X), x))
    equations: dict[str, Expr] = {
        "M": add(mul(forget, memory), call("outer", value, key)),
        "q": at(Read("M", (H, Y), "step"), key),
        "y": add(at(p("W_y", Y, H), Read("q", (H,), "step")), at(p("a_y", Y), call("transpose", p("V", Y, Y)))),
    }
    return model(equations, mse, l1=0.1, l2=0.2)


def later_reads() -> Model:
    """Two lags each way, starts on both sides, and a last step, in sequences of different length."""
    s = Read("s", (H,), "step", -1)
    back = tanh(add(at(p("V_s", H, H), s), at(p("V_s2", H, H), Read("s", (H,), "step", -2)), at(p("V_h", H, H), h(2))))
    equations: dict[str, Expr] = {
        "h": add(rnn(h), mul(0.5, h(2)), at(p("W_x", H, X), Read("x", (X,), "step", 1))),
        "s": back,
        "ctx": tanh(at(p("W_c", H, H), Last("s", (H,)))),
        "y": readout(add(Read("s", (H,), "step"), Read("ctx", (H,), "sequence"), Read("s", (H,), "step", -1))),
    }
    loss = add(mse, mul(0.1, mul(Mask(), call("sum", call("square", h())))))
    before = (Start("h", 0, p("h_0", H)), Start("h", -1, p("h_1", H)))
    behind = (Start("s", 1, Last("h", (H,))), Start("s", 2, p("s_2", H)))
    return model(equations, loss, before + behind, masked=True)


def functions() -> Model:
    """Every function of the language once."""
    v = at(p("W", H, X), x)
    positive = add(call("exp", tanh(v)), call("softplus", v), call("sqrt", add(call("abs", v), 0.1)))
    condition = call("and", call("greater", v, 0.1), call("not", call("less_equal", positive, 2)))
    chosen = call("where", condition, v, call("neg", v))
    picked = call("maximum", call("minimum", v, p("b_m", H)), call("div", p("b_d", H), positive))
    normed = add(call("layer_norm", v, p("g", H), p("b", H), eps=1e-5), call("layer_norm", picked, eps=1e-3))
    bent = add(call("silu", v), call("gelu", v), call("selu", v), call("elu", v, alpha=0.7), call("softsign", v))
    bent = add(bent, call("leaky_relu", v, negative_slope=0.1), call("log_sigmoid", v), call("hard_sigmoid", v))
    bent = add(bent, call("hard_tanh", v), call("clamp", v, low=-0.2, high=0.3), call("cumsum", call("log_softmax", v)))
    numbers = add(call("max", v), mul(call("min", v), call("norm2", v)), call("sum", call("stop_gradient", v)))
    normed = add(normed, mul(numbers, bent), call("rms_norm", v, p("g", H), eps=1e-5))
    joined = call("concat", p("b_c", H), chosen, call("relu", call("log", positive)))
    parts = [call("chunk", joined, part=k, parts=3) for k in (1, 2, 3)]
    equations: dict[str, Expr] = {
        "u": call("sub", add(mul(call("mean", picked), normed), call("pow", positive, 0.5)), p("b_u", H)),
        "w": add(parts[1], mul(parts[0], parts[2]), call("softmax", Read("u", (H,), "step"))),
        "y": readout(Read("w", (H,), "step")),
    }
    return model(equations, call("cross_entropy", y, call("softmax", y_target)))


MODELS = [elman(), lstm(), lstm(True), lstm(True, masked=True), gru(), matrix_state(), later_reads(), functions()]


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_torch_and_complex_step_agree(number: int) -> None:
    made = MODELS[number]
    at_ = probe(made, seed=number)
    loss, want = gradients_by_torch(made, at_.params, at_.batch)
    other, got = gradients_by_complex_step(made, at_.params, at_.batch)
    compare(got, want, tolerance=1e-13)
    assert abs(loss - other) <= 1e-14 * abs(loss)
    assert all(np.any(gradient) for gradient in want.values())


@settings(max_examples=40, deadline=None)
@given(sketches().filter(lambda sketch: (made := sketch.model()) is not None and not is_normalised(made)))
def test_torch_and_complex_step_agree_on_random_models(sketch: Sketch) -> None:
    made = sketch.model()
    assert made is not None
    at_ = probe(made, T=longest_lag(made) + 3)
    _, want = gradients_by_torch(made, at_.params, at_.batch)
    compare(gradients_by_complex_step(made, at_.params, at_.batch)[1], want, tolerance=1e-9)


def test_directions_are_gradients_times_directions() -> None:
    made, random = lstm(), np.random.default_rng(0)
    at_ = probe(made)
    _, gradients = gradients_by_complex_step(made, at_.params, at_.batch)
    directions = {name: random.standard_normal((2, *value.shape)) for name, value in at_.params.items()}
    _, got = directional_by_complex_step(made, at_.params, at_.batch, directions)
    compare(got, {n: directions[n].reshape(2, -1) @ gradients[n].ravel() for n in gradients}, tolerance=1e-12)


def stacked(at_: Probe, letters: str) -> dict[str, torch.Tensor]:
    """Our parameters in the order and under the names of PyTorch's layers."""
    rows = {"weight_ih": "W", "weight_hh": "U", "bias_ih": "b"}
    found = {f"{name}_l0": np.concatenate([at_.params[f"{r}_{k}"] for k in letters]) for name, r in rows.items()}
    found["bias_hh_l0"] = np.zeros(len(letters) * H)
    return {name: torch.tensor(value) for name, value in found.items()}


def layer_loss(layer: torch.nn.RNNBase, at_: Probe, batch: dict[str, np.ndarray]) -> float:
    hidden, _ = layer(torch.tensor(batch["x"]))
    out = hidden @ torch.tensor(at_.params["W_y"]).T + torch.tensor(at_.params["b_y"])
    return torch.nn.functional.mse_loss(out, torch.tensor(batch["target"])).item()


def test_lstm_is_the_lstm_of_torch() -> None:
    at_, layer = probe(lstm()), torch.nn.LSTM(X, H, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(stacked(at_, "ifzo"))
    got, _ = gradients_by_torch(lstm(), at_.params, at_.batch)
    assert got == pytest.approx(layer_loss(layer, at_, at_.batch), rel=1e-14)


def test_reversed_lstm_is_the_lstm_of_torch_on_reversed_steps() -> None:
    at_, layer = probe(lstm()), torch.nn.LSTM(X, H, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(stacked(at_, "ifzo"))
    turned = {name: value[:, ::-1].copy() for name, value in at_.batch.items()}
    got, _ = gradients_by_torch(lstm(reverse=True), at_.params, turned)
    assert got == pytest.approx(layer_loss(layer, at_, at_.batch), rel=1e-14)


def test_gru_is_the_gru_of_torch() -> None:
    at_, layer = probe(gru()), torch.nn.GRU(X, H, batch_first=True, dtype=torch.float64)
    values = stacked(at_, "rzn")
    values["bias_hh_l0"][2 * H :] = torch.tensor(at_.params["c_n"])
    layer.load_state_dict(values)
    got, _ = gradients_by_torch(gru(), at_.params, at_.batch)
    assert got == pytest.approx(layer_loss(layer, at_, at_.batch), rel=1e-14)


def run(made: Model, at_: Probe, **more: object) -> Run:
    return Reference(made, LIBRARY).run({n: v[None] for n, v in at_.params.items()}, at_.batch, **more)


@pytest.mark.parametrize("made", [lstm(masked=True), lstm(True, masked=True), later_reads()])
def test_a_masked_batch_is_its_sequences_one_by_one(made: Model) -> None:
    """The loss of a batch is the mean over all valid steps, whatever the padding holds."""
    at_ = probe(made, T=6, B=4)
    lengths = at_.batch["length"]
    total = 0.0
    for k, length in enumerate(lengths):
        alone = {name: at_.batch[name][k : k + 1, :length] for name in ("x", "target")} | {"length": lengths[k : k + 1]}
        total += length * gradients_by_torch(made, at_.params, alone)[0]
    assert gradients_by_torch(made, at_.params, at_.batch)[0] == pytest.approx(total / lengths.sum(), rel=1e-14)


def test_states_are_held_behind_the_end_of_a_sequence() -> None:
    made = lstm(masked=True)
    at_ = probe(made)
    values, lengths = run(made, at_).steps["h"], at_.batch["length"]
    for k, length in enumerate(lengths):
        assert all(np.array_equal(values[t][k], values[length][k]) for t in range(length, 6))


def test_a_window_goes_on_from_the_state_of_the_window_before() -> None:
    made = later_reads_free()
    at_ = probe(made, T=8)
    halves = [Probe(at_.params, {n: v[:, part] for n, v in at_.batch.items()}) for part in (slice(4), slice(4, 8))]
    first = run(made, halves[0])
    second = run(made, halves[1], state=first.state())
    both = (first.loss_parts().sum() + second.loss_parts().sum()) / 2
    assert both == pytest.approx(run(made, at_).loss_parts().sum(), rel=1e-14)


def later_reads_free() -> Model:
    """Lags 1 and 2 of a state and of an input, with a learned start: what a window must carry."""
    inner = add(rnn(h), mul(0.5, h(2)), at(p("W_x", H, X), Read("x", (X,), "step", 1)))
    return model({"h": inner, "y": readout(h())}, mse, (Start("h", 0, p("h_0", H)),))


def test_dropout_multiplies_by_what_was_drawn() -> None:
    dropped = call("dropout", h(), rate=0.5, place=0)
    made = model({"h": rnn(h), "y": readout(dropped)}, mse)
    at_ = probe(made)
    drawn = [np.random.default_rng(1).integers(0, 2, (3, 5, H)) * 2.0]
    with_drawn, without = (gradients_by_torch(made, at_.params, at_.batch, m)[0] for m in (drawn, None))
    assert without == gradients_by_torch(elman(), at_.params, at_.batch)[0] != with_drawn
    compare(*(g(made, at_.params, at_.batch, drawn)[1] for g in (gradients_by_complex_step, gradients_by_torch)), 1e-13)


def test_one_hot_inputs_and_classes() -> None:
    """A product with a one-hot vector is a column; the loss is minus the log of the probability of the class."""
    made = Model(
        (Input("ids", (X,), "step", "ids"),),
        (Target("label", (Y,), "sequence", "classes"),),
        (ParameterInfo("E", (Y, X), Setting("zeros")),),
        (Equation("y", at(p("E", Y, X), Read("ids", (X,), "step")), "step"),),
        (),
        call("cross_entropy", Last("y", (Y,)), Read("label", (Y,), "sequence")),
    )
    at_ = probe(made)
    scores = at_.params["E"][:, at_.batch["ids"][:, -1]]
    log_softmax = scores - np.log(np.exp(scores).sum(0))
    want = -log_softmax[at_.batch["label"], np.arange(3)].mean()
    assert gradients_by_torch(made, at_.params, at_.batch)[0] == pytest.approx(want, rel=1e-14)


def test_probe_is_deterministic_and_has_sequences_of_one_step() -> None:
    a, b = (probe(later_reads(), seed=3) for _ in range(2))
    assert all(np.array_equal(a.batch[n], b.batch[n]) for n in a.batch)
    assert all(np.array_equal(a.params[n], b.params[n]) for n in a.params)
    assert {1, 5} <= set(a.batch["length"])
