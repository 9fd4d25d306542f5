"""One process for one number of threads: `python -m benchmarks.worker THREADS [--quick]` prints a line of JSON a case."""

from __future__ import annotations

import json
import os
import sys


def restrict(threads: int) -> None:
    """Hold NumPy, PyTorch and JAX to so many threads; only before they are imported.

    JAX takes no number of threads: it makes one for each processor that the process may use, which only Linux can limit.
    """
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main(threads: int, quick: bool) -> None:
    """Measure every cell at every size."""
    restrict(threads)
    from benchmarks.measure import cases

    for case in cases(quick):
        print(json.dumps({**case, "threads": threads}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), "--quick" in sys.argv)
