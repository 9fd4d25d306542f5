"""A script with the address sanitizer: `python -m tests.gpu.sanitized SCRIPT PROBE` computes its gradients at a place, once.

The process must have been started with the sanitizer's library, as `run` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rnnspec.verify.probe import Probe
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.host_kernels import COMPILER, HERE, HostModule
from tests.hand_written import load


def run(source: str, at: Probe, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own; the sanitizer's report is in stderr."""
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    environment = os.environ | {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
    script, place = folder / "script.py", folder / "probe.npz"
    script.write_text(source)
    np.savez(place, **{f"params/{n}": v for n, v in at.params.items()}, **{f"batch/{n}": v for n, v in at.batch.items()})
    command = [sys.executable, "-m", "tests.gpu.sanitized", str(script), str(place)]
    return subprocess.run(command, env=environment, cwd=HERE.parent.parent, capture_output=True, text=True, check=False)


def _library(name: str) -> str:
    done = subprocess.run([COMPILER or "g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def gradients(source: str, place: Path) -> None:
    """Loss and gradients at a place, with random numbers where a script draws any."""
    with np.load(place) as entries:
        params = {name.removeprefix("params/"): entries[name] for name in entries if name.startswith("params/")}
        batch = {name.removeprefix("batch/"): entries[name] for name in entries if name.startswith("batch/")}
    with cupy_on_host(schedule=1):
        load(source).loss_and_gradients(params, batch, step=1)


if __name__ == "__main__":
    HostModule.sanitized = True
    gradients(Path(sys.argv[1]).read_text(), Path(sys.argv[2]))
