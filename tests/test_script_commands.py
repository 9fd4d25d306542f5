"""What the command line of a script refuses, and what else is asked of its functions by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hand_written import TEXT, elman_script


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the script runs in and has its text in."""
    (tmp_path / "tiny.txt").write_text(TEXT)
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


WAYS = "--resume goes on with it, another --out keeps it"
REFUSED = {
    "no steps": (["--steps", "0"], "argument --steps: should be at least 1, not 0"),
    "no epochs": (["--epochs", "-1"], "argument --epochs: should be at least 1, not -1"),
    "no number": (["--epochs", "many"], "argument --epochs: invalid number value: 'many'"),
    "a seed below 0": (["--seed", "-4"], "argument --seed: should be at least 0, not -4"),
    "a seed that no checkpoint can hold": (["--seed", str(2**63)], "--seed must be less than 2**63"),
    "a seed for a run that has one": (["--resume", "--seed", "0"], "argument --seed: not allowed with argument --resume"),
    "a file for a folder": (["--out", "tiny.txt"], "tiny.txt is a file; --out needs the name of a folder"),
    "a run in the folder": (
        ["--out", "done"],
        f"there is a run in done already: {WAYS}",
    ),
    "a length below 0": (["sample", "--length", "-5"], "argument --length: should be at least 1, not -5"),
    "a temperature below 0": (["sample", "--temperature", "-1"], "argument --temperature: should be at least 0, not -1"),
    "no temperature": (["sample", "--temperature", "nan"], "argument --temperature: should be at least 0, not nan"),
    "unknown symbols": (["sample", "--prime", "a\u00e9"], "--prime has symbols that the model does not know"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_command_lines_are_refused_at_once(case: str, data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = REFUSED[case]
    (data_folder / "done").mkdir()
    (data_folder / "done" / "last.npz").write_bytes(b"mine")
    before = sorted(data_folder.rglob("*"))
    with pytest.raises(SystemExit) as end:
        elman_script().main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].partition(": error: ")[2] == message
    assert sorted(data_folder.rglob("*")) == before


def test_the_folder_of_a_run_is_a_name_or_a_path_and_needed_to_resume() -> None:
    script, events = elman_script(), []
    script.train(out="new/run", steps=2, report=events.append)
    script.train(out=Path("new/run"), steps=3, resume=True, report=events.append)
    assert [event["step"] for event in events if event["event"] == "end"] == [2, 3]
    with pytest.raises(ValueError, match="to resume a run, say where it is: `out`"):
        script.train(resume=True)
    with pytest.raises(FileExistsError):
        script.train(out="tiny.txt", stopping=lambda: pytest.fail("a step was made"))


def test_temperature_0_writes_the_likeliest_symbols() -> None:
    script = elman_script()
    p = script.views(script.init(3))
    cold = script.sample(p, 20, temperature=0, seed=1)
    assert cold == script.sample(p, 20, temperature=0, seed=2) != script.sample(p, 20, seed=1)
    text = "\n"
    for symbol in cold:
        ids = script.numbers(text)[None].clip(0)
        assert symbol == script.spelled([script.predict(p.named, {"x": ids})["y"][0, -1].argmax()])
        text += symbol
