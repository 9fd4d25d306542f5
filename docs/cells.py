"""The page `cells.md`: every cell of the library beside the others, from its file and from what the compiler makes of it.

python -m docs.cells          writes the page
python -m docs.cells --print  prints it
"""

from __future__ import annotations

import re
import sys
from math import prod
from pathlib import Path

from docs.reference import table
from rnnspec.commands.reference import CELLS, description
from rnnspec.compiler import last, programs
from rnnspec.frontend.cell_definitions import LIBRARY, Cell
from rnnspec.frontend.check import check
from rnnspec.frontend.typed import Model, Read, Spec, walk
from rnnspec.ir.program import Program

PAGE = Path(__file__).parent / "cells.md"
INPUTS, UNITS = 32, 64

HEAD = f"""\
# Cells of the library

Each is a file in [rnnspec/frontend/cells](../rnnspec/frontend/cells), written in the language, with the equations of its paper;
`rnnspec cells NAME` prints it. A test compares every one of them with a plain function of these equations, forwards and
gradients, and another lets it learn. Copy a file under `cells:` of a spec to change it: a cell of one's own is as fast.

The numbers are for {INPUTS} inputs and `units={UNITS}`, other arguments as they are by default, or {UNITS} too.

- **learned**: how many numbers training changes.
- **carried**: what a step hands to the next one, and how many numbers that is for each sequence.
- **products**: how often a step multiplies by a matrix of weights, after the compiler has moved out of the loop what can be
  computed for all steps at once. Where it is 0, no number of the state waits for all the others, and a step is cheap.

This page is printed by `python -m docs.cells`.
"""

SPEC = """
rnnspec: 1
data: {{source: adding(length=50)}}
inputs: {{x: 'vectors(x, size=2)'}}
targets: {{target: 'values(y, size=1)'}}
model: |
  e[t] = W_e @ x[t]
  h[t] = {call}
  y = W_y @ h[T]
loss: mse(y, target)
params: {{W_e: {{shape: [{inputs}, 2]}}}}
train: {{optimizer: sgd(lr=0.1), batch: 2, steps: 1}}
"""

PAPER = re.compile(r'(?P<authors>[A-Z]\. [^";]+), "(?P<title>[^"]+)", (?P<where>.*?\b(?:19|20)\d\d)\b')
AUTHOR = re.compile(r"(?:[A-Z]\.[- ]?)+(?P<surname>[^,]+)")


def page() -> str:
    """The whole page."""
    head = ["cell", "what it is", "paper", "learned", "carried", "products"]
    return HEAD + "\n" + table(head, [row(cell) for cell in LIBRARY.values()])


def row(cell: Cell) -> list[str]:
    """The line of one cell."""
    text = (CELLS / f"{cell.name}.rnn").read_text(encoding="utf-8")
    spec = spec_of(cell)
    weights = sum(prod(info.shape) for info in spec.model.parameters if info.trainable and info.name.startswith("h."))
    names = carried(spec.model)
    kept = f"{', '.join(names)}: {sum(map(prod, names.values())):,}"
    products = products_in_loops(last(programs(spec, 1)))
    return [f"`{cell.signature}`", description(text), paper(text), f"{weights:,}", kept, str(products)]


def spec_of(cell: Cell) -> Spec:
    """A small spec with an instance `h` of a cell."""
    sizes = [f"{argument.name}={UNITS}" for argument in cell.args if argument.default is None]
    spec, problems = check(SPEC.format(inputs=INPUTS, call=f"{cell.name}({', '.join(['e[t]', *sizes])})"))
    assert spec is not None, problems
    return spec


def carried(model: Model) -> dict[str, tuple[int, ...]]:
    """The variables of the instance that some equation reads at an earlier step, and their shapes."""
    reads = [node for equation in model.equations for node in walk(equation.expr) if isinstance(node, Read) and node.lag]
    return {node.name.removeprefix("h."): node.shape for node in reads if node.name != "e"}


def products_in_loops(program: Program) -> int:
    """Products with a matrix that does not change with time, in the loops that run forwards."""
    inside = [program.values[i] for block in program.blocks if block.direction == 1 for i in block.ids]
    return sum(value.op == "matmul" and program.values[value.args[0]].time == "fixed" for value in inside)


def paper(text: str) -> str:
    """The first paper that the comment of a cell names."""
    comment = " ".join(line.lstrip("# ") for line in text.splitlines()[1:] if line.startswith("#")).strip()
    found = PAPER.search(comment)
    assert found is not None, f"no paper in: {comment}"
    return f'{authors(found["authors"])}, "{found["title"]}", {found["where"]}'


def authors(text: str) -> str:
    """Surnames: one, two, or the first one with `et al.`."""
    names = [name.removesuffix(" et al.") for name in re.split(r", | and ", text)]
    surnames = [found["surname"] for name in names if (found := AUTHOR.match(name))]
    if len(surnames) > 2 or text.endswith("et al."):
        return f"{surnames[0]} et al."
    return " and ".join(surnames)


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8", newline="")
