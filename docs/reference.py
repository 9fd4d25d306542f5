"""The page `reference.md`, made from the tables that the compiler itself uses.

python -m docs.reference          writes the page
python -m docs.reference --print  prints it
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rnnspec.commands.reference import PAGES, described
from rnnspec.frontend.arguments import REQUIRED, Argument
from rnnspec.frontend.functions import FUNCTIONS, Part, functions_of
from rnnspec.frontend.schema import KEYS, SECTIONS
from rnnspec.frontend.schema import REQUIRED as REQUIRED_SECTIONS
from rnnspec.frontend.settings import SETTINGS
from rnnspec.frontend.words import RESERVED

PAGE = Path(__file__).parent / "reference.md"

HEAD = """\
# Reference

Everything that a spec can name. This page is printed from the tables that the compiler uses (`python -m docs.reference`),
and a test compares the two. [The guide](language.md) explains how the pieces work together.
"""

KINDS = {
    "optimizer": "Optimizers",
    "schedule": "Schedules of the learning rate",
    "clip": "Clipping",
    "state_clip": "Clipping of states, under `clip: {state: ...}`",
    "average": "Averages of the parameters",
    "truncation": "Truncation",
    "checkpoint": "Checkpoints",
    "stop": "Stopping early",
    "dtype": "Precision, under `train: {dtype: ...}`",
    "init": "Initialisers",
    "source": "Data sources",
    "inputs": "Encodings under `inputs:`",
    "targets": "Encodings under `targets:`",
}
"""Headings, in the order of the page."""

KEY_MEANINGS = {
    "data": {
        "source": "one of the data sources; required",
        "sequence": "cuts a stream into independent sequences of so many steps",
        "reset_after": "the symbol (or id) behind which all states go back to their start",
        "split": "the parts of the data; everything is `train` by default",
        "bucket": "`true` puts sequences of similar lengths into a batch, so that there is less padding",
    },
    "data.split": {
        "train": "the share that is learned from; required",
        "valid": "the share that is looked at while training",
        "test": "the share that is measured once, at the end",
    },
    "train": {
        "optimizer": "one of the optimizers; required",
        "schedule": "how the learning rate changes; constant by default",
        "clip": "how the gradient is limited; not at all by default; or `gradient` and `state` apart",
        "average": "the average of the parameters that is validated, kept and used; the parameters themselves by default",
        "truncation": "trains in windows of a sequence",
        "checkpoint": "when to save; by default after each validation and at the end",
        "stop": "when to stop before the end",
        "dtype": "what is computed in while it trains; `float32` by default",
        "batch": "sequences that are learned from together; required",
        "steps": "how long to train, in updates; this or `epochs` is required",
        "epochs": "how long to train, in rounds through the data",
        "seed": "start of all randomness; 0 by default",
    },
    "train.clip": {
        "gradient": "how the gradient of the parameters is limited",
        "state": "by variable, how its backward signal is limited at every step",
    },
    "monitor": {
        "every": "steps between two lines about the loss; about 100 lines a run by default",
        "validate": "steps between two validations; by default each epoch, or 10 times in a run by steps",
        "sample": "characters to write at the end, for a text",
    },
    "cells.*": {
        "args": "what a call gives: `int` for a size, `float` for a number; `float = 1.0` has a default",
        "inputs": "names of what a call passes; required",
        "states": "sizes of the states",
        "output": "the variable that the instance stands for; required",
        "equations": "the equations; required",
        "params": "as the section `params:`",
    },
    "params.*": {
        "shape": "its sizes, such as `[H, X]`",
        "init": "one of the initialisers",
        "l1": "adds `l1 * sum(abs(w))` to the loss",
        "l2": "adds `l2 * sum(w * w)` to the loss",
        "trainable": "`false` keeps its initial value",
        "tie": "is the same array as another parameter, `W_e`, or its transpose, `W_e.T`",
        "max_norm": "shortens each row, after an update, to this length at most",
        "lr_scale": "times the learning rate",
        "weight_drop": "in training, dropout of the numbers of this parameter: one draw for a whole training step",
    },
}
"""Section -> key -> what it means; the keys are those of `schema.KEYS`."""


def page() -> str:
    """The whole page."""
    parts = [HEAD, sections(), *map(keys, KEYS), functions(), *(settings(kind) for kind in KINDS), cells(), names(), codes()]
    return "\n".join(parts)


def sections() -> str:
    """The sections of a spec."""
    rows = [[f"`{n}`", meaning + ("; required" if n in REQUIRED_SECTIONS else "")] for n, meaning in SECTIONS.items()]
    return "## Sections\n\n" + table(["section", "what it says"], rows)


def keys(section: str) -> str:
    """The keys of one section; KeyError for one that has no meaning above."""
    meanings = KEY_MEANINGS[section]
    rows = [[f"`{key}`", meanings[key]] for key in KEYS[section]]
    return f"### Keys of `{section.replace('*', 'NAME')}`\n\n" + table(["key", "what it says"], rows)


def functions() -> str:
    """The functions of the language, by where they may be called."""
    model = functions_of("model")
    return "\n".join(
        [
            "## Functions\n\nIn equations, and in a loss that is written out:\n",
            calls(model),
            "Losses, under `loss:`. They may be added and scaled:\n",
            calls(only("loss", model)),
            "Metrics, under `metrics:`:\n",
            calls(only("metric", model)),
        ]
    )


def only(part: Part, others: Sequence[str]) -> list[str]:
    """The functions of a part that are not among others."""
    return [name for name in functions_of(part) if name not in others]


def calls(names: Iterable[str]) -> str:
    """Functions with what they do."""
    return table(["call", "gives"], [[f"`{FUNCTIONS[name].signature}`", FUNCTIONS[name].doc] for name in names])


def settings(kind: str) -> str:
    """The settings of one kind."""
    rows = [[f"`{signature(name, row.arguments)}`", row.doc] for name, row in SETTINGS[kind].items()]
    return f"## {KINDS[kind]}\n\n" + table(["call", "what it does"], rows)


def signature(name: str, arguments: Sequence[Argument]) -> str:
    """How a setting is called, with its defaults; one without arguments needs no brackets."""
    return f"{name}({', '.join(map(argument, arguments))})" if arguments else name


def argument(item: Argument) -> str:
    """An argument, and its default if it has one."""
    if item.default is REQUIRED:
        return item.name
    if item.default is None:
        return f"[{item.name}]"
    shown = f'"{item.default}"' if isinstance(item.default, str) else str(item.default).lower()
    return f"{item.name}={shown}"


def cells() -> str:
    """The cells of the library."""
    rows = [[f"`{call}`", what] for call, what in described()]
    return "## Cells\n\n`rnnspec cells NAME` prints the equations; [cells.md](cells.md) compares them.\n\n" + table(
        ["call", "what it is"], rows
    )


def names() -> str:
    """Names that mean something everywhere."""
    rows = [[f"`{name}`", meaning] for name, meaning in RESERVED.items()]
    return "## Reserved names\n\n" + table(["name", "what it is"], rows)


def codes() -> str:
    """Errors and warnings."""
    rows = [[f"`{code}`", entry.title] for code, entry in sorted(PAGES.items())]
    head = "## Errors and warnings\n\n`rnnspec explain CODE` prints the cause, a wrong and a right example.\n\n"
    return head + table(["code", "what is wrong"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [line(head), line(["---"] * len(head)), *map(line, rows)]
    return "\n".join(lines) + "\n"


def line(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(escaped(cells)) + " |"


def escaped(cells: Iterable[str]) -> Iterator[str]:
    """Cells without the sign that would end them."""
    return (cell.replace("|", "\\|") for cell in cells)


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8", newline="")
