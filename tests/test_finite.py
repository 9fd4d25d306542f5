"""Numbers that are missing or infinite are refused, in inputs and in targets, whatever kind of file they come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.frontend.check import check
from rnnspec.verify.compare import Array

SPEC = """\
rnnspec: 1
data: {{source: '{source}', sequence: {sequence}}}
inputs: {{x: '{x}'}}
targets: {{y: '{y}'}}
model: |
  h[t] = rnn(x[t], units=3)
  s[t] = W_s @ h[t] + b_s
loss: mse(s[{at}], y{index})
train: {{optimizer: sgd(lr=0.1), batch: 4, steps: 3}}
"""
SEQUENCES, STEPS, SIZE = 8, 5, 2
LENGTHS = np.full(SEQUENCES, STEPS - 1)
LENGTHS[0] = STEPS


def good() -> tuple[Array, Array]:
    """Inputs (sequence, step, SIZE) and a target of each sequence; nothing is wrong with them."""
    random = np.random.default_rng(0)
    return random.normal(size=(SEQUENCES, STEPS, SIZE)), random.normal(size=(SEQUENCES, 1))


def written(folder: Path, kind: str, x: Array, y: Array) -> Path:
    """A spec and its data in a file of some kind."""
    timed, target = f"vectors(x, size={SIZE}, length=length)", "values(y, size=1)"
    match kind:
        case "npz":
            np.savez(folder / "a.npz", x=x, y=y, length=LENGTHS)
            source = 'npz("a.npz", arrays=["x", "y", "length"])'
        case "npy":
            for name, array in {"x": x, "y": y, "length": LENGTHS}.items():
                np.save(folder / f"{name}.npy", array)
            source = 'npy(["x.npy", "y.npy", "length.npy"])'
        case "jsonl":
            lines = [json.dumps({"x": a.tolist(), "y": float(b[0])}) for a, b in zip(x, y, strict=True)]
            (folder / "a.jsonl").write_text("\n".join(lines))
            source = 'jsonl("a.jsonl", fields=["x", "y"])'
        case "ts":
            lines = [":".join([*(",".join(map(str, d)) for d in a.T), str(b[0])]) for a, b in zip(x, y, strict=True)]
            (folder / "a.ts").write_text("@targetLabel true\n@data\n" + "\n".join(lines))
            source = 'ts("a.ts")'
        case _:
            table = np.concatenate([x.reshape(-1, SIZE), np.repeat(y, STEPS, 0)], axis=1)
            (folder / "a.csv").write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in table))
            source, timed, target = 'csv("a.csv", columns=["a", "b", "c"])', 'columns(["a", "b"])', 'next(["c"])'
    stream = kind == "csv"
    text = SPEC.format(
        source=source, sequence=STEPS, x=timed, y=target, at="t" if stream else "T", index="[t]" if stream else ""
    )
    path = folder / "a.rnn"
    path.write_text(text if stream else text.replace(f", sequence: {STEPS}", ""))
    return path


KINDS = ("csv", "jsonl", "npy", "npz", "ts")
WRONG = (float("nan"), float("inf"), float("-inf"))


def spoilt(part: str, number: float) -> tuple[Array, Array]:
    """The same with one wrong number, in sequence 6."""
    x, y = good()
    (x if part == "x" else y)[6, 0] = number
    return x, y


@pytest.mark.parametrize("kind", KINDS)
def test_finite_numbers_are_accepted(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind, *good())
    compile_spec(path).load()
    assert check(path)[1] == []


@pytest.mark.parametrize("number", WRONG)
@pytest.mark.parametrize("part", ["x", "y"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_numbers_are_refused(
    kind: str, part: str, number: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, kind, *spoilt(part, number))
    if kind == "npy":  # these arrays may be larger than memory: the script looks at each batch
        monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
        with pytest.raises(SystemExit, match=f"^{part} has {number} in sequence 6, counted from 0: fill it in"):
            list(compile_spec(path).load().batches("train"))
        return
    spec, (found,) = check(path)
    said = " ".join([found.message, *(text for _, text in found.notes)])
    places = {"csv": "line 32", "jsonl": "line 7", "npz": "[6, 0", "ts": "line 9"}
    assert spec is None and found.code == "E0703" and places[kind] in said
    assert "fill" in said or "write a number there" in said


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_padding_may_be_anything(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = good()
    x[1:, -1] = np.nan
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    for batch in compile_spec(written(tmp_path, kind, x, y)).load().batches("train"):
        assert np.isfinite(batch["x"]).all()


@pytest.mark.parametrize("kind", ["npz", "ts"])
def test_a_script_refuses_them_in_data_that_came_later(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = compile_spec(written(tmp_path, kind, *good())).load()
    written(tmp_path, kind, *spoilt("x", np.nan))
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="^x has nan in sequence 6"):
        list(script.batches("train"))


def test_numbers_that_nothing_reads_may_be_anything(tmp_path: Path) -> None:
    path = written(tmp_path, "npz", *good())
    np.savez(tmp_path / "a.npz", x=good()[0], y=good()[1], length=LENGTHS, other=np.full(SEQUENCES, np.nan))
    path.write_text(path.read_text().replace('"length"]', '"length", "other"]'))
    assert check(path)[1] == []
