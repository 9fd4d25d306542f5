"""One training run from script to result: make the folder, start the script, show what happens, say how it ended."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnspec.diagnostics import Diagnostic, Source
from rnnspec.run import failures, folder, manifest, progress
from rnnspec.run.events import Event
from rnnspec.run.execute import INTERRUPTED, execute

TRACEBACK = "Traceback (most recent call last):"
CPU: Mapping[str, object] = {"name": "cpu"}
PACKAGES = {"cpu": ("numpy",), "gpu": ("numpy", "cupy")}
"""What a script imports, by the name of its device."""


@dataclass(frozen=True)
class Job:
    """A script that is ready to run, and what its run folder should remember."""

    spec: str  # path of the spec as the user wrote it
    digest: str
    script: str
    seed: int
    command: Sequence[str]  # the command line of the user
    sources: Sequence[Source]  # the texts that the script's equations come from
    files: Mapping[str, bytes] = field(default_factory=dict)  # further files for the folder, by name
    device: Mapping[str, object] = field(default_factory=lambda: CPU)  # its name, and what else should be remembered


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the exit code, the events that matter for a summary, and the failure if there was one."""

    code: int
    folder: Path
    events: Mapping[str, Event]  # the last one of each kind, and `best`: the best validation
    failure: Diagnostic | None = None
    complaints: str = ""
    resume: str = ""  # the command that goes on with it

    @property
    def refused(self) -> bool:
        """Whether the script itself said that it cannot begin: there is nothing to keep."""
        began = not {"step", "diverged"}.isdisjoint(self.events)
        return self.code == 1 and not began and bool(self.complaints) and TRACEBACK not in self.complaints


def train(job: Job, path: Path) -> Outcome:
    """Run a job in its (new, empty) folder, which must hold its lock; the script's progress is shown on stderr."""
    script = path / folder.SCRIPT
    facts = manifest.opening(job.spec, job.digest, job.seed, job.command, job.device)
    folder.write_files(path, {**job.files, folder.SCRIPT: job.script.encode()})
    folder.write_json(path / folder.MANIFEST, facts)
    last: dict[str, Event] = {}
    validations: dict[int | None, Event] = {}
    display = progress.choose(sys.stderr)

    def show(event: Event) -> None:
        last[event.kind] = event
        if event.kind == "valid":
            validations[event.whole("step")] = event
        elif event.kind == "end" and (best := best_step(event)) in validations:
            last["best"] = validations[best]
        display.show(event)

    arguments = ["train", "--events", "--out", str(path), "--seed", str(job.seed)]
    packages = PACKAGES[str(job.device["name"])]
    try:
        code = execute(path, script, arguments, Path(job.spec).parent, show, packages)
    finally:
        display.close()
    step = last["step"].whole("step") if "step" in last else None
    folder.write_json(path / folder.MANIFEST, {**facts, **manifest.closing(code, step)})
    return outcome(job, path, code, last)


def best_step(end: Event) -> int | None:
    """The step with the best validation, from the last event of a run."""
    best = end.values.get("best")
    return Event("best", best).whole("step") if isinstance(best, dict) else None


def resume(job: Job, path: Path) -> str:
    """The command that goes on with an interrupted run; a script that reads files must know where they are."""
    data = ["--data", str(Path(job.spec).parent)] if '"--data"' in job.script else []
    return shlex.join(["python", str(path / folder.SCRIPT), "train", "--resume", "--out", str(path), *data])


def outcome(job: Job, path: Path, code: int, events: Mapping[str, Event]) -> Outcome:
    """Add to an exit code what can be said about a failure."""
    complaints = path / folder.COMPLAINTS
    said = complaints.read_text(encoding="utf-8") if complaints.exists() else ""
    if code in (0, INTERRUPTED):
        return Outcome(code, path, events, resume=resume(job, path))
    return Outcome(1, path, events, failures.explain(said, folder.SCRIPT, job.script, job.sources), said)
