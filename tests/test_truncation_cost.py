"""`rnnspec truncation`: angle and error of truncated gradients, against gradients of a loop in torch with its graph cut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click import ClickException
from click.testing import CliRunner

from rnnspec import compile_spec
from rnnspec.cli import commands
from rnnspec.commands.truncation import OVERLAPPING, advice, measured
from rnnspec.diagnostics import SpecError
from rnnspec.verify.truncation import Cost, Truncated
from tests import test_reach

SPECS = Path(__file__).parent.parent / "specs"

MASKED = """
rnnspec: 1
data:
  source: npz("data.npz", arrays=["x", "y", "length"])
inputs:
  x: vectors(x, size=3, length=length)
targets:
  target: values(y, size=2)
states: {h: 4}
model: |
  h[t] = tanh(W_x @ x[t] + W_h @ h[t-1])
  y[t] = W_y @ h[t]
loss: mse(y[t], target[t])
train: {optimizer: sgd(lr=0.1), truncation: "tbptt(k1=1, k2=2)", batch: 3, epochs: 1, dtype: float64}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The spec of `test_reach`, with its data."""
    np.savez(tmp_path / "data.npz", **test_reach.data())
    path = tmp_path / "reach.rnn"
    path.write_text(test_reach.SPEC)
    return path


def by_torch(spec: Path, k1: int, k2: int) -> tuple[float, float, dict[str, float]]:
    """Angle, error, and error by parameter, on the first training batch."""
    script = test_reach.loaded("tbptt(k1=2, k2=5)", 1)
    batches = [next(test_reach.whole_batches(script))]
    full, cut = (test_reach.by_hand(script, *reach, batches)[1] for reach in ((test_reach.T, test_reach.T), (k1, k2)))
    a, b = (np.concatenate([g[name].ravel() for name in full]) for g in (full, cut))
    angle = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    errors = {name: np.linalg.norm(cut[name] - full[name]) / np.linalg.norm(full[name]) for name in full}
    return float(angle), float(np.linalg.norm(b - a) / np.linalg.norm(a)), errors


@pytest.mark.parametrize(("truncation", "learned"), [("tbptt(k1=2, k2=5)", 2), ("tbptt(3)", 50)])
def test_costs_are_those_of_torch(truncation: str, learned: int, spec: Path) -> None:
    """With `tbptt(k1, k2)` in the spec, k1 stays as it is; else all steps of a window are learned at once."""
    costs = measured(spec, [f"train.truncation={truncation}"], [1, 3, 5, 20], None)
    assert [(cost.k1, cost.k2) for cost in costs] == [(min(learned, k2), k2) for k2 in (1, 3, 5, 20)]
    for cost in costs[:-1]:
        angle, error, errors = by_torch(spec, cost.k1, cost.k2)
        assert cost.angle == pytest.approx(angle, rel=1e-9) and cost.angle > 1
        assert cost.error == pytest.approx(error, rel=1e-11)
        assert cost.parameters == pytest.approx(errors, rel=1e-11)
    assert costs[-1].error < 1e-13
    assert costs[0].error > costs[2].error, "a longer reach loses less here"


def test_a_script_finds_its_data_where_it_is_told(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNSPEC_DATA", raising=False)
    monkeypatch.chdir("/")
    compiled = compile_spec(spec)
    with pytest.raises(SystemExit, match="is missing"):
        compiled.load().dataset()
    assert compiled.load(data=spec.parent).dataset()


def test_short_sequences_weigh_as_they_do_in_the_whole_batch(tmp_path: Path) -> None:
    """Windows that reach back to the first step give the gradient of the whole batch, whatever its lengths."""
    rng = np.random.default_rng(0)
    x, y, length = rng.standard_normal((3, 10, 3)), rng.standard_normal((3, 10, 2)), np.array([10, 3, 6])
    np.savez(tmp_path / "data.npz", x=x, y=y, length=length)
    (tmp_path / "masked.rnn").write_text(MASKED)
    made = compile_spec(tmp_path / "masked.rnn")
    script, model, batch = made.load(), made.spec.model, {"x": x, "target": y, "length": length}
    found = Truncated(script, model, script.init(1), batch)
    full = script.loss_and_gradients(script.init(1), batch)[1]
    for name, gradient in found.gradient(3, 20).items():
        np.testing.assert_allclose(gradient, full[name], rtol=1e-12)
    assert found.cost(3, 20).error < 1e-13 < found.cost(3, 3).error


def test_the_command(spec: Path) -> None:
    run = CliRunner()
    text = run.invoke(commands, ["truncation", str(spec), "--k2", "1,20"], standalone_mode=False)
    assert "tbptt(k1=2, k2=20)" in text.output and "relative error" in text.output and "`--from`" in text.output
    found = run.invoke(commands, ["truncation", str(spec), "--k2", "1,20", "--format", "json"], standalone_mode=False)
    assert [cost["k2"] for cost in json.loads(found.output)] == [1, 20]


def test_a_model_without_windows_is_told_why() -> None:
    """It has written no truncation, so it is not asked to remove any."""
    for name, what in (("adding", "the last step"), ("bidirectional", "a later step")):
        with pytest.raises(SpecError) as error:
            measured(SPECS / f"{name}.rnn", [], [5], None)
        (found,) = error.value.diagnostics
        assert found.message == f"there is no truncation to measure: {what} cannot be read in a window of a sequence"
        assert "leave it as it is" in str(error.value) and "remove" not in str(error.value)
    with pytest.raises(SpecError, match="remove `truncation:`"):
        measured(SPECS / "adding.rnn", ["train.truncation=tbptt(5)"], [5], None)


def test_it_is_measured_in_float64_whatever_the_spec_trains_in(spec: Path) -> None:
    same, rounded = measured(spec, [], [1], None), measured(spec, ["train.dtype=bfloat16"], [1], None)
    assert same == rounded


def test_parameters_of_a_run(spec: Path, tmp_path: Path) -> None:
    """With --from, the parameters of a file take the place of the initial ones."""
    script = compile_spec(spec, overrides=[OVERLAPPING]).load()
    params = {name: value * 3 for name, value in script.init(4).items()}
    script.write(tmp_path / "best.npz", params)
    start, trained = (measured(spec, [], [2], weights)[0] for weights in (None, tmp_path / "best.npz"))
    assert start.error != trained.error


def test_advice() -> None:
    def cost(k2: int, error: float) -> Cost:
        return Cost(k2, k2, 0.0, error, {})

    assert advice([cost(1, 0.5), cost(5, 0.08), cost(9, 0)], True) == "`tbptt(5)` is enough here: it loses 8 % of the gradient."
    assert advice([cost(1, 0.5), cost(5, 0.25)], True).startswith("Even `tbptt(5)` loses 25 % of the gradient")
    assert advice([cost(1, 0.5), cost(9, 0)], True).startswith("Only `tbptt(9)`, which reaches over the whole")
    assert advice([cost(5000, 0)], True).startswith("`tbptt(5000)` reaches over the whole sequence and loses nothing; try a sm")


def test_a_file_without_parameters(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ClickException, match="there is no .*nope.npz"):
        measured(spec, [], [2], tmp_path / "nope.npz")
    with pytest.raises(ClickException, match="holds no parameters"):
        measured(spec, [], [2], tmp_path / "text.npz")
