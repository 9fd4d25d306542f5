"""Cases are measured in processes of their own: one that fails, hangs or dies costs its own case and no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import IO

from benchmarks.gpu.plan import Case, Part


@dataclass
class Worker:
    """A process that answers cases in order, a line for each."""

    process: subprocess.Popen[str]
    errors: IO[bytes]
    lines: Queue[str | None] = field(default_factory=Queue)

    def listen(self) -> None:
        """Pass lines on; None is the end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self, seconds: float) -> Case:
        """The next answer, or why there is none after so many seconds."""
        try:
            line = self.lines.get(timeout=seconds)
        except Empty:
            return {"failed": f"no answer within {seconds:.0f} s"}
        if line is None:
            return {"failed": f"its process ended with code {self.process.wait()}: {self.last_words()}"}
        found: Case = json.loads(line)
        return found

    def last_words(self) -> str:
        """The last line that the process wrote to its errors."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


@contextmanager
def working(command: Sequence[str], cases: Sequence[Case]) -> Iterator[Worker]:
    """A worker for these cases; it and all its children end with the block."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # so that its children can be ended with it
        ) as process,
    ):
        worker = Worker(process, errors)
        listener = threading.Thread(target=worker.listen)
        listener.start()
        try:
            with suppress(BrokenPipeError):  # it died at once, and its answer will say so
                assert process.stdin is not None
                with process.stdin as todo:
                    todo.write(json.dumps(list(cases)))
            yield worker
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            listener.join()


def records(part: Part, seconds: float, device: str = "cuda") -> Iterator[Case]:
    """A record for every case of a part, as they come; those that so many seconds are too few for say so."""
    end, left = time.monotonic() + seconds, list(part.cases)
    over = {"failed": f"not measured: the {seconds:.0f} s of this part were over"}
    command = [sys.executable, "-m", "benchmarks.gpu.worker", part.name, part.module, device]
    while left:
        with working(command, left) as worker:
            while left:
                rest = end - time.monotonic()
                found = worker.answer(min(part.limit, rest)) if rest > 0 else over
                settled = left if found is over or "absent" in found else left[:1]
                yield from (record(part, case, found) for case in settled)
                left = left[len(settled) :]
                if "failed" in found:
                    break


def record(part: Part, case: Case, found: Case) -> Case:
    """A case with what was found, and with `reason` if that is nothing."""
    reason = found.get("failed") or found.get("absent")
    return {"part": part.name, **case, **({"reason": reason} if reason else found)}
