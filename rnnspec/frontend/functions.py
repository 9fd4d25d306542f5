"""The functions of the language, one row each: what `rnnspec functions` lists and what the checks read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.frontend.typed import When, latest
from rnnspec.frontend.values import ANY, COUNT, FRACTION, NOT_NEGATIVE, POSITIVE, Range

Rule = Literal["same", "vector", "number", "dot", "outer", "concat", "chunk", "where", "compared"]
"""How the shape of a result follows from the shapes of the values; each has a method in `shape_rules`.

same: equal shapes, or one side a plain number. vector: the same, and the first value is a vector. compared: a prediction and a
target of equal shape (and a variance, where there is one) give a number.
"""

Part = Literal["model", "loss", "metric"]
"""Where a function may be called: in the equations, under `loss:` or under `metrics:`."""


@dataclass(frozen=True)
class Option:
    """An argument that is not a value but a constant, such as a rate; `key` is its name in the typed tree."""

    name: str
    key: str
    what: str  # in messages: "a dropout rate"
    default: float | str | None = None
    required: bool = False
    allowed: Range = NOT_NEGATIVE
    whole: bool = False
    words: tuple[str, ...] = ()  # the texts that are allowed, for an option that is no number
    many: bool = False  # a list of numbers
    where: tuple[Part, ...] = ("model", "loss", "metric")

    @property
    def signature(self) -> str:
        """How it is given: `p`, `eps=1e-05`, or `[shared="time"]`, `[weights=[...]]`, `[ignore]` where it may be left out."""
        if self.required:
            return self.name
        if self.default is None:
            text = f'="{"|".join(self.words)}"' if self.words else "=[...]" if self.many else ""
            return f"[{self.name}{text}]"
        return f"{self.name}={self.default}"


@dataclass(frozen=True)
class Function:
    """A row: the values it takes (the last `optional` of them may be left out), then its options, all in order."""

    name: str
    values: tuple[str, ...]
    rule: Rule
    doc: str
    optional: int = 0
    options: tuple[Option, ...] = ()
    variadic: bool = False
    where: tuple[Part, ...] = ("model", "loss")
    of_classes: bool = False  # what is compared with is a class
    applies: str = ""  # the function that a loss applies to the prediction itself
    of_labels: bool = False  # what is compared with is a sequence of labels
    targets: Range = ANY  # what the numbers must be that are compared with
    ascending: bool = False  # a metric that is better the higher it is
    over_time: bool = False  # reads its first value at all steps, and gives one for each sequence
    random: bool = False  # draws numbers in training: every call has a place of its own
    instead: str = ""  # what else may be meant, where the number of arguments is wrong
    averaged: bool = False  # takes statistics of the batch in training, and keeps running averages for evaluation

    @property
    def signature(self) -> str:
        """How it is called, such as `layer_norm(v, [g], [b], eps=1e-05)`."""
        first = len(self.values) - self.optional
        parts = [*self.values[:first], *(f"[{value}]" for value in self.values[first:])]
        parts += ["..."] if self.variadic else []
        parts += [option.signature for option in self.options]
        return f"{self.name}({', '.join(parts)})"


def _curves() -> Iterator[Function]:
    documents = {
        "tanh": "hyperbolic tangent",
        "sigmoid": "1 / (1 + exp(-x))",
        "relu": "x where it is positive, else 0",
        "softplus": "log(1 + exp(x)), a smooth relu",
        "log_sigmoid": "log(sigmoid(x)), also where sigmoid(x) is too small for a number",
        "silu": "x * sigmoid(x), also called swish",
        "gelu": "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))",
        "selu": "1.0507 * elu(x, 1.6733): keeps mean 0 and variance 1 from layer to layer",
        "softsign": "x / (1 + abs(x))",
        "hard_sigmoid": "clamp(x / 6 + 0.5, 0, 1)",
        "hard_tanh": "clamp(x, -1, 1)",
        "sin": "sine",
        "cos": "cosine",
        "exp": "e to the power of x",
        "log": "natural logarithm",
        "sqrt": "square root",
        "square": "x * x",
        "abs": "absolute value",
    }
    for name, doc in documents.items():
        yield Function(name, ("x",), "same", doc)


def _pools() -> Iterator[Function]:
    for kind, doc in {"sum": "the sum", "mean": "the mean", "max": "the largest of each feature"}.items():
        yield Function(f"{kind}_over_time", ("x",), "same", f"{doc} over the valid steps of each sequence", over_time=True)


_SHARED = Option("shared", "shared", "what the random numbers are shared over", words=("time",))
_CHUNK = (
    Option("i", "part", "the number of a part", required=True, allowed=COUNT, whole=True),
    Option("n", "parts", "the number of parts", required=True, allowed=COUNT, whole=True),
)
_EPS = Option("eps", "eps", "`eps`", default=1e-5, allowed=POSITIVE)
_ALPHA = Option("alpha", "alpha", "`alpha`", default=1.0, allowed=POSITIVE)
_SLOPE = Option("negative_slope", "negative_slope", "`negative_slope`", default=0.01, allowed=ANY)
_BOUNDS = (
    Option("low", "low", "`low`", required=True, allowed=ANY),
    Option("high", "high", "`high`", required=True, allowed=ANY),
)
_PAIR = ("prediction", "target")
_IGNORE = Option("ignore", "ignore", "a class to leave out", whole=True)
_CLASS_OPTIONS = (
    Option("smoothing", "smoothing", "label smoothing", default=0.0, allowed=FRACTION, where=("loss",)),
    Option("weights", "weights", "a weight", many=True, where=("loss",)),
    _IGNORE,
)

_ROWS = (
    *_curves(),
    Function("elu", ("x",), "same", "x where it is positive, else alpha * (exp(x) - 1)", options=(_ALPHA,)),
    Function("leaky_relu", ("x",), "same", "x where it is positive, else negative_slope * x", options=(_SLOPE,)),
    Function("clamp", ("x",), "same", "x, but at least low and at most high; beyond them without gradient", options=_BOUNDS),
    Function("softmax", ("v",), "vector", "positive numbers that add up to 1, in proportion to exp(v)"),
    Function("log_softmax", ("v",), "vector", "log(softmax(v)), also where softmax(v) is too small for a number"),
    Function(
        "layer_norm", ("v", "g", "b"), "vector", "v with mean 0 and variance 1 over its features, times g, plus b",
        optional=2, options=(_EPS,),
    ),
    Function("rms_norm", ("v", "g"), "vector", "v / sqrt(mean(v * v) + eps), times g", optional=1, options=(_EPS,)),
    Function(
        "batch_norm", ("v", "g", "b"), "vector", "every feature with mean 0 and variance 1 over the batch, times g, plus b",
        optional=2, where=("model",), averaged=True,
        options=(
            Option("momentum", "momentum", "`momentum`", default=0.1, allowed=Range(0, 1, above=True, closed=True)),
            _EPS,
        ),
    ),
    Function("where", ("c", "a", "b"), "where", "a where the condition c holds, else b; both are computed"),
    Function(
        "minimum", ("a", "b"), "same", "the smaller one, element by element",
        instead="write `min(v)` for the smallest of all features",
    ),
    Function(
        "maximum", ("a", "b"), "same", "the larger one, element by element",
        instead="write `max(v)` for the largest of all features",
    ),
    Function("concat", ("a", "b"), "concat", "vectors one after another", variadic=True),
    Function("chunk", ("v",), "chunk", "the i-th of n equal parts of a vector, counted from 1", options=_CHUNK),
    Function("sum", ("x",), "number", "the sum of all features"),
    Function("mean", ("x",), "number", "the mean of all features"),
    Function(
        "max", ("x",), "number", "the largest of all features; equal ones share the gradient",
        instead="write `maximum(a, b)` for the larger of two",
    ),
    Function(
        "min", ("x",), "number", "the smallest of all features; equal ones share the gradient",
        instead="write `minimum(a, b)` for the smaller of two",
    ),
    Function("norm2", ("x",), "number", "sqrt(sum(x * x)), the Euclidean norm; at 0 its gradient is 0"),
    Function("cumsum", ("v",), "vector", "the sums of the first 1, 2, ... features"),
    Function("stop_gradient", ("x",), "same", "x, as if it did not depend on any parameter"),
    *_pools(),
    Function("dot", ("a", "b"), "dot", "the inner product of two vectors"),
    Function("outer", ("a", "b"), "outer", "the matrix of all products: [m], [n] -> [m, n]"),
    Function(
        "dropout", ("v",), "vector", "in training, zeros with probability p, the rest divided by 1 - p", where=("model",),
        options=(Option("p", "rate", "a dropout rate", required=True, allowed=FRACTION), _SHARED), random=True,
    ),
    Function(
        "zoneout", ("new", "old"), "same", "in training, old with probability p, else new; else p old + (1 - p) new",
        options=(Option("p", "rate", "a zoneout rate", required=True, allowed=FRACTION),), where=("model",), random=True,
    ),
    Function(
        "noise", ("v",), "same", "in training, v plus normal random numbers of this standard deviation",
        options=(Option("std", "std", "the size of noise", required=True), _SHARED), where=("model",), random=True,
    ),
    Function(
        "cross_entropy", _PAIR, "compared", "-log of the softmax of the prediction at the class of the target",
        options=_CLASS_OPTIONS, where=("loss", "metric"), of_classes=True, applies="softmax",
    ),
    Function("mse", _PAIR, "compared", "mean of the squared differences", where=("loss", "metric")),
    Function("mae", _PAIR, "compared", "mean of the absolute differences", where=("loss", "metric")),
    Function(
        "huber", _PAIR, "compared", "mean of d * d / 2 for a difference d up to delta, and of delta * (abs(d) - delta / 2)",
        options=(Option("delta", "delta", "`delta`", default=1.0, allowed=POSITIVE),), where=("loss",),
    ),
    Function(
        "bce", ("scores", "target"), "compared", "binary cross-entropy of sigmoid(scores) and targets from 0 to 1, mean of all",
        where=("loss",), applies="sigmoid", targets=Range(0, 1, closed=True),
    ),
    Function(
        "poisson_nll", ("log_rate", "target"), "compared", "mean of exp(log_rate) - target * log_rate, for counts",
        where=("loss",), applies="exp", targets=NOT_NEGATIVE,
    ),
    Function(
        "gaussian_nll", ("mean", "target", "variance"), "compared",
        "mean of (log(variance) + (mean - target)**2 / variance) / 2; the variance counts as eps at least",
        options=(Option("eps", "eps", "`eps`", default=1e-6, allowed=POSITIVE),), where=("loss",),
    ),
    Function(
        "accuracy", _PAIR, "compared", "share of the steps whose largest prediction is right",
        options=(_IGNORE,), where=("metric",), of_classes=True, ascending=True,
    ),
    Function(
        "perplexity", _PAIR, "compared", "exp of the mean cross-entropy",
        options=(_IGNORE,), where=("metric",), of_classes=True, applies="softmax",
    ),
    Function(
        "bits_per_character", _PAIR, "compared", "mean cross-entropy in bits: divided by log(2)",
        options=(_IGNORE,), where=("metric",), of_classes=True, applies="softmax",
    ),
    Function(
        "top_k", _PAIR, "compared", "share of the steps whose right class is among the k largest predictions",
        options=(Option("k", "k", "`k`", default=5, allowed=COUNT, whole=True), _IGNORE),
        where=("metric",), of_classes=True, ascending=True,
    ),
    Function(
        "macro_f1", _PAIR, "compared", "mean over the classes that occur of 2 hits / (times predicted + times right)",
        options=(_IGNORE,), where=("metric",), of_classes=True, ascending=True,
    ),
    Function(
        "ctc", ("scores", "labels"), "compared",
        "-log of the chance that the scores of all steps spell the labels; class 0 is the blank",
        where=("loss",), of_labels=True, applies="softmax", over_time=True,
    ),
    Function(
        "edit_distance", ("scores", "labels"), "compared", "edits from the best class of each step to the labels, per label",
        where=("metric",), of_labels=True, over_time=True,
    ),
    Function("rmse", _PAIR, "compared", "square root of the mean squared difference", where=("metric",)),
    Function(
        "r2", _PAIR, "compared", "1 - mean squared difference / variance of the target, mean over the features",
        where=("metric",), ascending=True,
    ),
)  # fmt: skip

FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}

OPERATORS: dict[str, str] = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "@": "matmul", "**": "pow",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
    "and": "and", "or": "or",
}  # fmt: skip
"""Operators of two operands and their names in the typed tree; `neg`, `not` and `transpose` have one."""

CONDITIONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "and", "or", "not"})
"""Calls that give a condition rather than a number."""

ALIASES: dict[str, str] = {
    "sigm": "sigmoid", "logistic": "sigmoid", "hadamard": "*", "matmul": "@", "mm": "@", "concatenate": "concat",
    "cat": "concat", "ln": "log", "layernorm": "layer_norm", "softmax_cross_entropy": "cross_entropy", "pow": "**",
    "transpose": ".T", "clip": "clamp", "if": "where", "split": "chunk", "sqr": "square", "swish": "silu",
    "hardtanh": "hard_tanh", "hardsigmoid": "hard_sigmoid", "logsigmoid": "log_sigmoid", "logsoftmax": "log_softmax",
    "leakyrelu": "leaky_relu", "rmsnorm": "rms_norm", "norm": "norm2", "amax": "max", "amin": "min",
    "detach": "stop_gradient", "gaussian_noise": "noise", "batchnorm": "batch_norm", "ctc_loss": "ctc",
    "f1": "macro_f1", "f1_score": "macro_f1", "bpc": "bits_per_character", "ppl": "perplexity", "nll": "cross_entropy",
    "bce_with_logits": "bce", "smooth_l1": "huber", "cer": "edit_distance", "wer": "edit_distance",
}  # fmt: skip
"""What other systems call it, and what to write here."""


def when_of(function: str, whens: Iterable[When]) -> When:
    """How the result of a function or operator relates to time, from how its values do."""
    return "sequence" if function in FUNCTIONS and FUNCTIONS[function].over_time else latest(*whens)


def functions_of(part: Part) -> list[str]:
    """The names that may be called in an equation, a loss or a metric."""
    return [name for name, row in FUNCTIONS.items() if part in row.where]
