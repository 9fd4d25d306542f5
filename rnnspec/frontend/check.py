"""The front end: the text of a spec -> a typed spec, or everything that is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnspec.diagnostics import Diagnostic, Source, Span, SpecError, problem
from rnnspec.frontend.amounts import check_parts
from rnnspec.frontend.bounds import check_bounds, with_bounds
from rnnspec.frontend.columns import read_offer
from rnnspec.frontend.encodings import VOCABULARY, Encoder, Item
from rnnspec.frontend.finite import check_finite
from rnnspec.frontend.model import ModelReader, Texts, read_texts
from rnnspec.frontend.offers import Offer
from rnnspec.frontend.overrides import Overrides, apply_overrides
from rnnspec.frontend.resets import check_resets, read_reset, with_resets
from rnnspec.frontend.schema import Fields, read_section, read_spec
from rnnspec.frontend.sections import (
    DataSection,
    check_sample,
    hold_out,
    read_data,
    read_dims,
    read_monitor,
    read_name,
    read_train,
)
from rnnspec.frontend.sizes import Origin, Size
from rnnspec.frontend.source import load, read_yaml
from rnnspec.frontend.state_clips import with_state_clips
from rnnspec.frontend.training import check_training
from rnnspec.frontend.typed import Data, Encoding, Model, Monitor, Setting, Spec, Train

UNNAMED = "model.rnn"
"""What messages call a spec that was given as a text."""


def check(
    spec: str | bytes | Path, overrides: Sequence[str] = (), name: str | None = None
) -> tuple[Spec | None, list[Diagnostic]]:
    """Check a spec, given as a path or (bytes, or a string of several lines) as its text.

    The first result is None if there are errors; warnings alone leave it whole.  `overrides` are settings such as
    `train.batch=64`; `name` is how messages call the file, and where files it names are looked for.  No text makes it raise.
    """
    problems: list[Diagnostic] = []
    checked = None
    try:
        source, path = _source(spec, name)
        checked = _Checker(source, path, tuple(overrides), problems).run()
    except SpecError as error:
        problems += error.diagnostics
    return checked, _in_order(problems)


def _source(spec: str | bytes | Path, name: str | None) -> tuple[Source, Path]:
    """The text of a spec, and the path that stands for it."""
    if isinstance(spec, str) and "\n" in spec:
        spec = spec.encode("utf-8", "surrogatepass")
    if isinstance(spec, bytes):
        return load(spec, name or UNNAMED), Path(name or UNNAMED)
    try:
        return load(spec, name or str(spec)), Path(spec)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        nowhere = Span(Source(name or str(spec), ""), 0, 0)
        raise SpecError([problem("E0001", f"the spec cannot be read: {reason}", nowhere)]) from None


def _in_order(problems: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Errors first, each kind in the order of the text, nothing twice."""

    def place(found: Diagnostic) -> tuple[bool, int]:
        return (found.level != "error", found.span.start if found.span else 0)

    once: dict[object, Diagnostic] = {}
    for found in problems:
        once.setdefault((found.code, found.message, found.span), found)
    return sorted(once.values(), key=place)


class _Stop(Exception):
    """A stage found errors; the next one would only find their consequences."""


@dataclass(frozen=True)
class _Sections:
    """What the sections say, each read by itself."""

    tree: Overrides
    fields: Fields
    name: str
    sizes: dict[str, Size]
    data: DataSection
    source: Setting
    train: Train
    monitor: Monitor
    texts: Texts


@dataclass(frozen=True)
class _Entry:
    """What enters the model: what the data offers, and the inputs and targets that are made of it."""

    offer: Offer
    items: list[Item]
    split: tuple[tuple[str, float], ...]
    reset: tuple[str, int] | None


@dataclass
class _Checker:
    """One check: `run` is the list of its stages, each of which needs those before it to have found no error."""

    source: Source
    path: Path
    overrides: tuple[str, ...]
    problems: list[Diagnostic]

    def run(self) -> Spec | None:
        """The typed spec, or None as soon as a stage has found errors."""
        try:
            sections = self._sections()
            entry = self._entry(sections)
            model = self._model(sections, entry)
            return self._spec(sections, entry, model)
        except _Stop:
            return None

    def _stop_at_errors(self) -> None:
        if any(found.level == "error" for found in self.problems):
            raise _Stop

    # ---- sections
    def _sections(self) -> _Sections:
        tree = apply_overrides(read_yaml(self.source), self.overrides, self.problems)
        fields = read_spec(tree.root, self.problems)
        sizes = read_dims(fields, self.problems)
        name = read_name(fields, self.path, self.problems)
        data = read_data(fields, self.path.parent, tree.calls, self.problems)
        train = read_train(fields, tree.calls, self.problems)
        monitor = read_monitor(fields, self.problems)
        texts = read_texts(fields, self.problems)
        self._stop_at_errors()
        assert data.source is not None and train is not None
        return _Sections(tree, fields, name, sizes, data, data.source, train, monitor, texts)

    # ---- data
    def _entry(self, sections: _Sections) -> _Entry:
        data = sections.data
        offer = self._offer(sections)
        items = self._items(sections, offer)
        split = hold_out(data, offer.count, offer.held_out, self.problems)
        self.problems += check_parts(offer, items, split, data.sequence, data.source_span)
        check_sample(sections.fields, sections.monitor, offer.vocabulary, self.problems)
        self._check_stream(sections, offer)
        reset = read_reset(data.reset_after, offer, items, self.problems) if data.reset_after else None
        self._stop_at_errors()
        return _Entry(offer, items, split, reset)

    def _offer(self, sections: _Sections) -> Offer:
        """What the data offers; the size of a vocabulary becomes the size `V`."""
        offer, sizes = read_offer(sections.source, self.problems), sections.sizes
        if offer is None:
            raise _Stop
        if offer.vocabulary:
            own = sizes.get(VOCABULARY)
            if own is not None and own.origin is not None:
                message = f"`{VOCABULARY}` is the size of the vocabulary, which comes from the data"
                self.problems.append(problem("E0204", message, own.origin.span, help="choose another name"))
            origin = Origin(sections.data.source_span, f"`{VOCABULARY}`: the vocabulary size, from the data")
            sizes[VOCABULARY] = Size(len(offer.vocabulary), VOCABULARY, origin)
        return offer

    def _items(self, sections: _Sections, offer: Offer) -> list[Item]:
        """Inputs, then targets, as the typed tree has them."""
        encoder = Encoder(offer, sections.sizes, sections.tree.calls, self.problems)
        encoder.read(read_section(sections.fields, "targets", self.problems), "targets")
        encoder.read(read_section(sections.fields, "inputs", self.problems), "inputs")
        return sorted(encoder.items, key=lambda item: item.section)

    def _check_stream(self, sections: _Sections, offer: Offer) -> None:
        """An endless sequence must be cut somewhere."""
        data = sections.data
        if offer.stream and data.sequence is None and sections.train.truncation is None:
            message = "this data is one endless sequence"
            help = "cut it: `sequence: 50` under `data:`, or `truncation: tbptt(50)` under `train:`"
            note = "without either, the gradient would reach back to the first step"
            assert sections.source.span is not None
            self.problems.append(problem("E0705", message, sections.source.span, help=help, note=note))
        if not offer.stream and data.sequence is not None:
            message = "only a stream can be cut by `sequence`: this data has sequences already"
            self.problems.append(problem("E0705", message, data.cut, help="remove it"))

    # ---- model
    def _model(self, sections: _Sections, entry: _Entry) -> Model:
        data, train = sections.data, sections.train
        model = ModelReader(
            sections.fields, sections.texts, entry.items, sections.sizes, sections.tree.calls, self.problems, self.path.parent
        )
        model.resolve_names()
        self._stop_at_errors()
        model.check_time(train.truncation.span if train.truncation else None)
        if data.reset_after:
            self.problems += check_resets([*model.equations, *model.starts], data.reset_after.span.first)
        model.check_losses()
        self._stop_at_errors()
        model.solve_shapes()
        self._stop_at_errors()
        parameters = model.read_parameters()
        self._stop_at_errors()
        typed = model.assemble(parameters)
        typed = with_bounds(typed)
        self.problems += check_finite(sections.source, typed, entry.items, entry.offer)
        self._stop_at_errors()
        self.problems += check_bounds(typed, entry.items, entry.offer)
        typed = with_resets(typed, self.problems) if entry.reset else typed
        typed = with_state_clips(typed, train.state_clips, self.problems)
        self._check_bucket(data, typed)
        check_training(train, typed, entry.split, self.problems)
        self._stop_at_errors()
        return typed

    def _check_bucket(self, data: DataSection, model: Model) -> None:
        """Equally long sequences need no batches of similar lengths."""
        if data.bucket and not model.masked:
            help = "name the column of lengths, such as `one_hot(ids, length=length)`, or remove `bucket`"
            self.problems.append(problem("E0606", "`bucket` needs sequences of different lengths", data.bucket, help=help))

    # ---- all of it
    def _spec(self, sections: _Sections, entry: _Entry, model: Model) -> Spec:
        offer = entry.offer
        data = Data(
            source=sections.source,
            encodings=tuple(Encoding(item.name, item.call, item.flat) for item in entry.items),
            sequence=sections.data.sequence,
            reset_after=entry.reset,
            split=entry.split,
            vocabulary=offer.vocabulary,
            stream=offer.stream,
            bucket=sections.data.bucket is not None,
            files=offer.files,
            labels=offer.labels,
            count=offer.count,
            held_out=offer.held_out,
        )
        return Spec(sections.name, self.path, self._digest(), model, data, sections.train, sections.monitor)

    def _digest(self) -> str:
        content = "\n".join([self.source.text, *self.overrides])
        return hashlib.sha256(content.encode("utf-8")).hexdigest()
