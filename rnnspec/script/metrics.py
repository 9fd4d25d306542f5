"""Metrics in a script: what each step (or sequence) has, and a formula of the means of that over a part of the data.

Arrays are as people store them, (batch, time, feature).  The means are gathered in `sums`, batch by batch, so a metric that
is no mean itself is a formula of some that are: the perplexity is the exponential of the mean cross-entropy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnnspec.frontend.typed import Call, Expr, Model, Read, When
from rnnspec.script.code import Code, fill, literal

CROSS_ENTROPY = '''
def cross_entropy(scores, classes):
    """-log softmax(scores) at the right class, for each step."""
    shifted = scores - scores.max(-1, keepdims=True)
    right = np.take_along_axis(shifted, classes[..., None], -1)[..., 0]
    return np.log(np.exp(shifted).sum(-1)) - right
'''

ACCURACY = '''
def accuracy(scores, classes):
    """1 where the right class has the highest score, else 0."""
    return scores.argmax(-1) == classes
'''

MSE = '''
def mse(values, target):
    """Mean squared error over the features of each step."""
    return ((values - target) ** 2).mean(-1)
'''

MAE = '''
def mae(values, target):
    """Mean absolute error over the features of each step."""
    return np.abs(values - target).mean(-1)
'''

TOP_K = '''
def top_k(scores, classes, k):
    """1 where fewer than k classes have a higher score than the right one, else 0."""
    right = np.take_along_axis(scores, classes[..., None], -1)
    return (scores > right).sum(-1) < k
'''

EACH_STEP = {"cross_entropy": CROSS_ENTROPY, "accuracy": ACCURACY, "top_k": TOP_K, "mse": MSE, "mae": MAE}
"""What each step has: a function of predictions and targets."""

ERRORS = '''
def errors(values, target):
    """Squared error of each feature."""
    return (values - target) ** 2
'''

WANTED = '''
def wanted(values, target):
    """The target itself."""
    return target.astype(np.float64)
'''

SQUARES = '''
def squares(values, target):
    """The square of the target."""
    return target.astype(np.float64) ** 2
'''

PREDICTED = '''
def predicted(scores, classes):
    """1 at the class with the highest score."""
    return np.arange(scores.shape[-1]) == scores.argmax(-1)[..., None]
'''

ACTUAL = '''
def actual(scores, classes):
    """1 at the right class."""
    return np.arange(scores.shape[-1]) == classes[..., None]
'''

HITS = '''
def hits(scores, classes):
    """1 at the right class where it has the highest score."""
    return (np.arange(scores.shape[-1]) == classes[..., None]) & (scores.argmax(-1) == classes)[..., None]
'''

EACH_FEATURE = {
    "errors": ERRORS, "wanted": WANTED, "squares": SQUARES, "predicted": PREDICTED, "actual": ACTUAL, "hits": HITS,
}  # fmt: skip
"""What each feature (or class) of each step has."""

EDITS = '''
def edits(scores, labels, lengths):
    """Insertions, deletions and changes that turn what each sequence spells into its labels (Levenshtein 1966)."""
    found = []
    for best, wanted, length in zip(scores.argmax(-1), labels, lengths):
        spelt = [int(c) for c, before in zip(best[:length], [0, *best[: length - 1]]) if c and c != before]
        row = list(range(np.count_nonzero(wanted) + 1))
        for i, c in enumerate(spelt, 1):
            last, row = row, [i]
            for j, label in enumerate(wanted[wanted > 0]):
                row.append(min(row[j] + 1, last[j + 1] + 1, last[j] + (c != label)))
        found.append(row[-1])
    return np.array(found)
'''

LABEL_COUNT = '''
def label_count(scores, labels, lengths):
    """How many labels each sequence has."""
    return (labels > 0).sum(1)
'''

EACH_SEQUENCE = {"edits": EDITS, "label_count": LABEL_COUNT}
"""What each sequence has, from predictions of all steps, labels, and the number of steps."""

MACRO_F1 = '''
def macro_f1(hits, predicted, actual):
    """2 hits / (predicted + actual), the mean over all classes that occur or are predicted."""
    seen = predicted + actual > 0
    return (2 * hits[seen] / (predicted + actual)[seen]).mean()
'''


@dataclass(frozen=True)
class Formula:
    """A metric from the means of what each step has."""

    means: tuple[str, ...]
    text: str = "{0}"
    function: str = ""  # that the formula needs


FORMULAS = {
    **{name: Formula((name,)) for name in EACH_STEP},
    "perplexity": Formula(("cross_entropy",), "np.exp({0})"),
    "bits_per_character": Formula(("cross_entropy",), "{0} / np.log(2)"),
    "rmse": Formula(("mse",), "np.sqrt({0})"),
    "r2": Formula(("errors", "wanted", "squares"), "(1 - {0} / ({2} - {1} ** 2)).mean()"),
    "edit_distance": Formula(("edits", "label_count"), "{0} / {1}"),
    "macro_f1": Formula(("hits", "predicted", "actual"), "macro_f1({0}, {1}, {2})", MACRO_F1),
}


@dataclass(frozen=True)
class Average:
    """One entry of `sums`: what each step (or sequence) adds to it."""

    name: str
    value: Code
    when: When


def plain(expr: Expr) -> Expr:
    """A comparison without the options that change nothing."""
    if not isinstance(expr, Call):
        return expr
    return replace(expr, options=tuple(o for o in expr.options if o[1] is not None and o != ("smoothing", 0.0)))


class Averages:
    """The averages that the metrics of a model are made of."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.found: dict[Call, Average] = {}
        self.functions: list[str] = []

    def metric(self, call: Expr) -> Code:
        """The formula of a metric over the averages in `mean`."""
        call = plain(call)
        assert isinstance(call, Call)
        formula = FORMULAS[call.function]
        self.functions.append(formula.function)
        return Code(formula.text.format(*(self._mean(replace(call, function=name)) for name in formula.means)))

    def _mean(self, call: Call) -> Code:
        """The mean of what each step has, or of what each step has that is not ignored."""
        options = dict(call.options)
        ignore = options.pop("ignore", None)
        if not call.options and call == plain(self.model.loss):
            return Code('mean["loss"]')
        self.functions.append({**EACH_STEP, **EACH_FEATURE, **EACH_SEQUENCE}[call.function])
        arguments = [*map(self._array, call.args), *map(literal, options.values())]
        if call.function in EACH_SEQUENCE:
            arguments.append(Code('batch["length"]' if self.model.masked else "[T] * B"))
        value = Code(f"{call.function}({', '.join(arguments)})")
        if ignore is None:
            return self._entry(call, value)
        kept = fill("({target} != {ignore})", target=self._array(call.args[1]), ignore=ignore)
        shown = replace(call, function="kept", args=call.args[1:])
        value = Code(f"({value} * {kept}{'[..., None]' if call.function in EACH_FEATURE else ''})")
        return Code(f"{self._entry(call, value)} / {self._entry(shown, kept)}")

    def _entry(self, call: Call, value: Code) -> Code:
        if call not in self.found:
            same = sum(average.name.partition(" ")[0] == call.function for average in self.found.values())
            name = f"{call.function} {same + 1}" if same else call.function
            self.found[call] = Average(name, value, call.when)
        return fill("mean[{name}]", name=self.found[call].name)

    def _array(self, expr: Expr) -> Code:
        """A variable that the script hands out, or what the batch holds."""
        assert isinstance(expr, Read) and not expr.lag
        where = "found" if self.model.equation(expr.name) else "batch"
        return fill(f"{where}[{{name}}]", name=expr.name)
