"""What is said about parameters: keys and globs under `params:` (of the spec and of cells), and the defaults.

For each attribute the most specific key wins: the spec's before a cell's, exact names before globs, globs with more literal
characters before those with fewer.  Two keys that are equally specific and set the same attribute are an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend.initial import named
from rnnspec.frontend.schema import KEYS, Fields, read_fields
from rnnspec.frontend.scope import MODEL, Scope
from rnnspec.frontend.settings import SETTINGS, resolve
from rnnspec.frontend.sizes import Origin, Size
from rnnspec.frontend.source import Node, Scalar, Sequence
from rnnspec.frontend.syntax import CallNode
from rnnspec.frontend.typed import ParameterInfo, Setting, Shape
from rnnspec.frontend.values import FRACTION, NOT_NEGATIVE, POSITIVE, read_flag, read_number, read_whole
from rnnspec.frontend.words import NAME, OF_CHECKPOINTS, taken

PATTERN = re.compile(r"[A-Za-z*][A-Za-z0-9_.*]*\Z")
ONES = re.compile(r"(.*\.)?(g|gamma)(_[A-Za-z0-9_]+|[0-9]*)\Z")
TIE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.]*?)(?P<transposed>\.T)?\Z")

MOST_NUMBERS = 2_000_000_000


@dataclass(frozen=True)
class Tie:
    """The parameter that another one is replaced by."""

    name: str
    transposed: bool


@dataclass(frozen=True)
class Declaration:
    """One key under `params:` with its attributes, each with the place where it is written."""

    pattern: str  # a full name or a glob over full names
    span: Span
    scope: Scope
    values: Mapping[str, tuple[object, Span]]

    @property
    def exact(self) -> bool:
        """Whether it names one parameter."""
        return "*" not in self.pattern

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The higher, the more specific."""
        return (self.scope is MODEL, self.exact, len(self.pattern.replace("*", "")))

    def matches(self, name: str) -> bool:
        """Whether it speaks about a parameter."""
        parts = map(re.escape, self.pattern.split("*"))
        return re.fullmatch(".*".join(parts), name) is not None


@dataclass
class Declarations:
    """All that is said about parameters, and which of it was about one that exists."""

    sizes: Mapping[str, Size]
    calls: Mapping[str, CallNode]  # settings that the command line reaches into
    problems: list[Diagnostic]
    folder: Path  # of the spec, from which files are named
    items: list[Declaration] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)  # of parameters that are used

    # ---- reading
    def read(self, fields: Fields, scope: Scope) -> None:
        """The entries of a section `params:`, of the spec or of an instance of a cell."""
        for key, value in fields:
            if not PATTERN.match(key.value):
                message = f"`{key.value[:40]}` is neither the name of a parameter nor a pattern"
                self.problems.append(problem("E0204", message, key.span, help='write a name or a pattern such as "W_*"'))
                continue
            attributes = read_fields(key, value, self.problems, KEYS["params.*"], f"params.{key.value}")
            pattern = f"{scope.instance}.{key.value}" if scope.instance else key.value
            values = {}
            for name, node in attributes:
                read = self._attribute(name.value, node, scope, f"params.{key.value}.init")
                if read is not None:
                    values[name.value] = (read, name.span)
            self.items.append(Declaration(pattern, key.span, scope, values))
            self._check_tie(self.items[-1])

    def _attribute(self, name: str, node: Node, scope: Scope, path: str) -> object:
        if name == "init":
            return resolve(self.calls.get(path, node) if scope is MODEL else node, "init", self.problems, folder=self.folder)
        readers: dict[str, Callable[[], object]] = {
            "shape": partial(self._shape, node, scope),
            "tie": partial(self._tie, node, scope),
            "trainable": partial(read_flag, node, "`trainable`", self.problems),
            "l1": partial(read_number, node, "`l1`", self.problems, NOT_NEGATIVE),
            "l2": partial(read_number, node, "`l2`", self.problems, NOT_NEGATIVE),
            "max_norm": partial(read_number, node, "`max_norm`", self.problems, POSITIVE),
            "lr_scale": partial(read_number, node, "`lr_scale`", self.problems, NOT_NEGATIVE),
            "weight_drop": partial(read_number, node, "`weight_drop`", self.problems, FRACTION, percent=True),
        }
        return readers[name]()

    def _shape(self, node: Node, scope: Scope) -> tuple[Size, ...] | None:
        sizes = scope.sizes if scope.instance else self.sizes
        return read_shape(node, sizes, "a size", self.problems)

    def _tie(self, node: Node, scope: Scope) -> Tie | None:
        found = TIE.match(node.value) if isinstance(node, Scalar) else None
        if found is None:
            help = "write `tie: W_e`, or `tie: W_e.T` for its transpose"
            self.problems.append(problem("E0601", "`tie` must be the name of a parameter", node.span.first, help=help))
            return None
        return Tie(scope.full(found["name"]), found["transposed"] is not None)

    def _check_tie(self, declaration: Declaration) -> None:
        others = [name for name in declaration.values if name != "tie"]
        if "tie" in declaration.values and others:
            message = f"a tied parameter has no `{others[0]}` of its own"
            span = declaration.values[others[0]][1]
            self.problems.append(problem("E0504", message, span, help="set it for the parameter it is tied to"))

    # ---- asking
    def about(self, name: str, attribute: str) -> list[Declaration]:
        """The declarations that set an attribute of a parameter, the most specific first."""
        found = [item for item in self.items if attribute in item.values and item.matches(name)]
        return sorted(found, key=lambda item: item.rank, reverse=True)

    def attribute(self, name: str, attribute: str) -> object:
        """The value of an attribute; None where nothing is said."""
        found = self.about(name, attribute)
        return found[0].values[attribute][0] if found else None

    def tied(self, name: str) -> Tie | None:
        """What a parameter is replaced by."""
        tie = self.attribute(name, "tie")
        return tie if isinstance(tie, Tie) and tie.name != name else None

    def exact(self, name: str) -> bool:
        """Whether a key is exactly this name."""
        return any(item.pattern == name for item in self.items)

    def found(self, name: str) -> None:
        """Note that a parameter exists."""
        self.names[name] = None

    # ---- the whole
    def check(self) -> None:
        """Keys that match nothing, and keys that contradict each other."""
        for item in self.items:
            if not item.scope.library and not any(item.matches(name) for name in self.names):
                self.problems.append(self._no_match(item))
        for name in self.names:
            for attribute in KEYS["params.*"]:
                self._check_contradiction(name, attribute)

    def check_ties(self) -> None:
        """Ties that lead nowhere: what is tied to another has no equation, so its size would never be found."""
        for name in self.names:
            tie = self.tied(name)
            further = self.tied(tie.name) if tie is not None else None
            if tie is None or further is None or (further.name == name and name > tie.name):  # of a ring of two, say it once
                continue
            message, help = f"`{name}` is tied to `{tie.name}`, which is tied itself", "tie both to the same parameter"
            if further.name == name:
                message, help = f"`{name}` and `{tie.name}` are tied to each other", "leave out one of the two ties"
            span = self.about(name, "tie")[0].values["tie"][1]
            self.problems.append(problem("E0504", message, span, help=help))

    def _no_match(self, item: Declaration) -> Diagnostic:
        near = suggest(item.pattern, self.names)
        help = f"did you mean `{near}`?" if near else None
        note = None if near else "parameters: " + (", ".join(self.names) or "none")
        written = item.span.text.strip("\"'")
        return problem("E0501", f"no parameter matches `{written}`", item.span, help=help, note=note)

    def _check_contradiction(self, name: str, attribute: str) -> None:
        about = self.about(name, attribute)
        if len(about) < 2 or about[0].rank != about[1].rank:
            return
        first, second = about[:2]
        message = f"two keys set `{attribute}` of `{name}`, and neither is more specific"
        others = [(first.span, "this one and")]
        help = f"write a key for `{name}` itself"
        self.problems.append(problem("E0502", message, second.span, "this one", others=others, help=help))

    def info(self, name: str, shape: Shape, span: Span, implicit: bool) -> ParameterInfo:
        """A parameter with everything said about it, or by default."""
        init = self.attribute(name, "init")
        keys = ("l1", "l2", "max_norm", "lr_scale", "trainable", "weight_drop")
        known = {key: self.attribute(name, key) for key in keys}
        given: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
        scope = self.about(name, "init")[0].scope if init else MODEL
        setting = named(init, name, scope.instance) if isinstance(init, Setting) else default_init(name, shape)
        if SETTINGS["init"][setting.name].matrix and len(shape) != 2:
            where = self.about(name, "init")[0].values["init"][1]
            message = f"`{setting.name}` needs a matrix, but `{name}` is {'a vector' if shape else 'a number'}"
            self.problems.append(problem("E0505", message, setting.span or where))
        return ParameterInfo(name, shape, setting, implicit=implicit, span=span, **given)


def default_init(name: str, shape: Shape) -> Setting:
    """How a parameter starts where nothing else is said."""
    if len(shape) == 2:
        return Setting("glorot_uniform")
    return Setting("ones" if ONES.match(name) else "zeros")


def read_shape(node: Node, sizes: Mapping[str, Size], what: str, problems: list[Diagnostic]) -> tuple[Size, ...] | None:
    """A list of at most two sizes, such as `[H, 20]`; None after an error was reported."""
    if not isinstance(node, Sequence):
        problems.append(problem("E0601", "`shape` must be a list such as `[H, X]`", node.span.first))
        return None
    if len(node.items) > 2:
        problems.append(problem("E0302", "a value has at most two sizes", node.items[2].span.first))
        return None
    found = [read_size(item, sizes, what, problems) for item in node.items]
    known = tuple(size for size in found if size is not None)
    return known if len(known) == len(found) else None


def read_size(node: Node, sizes: Mapping[str, Size], what: str, problems: list[Diagnostic]) -> Size | None:
    """A size, given by its name or as a whole number; `what` is how a message calls it."""
    if isinstance(node, Scalar) and NAME.match(node.value):
        if node.value in sizes:
            return sizes[node.value]
        near = suggest(node.value, sizes)
        help = f"did you mean `{near}`?" if near else f"add it: `dims: {{{node.value}: 128}}`"
        problems.append(problem("E0201", f"the size `{node.value}` is not defined", node.span, help=help))
        return None
    value = read_whole(node, what, problems)
    return None if value is None else Size(value, None, Origin(node.span, f"{what} is {value} here"))


def check_amount(parameters: Iterable[ParameterInfo], problems: list[Diagnostic]) -> None:
    """Refuse a model that fits no memory, before anything is allocated."""
    infos = list(parameters)
    total = sum(math.prod(info.shape) for info in infos)
    if total <= MOST_NUMBERS:
        return
    largest = max(infos, key=lambda info: math.prod(info.shape))
    assert largest.span is not None
    shape = ", ".join(f"{size:,}" for size in largest.shape)
    message = f"the parameters have {total:,} numbers; the limit is {MOST_NUMBERS:,}"
    problems.append(problem("E0503", message, largest.span, f"the largest, [{shape}]", help="choose smaller sizes"))


def check_trained(parameters: Iterable[ParameterInfo], model: Span, problems: list[Diagnostic]) -> None:
    """Refuse a model in which nothing can be learned."""
    infos = list(parameters)
    if any(info.trainable for info in infos):
        return
    label = "every parameter here has `trainable: false`" if infos else "no equation here has a parameter"
    help = "let one of them be trained" if infos else "give an equation a matrix or vector, such as `W_x @ x[t]`"
    problems.append(problem("E0506", "there is nothing to train", model, label, help=help))


def check_names(parameters: Iterable[ParameterInfo], problems: list[Diagnostic]) -> None:
    """Refuse names that the files of a run use for something else."""
    for info in parameters:
        found = taken(info.name, info.span, ("an entry of every file of parameters", OF_CHECKPOINTS)) if info.span else None
        problems += [found] if found else []
