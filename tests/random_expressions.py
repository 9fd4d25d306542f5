"""Random expressions of a given shape over given leaves.

Everything stays finite and away from kinks: denominators and arguments of log and sqrt are at least 1 by construction,
exponentials see only numbers between -1 and 1.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Callable

from rnnspec.frontend.typed import Expr, Parameter, Shape
from tests.nodes import add, at, call, mul, sigmoid, tanh

NewParameter = Callable[[str, Shape], Parameter]


CURVES = ("relu", "abs", "softplus", "square", "sin", "cos", "softmax", "log_softmax", "cumsum") + (
    "silu",
    "gelu",
    "selu",
    "softsign",
    "log_sigmoid",
    "hard_sigmoid",
    "hard_tanh",
)
"""Functions of one vector without options."""


class Expressions:
    """A maker of expressions: `leaves` are what they may read, `parameter` finds or makes a parameter."""

    def __init__(self, random: python_random.Random, leaves: list[Expr], parameter: NewParameter) -> None:
        self.random, self.leaves, self.parameter = random, leaves, parameter
        self.made: list[Expr] = []

    def vector(self, size: int, depth: int) -> Expr:
        """An expression of shape (size,); sometimes the very one that was made before."""
        same = [node for node in self.made if node.shape == (size,)]
        if same and self.random.random() < 0.12:
            return self.random.choice(same)
        node = self._leaf(size) if depth == 0 else self._deep(size, depth - 1)
        self.made.append(node)
        return node

    def number(self, depth: int) -> Expr:
        """An expression of shape ()."""
        size = self._some_size()
        numbers = [leaf for leaf in self.leaves if leaf.shape == ()]
        if numbers and self.random.random() < 0.3:
            return self.random.choice(numbers)
        kind = self.random.choice(["dot"] * 3 + ["sum", "sum", "mean", "mean", "max", "min", "norm2", "parameter"])
        if kind == "parameter":
            return mul(self.parameter("c", ()), self.number(depth))
        if kind == "dot":
            return call("dot", self.parameter("a", (size,)), self.vector(size, depth))
        matrices = [leaf for leaf in self.leaves if len(leaf.shape) == 2]
        return call(kind, self.random.choice(matrices) if matrices and self.random.random() < 0.2 else self.vector(size, depth))

    def readout(self, size: int, leaves: list[Expr]) -> Expr:
        """A sum of products with each of the leaves: the output of a model."""
        terms = [self._seen(size, self._maybe_random(leaf)) for leaf in leaves]
        return add(*terms, self.parameter("b", (size,)), mul(0.5, self.vector(size, 1)))

    def _maybe_random(self, node: Expr) -> Expr:
        """Now and then the value with random numbers, or normalised over the batch."""
        if node.when == "fixed" or len(node.shape) != 1 or self.random.random() >= 0.03:
            return node
        shared = self.random.choice([None, None, "time"])
        same = [leaf for leaf in self.leaves if leaf.shape == node.shape]
        made = [call("dropout", node, rate=0.25, place=0, shared=shared), call("noise", node, std=0.5, place=0, shared=shared)]
        made += [call("zoneout", node, old, rate=0.25, place=0) for old in same]
        made += [call("batch_norm", node, momentum=0.1, eps=0.1)] * 2
        return self.random.choice(made)

    def _some_size(self) -> int:
        return self.random.choice([leaf.shape[0] for leaf in self.leaves if len(leaf.shape) == 1])

    def _leaf(self, size: int) -> Expr:
        """A leaf of this size, or one of another size seen through a matrix."""
        exact = [leaf for leaf in self.leaves if leaf.shape == (size,)]
        if exact and self.random.random() < 0.5:
            return self.random.choice(exact)
        return self._product(size, self.random.choice([leaf for leaf in self.leaves if leaf.shape != ()]))

    def _seen(self, size: int, leaf: Expr) -> Expr:
        return mul(leaf, self.parameter("a", (size,))) if leaf.shape == () else self._product(size, leaf)

    def _product(self, size: int, leaf: Expr) -> Expr:
        if len(leaf.shape) == 1:
            if self.random.random() < 0.2:
                return at(call("transpose", self.parameter("W", leaf.shape + (size,))), leaf)
            return at(self.parameter("W", (size, *leaf.shape)), leaf)
        rows, columns = leaf.shape
        kind = self.random.choice(["right", "left", "both"])
        if kind == "left":  # [m] @ [m, n]
            return self._product(size, at(self.parameter("a", (rows,)), leaf))
        if kind == "both":  # [k, m] @ [m, n] @ [n]
            return at(at(self.parameter("W", (size, rows)), leaf), self.parameter("a", (columns,)))
        return self._product(size, at(leaf, tanh(self._leaf(columns))))

    def _deep(self, size: int, depth: int) -> Expr:
        rules = [self._linear, self._linear, self._arithmetic, self._arithmetic, self._function, self._function]
        rules += [self._choice, self._normed, self._scaled, self._divided] + [self._joined] * (size > 1)
        return self._maybe_random(self.random.choice(rules)(size, depth))

    def _linear(self, size: int, depth: int) -> Expr:
        inner = self._some_size()
        product = at(self.parameter("W", (size, inner)), self.vector(inner, depth))
        return self.random.choice([product, add(product, self.parameter("b", (size,))), add(product, self._leaf(size))])

    def _arithmetic(self, size: int, depth: int) -> Expr:
        a, b = self.vector(size, depth), self.vector(size, depth)
        made = [add(a, b), add(a, b, self.parameter("b", (size,))), call("sub", a, b), mul(a, b), call("sub", 1, a)]
        made += [add(a, 2), mul(0.5, a), mul(a, a), call("sub", a, 0.25), mul(call("sub", 1, a), b)]
        made += [mul(mul(call("neg", a), a), b), add(mul(a, b), mul(call("sub", 1, a), b))]
        return self.random.choice(made)

    def _function(self, size: int, depth: int) -> Expr:
        a = self.vector(size, depth)
        made: list[Expr] = [call(name, a) for name in ("sigmoid", "sigmoid", "tanh", "tanh", "tanh", *CURVES)]
        made += [call("elu", a, alpha=alpha) for alpha in (1.0, 0.7)]
        made += [call("leaky_relu", a, negative_slope=slope) for slope in (0.01, -0.3)]
        made += [call("clamp", a, low=-0.6, high=0.4), mul(tanh(a), call("stop_gradient", a))]
        made += [call("exp", tanh(a)), call("log", add(1.5, sigmoid(a))), call("sqrt", add(1, call("square", a)))]
        made += [call("pow", a, 2), call("pow", add(1.5, tanh(a)), 0.5), call("pow", add(2, tanh(a)), -1)]
        return self.random.choice(made)

    def _choice(self, size: int, depth: int) -> Expr:
        a, b = self.vector(size, depth), self.vector(size, depth)
        compare = call(self.random.choice(["less", "less_equal", "greater", "greater_equal"]), a, 0.1)
        above = call("greater", b, add(self.number(0), 0.17))  # a mean alone may equal all elements but for round-off
        both = call(self.random.choice(["and", "or"]), compare, call("not", above))
        return self.random.choice(
            [call("where", compare, a, b), call("where", both, b, mul(0.5, a)), call("where", compare, 0.3, b)]
            + [call("minimum", a, b), call("maximum", a, add(b, 0.1)), call("maximum", a, 0.05)]
        )

    def _joined(self, size: int, depth: int) -> Expr:
        """Parts of a longer vector."""
        first = self.random.randint(1, size - 1)
        if self.random.random() < 0.5:
            return call("concat", self.vector(first, depth), self.vector(size - first, depth))
        parts = self.random.choice([2, 3])
        whole = call("concat", *(self.vector(size, 0) for _ in range(parts - 1)), self.vector(size, depth))
        return call("chunk", self.random.choice([whole, tanh(whole)]), part=self.random.randint(1, parts), parts=parts)

    def _normed(self, size: int, depth: int) -> Expr:
        """A norm of a vector that is never nearly constant: its round-off would be multiplied by 1 / sqrt(eps)."""
        v = add(self.vector(size, depth), self.parameter("s", (size,)))
        g, b = self.parameter("g", (size,)), self.parameter("b", (size,))
        args, eps = self.random.choice([((v, g, b), 1e-5), ((v, g, b), 0.01), ((v,), 1e-5)])
        if self.random.random() < 0.3:
            return call("rms_norm", *args[:2], eps=eps)
        return call("layer_norm", *args, eps=eps)

    def _scaled(self, size: int, depth: int) -> Expr:
        v = self.vector(size, depth)
        scaled = [mul(sigmoid(self.number(0)), v), mul(self.parameter("p", (size,)), v), mul(v, tanh(self.number(0)))]
        return self.random.choice(scaled)

    def _divided(self, size: int, depth: int) -> Expr:
        a, b = self.vector(size, depth), self.vector(size, 0)
        below = [add(2, tanh(b)), add(1, call("square", b)), call("exp", tanh(b))]
        below += [call("sqrt", add(1, call("dot", b, b)))]
        return call("div", a, self.random.choice(below))
