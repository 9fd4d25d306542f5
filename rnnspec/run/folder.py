"""The run folder: everything that is needed to understand, repeat or go on with one run.

    spec.rnn             the spec as it was given            metrics.jsonl    one event a line, appended while it trains
    spec.resolved.yaml   with every default filled in        last.npz         parameters and optimizer of the last step
    overrides.txt        settings from the command line      best.npz         those with the best validation loss
    train.py             the script                          manifest.json    versions, machine, seed, command, times
    certificate.json     what the gradient check found       lock             the process that works here

An existing run is never written over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SCRIPT = "train.py"
METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
CERTIFICATE = "certificate.json"
COMPLAINTS = "stderr.txt"  # only there if the script complained
LAST = "last.npz"
LOCK = "lock"


class FolderError(Exception):
    """The run folder cannot be made; the text is for the user."""


def create(name: str, out: Path | None = None, root: Path = Path("runs")) -> Path:
    """A new, empty folder: `out` if it is given, else the first free `runs/<name>-<n>`."""
    if out is not None:
        refuse_taken(out)
        if not out.is_dir() and not _made(out):
            raise FolderError(f"`{out}` was made by another process just now; choose another --out")
        return out
    number, stem = 1, re.sub(r"[^\w.-]+", "-", name).lstrip(".")
    while True:
        path = root / f"{stem}-{number}"
        if not path.exists() and _made(path):
            return path
        number += 1


def refuse_taken(path: Path) -> None:
    """Refuse a file, and a folder with anything in it; nothing is made yet."""
    if path.is_dir():
        _refuse_occupied(path)
    elif path.exists():
        raise FolderError(f"`{path}` is a file; --out needs the name of a folder")


def _refuse_occupied(path: Path) -> None:
    """Refuse a folder with anything in it, and say why."""
    owner = running(path)
    if owner is not None:
        raise FolderError(f"`{path}` is in use: process {owner} is training there; choose another --out")
    if any(path.iterdir()):
        raise FolderError(f"`{path}` is not empty, and a run never writes over another one; choose another --out")


def _made(path: Path) -> bool:
    """Make a folder and its parents; False if it exists, FolderError if it cannot be made."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as problem:
        raise FolderError(f"the folder `{path}` cannot be made: {problem.strerror}") from problem
    return True


def running(path: Path) -> int | None:
    """The process that holds the lock of a run folder; None if there is none, or if it is gone."""
    try:
        owner = int((path / LOCK).read_text(encoding="ascii"))
        os.kill(owner, 0)
    except (OSError, ValueError):
        return None
    return owner


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a run folder: a file with the number of this process."""
    lock = path / LOCK
    try:
        with lock.open("x", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except FileExistsError:
        raise FolderError(f"`{path}` is in use by another process; choose another --out") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove a run folder in which nothing was learned; all its files are the run's, as it was empty before."""
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def write_files(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a run, byte for byte."""
    for name, content in files.items():
        (path / name).write_bytes(content)


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write one JSON file completely or not at all."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
