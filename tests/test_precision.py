"""`train.dtype`: what a script stores and multiplies its numbers in, and which device can do that."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.compiler import compile_spec
from rnnspec.diagnostics import SpecError, render
from rnnspec.frontend.check import check
from rnnspec.frontend.settings import SETTINGS
from rnnspec.script.precision import TENSOR_CORES, math, stored
from tests.training_specs import text_of


@pytest.mark.parametrize(
    ("name", "numbers", "products"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float32"),  # the second is how float32 numbers are multiplied: there are none
        ("tf32", "float32", "tf32"),
        ("bfloat16", "float32", "bfloat16"),
    ],
)
def test_weights_are_stored_in_a_type_of_numpy(name: str, numbers: str, products: str) -> None:
    spec, problems = check(text_of(dtype=name))
    assert spec is not None and not problems
    assert (stored(spec.train), math(spec.train)) == (numbers, products)


def test_every_precision_is_known_to_the_script() -> None:
    assert set(SETTINGS["dtype"]) == {"float32", "float64", *TENSOR_CORES}


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_script_trains_in_it(name: str) -> None:
    script = compile_spec(text_of(dtype=name)).load()
    assert np.dtype(script.DTYPE).name == name
    assert {array.dtype.name for array in script.init(0).values()} == {name}


def test_float32_is_what_is_not_written() -> None:
    text = "\n".join(line for line in text_of().splitlines() if "dtype" not in line) + "\n"
    assert np.dtype(compile_spec(text).load().DTYPE).name == "float32"


@pytest.mark.parametrize("name", TENSOR_CORES)
def test_a_cpu_has_no_tensor_cores(name: str) -> None:
    text = text_of(dtype=name)
    with pytest.raises(SpecError) as caught:
        compile_spec(text)
    (found,) = caught.value.diagnostics
    assert found.code == "E0606" and found.message == f"`{name}` is for the tensor cores of a GPU, and a CPU has none"
    assert (
        found.span is not None and found.span.text == name and f"dtype: {name}" in found.span.source.line(found.span.line - 1)
    )
    assert "= help: compile with `--device gpu`, or write `dtype: float32`" in render(found)


def test_the_place_may_be_the_command_line() -> None:
    with pytest.raises(SpecError, match="command line:1:13"):
        compile_spec(text_of(), overrides=["train.dtype=tf32"])
