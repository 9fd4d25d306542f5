"""Metrics in a script: what each step (or sequence) has, and a formula of the means of that over a part of the data.

Arrays are as people store them, (batch, time, feature).  The means are gathered in `sums`, batch by batch, so a metric that
is no mean itself is a formula of some that are: the perplexity is the exponential of the mean cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rnnspec.frontend.typed import Call, Expr, Model, Read, When
from rnnspec.script.code import Code, fill

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

EACH_STEP = {"cross_entropy": CROSS_ENTROPY, "accuracy": ACCURACY, "mse": MSE, "mae": MAE}
"""What each step has: a function of predictions and targets."""


@dataclass(frozen=True)
class Formula:
    """A metric from the means of what each step has."""

    means: tuple[str, ...]
    text: str = "{0}"


FORMULAS = {
    **{name: Formula((name,)) for name in EACH_STEP},
    "perplexity": Formula(("cross_entropy",), "np.exp({0})"),
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

    def metric(self, call: Expr) -> Code:
        """The formula of a metric over the averages in `mean`."""
        call = plain(call)
        assert isinstance(call, Call)
        formula = FORMULAS[call.function]
        return Code(formula.text.format(*(self._mean(replace(call, function=name)) for name in formula.means)))

    def functions(self) -> Iterator[str]:
        """The functions that the averages need."""
        return (EACH_STEP[call.function] for call in self.found if call.function in EACH_STEP)

    def _mean(self, call: Call) -> Code:
        """The mean of what each step has, or of what each step has that is not ignored."""
        ignore = dict(call.options).get("ignore")
        if not call.options and call == plain(self.model.loss):
            return Code('mean["loss"]')
        value = Code(f"{call.function}({', '.join(map(self._array, call.args))})")
        if ignore is None:
            return self._entry(call, value)
        kept = fill("({target} != {ignore})", target=self._array(call.args[1]), ignore=ignore)
        shown = replace(call, function="kept", args=call.args[1:])
        return Code(f"{self._entry(call, Code(f'{value} * {kept}'))} / {self._entry(shown, kept)}")

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
