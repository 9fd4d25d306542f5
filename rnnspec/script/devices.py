"""What a script runs on: one row for each device, with the lines of a script that depend on it.

On a CPU, features are rows and the batch is columns, and storage is filled in place.  On a GPU, features of one sequence lie
side by side, and what the host has must be brought there.  What takes more than a line has a template of its own: those in
the folder of a device stand in for others of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rnnspec.ir.program import Time
from rnnspec.script.code import Code

Name = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Device:
    """Its lines; `{target}` and `{value}` are written code."""

    name: Name
    modules: tuple[str, ...]  # of the standard library, beside those that every script imports
    arrays: str  # imports its arrays
    inside: str  # says how they lie
    dtype: str  # what they are made of
    zeros: str  # the function that makes them
    store: str  # fills one of them
    numbers: Mapping[Time, str]  # an array of people in the order inside, by its relation to time
    ids: Mapping[Time, str]  # the same for whole numbers, which have no features
    outside: Mapping[Time, str]  # and back
    features: int  # the first axis of the features of all steps
    read: str  # storage, in the order inside
    valid: str  # which steps count, where sequences differ in length
    valid_steps: str  # how many these are
    copied: str  # an array as people keep it
    written: str  # arrays as a file has them
    forward: str  # in evaluation
    loss: str  # of a batch, in evaluation
    learn: str  # one step of training
    look: str  # makes sure that training goes well, before a result is made of it

    def stored(self, target: str, value: str) -> Code:
        """The line that fills storage."""
        return Code(self.store.format(target=target, value=value))


def _times(step: str, sequence: str) -> dict[Time, str]:
    return {"step": step, "sequence": sequence, "fixed": "{value}"}


CPU = Device(
    name="cpu",
    modules=(),
    arrays="",
    inside="""
Outside, arrays are as people store them: (batch, time, feature).  Inside, features are rows and the batch is columns,
one step after another: (time, feature, batch), so that a product of the equations is one matrix product here.
""",
    dtype="np.{name}",
    zeros="np.zeros",
    store="{target}[...] = {value}",
    numbers=_times("np.moveaxis({value}, 0, -1)", "np.moveaxis({value}, 0, -1)"),
    ids=_times("{value}.T", "{value}.T"),
    outside=_times("np.moveaxis({value}, -1, 0).copy()", "np.moveaxis({value}, -1, 0).copy()"),
    features=1,
    read="{value}",
    valid="w.mask",
    valid_steps="w.mask.sum()",
    copied="array.copy()",
    written="entries",
    forward="forward(p, w)",
    loss="loss = forward(p, w)",
    learn="numbers = learn(run, batch, steps)",
    look="",
)

GPU = Device(
    name="gpu",
    modules=("ctypes", "re"),
    arrays="""
try:
    import cupy as cp
except ModuleNotFoundError as problem:
    NEEDED = 'this script needs CuPy: python -m pip install "cupy-cuda13x[ctk]" (cupy-cuda12x[ctk] for a CUDA 12 driver)'
    if __name__ != "__main__":
        raise ImportError(NEEDED) from problem
    print(f"error: {NEEDED}", file=sys.stderr)
    sys.exit(2)
""",
    inside="""
Outside, arrays are NumPy's, as people store them: (batch, time, feature).  Inside, they are on the GPU, one step after
another: (time, batch, feature).  A training step is a list of kernels and matrix products that is recorded once: then
the GPU repeats it without waiting for Python.
""",
    dtype="np.dtype(np.{name})",  # as arrays have it: storage and kernels are kept by it
    zeros="cp.zeros",
    store="upload({target}, {value})",
    numbers=_times("np.swapaxes({value}, 0, 1)", "{value}"),
    ids=_times("{value}.T", "{value}"),
    outside=_times("np.swapaxes(cp.asnumpy({value}), 0, 1)", "cp.asnumpy({value})"),
    features=2,
    read="cp.asnumpy({value})",
    valid="valid",
    valid_steps="cp.asnumpy(w.length).sum()",
    copied="cp.asnumpy(array)",
    written="{name: cp.asnumpy(value) for name, value in entries.items()}",
    forward="replay(w, forward, p)",
    loss="replay(w, forward, p)\nloss = float(w.loss[0])",
    learn="""
learn(run, batch, steps)
due = run.step % every == 0 or run.step == steps
numbers = look(run) if due else {}  # seldom, because it waits for the GPU
""",
    look="look({run})",
)

DEVICES: Mapping[str, Device] = {device.name: device for device in (CPU, GPU)}
