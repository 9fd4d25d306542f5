"""One operation -> one expression of a step, as a reader would write it: one row an operation.

Arrays of one step are (features, batch); `{0}`, `{1}` stand for the operands and `{k}` for what the operation holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.script import labels

ATOM, POWER, UNARY, PRODUCT, SUM, LOOSE = 5, 4, 3, 2, 1, 0


@dataclass(frozen=True)
class Text:
    """An expression and how tightly it holds together."""

    text: str
    binding: int = ATOM

    def within(self, binding: int) -> str:
        """The expression as an operand of something that binds like this."""
        return self.text if self.binding >= binding else f"({self.text})"


@dataclass(frozen=True)
class Row:
    """How an operation is written: a template, how it binds, how tightly each operand must bind, functions it needs."""

    template: str
    binding: int = ATOM
    operands: tuple[int, ...] = (LOOSE, LOOSE, LOOSE)
    helper: str = ""


def infix(sign: str, binding: int, right: int | None = None) -> Row:
    """a sign b."""
    return Row(f"{{0}} {sign} {{1}}", binding, (binding, binding + 1 if right is None else right))


def compared(sign: str) -> Row:
    """A comparison."""
    return Row(f"{{0}} {sign} {{1}}", LOOSE, (SUM, SUM))


EXPRESSIONS: dict[str, Row] = {
    "sub": infix("-", SUM),
    "div": infix("/", PRODUCT, POWER),
    "rms_scale": infix("*", PRODUCT, POWER),
    "from_constant": Row("{k} - {0}", SUM, (PRODUCT,)),
    "power": Row("{0} ** {k}", POWER, (ATOM,)),
    "exp": Row("np.exp({0})"),
    "log": Row("np.log({0})"),
    "sqrt": Row("np.sqrt({0})"),
    "abs": Row("np.abs({0})"),
    "sign": Row("np.sign({0})"),
    "square": Row("{0} ** 2", POWER, (ATOM,)),
    "sin": Row("np.sin({0})"),
    "cos": Row("np.cos({0})"),
    "relu": Row("np.maximum({0}, 0)"),
    "softplus": Row("softplus({0})", helper="softplus"),
    "elu": Row("elu({0}, {k})", helper="elu"),
    "clip": Row("np.clip({0}, {k})"),
    "tanh": Row("np.tanh({0})"),
    "sigmoid": Row("sigmoid({0})", helper="sigmoid"),
    "minimum": Row("np.minimum({0}, {1})"),
    "maximum": Row("np.maximum({0}, {1})"),
    "select": Row("np.where({0}, {1}, {2})"),
    "less": compared("<"),
    "less_equal": compared("<="),
    "greater": compared(">"),
    "greater_equal": compared(">="),
    "equal": compared("=="),
    "not_equal": compared("!="),
    "and": Row("{0} & {1}", LOOSE, (UNARY, UNARY)),
    "or": Row("{0} | {1}", LOOSE, (UNARY, UNARY)),
    "not": Row("~{0}", UNARY, (ATOM,)),
    "one_hot": Row("one_hot({0}, {k})", helper="one_hot"),
    "cumsum": Row("np.cumsum({0}, 0)"),
    "logaddexp": Row("np.logaddexp({0}, {1})"),
    "label_rows": Row("label_rows({0}, {k})", helper="label_rows"),
    "label_skips": Row("label_skips({0})", helper="label_skips"),
    "label_ends": Row("label_ends({0})", helper="label_ends"),
    "softmax": Row("softmax({0})", helper="softmax"),
    "log_softmax": Row("log_softmax({0})", helper="log_softmax"),
    "cross_entropy": Row("-at_class({2}, {1})", PRODUCT, helper="at_class"),
    "softmax_error": Row("np.exp({0}) - one_hot({1}, {rows})", SUM, helper="one_hot"),
    "concat": Row("np.concatenate([{all}])"),
    "batch_total": Row("batch_total({0})", helper="batch_total"),
    "copy": Row("np.broadcast_to({0}, {shape})"),
}

PRODUCTS: dict[tuple[str, int], Row] = {
    ("fixed", 1): infix("@", PRODUCT, POWER),
    ("fixed", 2): Row('np.einsum("mn,npb->mpb", {0}, {1})'),
    ("step", 1): Row('np.einsum("mnb,nb->mb", {0}, {1})'),
    ("step", 2): Row('np.einsum("mnb,npb->mpb", {0}, {1})'),
}
"""A product by the time of its matrix and the number of axes of its right side."""

HELPERS = {
    **labels.HELPERS,
    "sigmoid": '''def sigmoid(a):
    """1 / (1 + exp(-a)), written so that it cannot overflow."""
    return 0.5 * np.tanh(0.5 * a) + 0.5''',
    "softplus": '''def softplus(a):
    """log(1 + exp(a)), written so that it cannot overflow."""
    return np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))''',
    "elu": '''def elu(a, alpha):
    """a where it is positive, else alpha * (exp(a) - 1), written so that it cannot overflow."""
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))''',
    "softmax": '''def softmax(a):
    """exp(a) / sum(exp(a)) over the features, shifted by the largest so that it cannot overflow."""
    e = np.exp(a - a.max(0))
    return e / e.sum(0)''',
    "log_softmax": '''def log_softmax(a):
    """log(softmax(a)), shifted by the largest so that it cannot overflow."""
    a = a - a.max(0)
    return a - np.log(np.exp(a).sum(0))''',
    "at_class": '''def at_class(a, c):
    """The row c[b] of each column b, as one row."""
    return a[c, np.arange(len(c))][None]''',
    "batch_total": '''def batch_total(a):
    """The sum over the sequences, for each of them."""
    return np.broadcast_to(a.sum(-1, keepdims=True), a.shape)''',
    "one_hot": '''def one_hot(c, n):
    """Columns of n rows with a 1 in row c[b]."""
    return (np.arange(n)[:, None] == c) * 1.0''',
}
