"""Settings: the named things of which one is chosen and given arguments, all in one table.

A new optimizer or initialiser is one row: its name, its arguments with types, ranges and defaults, and what it does.
"""

from __future__ import annotations

from pathlib import Path

from rnnspec.diagnostics import Diagnostic, problem, suggest
from rnnspec.frontend.arguments import (
    Row,
    choice,
    column,
    columns,
    flag,
    number,
    parameter,
    path,
    paths,
    read_arguments,
    row,
    text,
    whole,
)
from rnnspec.frontend.equations import parse_value
from rnnspec.frontend.source import Mapping, Scalar, Sequence
from rnnspec.frontend.source import Node as YamlNode
from rnnspec.frontend.syntax import CallNode, Node, NumberNode, RefNode
from rnnspec.frontend.typed import Setting
from rnnspec.frontend.updates import FROM_ZERO, INSTEAD, UPDATES
from rnnspec.frontend.values import FRACTION, NOT_NEGATIVE, POSITIVE, Range

SYMBOLS = whole("symbols", 8)
SEQUENCES = whole("sequences", 10_000)
NORMALIZE = choice("normalize", "none", "zscore")

SETTINGS: dict[str, dict[str, Row]] = {
    **UPDATES,
    "truncation": {
        "tbptt": row(
            "learns `k1` steps at a time; their gradient reaches back `k2` steps (`k1` by default), the state is carried",
            whole("k1"),
            whole("k2", None),
        ),
    },
    "checkpoint": {
        "every": row("saves after every so many steps and keeps the last ones", whole("steps"), whole("keep", 1)),
        "none": row("saves only at the end"),
    },
    "stop": {
        "patience": row("stops after `epochs` epochs in which `on` did not improve", whole("epochs"), text("on", "valid.loss")),
    },
    "dtype": {
        "float32": row("32 bits"),
        "float64": row("64 bits"),
        "tf32": row(
            "float32, but matrices are multiplied by the tensor cores of a GPU: factors are rounded to 11 significant bits and "
            "summed up in float32; needs `--device gpu`"
        ),
        "bfloat16": row("as `tf32`, with 8 significant bits; weights stay float32"),
    },
    "init": {
        "zeros": row("all 0"),
        "ones": row("all 1"),
        "constant": row("all the same number", number("value")),
        "normal": row("normal with mean 0", number("std", 0.01, NOT_NEGATIVE)),
        "uniform": row("uniform between -limit and limit", number("limit", allowed=POSITIVE)),
        "glorot_uniform": row("uniform, limit sqrt(6 / (rows + columns))", matrix=True),
        "glorot_normal": row("normal, std sqrt(2 / (rows + columns))", matrix=True),
        "he_uniform": row("uniform, limit sqrt(6 / columns)", matrix=True),
        "he_normal": row("normal, std sqrt(2 / columns)", matrix=True),
        "lecun_uniform": row("uniform, limit sqrt(3 / columns)", matrix=True),
        "lecun_normal": row("normal, std sqrt(1 / columns)", matrix=True),
        "torch_rnn": row("uniform, limit sqrt(1 / rows): how PyTorch starts all that a recurrent layer has"),
        "orthogonal": row("orthonormal rows or columns, times `gain`", number("gain", 1.0, POSITIVE), matrix=True),
        "identity": row("`gain` on the diagonal, 0 elsewhere", number("gain", 1.0, POSITIVE), matrix=True),
        "sparse": row(
            "normal, but a share of each column is 0, rounded up",
            number("sparsity", allowed=FRACTION),
            number("std", 0.01, NOT_NEGATIVE),
            matrix=True,
        ),
        "chrono": row(
            "log of uniform from 1 to `longest` - 1: the bias of a forget gate, for memory of up to so many steps",
            whole("longest", allowed=Range(3, 1_000_000_000, closed=True)),
        ),
        "negative": row("minus the initial value of another parameter: the input gate of `chrono`", parameter("of")),
        "from_file": row(
            "an array of an `npz` file, by default that of the parameter's name", path("path"), text("array", None)
        ),
    },
    "source": {
        "text": row(
            "a stream of characters, words or bytes from one file or several: column `ids`; `boundary` is put after each file, "
            "`most` limits the words; `python_docs` is the help text inside every Python",
            paths("path", "python_docs"),
            choice("unit", "char", "word", "byte"),
            text("boundary", None),
            whole("most", None, Range(2, 1_000_000, closed=True)),
        ),
        "csv": row(
            "a stream of numbers, one column each; `zscore` gives the training part mean 0, deviation 1; `missing` numbers are "
            "filled with the one before (`forward`), the training part's mean, or a line to the next (`linear`); `sunspots` "
            "and `co2` come with statsmodels, `sf_temps` and `seattle_temps` with vega_datasets",
            path("path", "sunspots", "co2", "sf_temps", "seattle_temps"),
            columns("columns"),
            NORMALIZE,
            choice("missing", "refuse", "forward", "mean", "linear"),
        ),
        "npz": row(
            "arrays; the first axis is the sequence, the second time where there is one",
            path("path"),
            columns("arrays"),
        ),
        "npy": row(
            "arrays as in `npz`, one a file and named like it: a list or a pattern; they may be larger than memory",
            paths("paths"),
        ),
        "jsonl": row(
            "a sequence a line, a JSON object: `fields` with a list have a number (or a list of them) per step, others one per "
            "sequence, which may be the name of a class; and column `length`",
            path("path"),
            columns("fields"),
        ),
        "ts": row(
            "labelled series of the UCR/UEA archive: columns `x`, `length` and `label` (or `y`, a number); `test` is a file of "
            "its own for that part; `japanese_vowels` and `basic_motions` come with aeon",
            path("path", "japanese_vowels", "basic_motions"),
            path("test", default=None),
        ),
        "digits": row("pictures of digits, row by row, from scikit-learn: columns `x` (8 steps of 8 numbers) and `label`"),
        "adding": row(
            "add the two marked numbers: columns `x` (two numbers per step) and `y` (one per sequence)",
            whole("length", allowed=Range(2, 1_000_000)),
            SEQUENCES,
        ),
        "copy_task": row(
            "say `length` symbols again, `delay` blanks later: columns `ids` and `out`, classes below `symbols` + 2",
            SYMBOLS,
            whole("length", 10),
            whole("delay", 20, FROM_ZERO),
            SEQUENCES,
        ),
        "recall": row(
            "say what came `delay` steps ago: columns `ids` and `out`, classes below `symbols` + 1",
            SYMBOLS,
            whole("length", 50),
            whole("delay", 5, FROM_ZERO),
            SEQUENCES,
        ),
        "parity": row(
            "is the number of ones odd? columns `ids` (bits), `out` (odd so far), `label` (odd in the end; one per sequence)",
            whole("length", 50),
            SEQUENCES,
        ),
        "dyck": row(
            "words of brackets, a share of them with one `faulty`: columns `ids` (closing ones from `pairs` on), `out` (the "
            "one to close next, from 1; else 0; `pairs` + 1 after a mistake) and `label` (1: no mistake)",
            whole("pairs", 2),
            whole("length", 20, Range(2, 1_000_000)),
            number("faulty", 0.0, Range(0, 1, closed=True)),
            SEQUENCES,
        ),
        "anbn": row(
            "a^n b^n, or a^n b^n c^n with `letters=3`, n up to `longest`: columns `ids` (0 is the border), `out` (what is "
            "next) and `length`",
            whole("letters", 2),
            whole("longest", 20),
            SEQUENCES,
        ),
        "reber": row(
            "words of the Reber grammar, from B to E, of at most `longest` symbols: columns `ids` (of BTPSXVE), `out` (what is "
            "next), `allowed` (what could be next, seven numbers per step) and `length`",
            flag("embedded", True),
            whole("longest", 40),
            SEQUENCES,
        ),
        "sine": row(
            "sine waves of random phase and of a random period between two numbers of steps: column `x`",
            whole("length", 50),
            number("shortest", 8.0, POSITIVE),
            number("longest", 40.0, POSITIVE),
            number("noise", 0.0, NOT_NEGATIVE),
            SEQUENCES,
        ),
        "mackey_glass": row(
            "the Mackey-Glass equation, a stream: column `x`, once per unit of time (Runge-Kutta, 10 steps per unit)",
            whole("steps", 10_000, Range(2, 1_000_000_000)),
            whole("tau", 17, Range(1, 10_000)),
            NORMALIZE,
        ),
        "lorenz": row(
            "the Lorenz equations, a stream: columns `x`, `y` and `z` every `dt` (Runge-Kutta)",
            whole("steps", 10_000, Range(2, 1_000_000_000)),
            number("dt", 0.02, Range(0, 0.1, above=True)),
            NORMALIZE,
        ),
    },
    "inputs": {
        "one_hot": row("one class per step", column("column"), whole("size", None), column("length", None)),
        "vectors": row(
            "`size` numbers per step; `length` is the column of valid steps",
            column("array"),
            whole("size"),
            column("length", None),
        ),
        "columns": row("one number per column and step", columns("names")),
        "current": row("the target's own column at this step, for teacher forcing", column("column")),
        "vector": row("`size` numbers per sequence", column("array"), whole("size")),
    },
    "targets": {
        "next": row("what comes next, or the `steps` next", columns("columns"), whole("steps", 1)),
        "classes": row("a class per step or per sequence", column("array"), whole("count")),
        "labels": row(
            "a sequence of labels, from 1 to `count` - 1, of its own `length`; what is 0 (the blank of `ctc`) is no label",
            column("array"),
            whole("count"),
            column("length", None),
        ),
        "values": row("`size` numbers per step or per sequence", column("array"), whole("size")),
    },
}
"""Kind -> name -> row.  The kinds `inputs` and `targets` are the encodings of columns."""

NOUNS = {
    "dtype": "precision",
    "init": "initialiser",
    "state_clip": "clip of a state",
    "source": "data source",
    "inputs": "encoding",
    "targets": "encoding",
}
"""How messages call a kind whose key is not a word for it."""

ELSEWHERE = {
    "optimizer": INSTEAD,
    "init": {
        "xavier": "glorot_uniform",
        "xavier_uniform": "glorot_uniform",
        "xavier_normal": "glorot_normal",
        "kaiming": "he_normal",
        "kaiming_uniform": "he_uniform",
        "kaiming_normal": "he_normal",
        "glorot": "glorot_uniform",
        "he": "he_normal",
        "lecun": "lecun_normal",
        "eye": "identity",
    },
    "schedule": {
        "cosine_annealing": "cosine",
        "warm_restarts": "cosine_restarts",
        "reduce_on_plateau": "plateau",
        "noam": "inverse_sqrt",
    },
    "clip": {"norm": "global_norm", "clip_grad_norm": "global_norm", "agc": "adaptive"},
    "average": {"swa": "polyak"},
    "dtype": {"float": "float32", "fp32": "float32", "double": "float64", "fp64": "float64", "bf16": "bfloat16"},
}
"""Kind -> what other systems call a setting -> how it is written here."""


def resolve(
    node: YamlNode | Node, kind: str, problems: list[Diagnostic], what: str = "", folder: Path | None = None
) -> Setting | None:
    """A setting with all its arguments, defaults filled in; None after a problem.

    `kind` is a key of `SETTINGS`; `what` is how messages call the place (the key by default); file names are relative
    to `folder`.
    """
    if isinstance(node, (Scalar, Mapping, Sequence)):
        expression = parse_value(node, problems)
        return resolve(expression, kind, problems, what, folder) if expression is not None else None
    if isinstance(node, RefNode) and node.index is None:  # `zeros` is `zeros()`
        node = CallNode(node.name, node.span, node.name_span)
    rows = SETTINGS[kind]
    if not isinstance(node, CallNode):
        problems.append(_not_a_setting(node, kind, what or f"`{kind}`"))
        return None
    if node.name not in rows:
        problems.append(_unknown(node, kind))
        return None
    arguments = read_arguments(node, rows[node.name], problems, folder)
    return None if arguments is None else Setting(node.name, arguments, node.span)


OF_A_NUMBER = {"clip": "global_norm", "truncation": "tbptt", "optimizer": "sgd", "init": "constant"}
"""Kind -> what is meant where only a number is given."""


def _not_a_setting(node: Node, kind: str, what: str) -> Diagnostic:
    names = ", ".join(SETTINGS[kind])
    if kind in ("inputs", "targets"):
        return problem("E0701", f"{what} must say how to encode a column", node.span, note=f"available: {names}")
    help = f"write `{OF_A_NUMBER[kind]}({node.span.text})`" if isinstance(node, NumberNode) and kind in OF_A_NUMBER else None
    return problem("E0601", f"{what} must be one of: {names}", node.span, help=help)


def _unknown(call: CallNode, kind: str) -> Diagnostic:
    code = "E0701" if kind in ("inputs", "targets") else "E0603"
    meant = suggest(call.name, SETTINGS[kind])
    message = f"there is no {NOUNS.get(kind, kind)} called `{call.name}`"
    help = f"did you mean `{meant}`?" if meant else None
    if call.name in ELSEWHERE.get(kind, {}):
        help = f"write `{ELSEWHERE[kind][call.name]}`"
    return problem(code, message, call.name_span, help=help, note="available: " + ", ".join(SETTINGS[kind]))
