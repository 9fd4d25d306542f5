"""What a script knows about its data: where it comes from, how it is cut into batches, how it measures a model."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Input, Spec, Target
from rnnspec.script.body import Body
from rnnspec.script.code import Code, definitions, fill, lines, literal, table
from rnnspec.script.encodings import Item, examples, horizon, select_line
from rnnspec.script.metrics import Average, Averages
from rnnspec.script.sources import first_column, source_functions, source_row, vocabulary
from rnnspec.script.windows import text_scores


@dataclass(frozen=True)
class Data:
    """The source, the parts, the batches."""

    split: Code
    vocabulary: Code
    source: Code
    first_column: Code
    prepare: Code
    first: Code
    about: Code
    places: Code
    examples: Code
    order: Code
    steps: Code
    windows: Code
    batch: Code


@dataclass(frozen=True)
class Evaluation:
    """Loss and metrics, predictions, text."""

    functions: Code
    sums: Code
    start: Code
    batch_and_time: Code
    lines: Code
    mean: Code
    results: Code
    data_size: Code
    predictions: Code
    keep: Code
    sampled: Code  # the scores that text is drawn from; empty unless the model writes text
    sample_batch: Code


def items(spec: Spec) -> tuple[Item, ...]:
    """Inputs and targets, in this order."""
    return (*spec.model.inputs, *spec.model.targets)


def timed_item(spec: Spec) -> Item | None:
    """The first input or target with a value for each step."""
    return next((item for item in items(spec) if item.when == "step"), None)


def batch_and_time(spec: Spec, holder: str) -> Code:
    """Sequences and steps of a batch, or of a part of the data."""
    timed = timed_item(spec)
    if timed is None:
        return Code(f"len({holder}[{literal(items(spec)[0].name)}]), 1")
    return Code(f"{holder}[{literal(timed.name)}].shape[:2]")


# ------------------------------------------------------------------ data

LANES = """
steps = len(columns[{first}]) - {ahead}  # the last ones have no target
lanes = max(1, min(BATCH, steps))
t = np.arange(steps // lanes * lanes).reshape(lanes, -1)  # places in the stream
"""

SEQUENCES = """
count = max(0, len(columns[{first}]) - {ahead}) // SEQUENCE  # the last steps have no target
t = np.arange(count * SEQUENCE).reshape(count, SEQUENCE)  # places in the stream
"""

MASKED = """
timed = {timed}
longest = found[timed[0]].shape[1]
if ((found["length"] < 1) | (found["length"] > longest)).any():
    raise SystemExit("every sequence must have a length, at least 1 and at most what there is")
outside = np.arange(longest) >= found["length"][:, None]
for name in timed:
    found[name][outside] = 0  # there may be anything behind the end of a sequence
"""

COUNTED = """
for name, count in {counts}.items():
    if found[name].size and not 0 <= found[name].min() <= found[name].max() < count:
        raise SystemExit(f"{{name}} must be made of whole numbers from 0 to {{count - 1}}")
"""


def is_stream(spec: Spec) -> bool:
    """Whether the data is one long sequence."""
    return source_row(spec.data.source).stream


def has_lanes(spec: Spec) -> bool:
    """Whether the batch walks along a stream in parallel lanes."""
    return is_stream(spec) and spec.data.sequence is None


def data(spec: Spec) -> Data:
    """The view of the data."""
    masked, timed = spec.model.masked, timed_item(spec)
    column = first_column(spec.data.source)
    steps = f"data[{literal(timed.name)}].shape[1]" if timed else "1"
    shuffled = 'generator(seed, "order", epoch).permutation(n) if split == "train" else np.arange(n)'
    return Data(
        split=_split(spec),
        vocabulary=vocabulary(spec),
        source=definitions(source_functions(spec)),
        first_column=column,
        prepare=Code(source_row(spec.data.source).prepare.strip("\n")),
        first=literal(items(spec)[0].name),
        about=Code(_about(spec)),
        places=_places(spec, column),
        examples=_examples(spec),
        order=Code("np.arange(n)" if has_lanes(spec) else shuffled),
        steps=Code('int(data["length"][rows].max())' if masked else steps),
        windows=Code(WINDOWS if spec.train.truncation else "batches.append((rows, 0, steps))"),
        batch=_batch(spec),
    )


WINDOWS = "batches += [(rows, first, min(first + WINDOW, steps)) for first in range(0, steps, WINDOW)]"


def _split(spec: Spec) -> Code:
    edges, rows = 0.0, []
    for name, share in spec.data.split:
        low, edges = edges, round(edges + share, 12)
        rows.append((literal(name), literal((low, edges))))
    return Code("{" + ", ".join(f"{name}: {part}" for name, part in rows) + "}")


def _about(spec: Spec) -> str:
    if has_lanes(spec):
        return "the stream is cut into lanes that run beside each other"
    return "the stream is cut into sequences" if is_stream(spec) else "arrays (sequence, time, ...)"


def _places(spec: Spec, column: Code) -> Code:
    """The lines that stand before the dict of inputs and targets."""
    if is_stream(spec):
        return fill(LANES if has_lanes(spec) else SEQUENCES, first=column, ahead=horizon(spec))
    return fill("n = len(columns[{first}])", first=column) if spec.data.source.name == "npz" else Code("")


def _examples(spec: Spec) -> Code:
    """The lines that return inputs and targets, checked where files may be wrong."""
    made, checks = examples(spec), Code("") if is_stream(spec) else _checks(spec)
    return Code(f"found = {made}\n{checks}\nreturn found" if checks else f"return {made}")


def _checks(spec: Spec) -> Code:
    checks = []
    if spec.model.masked:
        timed = [item.name for item in items(spec) if item.when == "step"]
        checks.append(fill(MASKED, timed=timed))
    counts = {item.name: item.shape[0] for item in items(spec) if item.encoding in ("ids", "classes")}
    return lines([*checks, fill(COUNTED, counts=counts) if counts else ""])


def _batch(spec: Spec) -> Code:
    rows = [(literal(item.name), select_line(item)) for item in items(spec)]
    if spec.model.masked:
        rows.append((literal("length"), Code('np.clip(data["length"][rows] - first, 0, last - first)')))
    if spec.train.truncation:
        rows.append((literal("fresh"), Code("first == 0")))
    return table(rows)


# ------------------------------------------------------------------ evaluation


def evaluation(spec: Spec, body: Body) -> Evaluation:
    """The view of the evaluation."""
    averages = Averages(spec.model)
    metrics = [(metric.name, averages.metric(metric.expr)) for metric in spec.model.metrics]
    found = list(averages.found.values())
    loss = Average("loss", Code("loss"), "step" if spec.model.loss.when == "step" else "sequence")
    results = [("loss", Code('mean["loss"]')), *metrics]
    scores = text_scores(spec)
    return Evaluation(
        functions=definitions(averages.functions()),
        sums=literal(tuple(a.name for a in (loss, *found))),
        start=_counters([loss, *found]),
        batch_and_time=batch_and_time(spec, "batch"),
        lines=_sum_lines(spec, loss, found),
        mean=_mean([loss, *found]),
        results=table((literal(name), Code(f"float({value})")) for name, value in results),
        data_size=batch_and_time(spec, "data"),
        predictions=_empty_predictions(spec, body),
        keep=lines(
            f"results[{literal(name)}][rows{', first:last' if when == 'step' else ''}] = found[{literal(name)}]"
            for name, _, when in body.outputs
        ),
        sampled=literal(scores) if scores else Code(""),
        sample_batch=_sample_batch(spec),
    )


COUNTERS = {"step": "steps", "sequence": "sequences", "fixed": "sequences"}


def _counters(averages: list[Average]) -> Code:
    return lines(f"{name} = 0" for name in sorted({COUNTERS[a.when] for a in averages}))


def _sum_lines(spec: Spec, loss: Average, found: list[Average]) -> Code:
    """What one batch adds to the sums."""
    masked = spec.model.masked
    used = {COUNTERS[a.when] for a in (loss, *found)}
    steps = 'int(batch["length"].sum())' if masked else "B * T"
    made = [f"steps += {steps}"] if "steps" in used else []
    made += ["sequences += B"] if "sequences" in used else []
    made.append(f'sums["loss"] += loss * {steps if loss.when == "step" else "B"}')
    if any("found[" in a.value for a in found):
        made.append("found = outputs(w)")
    if masked and any(a.when == "step" for a in found):
        made.append('valid = np.arange(T) < batch["length"][:, None]')
    for average in found:
        value = f"np.where(valid, {average.value}, 0)" if masked and average.when == "step" else average.value
        made.append(f"sums[{literal(average.name)}] += {value}.sum()")
    return lines(made)


def _mean(averages: list[Average]) -> Code:
    counters = {a.name: COUNTERS[a.when] for a in averages}
    if len(set(counters.values())) == 1:
        return Code(f"{{name: total / {counters['loss']} for name, total in sums.items()}}")
    return table((literal(name), fill(f"sums[{{name}}] / {counter}", name=name)) for name, counter in counters.items())


def _empty_predictions(spec: Spec, body: Body) -> Code:
    rows = []
    for name, _, when in body.outputs:
        shape = ", ".join(map(str, spec.model.shape_of(name) or (1,)))
        axes = f"n, T, {shape}" if when == "step" else f"n, {shape}"
        rows.append((literal(name), Code(f"np.zeros(({axes}), p.vector.dtype)")))
    return table(rows)


def _sample_batch(spec: Spec) -> Code:
    inputs: tuple[Input | Target, ...] = spec.model.inputs
    name = literal(inputs[0].name) if inputs else literal("x")
    return Code(f'{{{name}: np.array([[character]]), "fresh": w is None}}')
