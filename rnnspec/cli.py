"""The command `rnnspec`.  Each command imports what it needs when it runs, so that none waits for another's libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from rnnspec import __version__
from rnnspec.commands.exit_codes import BAD_SPEC, FAILED, INTERRUPTED, NOT_PROVEN, OK

if TYPE_CHECKING:
    from rnnspec.compiler import Compiled
    from rnnspec.script.devices import Name

Command = TypeVar("Command", bound=Callable[..., Any])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and leave with its exit code; the only place where exceptions end."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = commands.main(words, prog_name="rnnspec", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has left: say no more
        code = FAILED
    except Exception as problem:
        from rnnspec.commands import trouble

        code, text = trouble.explain(problem, words)
        click.echo(text, err=True)
    sys.exit(code)


def existing(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """The path of a spec that exists, or an error that names one that does."""
    if path.is_dir():
        raise click.UsageError(f"`{path}` is a folder; name a .rnn file in it", context)
    if not path.exists():
        from rnnspec.diagnostics import suggest

        near = suggest(path.name, sorted(p.name for p in path.parent.glob("*.rnn")))
        hint = f"; did you mean `{path.parent / near}`?" if near else ""
        raise click.UsageError(f"there is no file `{path}`{hint}", context)
    return path


def version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        click.echo(f"rnnspec {__version__}")
        context.exit()


def takes_spec(command: Command) -> Command:
    """Arguments of every command that reads a spec: its path, and settings that override it."""
    overrides = click.argument("overrides", nargs=-1, metavar="[key=value]...")
    spec = click.argument("spec", type=click.Path(path_type=Path), callback=existing, metavar="SPEC")
    return spec(overrides(command))


def takes_level(command: Command) -> Command:
    """The option -O0, -O1 or -O2."""
    option = click.option(
        "-O",
        "level",
        type=click.Choice(["0", "1", "2"]),
        default="1",
        callback=lambda context, parameter, text: int(text),
        help="0: the textbook, a line for each equation, for the CPU; 1: the fast script (default); "
        "2: for the GPU, with the products of recurrences in their kernels, which has not been tried on a GPU yet.",
    )
    return option(command)


def takes_device(command: Command) -> Command:
    """The option --device."""
    option = click.option(
        "--device",
        type=click.Choice(["cpu", "gpu"]),
        default="cpu",
        help="What the script runs on: cpu (default) needs NumPy, gpu CuPy and an NVIDIA GPU.",
    )
    return option(command)


class InOrder(click.Group):
    """A group that lists its commands in the order in which they are written here."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names in the order of definition."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=version, help="Print the version.")
def commands() -> None:
    """Write a recurrent network as equations; get a NumPy training script whose gradient is proven.

    \b
    Write a small example, and let it train:
      rnnspec new example.rnn
      rnnspec run example.rnn

    `rnnspec COMMAND --help` has examples for each command.

    \b
    Exit codes: 0 all is well, 1 a check or a run failed, 2 the spec or the command line
    is wrong, 3 the gradient is not proven, 70 an internal error, 130 interrupted.
    """


@commands.command("new")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def new_command(file: Path) -> int:
    """Write a small, complete spec to start from.

    \b
    Example:
      rnnspec new example.rnn
    """
    from rnnspec.commands import new

    new.new(file)
    click.echo(f"wrote {file}: read it, then `rnnspec run {quote(str(file))}`")
    return OK


@commands.command(short_help="Say whether a spec is right, and what is wrong with it.")
@takes_spec
@click.option("-v", "--verbose", is_flag=True, help="Print sizes, parameters and equations as they were understood.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json is for editors.")
def check(spec: Path, overrides: tuple[str, ...], verbose: bool, form: str) -> int:
    """Say whether a spec is right, and what is wrong with it. Writes nothing.

    \b
    Examples:
      rnnspec check model.rnn
      rnnspec check model.rnn -v
      rnnspec check model.rnn dims.H=256 --format json
    """
    from rnnspec.commands import report
    from rnnspec.frontend.check import check as check_spec

    checked, diagnostics = check_spec(spec, overrides)
    if form == "json":
        click.echo(report.findings(diagnostics, checked is not None))
    else:
        show_findings(diagnostics)
        if checked is not None and verbose:
            click.echo(report.table(checked) + "\n")
        click.echo(f"{spec}: {report.counts(diagnostics)}", err=checked is None)
    return OK if checked is not None else FAILED


def show_findings(diagnostics: Sequence[Any]) -> None:
    """Errors and warnings on stderr, an empty line behind each."""
    from rnnspec.diagnostics import render

    for diagnostic in diagnostics:
        click.echo(render(diagnostic) + "\n", err=True)


@commands.command("compile", short_help="Write the training script of a spec.")
@takes_spec
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write the script (`-`: stdout).")
@takes_level
@takes_device
def compile_command(spec: Path, overrides: tuple[str, ...], output: Path | None, level: int, device: Name) -> int:
    """Write the training script of a spec: one Python file that needs NumPy, or for a GPU CuPy, and nothing else.

    \b
    Examples:
      rnnspec compile model.rnn -o train.py
      rnnspec compile model.rnn -O0 -o textbook.py
      rnnspec compile model.rnn --device gpu -o train_gpu.py
      python train.py train --out results
    """
    from rnnspec.commands.output import check_output

    refuse_level(level, device)
    if output is None or str(output) == "-":
        click.echo(compile_and_warn(spec, overrides, level, device).source, nl=False)
        return OK
    check_output(output, spec)
    compiled = compile_and_warn(spec, overrides, level, device)
    output.write_text(compiled.source, encoding="utf-8", newline="")
    click.echo(f"wrote {output}: start it with `python {quote(str(output))} train --out results`")
    return OK


def compile_and_warn(spec: Path, overrides: Sequence[str], level: int, device: Name) -> Compiled:
    """Compile a spec and print its warnings."""
    from rnnspec.compiler import compile_spec

    compiled = compile_spec(spec, device=device, level=level, overrides=overrides)
    show_findings(compiled.diagnostics)
    return compiled


def refuse_level(level: int, device: Name) -> None:
    """A usage error for a level that is for another device."""
    from rnnspec.compiler import LEVELS

    if level in LEVELS[device]:
        return
    if device == "gpu":
        raise click.UsageError("the textbook, -O0, is for the CPU: leave out `-O0`, or `--device gpu`")
    raise click.UsageError("-O2 is for the GPU: leave it out, or add `--device gpu`")


REFERENCES = ("complex-step", "torch")


def references(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """A list of references with commas between them."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in REFERENCES:
            raise click.UsageError(f"there is no reference `{name}`; there are {' and '.join(REFERENCES)}", context)
    return names


@commands.command(short_help="Check the gradient of the script against references.")
@takes_spec
@click.option("--against", default="complex-step", callback=references, help="complex-step, torch, or both: a,b.")
@click.option("--padding", is_flag=True, help="Also check that more padding changes nothing.")
@takes_level
@takes_device
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: the certificate.")
def verify(
    spec: Path, overrides: tuple[str, ...], against: tuple[str, ...], padding: bool, level: int, device: Name, form: str
) -> int:
    """Check the gradient of the script against independent references.

    The references are built from the equations, not from the script. A script whose gradient differs exits with 3.

    \b
    Examples:
      rnnspec verify model.rnn
      rnnspec verify model.rnn --against complex-step,torch
      rnnspec verify model.rnn --padding
      rnnspec verify model.rnn --device gpu
    """
    from rnnspec.commands import report
    from rnnspec.run import gpu

    refuse_level(level, device)
    if "torch" in against:
        require_torch()
    if device == "gpu":
        gpu.require()
    compiled = compile_and_warn(spec, overrides, level, device)
    if padding and not compiled.spec.model.masked:
        click.echo("error: all sequences of this spec are equally long: `--padding` has nothing to check", err=True)
        return BAD_SPEC
    certificate = compiled.verify(against, padding=padding)
    click.echo(certificate.to_json() if form == "json" else report.comparison(certificate))
    return OK if certificate.passed else NOT_PROVEN


def require_torch() -> None:
    """A usage error if PyTorch is not there."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise click.UsageError("PyTorch is not installed: `pip install torch`, or leave out `--against torch`")


def whole_seed(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """The seed, which has the limits of `train.seed`."""
    if text is None:
        return None
    from rnnspec.commands.seed import read_seed

    return read_seed(text)


@commands.command(short_help="Compile, check the gradient, train, keep everything in a folder.")
@takes_spec
@click.option("--out", type=click.Path(path_type=Path), help="The run folder; it must be new or empty.")
@click.option("--seed", callback=whole_seed, help="Start of all randomness (default: `train.seed` of the spec).")
@click.option("--no-verify", is_flag=True, help="Do not check the gradient before training.")
@takes_level
@takes_device
def run(
    spec: Path, overrides: tuple[str, ...], out: Path | None, seed: int | None, no_verify: bool, level: int, device: Name
) -> int:
    """Compile a spec, check its gradient, train it, and keep everything in a run folder.

    Ctrl-C saves and stops; a second Ctrl-C stops at once.

    \b
    Examples:
      rnnspec run model.rnn
      rnnspec run model.rnn train.optimizer.lr=3e-3 dims.H=256
      rnnspec run model.rnn --out runs/wide --seed 7
      rnnspec run model.rnn --device gpu
    """
    from rnnspec.commands import launch
    from rnnspec.run import gpu

    refuse_level(level, device)
    chosen = gpu.require() if device == "gpu" else None
    compiled = compile_and_warn(spec, overrides, level, device)
    return launch.launch(compiled, spec, overrides, out, seed, check_gradient=not no_verify, gpu=chosen)


@commands.command("show")
@takes_spec
@click.option("--stage", required=True, metavar="STAGE", help="Which stage of the compiler, or after which of its passes.")
@takes_level
@takes_device
def show_command(spec: Path, overrides: tuple[str, ...], stage: str, level: int, device: Name) -> int:
    """Print what a stage of the compiler makes of a spec.

    \b
    ast        the equations as they were read
    types      sizes, parameters, and equations with cells written out
    ir         one operation a line, time as shifts
    gradient   the same with the backward pass
    optimised  what runs before, in and after the loops
    script     the training script

    The name of a pass shows the program after it; an unknown name is answered with all of them.

    \b
    Examples:
      rnnspec show model.rnn --stage types
      rnnspec show model.rnn --stage "weight gradients"
      rnnspec show model.rnn --stage optimised
      rnnspec show model.rnn --stage script -O0
      rnnspec show model.rnn --stage script --device gpu
    """
    from rnnspec.commands import show

    refuse_level(level, device)
    click.echo(show.stage(spec, overrides, stage, level, device).rstrip("\n"))
    return OK


def counts(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """Whole numbers from 1 with commas between them."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise click.UsageError(f"`{text}` should be whole numbers from 1 with commas between them, such as 5,10,20", context)
    return tuple(map(int, words))


@commands.command(short_help="Measure what a truncated gradient loses.")
@takes_spec
@click.option("--k2", "reaches", default="1,2,5,10,20,50", callback=counts, help="Steps that the gradient reaches back.")
@click.option("--from", "weights", type=click.Path(path_type=Path), help="Parameters of a run, such as run/best.npz.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json has every parameter.")
def truncation(spec: Path, overrides: tuple[str, ...], reaches: tuple[int, ...], weights: Path | None, form: str) -> int:
    """Measure what a truncated gradient loses, on the first training batch of a spec.

    For each reach, the angle between the gradient in windows and that of the whole sequences, and
    their distance relative to the latter. Without --from, at the initial parameters.

    \b
    Examples:
      rnnspec truncation model.rnn
      rnnspec truncation model.rnn --k2 10,20,40 --from runs/model/best.npz
    """
    from rnnspec.commands import truncation as command

    costs = command.measured(spec, overrides, reaches, weights)
    if form == "json":
        click.echo(command.to_json(costs))
    else:
        command.show(costs, trained=weights is not None)
    return OK


@commands.command(short_help="Show what is installed, and what to install for a GPU.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json is for programs.")
def doctor(form: str) -> int:
    """Show what is installed here, which devices can be used, and what to install for the others.

    Exits with 0 if the CPU can be used.

    \b
    Example:
      rnnspec doctor
    """
    from rnnspec.commands import doctor as command

    health = command.examine()
    click.echo(command.to_json(health) if form == "json" else command.text(health))
    return FAILED if health.cpu else OK


@commands.command()
def functions() -> int:
    """List the functions that equations can use.

    \b
    Example:
      rnnspec functions
    """
    from rnnspec.commands import reference

    click.echo(reference.functions())
    return OK


@commands.command()
@click.argument("name", required=False)
def cells(name: str | None) -> int:
    """List the cells of the library, or print the equations of one.

    \b
    Examples:
      rnnspec cells
      rnnspec cells lstm
    """
    from rnnspec.commands import reference

    text = reference.cells() if name is None else reference.cell(name)
    click.echo(text.rstrip("\n"))
    return OK


@commands.command(short_help="Explain an error code.")
@click.argument("code")
def explain(code: str) -> int:
    """Explain an error code: its cause, a spec that has it, and the same spec put right.

    \b
    Example:
      rnnspec explain E0301
    """
    from rnnspec.commands import reference

    click.echo(reference.explanation(code))
    return OK
