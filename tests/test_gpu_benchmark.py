"""The benchmark for the GPU, as far as it goes without one: guards, times, tables, targets, and the kernels' text."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

import benchmarks.gpu.__main__ as command
from benchmarks.gpu import floor, plan, table, targets, timing
from benchmarks.gpu.guard import records
from benchmarks.gpu.plan import CHECK, EAGER, GRAPH, JAX, LATENCIES, LAUNCHES, LAYER, OURS, SIZES, Case, Part
from benchmarks.gpu.results import Results
from rnnspec.run.gpu import NoGpu, Trouble
from tests.gpu.marks import needs_nvrtc
from tests.gpu.nvrtc import compiled

MILLISECONDS = {OURS: 2.0, LAYER: 3.0, EAGER: 300.0, JAX: 5.0}


# ------------------------------------------------------------------ processes and their guard


def fake(*whats: str, limit: float = 20.0) -> Part:
    return Part("fake", "tests.fake_cases", 0, limit, [{"what": what, "value": k} for k, what in enumerate(whats)])


def test_one_process_answers_all_cases() -> None:
    found = list(records(fake("answer", "answer", "answer"), 20, "cpu"))
    assert [(one["value"], one["device"], one["part"]) for one in found] == [(k, "cpu", "fake") for k in range(3)]
    assert len({one["process"] for one in found}) == 1


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("fail", "ValueError: a first line"),
        ("die", "its process ended with code -11: Segmentation fault"),
        ("hang", "no answer within 6 s"),
    ],
)
def test_a_case_that_goes_wrong_costs_no_other(what: str, reason: str) -> None:
    first, bad, last = records(fake("answer", what, "answer", limit=6.0 if what == "hang" else 20.0), 30, "cpu")
    assert (first["value"], bad["reason"], last["value"]) == (0, reason, 2)
    assert first["process"] != last["process"]


@pytest.mark.parametrize(
    ("what", "reason"), [("absent", "there is no such device"), ("import", "No module named 'a_package_that_is_nowhere'")]
)
def test_what_is_missing_is_missing_for_all(what: str, reason: str) -> None:
    began = time.monotonic()
    assert [one["reason"] for one in records(fake(what, "hang", "hang"), 30, "cpu")] == [reason] * 3
    assert time.monotonic() - began < 10


def test_cases_without_time_say_so() -> None:
    began = time.monotonic()
    first, second, third = records(fake("answer", "hang", "answer"), 6, "cpu")
    assert time.monotonic() - began < 9
    assert first["value"] == 0
    assert second["reason"].startswith("no answer within ")
    assert third["reason"] == "not measured: the 6 s of this part were over"


def test_a_peer_is_measured_through_its_process() -> None:
    case = {"cell": "LSTM", "size": (2, 3, 4), "precision": "float32", "start": LAUNCHES}
    part = Part(EAGER, "benchmarks.gpu.in_torch", 0, 60, [case, {**case, "start": GRAPH}])
    launches, graph = records(part, 60, "cpu")
    assert set(launches["norms"]) == {"W", "U", "b"}
    assert timing.FEWEST <= launches["training"]["calls"] <= timing.MOST
    assert "reason" in graph and "training" not in graph  # there are no graphs on a CPU


# ------------------------------------------------------------------ times


class Ticks:
    """A clock of a device on which everything takes as long as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> timing.Clock:
        return timing.Clock(lambda: self.now, lambda: None, lambda start, end: float(end - start))


def test_the_median_of_calls_behind_the_warm_up() -> None:
    ticks, sets = Ticks(), []

    def call(k: int) -> None:
        sets.append(k)
        ticks.now += [1000.0, 10.0, 70.0, 20.0, 30.0, 90.0, 40.0][len(sets) - 1]

    assert timing.times(call, ticks.clock(), seconds=0.05) == {"best": 20.0, "median": 40.0, "calls": 5}
    assert sets == [0, 1, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(("milliseconds", "calls"), [(0.001, timing.MOST), (10.0, 30), (500.0, timing.FEWEST)])
def test_calls_fill_the_time_within_bounds(milliseconds: float, calls: int) -> None:
    ticks = Ticks()

    def call(k: int) -> None:
        ticks.now += milliseconds

    assert timing.times(call, ticks.clock(), seconds=0.3)["calls"] == calls


# ------------------------------------------------------------------ the plan


def test_the_plan_fits_into_eight_minutes() -> None:
    parts = plan.parts()
    assert sum(part.seconds for part in parts) < 480
    assert all(importlib.util.find_spec(part.module) for part in parts)
    assert len({json.dumps((part.name, case)) for part in parts for case in part.cases}) == sum(
        len(part.cases) for part in parts
    )


def test_targets_are_about_what_is_measured() -> None:
    planned = {(part.name, case.get("cell"), case.get("precision")) for part in plan.parts() for case in part.cases}
    for target in targets.TARGETS:
        assert {(target.peer, cell, precision) for cell in target.cells for precision in target.precisions} <= planned


# ------------------------------------------------------------------ tables


def timed(part: str, case: Case) -> Case:
    """A record in which forward takes half of the whole, and a graph half of that."""
    whole = MILLISECONDS[part] / (2 if case["start"] == GRAPH else 1)
    times = {"training": {"best": whole, "median": whole, "calls": 9}, "forward": {"best": 1, "median": whole / 2, "calls": 9}}
    return {"part": part, **case, "norms": {"W": 2.0, "b": 3.0}, **times, "calls": {"launch_blocks": 1000, "multiply": 500}}


def fake_records() -> list[Case]:
    """Everything but flashrnn and torch.compile was measured."""
    found: list[Case] = []
    for part in plan.parts():
        if part.name in MILLISECONDS:
            found += [timed(part.name, case) for case in part.cases]
        elif part.name == CHECK:
            found += [{"part": CHECK, **case, "error": 1e-12, "repeatable": True, "seconds": 1.5} for case in part.cases]
        elif part.name == LATENCIES:
            found += [{"part": LATENCIES, **case, "value": 2.0, "unit": "us"} for case in part.cases]
        else:
            found += [{"part": part.name, **case, "reason": "No module named 'it'"} for case in part.cases]
    return found


def row(text: str, title: str, start: str) -> list[str]:
    """The cells of a row of the table with this title."""
    rows = text.split(f"**{title}**", 1)[1].split("\n\n")[1].splitlines()
    return [cell.strip() for cell in next(line for line in rows if line.startswith(start)).strip("|").split("|")]


def test_the_report_has_times_and_ratios() -> None:
    text = table.report({"gpu": "none"}, Results(fake_records()))
    found = row(text, "LSTM, forward and backward, ms", "| 32, 512, 256 | float32 |")
    # graph and launches of ours, then -O2; launches and graph of torch.nn, of eager; JAX: columns without a number are left out
    assert found[3:7] == ["1.00", "2.00", "2.00", "2.00"]
    assert found[7:] == ["3.00 (3.00x)", "1.50 (1.50x)", "300.00 (300.00x)", "150.00 (150.00x)", "5.00 (5.00x)"]
    half = row(text, "LSTM, forward and backward, ms", "| 32, 512, 256 | float16 |")
    assert half[3:9] == ["-", "-", "-", "-", "3.00 (3.00x)", "1.50 (1.50x)"]  # beside ours in bfloat16
    own = row(text, "minGRU, forward, ms", "| 32, 512, 256 | float32 |")[3:6]
    assert own == ["0.50", "1.00", "1.00"]  # graph, launches, and the graph with a launch a step
    assert row(text, "Not measured", "| flashrnn")[1:] == [
        "5",
        "LSTM, 32, 512, 256, bfloat16, launches",
        "No module named 'it'",
    ]
    where = row(text, "Where the time of forward and backward goes, ms", "| LSTM | 32, 512, 256 | tf32 |")
    assert where[5:] == ["1500", "3.00", "1.00"]  # 1500 nodes of 2 us


def test_targets_are_met_or_not() -> None:
    text = table.report({}, Results(fake_records()))
    title = "Targets, forward and backward: the worst found (what it must be / what would be fine)"
    assert row(text, title, "| LSTM / torch.nn, float32 |")[1:3] == ["1.50x (1.5 / 3), met", "1.50x (1 / 1.5), met"]
    assert row(text, title, "| GRU / torch.nn")[1] == "1.50x (2 / 4), NOT MET"
    assert row(text, title, "| LN-LSTM / torch.compile")[1] == "not measured (5 / 15)"
    assert row(text, title, "| LSTM, bfloat16 |")[1:] == ["-"] * 4 + ["1.00 ms (10 / 5.2), met"]
    assert row(text, title, "| spec to first gradient")[1] == "1.50 s (3 / 3), met"


def test_a_target_of_which_a_part_is_missing_says_so() -> None:
    assert targets.verdict([4.0, None], (2, 3), "x") == "4.00x (2 / 3), 1 of 2, met"
    assert targets.verdict([4.0, 5.0], (4.5, 3), " ms") == "5.00 ms (4.5 / 3), NOT MET"


def test_peers_whose_gradients_differ_stand_out() -> None:
    found = fake_records()
    odd = next(one for one in found if one["part"] == LAYER and one["precision"] == "tf32")
    odd["norms"] = {"W": 2.0, "b": 3.3}
    text = table.report({}, Results(found))
    title = "Norms of gradients, beside ours in float32, at the sizes that were timed"
    assert row(text, title, "| torch.nn | tf32 |")[2:] == ["1e-01", "20"]
    assert row(text, title, "| torch.nn | float32 |")[2:] == ["0e+00", "20"]


def test_floors() -> None:
    products = [{"part": LATENCIES, "what": "products, tf32", "value": 100.0}]
    rates = Results([*products, {"part": LATENCIES, "what": "copy in memory", "value": 1000.0}])
    B, T, H = size = (64, 256, 512)
    assert floor.operations("LSTM", size, "training") == 40 * T * B * H**2  # 16 forward, 8 through time, 16 of weights
    assert floor.operations("minGRU", size, "training") == 8 * T * B * H**2
    found = floor.floor(rates, "LSTM", size, "tf32", "training")
    assert found is not None
    assert found.products == pytest.approx(40 * T * B * H**2 / 100e12 * 1e3)
    assert found.memory == pytest.approx(4 * (16 * T * B * H + 24 * H**2) / 1000e9 * 1e3)
    assert found.milliseconds == found.products
    assert floor.floor(Results(products), "LSTM", size, "tf32", "training") is None


# ------------------------------------------------------------------ the command


def run_command(monkeypatch: pytest.MonkeyPatch, parts: list[Part], arguments: list[str]) -> int:
    monkeypatch.setattr(command, "parts", lambda: parts)
    monkeypatch.setattr(command, "require", lambda: None)
    return command.main(arguments)


def test_without_a_gpu_there_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def refuse() -> None:
        raise NoGpu(Trouble("CuPy is not installed", "install it"))

    monkeypatch.setattr(command, "require", refuse)
    assert command.main(["--out", str(tmp_path / "results.json")]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "error: the GPU cannot be used: CuPy is not installed\n  help: install it\n")
    assert not (tmp_path / "results.json").exists()


def test_every_record_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    parts = [Part(LATENCIES, "tests.fake_cases", 20, 20, [{"what": "answer", "value": 7}, {"what": "fail"}])]
    assert run_command(monkeypatch, parts, ["--out", str(tmp_path / "results.json")]) == 1  # nothing of ours was timed
    written = json.loads((tmp_path / "results.json").read_text())
    assert [one.get("value", one.get("reason")) for one in written["records"]] == [7, "ValueError: a first line"]
    assert {"date", "torch", "cupy-cuda13x"} <= set(written["machine"])
    printed = capsys.readouterr()
    assert "latencies, answer: value 7" in printed.err and "latencies, fail: ValueError: a first line" in printed.err
    assert "| latencies | 1 | fail | ValueError: a first line |" in printed.out


def test_what_is_wrong_is_not_timed() -> None:
    ways = [(precision, GRAPH) for precision in ("float32", "tf32", "bfloat16")]
    part = Part(
        OURS, "tests.fake_cases", 20, 20, [{**one, "what": "answer", "value": 1} for one in plan.timings(["LSTM"], ways)]
    )
    errors = {"float32": 2e-5, "tf32": 2e-5}
    checks = [
        {"part": CHECK, "cell": "LSTM", "size": size, "precision": precision, "error": error}
        for size in SIZES
        for precision, error in errors.items()
    ]
    found = list(command.everything([part], checks))
    assert {one["reason"] for one in found if one["precision"] == "float32"} == {"not timed: its gradient is 2e-05 off"}
    assert {one["reason"] for one in found if one["precision"] == "bfloat16"} == {"not timed: its gradient was not checked"}
    assert [one["value"] for one in found if one["precision"] == "tf32"] == [1] * len(SIZES)


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_kernels_of_the_latencies_compile(arch: str) -> None:
    text = Path(plan.__file__).with_name("latencies.cu").read_text()
    names = {report.name for report in compiled(text, arch, ("-std=c++17",))}
    assert names == {"nothing", "meet", "read"} | ({"meet_in_cluster"} if arch == "sm_90" else set())
