"""How parameters start: moments, exact properties, torch's own initialisers, and values from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.compiler import compile_spec
from rnnspec.diagnostics import Diagnostic
from rnnspec.frontend.check import check
from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.initialisers import INITIALISERS

SPEC = """\
rnnspec: 1
data:
  source: recall(symbols=8, length=20, delay=3)
inputs:
  x: one_hot(ids)
targets:
  target: classes(out, count=9)
model: |
  u[t] = W_u @ x[t]
  h[t] = lstm(u[t], units=120)
  y[t] = W_y @ h[t] + b_y
loss: cross_entropy(y[t], target[t])
params:
  W_u: {shape: [80, 9]}
%s
train:
  optimizer: adam(lr=1e-3)
  batch: 64
  steps: 100
  dtype: float64
"""
SHAPE = (120, 80)


def initial(*rows: str, folder: Path | None = None, seed: int = 3) -> dict[str, np.ndarray]:
    """The fresh parameters of a spec with rows for its section `params`."""
    text = SPEC % "\n".join(f"  {row}" for row in rows)
    if folder is None:
        return compile_spec(text).load().init(seed)  # type: ignore[no-any-return]
    (folder / "model.rnn").write_text(text)
    return compile_spec(folder / "model.rnn").load().init(seed)  # type: ignore[no-any-return]


def problems(*rows: str, folder: Path = Path("/nowhere")) -> list[Diagnostic]:
    """What is wrong with these rows."""
    checked, found = check((SPEC % "\n".join(f"  {row}" for row in rows)).encode(), name=str(folder / "model.rnn"))
    assert checked is None
    return found


def matrix(init: str) -> np.ndarray:
    """The matrix W_i of the LSTM, [120, 80]."""
    found = initial(f'h.W_i: {{init: "{init}"}}')["h.W_i"]
    assert found.shape == SHAPE
    return found


def test_the_tables_have_equal_keys() -> None:
    assert set(SETTINGS["init"]) == set(INITIALISERS)


# ------------------------------------------------------------------ distributions

UNIFORM = {
    "glorot_uniform": lambda w: torch.nn.init.xavier_uniform_(w),
    "he_uniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "lecun_uniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear"),
    "uniform(0.3)": lambda w: torch.nn.init.uniform_(w, -0.3, 0.3),
    "torch_rnn": lambda w: dict(torch.nn.RNN(SHAPE[1], SHAPE[0]).named_parameters())["weight_ih_l0"],
}
NORMAL = {
    "glorot_normal": lambda w: torch.nn.init.xavier_normal_(w),
    "he_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "lecun_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "normal(std=0.4)": lambda w: torch.nn.init.normal_(w, std=0.4),
}
"""PyTorch's initialisers with the same meaning."""


@pytest.mark.parametrize("init", UNIFORM)
def test_uniform(init: str) -> None:
    ours, theirs = matrix(init), UNIFORM[init](torch.empty(SHAPE)).detach().numpy()
    limit = np.abs(theirs).max()
    assert np.abs(ours).max() == pytest.approx(limit, rel=2e-3)
    shares, _ = np.histogram(ours, bins=8, range=(-limit, limit))
    assert shares.min() > 0.85 * ours.size / 8, "every part of the range is as likely as the others"


@pytest.mark.parametrize("init", NORMAL)
def test_normal(init: str) -> None:
    ours, theirs = matrix(init), NORMAL[init](torch.empty(SHAPE)).detach().numpy()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.04) and abs(ours.mean()) < 0.04 * ours.std()
    assert (ours**4).mean() == pytest.approx(3 * ours.var() ** 2, rel=0.15), "the fourth moment of a normal distribution"


def test_every_number_of_a_torch_rnn_has_the_same_limit() -> None:
    found = initial('"h.*": {init: torch_rnn}')
    for name, array in found.items():
        if name.startswith("h."):
            assert 0.9 * 120**-0.5 < np.abs(array).max() <= 120**-0.5, name


# ------------------------------------------------------------------ exact properties


def test_exact_values() -> None:
    eye = np.zeros(SHAPE)
    eye[np.arange(80), np.arange(80)] = 0.5
    for init, want in (("zeros", 0.0), ("ones", 1.0), ("constant(-2.5)", -2.5), ("identity(gain=0.5)", eye)):
        np.testing.assert_array_equal(matrix(init), np.broadcast_to(want, SHAPE))


def test_orthogonal() -> None:
    found = matrix("orthogonal(gain=3.0)")
    np.testing.assert_allclose(found.T @ found, 9 * np.eye(80), atol=1e-12)
    recurrent = initial("h.U_f: {init: orthogonal}")["h.U_f"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(120), atol=1e-12)


def test_sparse_is_that_of_torch() -> None:
    ours, theirs = matrix("sparse(0.33, std=0.5)"), torch.nn.init.sparse_(torch.empty(SHAPE), 0.33, std=0.5).numpy()
    assert ((ours == 0).sum(0) == (theirs == 0).sum(0)).all() and (ours == 0).sum(0)[0] == 40
    assert len({tuple(column) for column in (ours == 0).T}) == 80, "each column has zeros of its own"
    assert ours[ours != 0].std() == pytest.approx(0.5, rel=0.05)


def test_chrono() -> None:
    found = initial("h.b_f: {init: chrono(200)}", "h.b_i: {init: negative(h.b_f)}")
    np.testing.assert_array_equal(found["h.b_i"], -found["h.b_f"])
    spans = np.exp(found["h.b_f"])  # 1 / (1 - sigmoid(b_f)) - 1: for how many steps the gate remembers
    assert 1 <= spans.min() < 10 and 185 < spans.max() <= 199
    assert spans.mean() == pytest.approx(100, rel=0.12)


def test_seeds_and_parameters_differ() -> None:
    first, again, other = (initial(seed=seed) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["W_y"] != other["W_y"]).any() and (first["h.W_i"] != first["h.W_f"]).any()


# ------------------------------------------------------------------ values from a file


def test_a_parameter_from_a_file(tmp_path: Path) -> None:
    saved = {"b_y": np.arange(9.0), "other": np.arange(9 * 120.0).reshape(9, 120)}
    np.savez(tmp_path / "w.npz", **saved)
    script = compile_in(tmp_path, 'b_y: {init: from_file("w.npz")}', "W_y: {init: \"from_file('w.npz', 'other')\"}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSPEC_DATA", str(tmp_path))
        found = script.init()
    np.testing.assert_array_equal(found["b_y"], saved["b_y"])
    np.testing.assert_array_equal(found["W_y"], saved["other"])


def compile_in(folder: Path, *rows: str):  # type: ignore[no-untyped-def]
    """The script of a spec in a folder."""
    (folder / "model.rnn").write_text(SPEC % "\n".join(f"  {row}" for row in rows))
    return compile_spec(folder / "model.rnn").load()


def test_all_parameters_from_a_checkpoint(tmp_path: Path) -> None:
    first = initial()
    np.savez(tmp_path / "best.npz", **first)
    script = compile_in(tmp_path, '"*": {init: from_file("best.npz")}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSPEC_DATA", str(tmp_path))
        found = script.init(99)
    assert all((found[name] == first[name]).all() for name in first)


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        ("b_y: {init: negative(b_z)}", "E0505", "there is no parameter `b_z`"),
        ("b_y: {init: negative(h.b_f)}", "E0505", "`h.b_f` is [120], but `b_y` is [9]"),
        ("b_y: {init: negative(b_y)}", "E0505", "`b_y` starts from another parameter itself"),
        ('b_y: {init: from_file("no.npz")}', "E0703", "does not exist"),
        ('b_y: {init: from_file("w.npz")}', "E0703", "has no array `b_y`"),
        ("b_y: {init: \"from_file('w.npz', 'a')\"}", "E0505", "the array `a` of `w.npz` is [8], but `b_y` is [9]"),
        ("b_y: {init: \"from_file('w.npz', 'b')\"}", "E0505", "must hold finite numbers"),
        ("b_y: {init: sparse(0.5)}", "E0505", "needs a matrix"),
        ("b_y: {init: chrono(2)}", "E0602", "must be at least 3"),
        ("W_y: {init: sparse(1.0)}", "E0602", "below 1"),
    ],
)
def test_what_does_not_fit(row: str, code: str, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.ones(8), b=np.full(9, np.nan))
    (found,) = problems(row, folder=tmp_path)
    assert found.code == code and message in found.message
