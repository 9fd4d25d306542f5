"""A script of the hand-written network with the address sanitizer: `python -m tests.gpu.sanitized FILE` runs it, once.

The process must have been started with the sanitizer's library, as `run` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.gpu.elman_run import found, problem
from tests.gpu.host_kernels import COMPILER, HERE, HostModule


def run(file: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own; the sanitizer's report is in stderr."""
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    environment = os.environ | {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-m", "tests.gpu.sanitized", str(file)]
    return subprocess.run(command, env=environment, cwd=HERE.parent.parent, capture_output=True, text=True, check=False)


def _library(name: str) -> str:
    done = subprocess.run([COMPILER or "g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    HostModule.sanitized = True
    found(problem(T=2, B=3), "float32", schedule=1, text=Path(sys.argv[1]).read_text())
