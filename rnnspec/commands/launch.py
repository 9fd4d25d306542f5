"""`rnnspec run` behind the compiler: prove the gradient, train, and tell what happens."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnspec.commands import report
from rnnspec.commands.exit_codes import FAILED, INTERRUPTED, NOT_PROVEN, OK
from rnnspec.commands.resolved import resolve
from rnnspec.compiler import Compiled
from rnnspec.frontend.typed import Spec
from rnnspec.run import folder, summary
from rnnspec.run.gpu import Device, facts
from rnnspec.run.train import CPU, Job, train

if TYPE_CHECKING:
    from rnnspec.verify.certificate import Certificate


def launch(
    compiled: Compiled,
    spec: Path,
    overrides: Sequence[str],
    out: Path | None,
    seed: int | None,
    check_gradient: bool,
    gpu: Device | None = None,
) -> int:
    """Run what was compiled from `spec` and `overrides`, on a GPU if one is given; returns the exit code."""
    try:
        if out is not None:
            folder.refuse_taken(out)
        certificate = proven(compiled, gpu, check_gradient)
        if certificate is not None and not certificate.passed:
            click.echo(report.comparison(certificate), err=True)
            click.echo("\nerror: nothing was trained, because the gradient is not proven", err=True)
            return NOT_PROVEN
        path = folder.create(compiled.spec.name, out)
        with folder.locked(path):
            return trained(job(compiled, spec, overrides, seed, certificate, gpu), path)
    except folder.FolderError as problem:
        click.echo(f"error: {problem}", err=True)
        return FAILED


def proven(compiled: Compiled, gpu: Device | None, check_gradient: bool) -> Certificate | None:
    """Say what was found, and check its gradient if that is wanted."""
    click.echo(opening(compiled.spec, gpu))
    certificate = compiled.verify(quick=True) if check_gradient else None
    click.echo(summary.field("gradient", report.verdict(certificate)))
    return certificate


def opening(spec: Spec, gpu: Device | None) -> str:
    """What was found in a spec: its name, its sizes, its parameters; and the GPU that it runs on."""
    sizes = ", ".join(f"{name} = {size:,}" for name, size in spec.model.sizes)
    rows = [("network", f"{spec.name} ({spec.path.name})"), ("sizes", sizes), ("parameters", report.amount(spec.model))]
    rows += [("GPU", gpu.gpu.name)] if gpu is not None else []
    return "\n".join(summary.field(name, text) for name, text in rows if text)


def job(
    compiled: Compiled,
    spec: Path,
    overrides: Sequence[str],
    seed: int | None,
    certificate: Certificate | None,
    gpu: Device | None,
) -> Job:
    """What the run needs to know, and the files its folder keeps."""
    files = {
        "spec.rnn": spec.read_bytes(),
        "spec.resolved.yaml": resolve(spec, overrides, compiled.spec).encode(),
        "overrides.txt": "".join(f"{setting}\n" for setting in overrides).encode(),
    }
    if certificate is not None:
        files[folder.CERTIFICATE] = f"{certificate.to_json()}\n".encode()
    return Job(
        spec=str(spec),
        digest=compiled.spec.digest,
        script=compiled.source,
        seed=compiled.spec.train.seed if seed is None else seed,
        command=["rnnspec", *sys.argv[1:]],
        sources=compiled.sources,
        files=files,
        device=CPU if gpu is None else facts(gpu),
    )


def trained(job: Job, path: Path) -> int:
    """Train in a locked folder and say how it went."""
    click.echo(summary.field("script", str(path / folder.SCRIPT)) + "\n")
    outcome = train(job, path)
    if outcome.code in (OK, INTERRUPTED):
        click.echo(summary.summary(outcome))
    else:
        click.echo("\n" + summary.failure(outcome), err=True)
    if outcome.refused:
        folder.discard(path)
    return outcome.code
