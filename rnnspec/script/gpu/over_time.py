"""Recurrences that run in one launch: their kernels go through time themselves.

A recurrence without products needs nothing from other sequences, so that whoever computes a sequence can go on to the next
step at once.  Where every element depends on itself alone, one thread keeps it in a register from step to step; otherwise one
block has all elements of a sequence, and waits for itself after each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnnspec.ir.program import Value
from rnnspec.script.gpu import reads
from rnnspec.script.gpu.plan import Plan, plan
from rnnspec.script.gpu.tasks import Kernel, Loop, Schedule, Task


def over_time(schedule: Schedule) -> Schedule:
    """The launches, with one for each recurrence that needs no other between its steps."""

    def changed(task: Task) -> Task:
        return in_one(task, schedule.values) or task if isinstance(task, Loop) else task

    return replace(schedule, forward=tuple(map(changed, schedule.forward)), backward=tuple(map(changed, schedule.backward)))


def in_one(loop: Loop, values: Mapping[int, Value]) -> Kernel | None:
    """The kernel that a loop can be; None where a step needs products, or other sequences."""
    ids = tuple(i for task in loop.tasks if isinstance(task, Kernel) for i in task.ids)
    alone = all(isinstance(task, Kernel) for task in loop.tasks)
    if not alone or any(reads.how(values[i], k) == "across" for i in ids for k, _ in enumerate(values[i].args)):
        return None
    kernel = Kernel(ids, "step", loop.direction)
    return kernel if is_safe(plan(kernel, values, inside=True)) else None


def is_safe(made: Plan) -> bool:
    """Whether every thread that does not wait reads only what it has computed itself.

    A number that all threads compute is written by one of them: others may have it in a register, but not read it back.
    """
    if not made.is_elementwise or not made.lengths:
        return True
    for item in made.kernel.ids:
        for atom in made.atoms(item):
            for _, _, found in made.operands(atom):
                if found.base in made.cuts and found.lag not in (0, made.kernel.direction) and found.high - found.low == 1:
                    return False
    return True
