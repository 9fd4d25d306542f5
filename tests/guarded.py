"""A process that checks specs it cannot trust: each in a child of its own, with a limit on memory, and measured.

It reads one line of JSON for each spec, {"spec": base64, "overrides": [...]}, and answers with one line: see `Verdict`.
`Guard` starts it and talks to it.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MORE_MEMORY = 200 * 2**20
"""How much address space a child may take beyond what it starts with."""
PATIENCE = 30
"""Seconds after which a child that hangs is ended."""
NOTHING: dict[str, object] = {"accepted": False, "codes": [], "text": "", "outside": 0}


@dataclass(frozen=True)
class Verdict:
    """What became of one spec."""

    accepted: bool
    codes: list[str]  # of its errors
    text: str  # all that would be printed
    outside: int  # labels that do not lie in their file
    seconds: float  # of the processor
    megabytes: float  # more than before, at most
    trouble: str  # the traceback, or how the child died; empty as it should be


class Guard:
    """The process, as a context manager."""

    def __enter__(self) -> Guard:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.guarded"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def judge(self, spec: bytes, overrides: Sequence[str] = ()) -> Verdict:
        """Check one spec, and compile it if it is accepted."""
        assert self.process.stdin and self.process.stdout
        question = {"spec": base64.b64encode(spec).decode(), "overrides": list(overrides)}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return Verdict(**json.loads(self.process.stdout.readline()))


def judge(spec: bytes, overrides: Sequence[str]) -> dict[str, object]:
    """The first half of a verdict; runs in a child."""
    from rnnspec.compiler import compile_spec
    from rnnspec.diagnostics import render, to_json
    from rnnspec.frontend.check import check

    checked, found = check(spec, overrides)
    text = "\n\n".join(map(render, found))
    text.encode("utf-8")
    json.dumps([to_json(diagnostic) for diagnostic in found])
    spans = [label.span for diagnostic in found for label in diagnostic.labels]
    outside = sum(not 0 <= span.start <= span.end <= len(span.source.text) for span in spans)
    if checked is not None:
        compile_spec(spec, overrides=overrides)
    codes = [diagnostic.code for diagnostic in found if diagnostic.level == "error"]
    return {"accepted": checked is not None, "codes": codes, "text": text, "outside": outside}


def in_child(spec: bytes, overrides: Sequence[str]) -> dict[str, object]:
    """A verdict, made in a child with a limit on memory."""
    into, out_of = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(into)
        signal.alarm(PATIENCE)
        with os.fdopen(out_of, "w") as answer:
            json.dump(limited(spec, overrides), answer)
        os._exit(0)
    os.close(out_of)
    with os.fdopen(into) as answer:
        written = answer.read()
    _, status, used = os.wait4(child, 0)
    if written and status == 0:
        verdict: dict[str, object] = json.loads(written)
    else:
        verdict = {**NOTHING, "megabytes": 0.0, "trouble": f"the child died, status {status}"}
    return {**verdict, "seconds": used.ru_utime + used.ru_stime}


def limited(spec: bytes, overrides: Sequence[str]) -> dict[str, object]:
    """A verdict with what it took, in this process, which is limited from here on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trouble, verdict = "", NOTHING
    try:
        verdict = judge(spec, overrides)
    except BaseException:  # whatever goes wrong is a find
        trouble = traceback.format_exc(limit=-4)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {**verdict, "megabytes": megabytes, "trouble": trouble}


def main() -> None:
    """Answer one line after another; the first child would pay for all imports, so they happen before."""
    from tests.hostile import GOOD

    warmed = judge(GOOD.encode(), ())
    assert warmed["accepted"], warmed["text"]
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(in_child(base64.b64decode(question["spec"]), question["overrides"])), flush=True)


if __name__ == "__main__":
    main()
