"""What the commands say about a spec and about its gradient."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnspec.diagnostics import Diagnostic, to_json
from rnnspec.frontend.typed import Model, Setting, Shape, Spec, Word

if TYPE_CHECKING:
    from rnnspec.verify.certificate import Certificate, Check


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words as lines with straight columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def findings(diagnostics: Sequence[Diagnostic], valid: bool) -> str:
    """Errors and warnings as JSON for editors."""
    levels = [diagnostic.level for diagnostic in diagnostics]
    content = {
        "format_version": 1,
        "valid": valid,
        "error_count": levels.count("error"),
        "warning_count": levels.count("warning"),
        "diagnostics": [to_json(diagnostic) for diagnostic in diagnostics],
    }
    return json.dumps(content, indent=2)


def counts(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`; `no errors` where there is nothing to say."""
    levels = [diagnostic.level for diagnostic in diagnostics]
    words = [(levels.count(level), level) for level in ("error", "warning")]
    found = [f"{number} {level}{'s' if number > 1 else ''}" for number, level in words if number]
    return ", ".join(found) if "error" in levels else ", ".join(["no errors", *found])


# ------------------------------------------------------------------ a spec

WHEN = {"step": "per step", "sequence": "per sequence", "fixed": "once"}


def amount(model: Model) -> str:
    """`45,281 numbers in 5 arrays`."""
    count = sum(math.prod(parameter.shape) for parameter in model.parameters)
    return f"{count:,} numbers in {len(model.parameters)} arrays"


def table(spec: Spec) -> str:
    """Sizes, values and parameters of a spec as they were understood."""
    model = spec.model
    parts = [
        ("sizes", [[name, f"{size:,}"] for name, size in model.sizes]),
        ("inputs", [[i.name, shape_text(i.shape, model), i.encoding, WHEN[i.when]] for i in model.inputs]),
        ("targets", [[t.name, shape_text(t.shape, model), t.encoding, WHEN[t.when]] for t in model.targets]),
        ("values", [[e.name, shape_text(e.expr.shape, model), WHEN[e.when]] for e in model.equations]),
        ("parameters", list(parameters(model))),
    ]
    blocks = ["\n".join([title, *(f"  {line}" for line in aligned(rows))]) for title, rows in parts if rows]
    return "\n\n".join([*blocks, amount(model)])


def parameters(model: Model) -> Iterator[list[str]]:
    """One row a parameter: name, shape, how it starts, what else was said about it."""
    for info in model.parameters:
        remarks = ["running average"] if info.average else [] if info.trainable else ["not trained"]
        remarks += [f"l1 {info.l1:g}"] if info.l1 else []
        remarks += [f"l2 {info.l2:g}"] if info.l2 else []
        remarks += [f"max_norm {info.max_norm:g}"] if info.max_norm is not None else []
        remarks += [f"lr_scale {info.lr_scale:g}"] if info.lr_scale != 1 else []
        remarks += [f"weight_drop {info.weight_drop:g}"] if info.weight_drop else []
        remarks += ["declared by use"] if info.implicit else []
        yield [info.name, shape_text(info.shape, model), call_text(info.init), ", ".join(remarks)]


def shape_text(shape: Shape, model: Model) -> str:
    """`[H=128, V=97]`, or `number`: sizes with the names that the spec gave them, where exactly one name has that size."""
    names: dict[int, list[str]] = {}
    for name, size in model.sizes:
        if "." not in name:  # `h1.units` is the argument of a cell
            names.setdefault(size, []).append(name)
    if not shape:
        return "number"
    known = {size: f"{found[0]}={size}" for size, found in names.items() if len(found) == 1}
    return f"[{', '.join(known.get(size, str(size)) for size in shape)}]"


def call_text(setting: Setting) -> str:
    """A setting as it is written in a spec: `normal(std=0.05)`."""
    given = [f"{name}={value_text(value)}" for name, value in setting.arguments if value is not None]
    return f"{setting.name}({', '.join(given)})" if given else setting.name


def value_text(value: object) -> str:
    """An argument as it is written in a spec."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    if isinstance(value, Word):
        return value
    return f'"{value}"' if isinstance(value, str | Path) else repr(value)


# ------------------------------------------------------------------ a certificate


def verdict(certificate: Certificate | None) -> str:
    """The result of a gradient check in one line."""
    if certificate is None:
        return "not checked"
    worst = certificate.worst
    if not certificate.passed:
        why = f" ({worst.problem})" if worst.problem else ""
        return f"is WRONG: `{worst.parameter}` differs from {reference(worst.reference)}{why}"
    references = " and ".join(dict.fromkeys(reference(check.reference) for check in certificate.checks))
    agreed = f"agrees with {references}: worst relative error {worst.error:.1e} (`{worst.parameter}`)"
    return ", ".join([agreed, *reservations(certificate)])


def reservations(certificate: Certificate) -> Iterator[str]:
    """What has not been compared."""
    if certificate.unproven:
        states = ", ".join(f"`{name}`" for name in certificate.unproven)
        yield f"without the clip of {states}, which only `--against torch` can check"
    if certificate.trains_in not in ("float32", "float64"):
        yield f"computed in float64 (training in {certificate.trains_in} rounds the factors of products)"


def comparison(certificate: Certificate) -> str:
    """Every row of a certificate, and its result."""
    head = ["of", "against", "compared", "relative error", "worst element", ""]
    rows = [
        [c.parameter, c.reference, c.method, error(c), element(c), "agrees" if c.passed else f"DIFFERS: {c.problem}"]
        for c in certificate.checks
    ]
    where = " on the GPU" if certificate.device == "gpu" else ""
    return "\n".join([*aligned([head, *rows]), "", f"the gradient of {certificate.spec}{where} {verdict(certificate)}"])


def error(check: Check) -> str:
    """The relative error of a row; where the gradient is (next to) zero, there is round-off only."""
    return f"zero, up to {check.round_off:.0e}" if check.round_off else f"{check.error:.1e}"


def element(check: Check) -> str:
    """The element with the largest difference, where elements were compared and differ."""
    return f"[{', '.join(map(str, check.element))}]" if check.element and check.error and "element" in check.method else ""


REFERENCES = {"complex-step": "complex-step derivatives", "torch": "PyTorch", "more padding": "itself under more padding"}


def reference(name: str) -> str:
    """A reference in words."""
    return REFERENCES.get(name, name)
