"""A spec may use any word as a name: also those that kernels, or scripts for a GPU alone, use for something else."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

from rnnspec import compile_spec
from rnnspec.compiler import LEVELS
from rnnspec.script.gpu.cuda import WORDS
from rnnspec.verify.compare import compare
from rnnspec.verify.probe import probe
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.marks import needs_compiler
from tests.test_names_in_scripts import TAKEN, chain, legal, many_sizes, sizes_are_themselves

pytestmark = needs_compiler
KERNEL_WORDS = sorted(set(legal(WORDS.split())) - TAKEN)
MANY = 30
"""States of one spec."""
TOLERANCE = 1e-10


@pytest.mark.parametrize("first", range(0, len(KERNEL_WORDS), MANY))
def test_states_may_be_called_like_anything_in_a_kernel(first: int) -> None:
    """Each of them has a product of its own with its last value, and so a kernel of its own that goes through time."""
    spec = re.sub(r"0\.5 \* (\w+)\[t-1\]", r"U_\1 @ \1[t-1]", chain(KERNEL_WORDS[first : first + MANY]))
    on_cpu, on_gpu = compile_spec(spec), compile_spec(spec, "gpu", 2)
    assert "launch_together(w, " in on_gpu.source
    at = probe(on_cpu.spec.model)
    with cupy_on_host():
        _, found = on_gpu.load().loss_and_gradients(at.params, at.batch)
    compare(found, on_cpu.load().loss_and_gradients(at.params, at.batch)[1], TOLERANCE)


@pytest.mark.parametrize("level", LEVELS["gpu"])
def test_sizes_may_be_called_like_anything_in_a_script(level: int) -> None:
    tree = ast.parse(compile_spec(chain(["h"]), "gpu", level).source)
    words = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id[0].isupper()} - TAKEN)
    assert {"KERNELS", "MATH", "Workspace"} <= set(words) and ("BARRIER" in words) == (level == 2)
    made = compile_spec(many_sizes(words), "gpu", level)
    with cupy_on_host():
        script = made.load()
        assert script.Q == 3 and sizes_are_themselves(script, made.spec.model)
        params = script.train(report=lambda event: None)
    assert all(np.isfinite(value).all() for value in params.values())
