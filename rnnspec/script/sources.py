"""Where data comes from: one row for each source of the language.

A row's `code` defines `source()`, which gives a dict from column to array: (step, ...) of a stream, or (sequence, ...).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rnnspec.frontend.typed import Setting, Spec
from rnnspec.script.code import Code, fill, literal


@dataclass(frozen=True)
class Source:
    """What a source looks like in the script."""

    code: str
    stream: bool = False  # one long sequence
    prepare: str = ""  # lines between `source()` and the cut into parts; `columns` and its length `n` are known
    imports: tuple[str, ...] = ()
    file: bool = False  # reads a file of the user


DATA_FILE = '''
def data_file(name):
    """A file that the spec names: in the folder given by --data, else by RNNSPEC_DATA, else in the current one."""
    path = Path(os.environ.get("RNNSPEC_DATA", "."), name)
    if not path.is_file():
        raise SystemExit(f"{path} is missing; --data says which folder the spec stands in")
    return path
'''

CHARACTERS = '''
def numbered(text):
    """The number of each character of a text, its place in VOCABULARY."""
    table = np.full(0x110000, -1, np.int32)  # for every code point there is
    table[[ord(character) for character in VOCABULARY]] = np.arange(len(VOCABULARY))
    ids = table[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
    if ids.size and ids.min() < 0:
        raise SystemExit("the text has characters that it did not have when this script was generated")
    return ids
'''

TEXT = '''
def source():
    """The column `ids`: the text, a whole number for each character."""
    return {{"ids": numbered(data_file({path}).read_text(encoding="utf-8"))}}
'''

PYTHON_DOCS = '''
def source():
    """The column `ids`: the help texts that come with Python, a whole number for each character."""
    return {{"ids": numbered("\\n\\n".join(topics[name] for name in sorted(topics)))}}
'''

CSV = '''
def source():
    """The columns of a table, one number for each step."""
    with data_file({path}).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return {{name: np.array([float(row[name]) for row in rows]) for name in {columns}}}
'''

ZSCORE = """
fitted = slice(*(round(edge * n) for edge in SPLIT["train"]))
for name, column in columns.items():  # mean 0 and deviation 1 over the steps that are learned from
    columns[name] = (column - column[fitted].mean()) / (column[fitted].std() or 1.0)
"""

NPZ = '''
def source():
    """The arrays of an archive, first axis = sequence."""
    with np.load(data_file({path}), allow_pickle=False) as archive:
        return {{name: archive[name] for name in {arrays}}}
'''

SHUFFLE = """
order = generator(0, "data").permutation(n)  # files are often sorted; the same order for every seed
columns = {name: column[order] for name, column in columns.items()}
"""

ADDING = '''
def source():
    """The adding problem: numbers of which two are marked; the answer is the sum of these two."""
    rng, n, T = generator(0, "data"), {sequences}, {length}
    x = np.zeros((n, T, 2))
    x[:, :, 0] = rng.random((n, T))
    marked = np.stack([rng.integers(0, T // 2, n), rng.integers(T // 2, T, n)], axis=1)
    x[np.arange(n)[:, None], marked, 1] = 1.0
    return {{"x": x, "y": (x[:, :, 0] * x[:, :, 1]).sum(1, keepdims=True)}}
'''

COPY_TASK = '''
def source():
    """The copy task: symbols 1 .. {symbols}, a pause of 0, then a signal ({symbols} + 1): now the symbols are due."""
    rng, n = generator(0, "data"), {sequences}
    ids = np.zeros((n, 2 * {length} + {delay}), np.int32)
    out = np.zeros_like(ids)
    ids[:, :{length}] = out[:, -{length}:] = rng.integers(1, {symbols} + 1, (n, {length}))
    ids[:, {length} + {delay}] = {symbols} + 1
    return {{"ids": ids, "out": out}}
'''

RECALL = '''
def source():
    """Symbols 1 .. {symbols} in random order; what is due is the symbol {delay} steps before, 0 where there is none."""
    ids = generator(0, "data").integers(1, {symbols} + 1, ({sequences}, {length}), np.int32)
    out = np.zeros_like(ids)
    out[:, {delay}:] = ids[:, : max(0, {length} - {delay})]
    return {{"ids": ids, "out": out}}
'''

PER_LINE = 26
"""Characters of the vocabulary on one line."""

PYTHON_TOPICS = ("from pydoc_data.topics import topics",)

SOURCES = {
    "text": Source(TEXT, stream=True, file=True),
    "python_docs": Source(PYTHON_DOCS, stream=True, imports=PYTHON_TOPICS),
    "csv": Source(CSV, stream=True, imports=("import csv",), file=True),
    "csv zscore": Source(CSV, stream=True, prepare=ZSCORE, imports=("import csv",), file=True),
    "npz": Source(NPZ, prepare=SHUFFLE, file=True),
    "adding": Source(ADDING),
    "copy_task": Source(COPY_TASK),
    "recall": Source(RECALL),
}


def source_row(setting: Setting) -> Source:
    """The row of a setting; `text` and `csv` have two."""
    if setting.name == "text" and setting["path"] == "python_docs":
        return SOURCES["python_docs"]
    if setting.name == "csv" and setting["normalize"] == "zscore":
        return SOURCES["csv zscore"]
    return SOURCES[setting.name]


def source_functions(spec: Spec) -> list[str]:
    """`source()` of a spec and the functions it calls."""
    setting, row = spec.data.source, source_row(spec.data.source)
    arguments = dict(setting.arguments)
    if row.file:
        arguments["path"] = relative(cast(str, arguments["path"]), spec.path)
    characters = CHARACTERS if setting.name == "text" else ""
    return [DATA_FILE if row.file else "", characters, fill(row.code, **arguments)]


def vocabulary(spec: Spec) -> Code:
    """The characters of a text in the order of their numbers, a few to a line."""
    text = spec.data.vocabulary
    if not text:
        return Code("")
    if len(text) <= PER_LINE:
        return fill("VOCABULARY = {text}", text=text)
    pieces = [text[k : k + PER_LINE] for k in range(0, len(text), PER_LINE)]
    return Code("\n".join(["VOCABULARY = (", *(f"    {literal(piece)}" for piece in pieces), ")"]))


def relative(path: str, spec: Path) -> str:
    """A data file as seen from the spec's folder, so that the script does not depend on where that is."""
    return Path(os.path.relpath(path, spec.parent)).as_posix()


def first_column(setting: Setting) -> Code:
    """The name of a column whose length is that of the data."""
    names = {"csv": "columns", "npz": "arrays"}
    if setting.name in names:
        return literal(cast("list[str]", setting[names[setting.name]])[0])
    return literal("x" if setting.name == "adding" else "ids")
