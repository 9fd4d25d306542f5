"""A part of the GPU benchmark that measures nothing: what a case says is what happens."""

from __future__ import annotations

import os
import time

from benchmarks.gpu.plan import Case
from benchmarks.gpu.timing import Absent


def run(case: Case, device: str) -> Case:
    """Answer, or fail in one of the ways in which peers fail."""
    match case["what"]:
        case "absent":
            raise Absent("there is no such device")
        case "import":
            import a_package_that_is_nowhere  # type: ignore[import-not-found]  # noqa: F401
        case "fail":
            raise ValueError("a first line\na second line")
        case "hang":
            time.sleep(60)
        case "die":
            print("libraries print")  # which must not be taken for an answer
            os.write(2, b"something went wrong\nSegmentation fault\n")
            os.kill(os.getpid(), 11)
    return {"value": case["value"], "unit": "us", "process": os.getpid(), "device": device}
