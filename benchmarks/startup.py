"""What a person waits for: from a spec to its script, and from the shell to the first training step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPECS = Path(__file__).parent.parent / "specs"

COMPILE = """
import sys, time
from rnnspec import compile_spec
import rnnspec.compiler
start = time.perf_counter()
compile_spec(sys.argv[1])
print(time.perf_counter() - start)
"""


def spec_to_script(runs: int) -> dict[str, float]:
    """Best seconds for each spec, each time in a new process, behind its imports: nothing is cached."""
    return {path.name: min(compiled(path) for _ in range(runs)) for path in sorted(SPECS.glob("*.rnn"))}


def compiled(spec: Path) -> float:
    """Seconds to compile a spec in a new process."""
    done = subprocess.run([sys.executable, "-c", COMPILE, str(spec)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def command_to_step(runs: int) -> float:
    """Best seconds from the start of `rnnspec run specs/elman_char.rnn` to the first event that reports training steps."""
    return min(until_step(SPECS / "elman_char.rnn") for _ in range(runs))


def until_step(spec: Path, limit: float = 60.0) -> float:
    """Seconds until a run has reported its first step; the run is then ended as by Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        start = time.perf_counter()
        command = [sys.executable, "-m", "rnnspec", "run", str(spec), "--out", str(out)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=SPECS.parent) as process:
            try:
                while not has_step(out / "metrics.jsonl"):
                    if process.poll() is not None or time.perf_counter() - start > limit:
                        raise SystemExit(f"`{' '.join(command)}` reported no training step")
                    time.sleep(0.002)
                return time.perf_counter() - start
            finally:
                process.send_signal(signal.SIGINT)


def has_step(metrics: Path) -> bool:
    """Does a file of events have one of a training step?"""
    if not metrics.exists():
        return False
    whole = metrics.read_text(encoding="utf-8").rpartition("\n")[0]
    return any(json.loads(line)["event"] == "step" for line in whole.splitlines())
