"""The tables hold the same rows: every operation is printed and differentiated, every function has its references."""

from __future__ import annotations

from rnnspec.frontend import functions as language
from rnnspec.ir.ops import COMPUTED, ELEMENTWISE, OPS, VIEWS
from rnnspec.passes.functions import FUNCTIONS
from rnnspec.passes.vjps import VJPS
from rnnspec.script.calls import CALLS
from rnnspec.script.elementwise import UFUNCS
from rnnspec.script.expressions import EXPRESSIONS, HELPERS
from rnnspec.script.gpu.operations import ELEMENTS
from rnnspec.script.gpu.operations import HELPERS as KERNEL_HELPERS
from rnnspec.script.gpu.special import SPECIAL as SPECIAL_KERNEL
from rnnspec.script.steps import SPECIAL
from rnnspec.verify import in_complex, in_torch
from rnnspec.verify.reference import DRAWN

FAST = {
    "beside", "columns", "flat", "gram", "halved", "inv_sqrt", "lines", "lookup", "lookup_sum", "mean_dot", "row_sum",
    "weighted_total",
}  # fmt: skip
"""Operations that only passes of the fast script make."""

BACKWARD = {"outer_sum", "dot", "at_last", "step_at", "softmax_error"}
"""Operations that only derivatives contain; nothing differentiates them."""

BY_HAND = {"rows", "shift", "concat"}
"""Operations whose adjoints depend on all readers at once: `differentiate` has them."""

IN_REFERENCE = {
    "pow",
    "batch_norm",
    *DRAWN,
    *(name for name, row in language.FUNCTIONS.items() if row.rule == "same" and row.over_time),
}
"""Functions that `verify.reference` computes itself."""

BY_KIND = {"squash": {"tanh", "sigmoid"}, "matmul": set()}
"""Operations that the textbook writes by what they hold or read."""


def test_every_operation_is_printed_by_the_fast_script() -> None:
    assert set(CALLS) == COMPUTED
    assert set(UFUNCS) <= COMPUTED


def test_every_operation_is_printed_by_the_textbook() -> None:
    kinds = set().union(*BY_KIND.values())
    assert set(EXPRESSIONS) | set(SPECIAL) == (COMPUTED - FAST - set(BY_KIND)) | kinds
    assert not set(EXPRESSIONS) & set(SPECIAL)
    assert {row.helper for row in EXPRESSIONS.values()} - {""} == set(HELPERS)


def test_every_operation_is_printed_as_a_kernel_or_a_product() -> None:
    library = {
        "batch_sum"
    }  # of matrix products, always; `matmul` and `outer_sum` where their matrices are those of all sequences
    spelled = {"softmax", "log_softmax", "norm2", "dot", "inv_rms"}  # by a pass
    of_passes = {"gram", "row_sum", "flat", "lines", "beside", "columns", "halved", "mean_dot"}  # that a GPU has no use for
    whole = {"add", "mul", "squash", "min", "max", "mean_loss", "lookup_sum"}  # these have lines of their own
    rows = (set(ELEMENTS) - {"tanh", "sigmoid", "start"}) | set(SPECIAL_KERNEL) | whole | library
    assert rows == COMPUTED - spelled - of_passes
    assert {row.helper for row in ELEMENTS.values()} - {""} <= set(KERNEL_HELPERS)


def test_every_operation_has_a_derivative() -> None:
    silent = {name for name, op in OPS.items() if op.silent}
    rules = set(VJPS)
    assert rules | silent | BY_HAND | BACKWARD | FAST >= COMPUTED | VIEWS
    assert rules <= COMPUTED | VIEWS
    assert not rules & (silent | BY_HAND | BACKWARD)


def test_every_function_has_its_meaning_and_its_references() -> None:
    operators = {*language.OPERATORS.values(), "neg", "not", "transpose"}
    computed = {name for name, row in language.FUNCTIONS.items() if row.where != ("metric",)} | operators
    assert computed <= set(FUNCTIONS) <= computed | ELEMENTWISE
    assert set(in_complex.LIBRARY.functions) == set(in_torch.LIBRARY.functions) == computed - IN_REFERENCE
