"""Windows of sequences: which scripts learn in them, how far gradients reach, and which ones write text from step to step."""

from __future__ import annotations

from typing import cast

from rnnspec.frontend.typed import Call, Expr, Last, Model, Read, Spec, walk


def carries(spec: Spec) -> bool:
    """Whether states are carried from one batch to the next."""
    return spec.train.truncation is not None or bool(text_scores(spec))


def learned(spec: Spec) -> int:
    """Steps whose loss is learned from at a time, `k1`; only of a spec with truncation."""
    assert spec.train.truncation is not None
    return cast(int, spec.train.truncation["k1"])


def back(spec: Spec) -> int:
    """Steps in front of these that their gradient reaches too: the window before had them already."""
    reach = spec.train.truncation and spec.train.truncation["k2"]
    return cast(int, reach) - learned(spec) if reach else 0


def weighs_steps(spec: Spec) -> bool:
    """Whether some steps of a batch weigh nothing in its loss."""
    return spec.model.loss.when == "step" and (spec.model.masked or back(spec) > 0)


def text_scores(spec: Spec) -> str:
    """The variable with a score for each character that may come next; empty unless the model can write text.

    It can if it reads a text character by character, predicts the next one, and never looks ahead.
    """
    calls = [(e.call.name, dict(e.call.arguments).get("steps", 1)) for e in spec.data.encodings]
    if not spec.data.vocabulary or calls != [("one_hot", 1), ("next", 1)] or looks_ahead(spec.model):
        return ""
    for node in walk(spec.model.loss):
        if isinstance(node, Call) and node.function == "cross_entropy":
            scores = node.args[0]
            known = isinstance(scores, Read) and scores.lag == 0 and spec.model.equation(scores.name) is not None
            return scores.name if known and isinstance(scores, Read) and scores.when == "step" else ""
    return ""


def looks_ahead(model: Model) -> bool:
    """Whether some step depends on later ones."""
    nodes = [node for equation in model.equations for node in walk(equation.expr)]
    return any(isinstance(node, Last) or (isinstance(node, Read) and node.lag < 0) or over_time(node) for node in nodes)


def over_time(node: Expr) -> bool:
    """Whether a node gives one value for each sequence, from all steps of it."""
    return node.when == "sequence" and any(arg.when == "step" for arg in node.args)
