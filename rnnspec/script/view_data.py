"""What a script knows about its data: where it comes from, how it is cut into batches, how it measures a model."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Input, Spec, Target
from rnnspec.script.body import Body
from rnnspec.script.code import Code, definitions, fill, identifier, lines, literal, table
from rnnspec.script.devices import Device
from rnnspec.script.encodings import Item, examples, horizon, length_column, named
from rnnspec.script.metrics import Average, Averages
from rnnspec.script.sources import reads_files, reads_packages
from rnnspec.script.windows import back, text_scores


@dataclass(frozen=True)
class Data:
    """The source, the parts, the batches."""

    split: Code
    files: bool
    packages: bool
    source: Code
    normalized: bool
    kind: str  # the template of its kind of data
    lanes: bool
    stored: Code  # the order of the sequences, the same for every seed
    steps: Code
    ahead: Code  # how many steps later than the inputs the targets look
    lengths: Code  # steps that count, of all sequences; empty where these are equally long
    longest: Code  # the steps of a batch
    fewest: Code  # valid steps
    order: Code
    bucket: Code  # sorts the order by length; empty where it need not be
    starts: Code  # places in the order where a batch begins
    windows: bool
    back: bool
    examples: Code
    timed: Code
    counts: Code  # how many classes there may be, where a file could say otherwise
    numbers: Code  # the columns of inputs and targets that are numbers, where a file could say anything
    labels: Code  # sequences of labels
    bounds: Code  # what targets must be for the loss


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
    forward: Code
    loss: Code
    predictions: Code
    keep: Code
    sampled: Code  # the scores that text is drawn from; empty unless the model writes text
    sample_batch: Code
    begins: Code
    begins_next: Code


def items(spec: Spec) -> tuple[Item, ...]:
    """Inputs and targets, in this order."""
    return (*spec.model.inputs, *spec.model.targets)


def timed_item(spec: Spec) -> Item | None:
    """The first input or target with a value for each step."""
    return next((item for item in items(spec) if item.when == "step"), None)


def batch_and_time(spec: Spec) -> Code:
    """Sequences and steps of a batch."""
    timed = timed_item(spec)
    if timed is None:
        return fill("len(batch[{name}]), 1", name=items(spec)[0].name)
    return fill("batch[{name}].shape[:2]", name=timed.name)


# ------------------------------------------------------------------ data


def has_lanes(spec: Spec) -> bool:
    """Whether the batch walks along a stream in parallel lanes."""
    return spec.data.stream and spec.data.sequence is None


def data(spec: Spec, source: Code) -> Data:
    """The view of the data, which comes from `source`."""
    length, timed, file = length_column(spec), timed_item(spec), bool(spec.data.files)
    shuffled = 'generator(seed, "order", epoch).permutation(n) if split == "train" else np.arange(n)'
    ahead = f" - {horizon(spec)}" if horizon(spec) else ""
    counts = {item.name: item.shape[0] for item in items(spec) if item.encoding in ("ids", "classes", "labels")}
    labels = [item.name for item in spec.model.targets if item.encoding == "labels"]
    real = {item.name for item in items(spec) if item.encoding == "real"}
    numbers = {e.name: ", ".join(named(e)) for e in spec.data.encodings if e.name in real}
    return Data(
        split=_split(spec),
        files=reads_files(spec),
        packages=reads_packages(spec),
        source=source,
        normalized=dict(spec.data.source.arguments).get("normalize") == "zscore",
        kind="stream.py.j2" if spec.data.stream else "sequences.py.j2",
        lanes=has_lanes(spec),
        stored=_stored(spec),
        steps=_steps(spec, timed),
        ahead=literal(horizon(spec)),
        lengths=fill(f"columns[{{name}}]{ahead}", name=length) if length else Code(""),
        longest=fill(f"int(columns[{{name}}][places[rows]].max()){ahead}", name=length) if length else Code("T"),
        fewest=literal(horizon(spec) + 1),
        order=Code("np.arange(n)" if has_lanes(spec) else shuffled),
        bucket=fill(BUCKET, name=length) if spec.data.bucket else Code(""),
        starts=Code(SHUFFLED_BATCHES if spec.data.bucket else "range(0, n, BATCH)"),
        windows=spec.train.truncation is not None,
        back=back(spec) > 0,
        examples=examples(spec),
        timed=literal([item.name for item in items(spec) if item.when == "step"]),
        labels=literal(labels) if labels and file else Code(""),
        bounds=lines(_bound(target) for target in spec.model.targets),
        counts=literal(counts) if counts and file and not spec.data.stream else Code(""),
        numbers=literal(numbers) if numbers and file and not spec.data.stream else Code(""),
    )


BOUND = """
if not ({check}):
    raise SystemExit("the numbers of {name} must be {needed}, or its loss means nothing")
"""


def _bound(target: Target) -> Code:
    """The lines that refuse numbers that are no targets of a loss; none where all are."""
    found = fill("found[{name}]", name=target.name)
    checks = [f"{target.low:g} <= {found}.min()"] if target.low is not None else []
    checks += [f"{found}.max() <= {target.high:g}"] if target.high is not None else []
    needed = [f"at least {target.low:g}"] if target.low is not None else []
    needed += [f"at most {target.high:g}"] if target.high is not None else []
    name, check = Code(identifier(target.name)), Code(" and ".join(checks))
    return fill(BOUND, check=check, name=name, needed=Code(" and ".join(needed))) if checks else Code("")


BUCKET = """
lengths = columns[{name}][places[order]]
order = order[np.argsort(lengths, kind="stable")]  # similar lengths side by side: there is less padding
"""

SHUFFLED_BATCHES = 'generator(seed, "order", epoch, 1).permutation(-(-n // BATCH)) * BATCH'


def _stored(spec: Spec) -> Code:
    """The order of the sequences: that of files is often sorted, and what is held out stays at the end."""
    if not spec.data.files:
        return Code("np.arange(n)")
    if not spec.data.held_out:
        return Code('generator(0, "data").permutation(n)')
    kept = literal(spec.data.count - spec.data.held_out)
    return Code(f'np.append(generator(0, "data").permutation({kept}), np.arange({kept}, n))')


def _split(spec: Spec) -> Code:
    edges, rows = 0.0, []
    for name, share in spec.data.split:
        low, edges = edges, round(edges + share, 12)
        rows.append((literal(name), literal((low, edges))))
    return Code("{" + ", ".join(f"{name}: {part}" for name, part in rows) + "}")


def _steps(spec: Spec, timed: Item | None) -> Code:
    """The steps of the sequences of a set that have a target."""
    if timed is None:
        return Code("1")
    encoding = next(e for e in spec.data.encodings if e.name == timed.name)
    ahead = f" - {horizon(spec)}" if horizon(spec) else ""
    return fill(f"columns[{{name}}].shape[1]{ahead}", name=named(encoding)[0])


# ------------------------------------------------------------------ evaluation


def evaluation(spec: Spec, body: Body, device: Device) -> Evaluation:
    """The view of the evaluation."""
    averages = Averages(spec.model)
    metrics = [(metric.name, averages.metric(metric.expr)) for metric in spec.model.metrics]
    found = list(averages.found.values())
    loss = Average("loss", Code("loss"), "step" if spec.model.loss.when == "step" else "sequence")
    results = [("loss", Code('mean["loss"]')), *metrics]
    scores, reset = text_scores(spec), spec.data.reset_after
    return Evaluation(
        functions=definitions(averages.functions),
        sums=literal(tuple(a.name for a in (loss, *found))),
        start=_counters([loss, *found]),
        batch_and_time=batch_and_time(spec),
        lines=_sum_lines(spec, loss, found),
        mean=_mean([loss, *found]),
        results=table((literal(name), Code(f"float({value})")) for name, value in results),
        forward=Code(device.forward),
        loss=Code(device.loss),
        predictions=_empty_predictions(spec, body),
        keep=lines(
            f"results[{literal(name)}][rows{', first:last' if when == 'step' else ''}] = found[{literal(name)}]"
            for name, _, when in body.outputs
        ),
        sampled=literal(scores) if scores else Code(""),
        sample_batch=_sample_batch(spec),
        begins=Code("begins = False" if reset else ""),
        begins_next=fill("begins = number == {symbol}", symbol=reset[1]) if reset else Code(""),
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
        at_steps = "[valid].sum(0)" if masked else ".sum((0, 1))"
        total = at_steps if average.when == "step" else ".sum(0)"
        made.append(f"sums[{literal(average.name)}] += {average.value}{total}")
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
        axes = f"len(part[0]), part[1], {shape}" if when == "step" else f"len(part[0]), {shape}"
        rows.append((literal(name), Code(f"np.zeros(({axes}), p.vector.dtype)")))
    return table(rows)


def _sample_batch(spec: Spec) -> Code:
    inputs: tuple[Input | Target, ...] = spec.model.inputs
    name = literal(inputs[0].name) if inputs else literal("x")
    begins = fill(", {name}: np.array([[begins]])", name=spec.model.begins) if spec.model.begins else ""
    return Code(f'{{{name}: np.array([[number]]){begins}, "fresh": w is None}}')
