"""What a run was: versions, machine, seed, command line and times, kept in its manifest.json."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from rnnspec import __version__
from rnnspec.run.blas import blas


def opening(spec: str, digest: str, seed: int, command: Sequence[str], device: Mapping[str, object]) -> dict[str, object]:
    """The manifest as it is written before training starts; `device` is its name and, for a GPU, what it is."""
    return {
        "spec": spec,
        "spec_sha256": digest,
        "seed": seed,
        "command": list(command),
        "versions": {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "blas": str(blas()),
            "rnnspec": __version__,
        },
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
        "device": dict(device),
        "python": sys.executable,
        "started": now(),
    }


def closing(code: int, last_step: int | None) -> dict[str, object]:
    """What is added when training has ended."""
    return {"ended": now(), "exit_code": code, "last_reported_step": last_step}


def now() -> str:
    """The time of day in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
