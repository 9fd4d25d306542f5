"""`rnnspec new`: a complete, small spec to start from."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

import click

EXAMPLE = """\
# Add up two numbers that are hidden in a long sequence.  Change a line and run it again:
#   rnnspec check {file}      what does it mean?
#   rnnspec run {file}        train it
rnnspec: 1
name: {name}

data:
  source: adding(length=20, sequences=5000)   # or text("file.txt"), csv("table.csv", columns=[...]), npz(...)
  split: {{train: 0.8, valid: 0.1, test: 0.1}}
inputs:
  x: vectors(x, size=2)                       # each step: a number, and a mark that says whether it counts
targets:
  y: values(y, size=1)                        # the sum of the two marked numbers

model: |
  h[t] = gru(x[t], units=32)                  # `rnnspec cells` lists the others
  s = W_s @ h[T] + b_s                        # T is the last step

loss: mse(s, y)
metrics:
  - mae(s, y)

train:
  optimizer: adam(lr=3e-3)
  clip: global_norm(1.0)
  batch: 50
  epochs: 5
  seed: 0
"""


def new(path: Path) -> None:
    """Write the example to a file that does not exist yet; UsageError if it does."""
    file = quote(str(path))
    text = EXAMPLE.format(file=file if file.isprintable() else "FILE", name=name_of(path))
    try:
        with path.open("x", encoding="utf-8", newline="") as written:
            written.write(text)
    except FileExistsError:
        raise click.UsageError(f"`{path}` exists already; choose another name") from None


def name_of(path: Path) -> str:
    """The name of a file as the name of an experiment, which has no blanks and no accents."""
    words = re.findall(r"[A-Za-z0-9.]+", path.stem)
    return "-".join(words).strip(".")[:64] or "example"
