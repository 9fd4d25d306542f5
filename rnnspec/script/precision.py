"""What `train.dtype` means for a script: how its numbers are stored, and how it multiplies matrices."""

from __future__ import annotations

from rnnspec.frontend.typed import Train

TENSOR_CORES = ("tf32", "bfloat16")
"""Values of `train.dtype` that round the factors of matrix products, which the tensor cores of a GPU do."""


def stored(train: Train) -> str:
    """The NumPy type of the weights, and of all that is computed outside of matrix products."""
    return "float32" if train.dtype.name in TENSOR_CORES else train.dtype.name


def math(train: Train) -> str:
    """How float32 matrices are multiplied: `float32`, `tf32` or `bfloat16`."""
    return train.dtype.name if train.dtype.name in TENSOR_CORES else "float32"
