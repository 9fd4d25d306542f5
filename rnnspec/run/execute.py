"""Running a script in a process of its own and reading what it reports.

The script's events go to a file and to whoever shows progress; its complaints (stderr) go to a file in the run folder,
so that nothing of them is lost.  Ctrl-C is passed on, which lets the script save and leave; a second one ends it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TextIO

from rnnspec.run.events import Event, parse
from rnnspec.run.folder import COMPLAINTS, METRICS

INTERRUPTED = 130


def execute(
    folder: Path,
    script: Path,
    arguments: Sequence[str],
    data: Path,
    show: Callable[[Event], None],
    packages: Sequence[str] = ("numpy",),
) -> int:
    """Run `script`, which imports these packages, until it ends, and return its exit code (130 after Ctrl-C).

    Names of data files are relative to the folder `data`.  Every event is appended to metrics.jsonl at once and handed
    to `show`; other output is passed on to stdout.
    """
    complaints = folder / COMPLAINTS
    with (
        complaints.open("w", encoding="utf-8") as errors,
        (folder / METRICS).open("a", encoding="utf-8") as metrics,
        started([*isolation(packages), str(script), *arguments], data, errors) as process,
        passed_on(process) as interrupts,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            event = parse(line)
            if event is None:
                print(line, end="", flush=True)
                continue
            metrics.write(line)
            metrics.flush()
            show(event)
        code = process.wait()
    if complaints.stat().st_size == 0:
        complaints.unlink()
    return INTERRUPTED if interrupts else code


@contextmanager
def started(words: Sequence[str], data: Path, errors: TextIO) -> Iterator[subprocess.Popen[str]]:
    """Python in a process and a session of its own, which does not outlive the block."""
    command = [sys.executable, *words]
    with subprocess.Popen(
        command,
        env={**os.environ, "RNNSPEC_DATA": str(data.absolute())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def isolation(packages: Sequence[str]) -> list[str]:
    """`-I` keeps the user's folders and settings out of the process; not possible if one of the packages lives there."""
    places = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sys.base_prefix)
    homes = [found.origin if (found := find_spec(name)) is not None else None for name in packages]
    return ["-I"] if all(home is not None and home.startswith(places) for home in homes) else []


@contextmanager
def passed_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Pass Ctrl-C and a request to end on to `process`; yields the list of those that came.

    The process has a session of its own, so the terminal sends them to this one only.
    """
    came: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if came:
            process.kill()
        else:
            process.send_signal(signal.SIGINT)
        came.append(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
