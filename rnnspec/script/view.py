"""Everything that a template may see: one class for each of its files, every field vetted text (or a choice).

`view` gathers it from a spec and its printed body.  What a setting needs in code stands in the tables beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Spec
from rnnspec.script.body import Body
from rnnspec.script.code import Code
from rnnspec.script.devices import Device
from rnnspec.script.gpu.updates.view import Update as UpdateOnGpu
from rnnspec.script.gpu.updates.view import update as update_on_gpu
from rnnspec.script.sources import source_functions
from rnnspec.script.view_border import Border, border
from rnnspec.script.view_data import Data, Evaluation, data, evaluation
from rnnspec.script.view_device import Launches, launches
from rnnspec.script.view_header import Header, Parameters, Sizes, header, parameters, sizes
from rnnspec.script.view_training import CommandLine, Training, command_line, training
from rnnspec.script.view_update import Update, update


@dataclass(frozen=True)
class View:
    """What the template `script.py.j2` and the files it includes can name."""

    header: Header
    sizes: Sizes
    parameters: Parameters
    launches: Launches
    body: Code
    border: Border
    update: Update | UpdateOnGpu
    data: Data
    evaluation: Evaluation
    training: Training
    command_line: CommandLine


def view(spec: Spec, body: Body, device: Device) -> View:
    """The view of one script."""
    source = source_functions(spec)
    return View(
        header=header(spec, body, source, device),
        sizes=sizes(spec, device),
        parameters=parameters(spec, body, device),
        launches=launches(body),
        body=Code(body.text.strip("\n")),
        border=border(spec, body, device),
        update=update_on_gpu(spec, body) if device.name == "gpu" else update(spec),
        data=data(spec, source),
        evaluation=evaluation(spec, body, device),
        training=training(spec, body, device),
        command_line=command_line(spec),
    )
