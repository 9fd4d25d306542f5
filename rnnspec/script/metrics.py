"""Metrics as NumPy expressions over the arrays of people: (batch, time, feature), a number being a feature axis of 1.

A metric is an average over all valid steps or sequences of a part of the data, or something computed from averages
(`perplexity`, `100 * accuracy(...)`).  The averages are gathered in `sums`, batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Call, Expr, Last, Model, Number, Read, When, latest, walk
from rnnspec.script.code import Code, fill, literal
from rnnspec.script.expressions import EXPRESSIONS

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

AVERAGES = {"cross_entropy": CROSS_ENTROPY, "accuracy": ACCURACY, "mse": MSE, "mae": MAE}
"""Functions of a prediction and a target with one number for each step."""

ASCENDING = frozenset({"accuracy"})
"""Metrics that are better the higher they are."""

WRITTEN = {
    "neg": "(-{0})",
    "add": "({0} + {1})",
    "mul": "({0} * {1})",
    "pow": "({0} ** {1})",
    "where": "np.where({0}, {1}, {2})",
    "sigmoid": "(0.5 + 0.5 * np.tanh(0.5 * {0}))",
    "softplus": "np.logaddexp({0}, 0)",
    "sum": "{0}.sum(-1, keepdims=True)",
    "mean": "{0}.mean(-1, keepdims=True)",
    "dot": "({0} * {1}).sum(-1, keepdims=True)",
}
"""Functions that are written in a way of their own here; all others as in the textbook."""

FUNCTIONS = {name: f"({row.template})" for name, row in EXPRESSIONS.items() if not row.helper} | WRITTEN


@dataclass(frozen=True)
class Average:
    """One entry of `sums`: what each step (or sequence) adds to it."""

    name: str
    value: Code
    when: When


class Averages:
    """The averages that the metrics of a model are made of."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.found: dict[Expr, Average] = {}
        self.functions: list[str] = []

    def metric(self, expr: Expr) -> Code:
        """The expression of a metric over the averages in `mean`."""
        if isinstance(expr, Number):
            return literal(expr.value)
        if isinstance(expr, Call) and expr.function == "perplexity":
            return Code(f"np.exp({self._average(Call('cross_entropy', expr.args, (), expr.when))})")
        if not isinstance(expr, Call) or expr.function in AVERAGES or not self._averages_in(expr.args):
            return self._average(expr)
        return Code(FUNCTIONS[expr.function].format(*(self.metric(a) for a in expr.args)))

    def _averages_in(self, args: tuple[Expr, ...]) -> bool:
        return any(isinstance(n, Call) and n.function in (*AVERAGES, "perplexity") for a in args for n in walk(a))

    def _average(self, expr: Expr) -> Code:
        if expr == self.model.loss:
            return Code('mean["loss"]')
        if expr not in self.found:
            base = expr.function if isinstance(expr, Call) else "value"
            same = sum(a.name.partition(" ")[0] == base for a in self.found.values())
            name = f"{base} {same + 1}" if same else base
            self.found[expr] = Average(name, self._each(expr), expr.when)
        return fill("mean[{name}]", name=self.found[expr].name)

    def _each(self, expr: Expr) -> Code:
        """One number for each step or sequence."""
        if isinstance(expr, Call) and expr.function in AVERAGES:
            self.functions.append(AVERAGES[expr.function])
            return Code(f"{expr.function}({', '.join(self._together(expr))})")
        return Code(f"{self.value(expr)}[..., 0]")

    def _together(self, call: Call) -> list[Code]:
        """Arguments at the latest time of any of them."""
        when = latest(*(a.when for a in call.args))
        repeated = [a.when == "sequence" and when == "step" for a in call.args]
        return [Code(f"{self.value(a)}[:, None]" if r else self.value(a)) for a, r in zip(call.args, repeated, strict=True)]

    def value(self, expr: Expr) -> Code:
        """An expression with a feature axis, NotImplementedError for what metrics cannot contain."""
        if isinstance(expr, Number):
            return literal(expr.value)
        if isinstance(expr, Read | Last):
            return self._read(expr)
        if isinstance(expr, Call) and expr.function in FUNCTIONS:
            return Code(FUNCTIONS[expr.function].format(*self._together(expr)))
        raise NotImplementedError(f"{getattr(expr, 'function', type(expr).__name__)} in a metric")

    def _read(self, expr: Read | Last) -> Code:
        if isinstance(expr, Read) and expr.lag:
            raise NotImplementedError(f"{expr.name} at another step in a metric")
        where = "found" if self.model.equation(expr.name) else "batch"
        value = fill(f"{where}[{{name}}]", name=expr.name)
        if isinstance(expr, Read):
            return value
        last = 'batch["length"] - 1' if self.model.masked else "-1"
        return Code(f"{value}[np.arange(B), {last}]")
