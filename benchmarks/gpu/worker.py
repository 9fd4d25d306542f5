"""A process that measures cases: `python -m benchmarks.gpu.worker PART MODULE DEVICE < CASES`, a line of JSON for each.

The answer to a case is what was measured, or {"failed": why}, which ends the process: after an error of the device nothing
more can be trusted.  {"absent": why} says that no case of this part can be measured here.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from benchmarks.gpu.plan import Case
from benchmarks.gpu.timing import Absent


def main(part: str, module: str, device: str) -> int:
    """Answer the cases of standard input in order."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    for case in json.load(sys.stdin):
        found = answer(module, {**case, "part": part, "size": tuple(case.get("size", ()))}, device)
        print(json.dumps(found), file=answers, flush=True)
        if "failed" in found or "absent" in found:
            return 1
    return 0


def answer(module: str, case: Case, device: str) -> Case:
    """What a module finds out about a case."""
    try:
        found: Case = importlib.import_module(module).run(case, device)
    except (Absent, ImportError) as error:
        return {"absent": first_line(error)}
    except Exception as error:  # whatever a peer does, the others are measured
        return {"failed": f"{type(error).__name__}: {first_line(error)}"}
    return found


def first_line(error: BaseException) -> str:
    """The start of a message: of some the rest fills a page."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
