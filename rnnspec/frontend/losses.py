"""Losses and metrics: what is compared with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnspec.diagnostics import Diagnostic, Span, problem
from rnnspec.frontend.encodings import Item
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.scope import Draft
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.typed import Call, Expr, Last, Read, walk


def check_comparisons(draft: Draft, targets: Mapping[str, Item], equations: Mapping[str, Draft]) -> Iterator[Diagnostic]:
    """What is wrong with the comparisons in a loss or a metric."""
    compared = [node for node in walk(draft.expr) if isinstance(node, Call) and _compares(node)]
    in_place = {id(call.args[1]) for call in compared}
    in_order = True
    for call in compared:
        found = _wrong(call, targets) or _applied_twice(call, equations)
        in_order = in_order and found is None
        if found is not None:
            yield found
    for node in walk(draft.expr):
        item = _target(node, targets)
        if in_order and item is not None and item.whole and id(node) not in in_place:
            message = f"`{item.name}` holds classes: it can only be compared, for example by `cross_entropy`"
            yield problem("E0607", message, written(node))


def _compares(call: Call) -> bool:
    return call.function in FUNCTIONS and FUNCTIONS[call.function].rule == "compared"


def _wrong(call: Call, targets: Mapping[str, Item]) -> Diagnostic | None:
    """What is wrong with one comparison."""
    prediction, target = call.args[:2]
    name, p, q = call.function, written(prediction), written(target)
    if _target(prediction, targets):
        message = f"the arguments of `{name}` are in the wrong order"
        return problem("E0607", message, p, "this is a target", help=f"write `{name}({q.text}, {p.text})`")
    item = _target(target, targets)
    row = FUNCTIONS[name]
    if row.of_labels or (item is not None and item.longest):
        found = _wrong_labels(name, item, q)
    elif row.of_classes:
        found = _wrong_classes(name, item, target) or _wrong_numbers(call, item)
    elif item is not None and item.whole:
        message = f"`{name}` needs numbers, but `{item.name}` holds classes"
        found = problem("E0607", message, q, help="use `cross_entropy`" if "loss" in row.where else "use `accuracy`")
    else:
        found = None
    if found is None and item is not None and not row.over_time and {prediction.when, target.when} == {"step", "sequence"}:
        found = _different_times(prediction, item, p)
    return found


def _wrong_labels(name: str, item: Item | None, span: Span) -> Diagnostic | None:
    """Sequences of labels go with the functions that are made for them."""
    if not FUNCTIONS[name].of_labels:
        holds = item.name if item else ""
        return problem("E0607", f"`{name}` cannot compare with `{holds}`: it holds sequences of labels", span, help="use `ctc`")
    if item is None or not item.longest:
        help = "encode a target with `labels(...)`"
        return problem("E0607", f"the second argument of `{name}` must be a target with sequences of labels", span, help=help)
    return None


def _wrong_classes(name: str, item: Item | None, target: Expr) -> Diagnostic | None:
    span = written(target)
    if item is None:
        return problem("E0607", f"the second argument of `{name}` must be a target", span)
    if not item.whole:
        help = "use `mse` for numbers, or encode the target with `classes(...)`"
        return problem("E0607", f"`{name}` needs class targets, but `{item.name}` holds numbers", span, help=help)
    if not isinstance(target, Read) or target.lag:
        message = f"classes are compared step by step: `{item.name}` needs the index `[t]`"
        return problem("E0607", message, span, help=f"write `{item.name}[t]`")
    return None


def _wrong_numbers(call: Call, item: Item | None) -> Diagnostic | None:
    """Options that do not go with the number of classes."""
    options, count = dict(call.options), item.size if item else 0
    weights, ignore = options.get("weights"), options.get("ignore")
    classes = f"`{item.name if item else ''}` has {count} classes"
    if isinstance(weights, tuple) and len(weights) != count:
        return problem("E0607", f"`weights` are {len(weights)} numbers, but {classes}", written(call))
    if isinstance(ignore, int) and ignore >= count:
        return problem("E0607", f"there is no class {ignore}: {classes}, from 0 to {count - 1}", written(call))
    if call.function == "top_k" and isinstance(most := options.get("k"), int) and most >= count:
        help = f"write `k=` with a number below {count}"
        return problem("E0607", f"the right class is always among the {most} largest: {classes}", written(call), help=help)
    return None


def _applied_twice(call: Call, equations: Mapping[str, Draft]) -> Diagnostic | None:
    """A prediction that is a softmax already, in a loss that takes the softmax of it."""
    prediction, target = call.args[:2]
    applies = FUNCTIONS[call.function].applies
    named = isinstance(prediction, Read | Last) and prediction.name in equations
    made = equations[prediction.name].expr if isinstance(prediction, Read | Last) and named else prediction
    if not isinstance(made, Call) or made.function != applies:
        return None
    inner = written(made.args[0]).text
    help = f"write `{call.function}({inner}, {written(target).text})`"
    if isinstance(prediction, Read | Last):
        help = f"write `{written(prediction).text} = {inner}`"
    message, label = f"`{call.function}` applies {applies} itself", "this would apply it twice"
    return problem("E0608", message, written(made), label, help=help)


def _different_times(prediction: Expr, item: Item, span: Span) -> Diagnostic:
    if item.when == "sequence":
        message = f"this has a value for every step, but the target `{item.name}` one for the whole sequence"
        return problem("E0607", message, span, help="use the last step, `[T]`")
    message = f"this has one value for the whole sequence, but the target `{item.name}` one for every step"
    return problem("E0607", message, span, help="use a variable with `[t]`")


def _target(expr: Expr, targets: Mapping[str, Item]) -> Item | None:
    return targets.get(expr.name) if isinstance(expr, Read | Last) else None


def check_loss(draft: Draft) -> Iterator[Diagnostic]:
    """A loss depends on the data."""
    if draft.expr.when == "fixed":
        help = "compare a prediction with a target, for example `mse(y[t], target[t])`"
        yield problem("E0609", "this loss does not depend on the data", draft.span, help=help)


def check_metric(draft: Draft, items: Mapping[str, Item]) -> Iterator[Diagnostic]:
    """A metric is one function of a variable, or an input that holds numbers, and a target."""
    call = draft.expr
    help = "write `accuracy(y[t], target[t])`; give other expressions a name in the model"
    if not isinstance(call, Call) or not _compares(call):
        yield problem("E0610", "a metric is one function of a prediction and a target", draft.span, help=help)
        return
    prediction, target = call.args
    if not isinstance(prediction, Read) or prediction.lag or (prediction.name in items and items[prediction.name].whole):
        message = "the first argument of a metric must be a variable at the current step"
        yield problem("E0610", message, written(prediction), help=help)
    elif not isinstance(target, Read) or target.lag or not _is_target(items.get(target.name)):
        yield problem("E0610", "the second argument of a metric must be a target", written(target), help=help)


def _is_target(item: Item | None) -> bool:
    return item is not None and item.section == "targets"
