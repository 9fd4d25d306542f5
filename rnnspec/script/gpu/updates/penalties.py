"""Penalties of the parameters on a GPU: one row for each kind.

The lines are CUDA C for number `i` of the parameters, its `weight`: they add to the `sum` that the penalty is, and to the
gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnspec.script.code import Code, fill, lines
from rnnspec.script.gpu.updates.kernels import Array, head, launch
from rnnspec.script.view_update import PENALTIES as ON_CPU

PENALTIES = {
    "l1": "sum += l1[i] * fabs(weight);\ngradients[i] += l1[i] * sign(weight);",
    "l2": "sum += l2[i] * weight * weight;\ngradients[i] += 2 * l2[i] * weight;",
}


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss: its formula, how much each number is penalised, and the launch that adds it up."""

    title: Code
    tables: Code
    launch: Code


def penalty(factors: Mapping[str, Mapping[str, float]]) -> Penalty:
    """The view of the penalties, from factors by kind and parameter."""
    tables = (fill("self.{kind} = spread({table}, 0.0, dtype)", kind=Code(kind), table=factors[kind]) for kind in factors)
    return Penalty(
        title=Code(" + ".join(ON_CPU[kind][0] for kind in factors)),
        tables=lines(tables),
        launch=Code(launch("launch_blocks", "own", "penalise", ["PARTS", "256"], _arrays(list(factors)), indent=4)),
    )


def kernel(kinds: Sequence[str]) -> Code:
    """The kernel that finds the penalty, and adds its gradient; empty where nothing is penalised."""
    if not kinds:
        return Code("")
    terms = "\n".join(PENALTIES[kind] for kind in kinds).replace("\n", "\n        ")
    return Code(
        f"""
// The penalties of all numbers, and their gradient: each block adds up a part.
{head("penalise", _arrays(kinds))}
    double sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < SIZE; i += gridDim.x * blockDim.x) {{
        const real weight = weights[i];
        {terms}
    }}
    sum = block_sum(sum);
    if (threadIdx.x == 0) penalties[blockIdx.x] = sum;
}}
""".strip("\n")
    )


def _arrays(kinds: Sequence[str]) -> list[Array]:
    """What the kernel is given, for these kinds of penalties."""
    return [
        *(Array("const real", kind, f"own.{kind}") for kind in kinds),
        Array("const real", "weights", "p.vector"),
        Array("real", "gradients", "g.vector"),
        Array("double", "penalties", "own.parts"),
    ]
