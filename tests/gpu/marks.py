"""Why a test of this folder may have to be skipped."""

from __future__ import annotations

import sys

import pytest

from tests.gpu import nvrtc
from tests.gpu.host_kernels import COMPILER

needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="kernels run on the host by g++ on Linux, which is not here"
)
needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason=f"{nvrtc.PACKAGE} is not installed")
