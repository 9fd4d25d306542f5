"""What a script for a GPU knows about its update: the kernels between a gradient and the new parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rnnspec.frontend.typed import Spec
from rnnspec.script.averages import average_title
from rnnspec.script.body import Body
from rnnspec.script.code import Code, fill, lines, literal, prose, table
from rnnspec.script.gpu.updates import decide, penalties
from rnnspec.script.gpu.updates.clips import CLIPS
from rnnspec.script.gpu.updates.decide import Decide, with_arguments
from rnnspec.script.gpu.updates.kernels import launch, mentions
from rnnspec.script.gpu.updates.numbers import NUMBERS, arrays_of, kernel
from rnnspec.script.gpu.updates.optimizers import OPTIMIZERS
from rnnspec.script.gpu.updates.penalties import Penalty
from rnnspec.script.gpu.updates.places import parts, places
from rnnspec.script.gpu.updates.recipe import Recipe, recipe
from rnnspec.script.gpu.updates.rows import LIMIT_NORMS, LIMITS, ROW_FUNCTIONS, launch_limits
from rnnspec.script.optimizers import title_of
from rnnspec.script.schedules import plateau_lines, schedule_lines
from rnnspec.script.view_update import limits_apart, limits_of
from rnnspec.script.view_update import penalties as factors_of

SIGN = """
// -1, 0 or 1.
__device__ real sign(real x) { return real(x > 0) - real(x < 0); }
"""


@dataclass(frozen=True)
class Update:
    """From gradients to new parameters."""

    places: Code
    parts: Code
    sizes: Code
    constants: Code
    numbers: Code
    device_functions: Code
    measuring: Code
    decide: Decide
    kernels: Code
    spread: bool
    rows: bool
    functions: Code
    penalties: bool
    penalty: Penalty
    title: Code
    work: Code
    state: Code
    lr_scale: Code
    saved: Code
    weights: Code
    launches: Code
    schedule: Code
    plateau: Code


def update(spec: Spec, body: Body) -> Update:
    """The view of the update."""
    train, infos, chosen = spec.train, spec.model.parameters, recipe(spec)
    clip, whole = CLIPS[chosen.clip.name], OPTIMIZERS[train.optimizer.name].whole
    factors = {kind: found for kind, found in factors_of(spec).items() if found}
    scales = {info.name: info.lr_scale for info in infos if info.lr_scale != 1 and info.trainable}
    limits = limits_of(infos)
    scaled = fill("self.lr_scale = spread({scales}, 1.0, p.vector.dtype)[:TRAINABLE]", scales=scales)
    measuring = separated([penalties.kernel(list(factors)), with_arguments(clip.kernels, chosen.clip)])
    count = parts(spec, body, clip.by_row)
    kernels, launches = _step(spec, chosen, bool(factors), bool(limits))
    return Update(
        places=table((literal(name), literal(place)) for name, place in places(spec, body).items()),
        parts=literal(count),
        sizes=_sizes(body, count, bool(factors)),
        constants=chosen.constants,
        numbers=Code(", ".join(["APPLIES", *(name.upper() for name in chosen.shared)])),
        device_functions=_device_functions(f"{measuring}\n{kernels}"),
        measuring=measuring,
        decide=decide.decide(chosen.clip, chosen.once, chosen.shared, chosen.state, bool(factors)),
        kernels=kernels,
        spread=bool(scales or factors),
        rows=bool(limits or whole or clip.by_row),
        functions=Code(whole.functions.strip("\n") if whole else ""),
        penalties=bool(factors),
        penalty=penalties.penalty(factors),
        title=prose(title_of(train.optimizer)),
        work=lines(_work(chosen, limits, bool(whole))),
        state=Code(whole.state.strip("\n")) if whole else _state(chosen),
        lr_scale=scaled if scales else Code(""),
        saved=Code(whole.saved.strip("\n")) if whole else _saved(chosen),
        weights=Code("run.raw" if chosen.follow else "run.p"),
        launches=launches,
        schedule=schedule_lines(train.schedule),
        plateau=plateau_lines(train.schedule),
    )


def _sizes(body: Body, parts: int, penalised: bool) -> Code:
    """Numbers that are trained, all of them where penalties want them, and parts of a sum."""
    return Code(f"TRAINABLE = {body.layout.trainable}, {f'SIZE = {body.layout.size}, ' if penalised else ''}PARTS = {parts}")


def separated(kernels: Iterable[str]) -> Code:
    """Kernels below each other, an empty line between them."""
    return Code("\n\n".join(kernel.strip("\n") for kernel in kernels if kernel))


def _step(spec: Spec, chosen: Recipe, penalised: bool, limited: bool) -> tuple[Code, Code]:
    """The kernels behind the decision, and the lines that launch all of a step."""
    train, whole = spec.train, OPTIMIZERS[spec.train.optimizer.name].whole
    title = f"// {title_of(train.optimizer)}"
    average = f"// {average_title(train.optimizer, train.average)}" if chosen.follow else ""
    apart = chosen.follow if limited else Code("")  # an average takes in what the limits leave
    kernels: list[str] = [chosen.before]
    launches = [
        "penalties = penalise(p, g)" if penalised else "",
        CLIPS[chosen.clip.name].launches.strip("\n"),
        launch("launch_blocks", "self", "decide", ["1", "256"], decide.arrays(chosen.clip, chosen.state, penalised), indent=8),
        whole.launches.strip("\n") if whole else "",
    ]

    def add(name: str, comment: str, text: Code) -> None:
        arrays = arrays_of(text, chosen.state)
        kernels.append(kernel(name, comment, text, arrays, chosen.shared, chosen.gradient))
        launches.append(launch("launch", "self", name, ["TRAINABLE"], [NUMBERS, *arrays.values()], indent=8))

    if apart:
        add("update", title, chosen.change)
    else:
        add("update", lines([title, average]), lines([chosen.change, chosen.follow]))
    if limited:
        kernels.append(LIMIT_NORMS)
        launches.append(launch_limits("p.vector" if limits_apart(train.optimizer) else "self.z"))
    if apart:
        add("follow", average, apart)
    return separated(kernels), lines(launches)


def _device_functions(text: str) -> Code:
    """The functions that some kernels call."""
    return separated([SIGN if mentions(text, "sign") else "", ROW_FUNCTIONS if mentions(text, "shorten") else ""])


def _work(chosen: Recipe, limits: Mapping[str, float], whole: bool) -> Iterator[str]:
    """The lines that make what the kernels work with."""
    row = CLIPS[chosen.clip.name]
    if whole or row.by_row:
        yield "self.rows = rows_of(TRAINED)"
    yield "self.squares = cp.zeros(PARTS)"
    if mentions(row.once, "left_squares"):
        yield "self.left_squares = cp.zeros(PARTS)"
    yield f"self.numbers = cp.zeros({len(chosen.shared) + 1})  # what is the same for all in a step"
    if limits:
        yield fill(LIMITS, limits=limits)


def _state(chosen: Recipe) -> Code:
    """The lines that make what is kept from step to step, as on a CPU but with CuPy."""
    return lines(kept.lines.replace("np.", "cp.") for kept in chosen.state)


def _saved(chosen: Recipe) -> Code:
    return Code("return {" + ", ".join(kept.saved for kept in chosen.state) + "}")
