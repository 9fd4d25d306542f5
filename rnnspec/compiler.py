"""The compiler: a `.rnn` file goes in, a training script comes out.

Stage         Input                      Output
check         text of a spec             typed.Spec, diagnostics       every mistake of the user is found here
lower         typed.Model                Program                       broadcasting and masks become explicit
passes        Program                    Program                       the gradient, then what makes it fast
print         Program, typed.Spec        Body                          allocation, forward and backward as Python
render        typed.Spec, Body           text                          the body inside the frame of a script

Stages know the data they hand over, never each other; this file alone knows their order.
"""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rnnspec.diagnostics import Diagnostic, Source, SpecError, problem
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Spec, Train
from rnnspec.ir.program import Program
from rnnspec.passes.classify import classify
from rnnspec.passes.differentiate import differentiate
from rnnspec.passes.halve import halve
from rnnspec.passes.hoist import hoist, hoist_products
from rnnspec.passes.join import join
from rnnspec.passes.lookups import lookups
from rnnspec.passes.loss_dots import loss_dots
from rnnspec.passes.lower import lower
from rnnspec.passes.materialise import materialise
from rnnspec.passes.past_products import past_products
from rnnspec.passes.place import place
from rnnspec.passes.reductions import reductions
from rnnspec.passes.schedule import schedule
from rnnspec.passes.simplify import simplify
from rnnspec.passes.spell_out import spell_out
from rnnspec.passes.stack import stack
from rnnspec.passes.starts import starts
from rnnspec.passes.weight_gradients import weight_gradients
from rnnspec.script.devices import DEVICES, Name
from rnnspec.script.fast import fast
from rnnspec.script.gpu.body import gpu_body
from rnnspec.script.precision import TENSOR_CORES
from rnnspec.script.render import render
from rnnspec.script.textbook import textbook
from rnnspec.script.windows import carries

if TYPE_CHECKING:
    from rnnspec.verify.certificate import Certificate

__all__ = ["Compiled", "SpecError", "compile_spec", "passes", "programs", "script"]

Pass = Callable[[Program], Program]

LEVELS: dict[Name, tuple[int, int]] = {"cpu": (0, 1), "gpu": (1, 2)}
"""0 the textbook, 1 the fast script, 2 with the products of recurrences in their kernels, which has not run on a GPU."""


def passes(level: int, batch: int, device: Name = "cpu") -> list[tuple[str, Pass]]:
    """The passes of an optimisation level, in order; `batch` is the batch size that costs are weighed for."""
    if device == "gpu":
        return [  # where nothing is said, for the reasons that are given below for the CPU
            ("simplify", simplify),
            ("stack", stack),
            ("lookups", lookups),
            ("simplify stack", simplify),
            ("differentiate", differentiate),
            ("simplify gradient", simplify),
            ("reductions", reductions),
            ("spell out", spell_out),  # so that kernels see where a sum over features begins and ends
            ("simplify sums", simplify),
            *([("past products", past_products)] if level == 2 else []),  # so that a kernel can take a step in one piece
            ("starts", starts),
            ("materialise", materialise),
            ("hoist products", hoist_products),  # what else a loop reads costs nothing in its kernel
            ("classify", classify),  # a recurrence that is not dense runs in one launch
        ]
    if level == 0:
        return [
            ("simplify", simplify),  # equal values fall together, what nobody reads goes
            ("differentiate", differentiate),  # before anything is made fast: the rules are those of a textbook
            ("simplify gradient", simplify),
            ("starts", starts),  # what begins in several ways is stored for each
            ("materialise", materialise),  # what is repeated over steps or rows, where it is needed as a whole
            ("schedule", schedule),  # the textbook: every equation inside a loop over time
        ]
    return [
        ("simplify", simplify),  # so that equal things look equal to what follows
        ("stack", stack),  # before differentiating, so that the backward pass comes out stacked too
        ("lookups", lookups),  # after stacking, so that one look-up serves all gates; their derivative is a sum by id
        ("simplify stack", simplify),
        ("differentiate", differentiate),
        ("simplify gradient", simplify),  # drops the adjoints that nobody reads
        ("join", join),  # where the adjoints are known: the gradients of joined matrices are parts of one product
        ("weight gradients", partial(weight_gradients, batch=batch)),  # needs the stacked adjoints: one product for each stack
        ("simplify products", simplify),
        ("reductions", reductions),  # behind the derivative, whose rules know the plain sums
        ("simplify sums", simplify),
        ("loss dots", loss_dots),  # behind the passes that look for its sums and products
        ("halve", halve),  # behind the derivative, which knows the sigmoid as a whole
        ("starts", starts),  # what begins in several ways is stored for each
        ("materialise", materialise),  # what is repeated over steps or rows, where it is needed as a whole
        ("hoist", partial(hoist, batch=batch)),  # it decides what is left inside the loops
        ("classify", classify),
    ]


@dataclass(frozen=True)
class Compiled:
    """A compiled spec: its script, and what it was made from."""

    source: str
    spec: Spec
    program: Program
    diagnostics: tuple[Diagnostic, ...]  # warnings
    level: int
    device: Name = "cpu"

    def load(self, data: Path | None = None) -> ModuleType:
        """The script as a module, without writing a file; importing it has no side effects.

        Data files that the spec names are looked for in the folder `data`, as `--data` says on the command line of a script.
        """
        name = f"<script of {self.spec.name}, {hashlib.sha256(self.source.encode()).hexdigest()[:12]}>"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        module = ModuleType("train")
        exec(compile(self.source, name, "exec"), module.__dict__)
        if data is not None:
            module.__dict__["data_file"] = partial(Path, data)
        return module

    def verify(self, against: Sequence[str] = ("complex-step",), quick: bool = False, padding: bool = False) -> Certificate:
        """Compare the script's gradient with each reference in `against`: `complex-step` and `torch`.

        `padding`: and with itself where there is more padding.
        """
        from rnnspec.verify.certificate import verify

        unlimited = self._unlimited() if self.spec.model.state_clips and "complex-step" in against else None
        return verify(self.load(), self.spec, against, quick=quick, padding=padding, unlimited=unlimited, device=self.device)

    def _unlimited(self) -> ModuleType:
        """The script of the same spec without clips of states: what is left of their backward signal is no derivative."""
        spec = replace(self.spec, model=replace(self.spec.model, state_clips=()))
        program = last(programs(spec, self.level, self.device))
        return replace(self, source=script(spec, program, self.level, self.device), spec=spec, program=program).load()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The texts that its equations come from: the spec, and the library cells it uses."""
        spans = (equation.span for equation in self.spec.model.equations)
        return tuple(dict.fromkeys(span.source for span in spans if span is not None))


def compile_spec(spec: str | bytes | Path, device: Name = "cpu", level: int = 1, overrides: Sequence[str] = ()) -> Compiled:
    """Compile a spec, given as a path or as its text; SpecError says what is wrong with it.

    `device` is what the script runs on, `cpu` or `gpu`; compiling needs neither CuPy nor a GPU.  `level` 0 gives the textbook,
    which is for the CPU, 1 the fast script; `overrides` are settings such as `train.batch=64`.
    """
    if device not in DEVICES:
        raise ValueError(f"there is no device `{device}`; choose {' or '.join(DEVICES)}")
    if level not in LEVELS[device]:
        raise ValueError(
            f"there is no optimisation level {level} for the {device}; choose {LEVELS[device][0]} or {LEVELS[device][1]}"
        )
    checked, diagnostics = check(spec, overrides)
    if checked is None:
        raise SpecError(diagnostics)
    refuse_tensor_cores(checked.train, device)
    program = last(programs(checked, level, device))
    return Compiled(script(checked, program, level, device), checked, program, tuple(diagnostics), level, device)


def refuse_tensor_cores(train: Train, device: Name) -> None:
    """Raise SpecError, at the setting, if the spec asks for tensor cores on a device that has none."""
    if device == "cpu" and train.dtype.name in TENSOR_CORES:
        assert train.dtype.span is not None  # float32 is what is not written
        message = f"`{train.dtype.name}` is for the tensor cores of a GPU, and a CPU has none"
        help = "compile with `--device gpu`, or write `dtype: float32`"
        raise SpecError([problem("E0606", message, train.dtype.span, help=help)])


def programs(spec: Spec, level: int, device: Name = "cpu") -> Iterator[tuple[str, Program]]:
    """The program of a spec after lowering and after each pass, with the name of the step."""
    program = lower(spec.model, spec.name)
    yield "lower", program
    for name, run in passes(level, spec.train.batch, device):
        program = run(program)
        yield name, program


def script(spec: Spec, program: Program, level: int, device: Name = "cpu") -> str:
    """The text of the training script."""
    if device == "gpu":
        return render(spec, gpu_body(program, spec, on_chip=level == 2), device)
    body = textbook(program, spec) if level == 0 else fast(program, spec, place(program, carries(spec)))
    return render(spec, body, device)


def last(steps: Iterable[tuple[str, Program]]) -> Program:
    """The program of the last step."""
    *_, (_, program) = steps
    return program
