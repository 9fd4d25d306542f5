"""What each loss is in operations: one row each."""

from __future__ import annotations

from rnnspec.frontend import typed
from rnnspec.ir.ops import LOG_0
from rnnspec.ir.program import Time
from rnnspec.passes.operands import Operands, Rule
from rnnspec.passes.sums import log_sum_exp, mean_of


def cross_entropy(low: Operands, call: typed.Call) -> int:
    """-log softmax(prediction) at the class of the target, or what smoothing and the weights of classes make of it."""
    graph, (logits, target) = low.graph, low.arguments(call)
    logits = low.at_time(logits, graph[target].time) if graph[logits].time == "fixed" else logits
    logs = graph.emit("log_softmax", logits, name="log_p")
    found = graph.emit("cross_entropy", logits, target, logs, name="step_loss")
    weights, ignore, smoothing = call.option("weights"), call.option("ignore"), float(str(call.option("smoothing")))
    given = weights if isinstance(weights, tuple) else (1.0,) * graph[logits].shape[0]
    counted = tuple(0.0 if k == ignore else weight for k, weight in enumerate(given))
    weight = at_class(low, "class_weight", counted, target) if set(counted) != {1.0} else None
    found = found if weight is None else graph.emit("mul", found, weight)
    if smoothing:
        every = total_of(low, logs, given)
        kept = tuple(float(k != ignore) for k in range(len(given)))
        every = every if ignore is None else graph.emit("mul", every, at_class(low, "kept", kept, target))
        found = graph.emit("scale", found, attr=1 - smoothing)
        found = graph.emit("add", found, graph.emit("scale", every, attr=-smoothing / len(given)))
    return found if weight is None else weighted_mean(low, found, weight)


def total_of(low: Operands, logs: int, weights: tuple[float, ...]) -> int:
    """The sum over all classes, each with its weight."""
    if set(weights) == {1.0}:
        return low.graph.emit("total", logs, attr=1, name="all_log_p")
    return low.graph.emit("matmul", numbers(low, "all_class_weights", weights), logs, name="all_log_p")


def numbers(low: Operands, name: str, row: tuple[float, ...]) -> int:
    """A matrix of one row."""
    return low.graph.leaf("numbers", name, (1, len(row)), "fixed", (row,))


def at_class(low: Operands, name: str, row: tuple[float, ...], target: int) -> int:
    """The number of the class of each target."""
    one_hot = low.graph.emit("one_hot", target, attr=len(row), name="one")
    return low.graph.emit("matmul", numbers(low, f"{name}s", row), one_hot, name=name)


def weighted_mean(low: Operands, terms: int, weight: int) -> int:
    """Terms whose mean is their weighted mean; with a weight of zero throughout it is zero."""
    graph = low.graph
    mean = graph.emit("batch_sum", graph.emit("mul", *low.together(weight, low.share)), name="mean_weight")
    mean = graph.emit("maximum", mean, graph.constant(1e-30))
    return graph.emit("div", *low.together(terms, mean))


def mse(low: Operands, call: typed.Call) -> int:
    """The mean over features of the squared difference."""
    difference = low.graph.emit("sub", *low.matched(*low.arguments(call)), name="difference")
    return mean_of(low, low.graph.emit("square", difference))


def mae(low: Operands, call: typed.Call) -> int:
    """The mean over features of the absolute difference."""
    difference = low.graph.emit("sub", *low.matched(*low.arguments(call)), name="difference")
    return mean_of(low, low.graph.emit("abs", difference))


def huber(low: Operands, call: typed.Call) -> int:
    """Huber 1964: with n = min(|d|, delta), the mean over features of n * n / 2 + delta * (|d| - n)."""
    graph, delta = low.graph, float(str(call.option("delta")))
    size = graph.emit("abs", graph.emit("sub", *low.matched(*low.arguments(call)), name="difference"))
    near = graph.emit("minimum", size, low.spread(graph.constant(delta), size), name="near")
    far = graph.emit("scale", graph.emit("sub", size, near), attr=delta)
    return mean_of(low, graph.emit("add", graph.emit("scale", graph.emit("square", near), attr=0.5), far))


def bce(low: Operands, call: typed.Call) -> int:
    """-target * log(p) - (1 - target) * log(1 - p) with p = sigmoid(a), as softplus(a) - target * a, which cannot overflow."""
    scores, target = low.matched(*low.arguments(call))
    right = low.graph.emit("mul", target, scores)
    return mean_of(low, low.graph.emit("sub", low.graph.emit("softplus", scores), right))


def poisson_nll(low: Operands, call: typed.Call) -> int:
    """exp(a) - target * a, which is -log of the Poisson distribution but for a constant."""
    log_rate, target = low.matched(*low.arguments(call))
    return mean_of(low, low.graph.emit("sub", low.graph.emit("exp", log_rate), low.graph.emit("mul", target, log_rate)))


def gaussian_nll(low: Operands, call: typed.Call) -> int:
    """Nix & Weigend 1994: (log v + (mean - target)**2 / v) / 2, without the constant, for a variance v of at least eps."""
    graph, (mean, target, variance) = low.graph, low.matched(*low.arguments(call))
    eps = low.spread(graph.constant(float(str(call.option("eps")))), variance)
    variance = graph.emit("maximum", variance, eps, name="variance")
    square = graph.emit("square", graph.emit("sub", mean, target, name="difference"))
    terms = graph.emit("add", graph.emit("log", variance), graph.emit("div", square, variance))
    return graph.emit("scale", mean_of(low, terms), attr=0.5)


def ctc(low: Operands, call: typed.Call) -> int:
    """Graves et al. 2006: -log of the sum over all paths, 0 where no path fits into the steps of a sequence.

    alpha holds the logarithms of the chances to have come to each blank and label (eqs. 6 and 7, in logarithms); its adjoint
    runs backwards, as beta does in the paper.
    """
    graph, (scores, labels) = low.graph, low.arguments(call)
    logs = graph.emit("log_softmax", low.at_time(scores, "step"), name="log_p")
    rows = graph.emit("label_rows", labels, attr=graph[logs].shape[0], name="spelling")
    emitted = graph.emit("matmul", rows, logs, name="emitted")
    alpha, size = graph.promise(), graph[rows].shape[0]
    start = graph.emit("concat", low.at_time(graph.constant(0.0), "sequence"), log_0(low, size - 1, "sequence"))
    before = graph.shift(alpha, 1, (size,), [start], "alpha_last")
    one, two = (
        graph.emit("concat", log_0(low, k), graph.emit("rows", before, attr=(0, size - k)), name=name)
        for k, name in ((1, "stepped"), (2, "leapt"))
    )
    skipped = graph.emit("add", *low.together(two, graph.emit("label_skips", labels, name="skips")), name="skipped")
    arrived = graph.emit("logaddexp", graph.emit("logaddexp", before, one, name="moved"), skipped, name="arrived")
    made = graph.emit("add", arrived, emitted, name="alpha")
    graph.keep_promise(alpha, made)
    ends = graph.emit("add", graph.emit("last", made), graph.emit("label_ends", labels, name="ends"), name="ended")
    chance = log_sum_exp(low, ends)
    possible = graph.emit("greater", *low.matched(chance, graph.constant(LOG_0 / 2)))
    return graph.emit("select", *low.matched(possible, graph.emit("scale", chance, attr=-1.0), graph.constant(0.0)))


def log_0(low: Operands, size: int, time: Time = "step") -> int:
    """A vector of logarithms of 0."""
    return low.as_shape(low.at_time(low.graph.constant(LOG_0), time), (size,))


LOSSES: dict[str, Rule] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "bce": bce,
    "poisson_nll": poisson_nll,
    "gaussian_nll": gaussian_nll,
    "ctc": ctc,
}
