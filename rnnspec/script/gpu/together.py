"""Dense recurrences whose blocks compute whole steps, products included: one launch for all steps, or one a step.

Each block computes some units of all sequences.  It reads the rows of the matrices for its units into its own fast memory, and
multiplies them with what all blocks have left of the step before.  In one launch it reads them once, and all blocks wait for
each other after every step (Diamos et al. 2016); in a launch a step nobody waits, and the weights need not fit on the chip.

This has run on the stand-in for a GPU only, so it is not what `-O1` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnnspec.ir.program import Value
from rnnspec.script.gpu import places, reads
from rnnspec.script.gpu.plan import Plan, plan
from rnnspec.script.gpu.tasks import Kernel, Loop, Product, Schedule, Task

SCRIPT = '''
# Seconds: all blocks wait for each other; a kernel is started; a product.  Of one processor: operations a second on
# numbers in its own memory, bytes a second that it reads.  All of them are assumed, not measured.
BARRIER, KERNEL, PRODUCT, SPEED, READING = 1.4e-6, 1.6e-6, 4.2e-6, 0.4e12, 4e10


def units_and_steps(w, units, rows, columns):
    """How many units each block computes, and how many steps a launch: all, one, or none if the library is faster.

    A unit has `rows` of so many columns.  All steps at once need all blocks at once, one on each processor, with their
    weights in its memory.
    """
    device = cp.cuda.Device().attributes
    unit = rows * (columns + 1) * w.loss.itemsize  # bytes
    most = device["MaxSharedMemoryPerBlockOptin"] // unit
    each = -(-units // device["MultiProcessorCount"])
    work = 2 * rows * each * columns * w.B / SPEED
    seconds = {0: PRODUCT + KERNEL}
    if most:
        seconds[1] = KERNEL + each * unit / READING + work
    if each <= most:
        seconds[w.T] = BARRIER + work
    return min(each, most), min(seconds, key=seconds.get)


def launch_together(w, name, units, each, rows, columns, t, steps, *arguments):
    """Start a kernel for some steps from t on: `each` units a block, `rows` of so many weights for each unit."""
    if steps > 1:
        w.arrived.fill(0)
    kernel = w.together[steps > 1][name]
    memory = rows * each * (columns + 1) * w.loss.itemsize
    kernel.max_dynamic_shared_size_bytes = memory
    numbers = tuple(np.int32(a) if isinstance(a, int) else a for a in (*arguments, w.arrived, t, steps, w.B, each))
    kernel((-(-units // each), 1), (256,), numbers, shared_mem=memory)
'''
"""What a script needs to start such a kernel: a grid of two dimensions, which CuPy does not shrink to what fits."""

CODE = """
#ifndef RS_GRID_SYNC  // on a machine without a GPU, tests have their own
#define RS_DYN_SMEM(type, name) extern __shared__ double memory_of_block[]; type* name = (type*) memory_of_block
#define RS_GRID_SYNC() wait_for_all(arrived)
// Wait until all blocks are here; what they have written before can be read behind it.  `arrived` counts on, round
// after round.
__device__ void wait_for_all(int* arrived) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const int before = atomicAdd(arrived, 1), blocks = gridDim.x;
        while (*(volatile int*) arrived < (before / blocks + 1) * blocks) {}
        __threadfence();
    }
    __syncthreads();
}
#endif
"""


def together(schedule: Schedule) -> Schedule:
    """The launches, with the kernel that each dense loop could be."""

    def changed(task: Task) -> Task:
        return replace(task, together=in_one(task, schedule.values)) if isinstance(task, Loop) else task

    return replace(schedule, forward=tuple(map(changed, schedule.forward)), backward=tuple(map(changed, schedule.backward)))


def in_one(loop: Loop, values: Mapping[int, Value]) -> Kernel | None:
    """The kernel of a loop whose steps are products of the past and then one kernel; None for any other."""
    products = [task.id for task in loop.tasks if isinstance(task, Product)]
    rest = [task for task in loop.tasks if isinstance(task, Kernel)]
    ids = tuple(i for task in rest for i in task.ids)
    if not products or any(reads.how(values[i], k) == "across" for i in ids for k, _ in enumerate(values[i].args)):
        return None
    if not all(of_the_past(values[i], values, ids, loop.direction) for i in products):
        return None
    kernel = Kernel((*products, *ids), "step", loop.direction, grid=True)
    made = plan(kernel, values, inside=True)
    whole = all(atom.length in made.lengths for item in products for atom in made.atoms(item))
    return kernel if made.phases == 1 and len(made.lengths) == 1 and whole and not late(made, products) else None


def of_the_past(value: Value, values: Mapping[int, Value], ids: tuple[int, ...], direction: int) -> bool:
    """Whether a product reads what this loop has computed one step before."""
    if value.op != "matmul" or len(values[value.args[1]].shape) > 1:
        return False
    operand, lag = places.base(values, value.args[1])
    return operand in ids and lag == direction


def late(made: Plan, products: list[int]) -> bool:
    """Whether anything but a product reads other elements of the step before."""
    for item in made.kernel.ids:
        value = made.values[item]
        for k, arg in enumerate(value.args):
            operand, lag = places.base(made.values, arg)
            if item not in products and operand in made.cuts and lag and reads.how(value, k) != "side":
                return True
    return False
