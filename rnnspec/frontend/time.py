"""Time: what an index means, which direction each recurrence runs in, and that nothing needs itself to be computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Label
from rnnspec.frontend.functions import FUNCTIONS, when_of
from rnnspec.frontend.scope import Draft, Scope
from rnnspec.frontend.shape_rules import written
from rnnspec.frontend.syntax import Binary, Node, NumberNode, RefNode, Unary
from rnnspec.frontend.typed import Call, Expr, Last, Read, When, walk
from rnnspec.ir.order import components

MAX_LAG = 64

INDEX_HELP = "write `[t]`, `[t-1]` (a whole number of steps back) or `[T]`"


# ------------------------------------------------------------------ indices


@dataclass(frozen=True)
class Index:
    """A time index: `t` and `T` with an offset, a fixed step, or none at all."""

    kind: Literal["none", "t", "T", "fixed"] = "none"
    offset: int = 0


def read_index(ref: RefNode, scope: Scope) -> Index | Diagnostic:
    """The index of a name, or what is wrong with it."""
    if ref.index is None:
        return Index()
    if len(ref.index) != 1:
        help = "write `[t]`, `[t-1]` or `[T]`; single elements cannot be selected"
        return scope.problem("E0406", f"`{ref.name}` takes one index", ref.span, help=help)
    index = _index(ref.index[0])
    if index is None:
        return scope.problem("E0406", "this is not a time index", ref.index[0].span, help=INDEX_HELP)
    if index.kind == "t" and abs(index.offset) > MAX_LAG:
        return scope.problem("E0406", f"a time lag is at most {MAX_LAG} steps", ref.span)
    return index


def _index(node: Node) -> Index | None:
    if isinstance(node, RefNode) and node.index is None:
        if node.name == "t":
            return Index("t")
        return Index("T") if node.name == "T" else None
    if isinstance(node, Binary) and node.op in "+-":
        base, steps = _index(node.left), _whole(node.right)
        if base is None or base.kind == "fixed" or base.offset or steps is None:
            return None
        return Index(base.kind, steps if node.op == "+" else -steps)
    sign = 1
    if isinstance(node, Unary) and node.op == "-":
        sign, node = -1, node.operand
    steps = _whole(node)
    return None if steps is None else Index("fixed", sign * steps)


def _whole(node: Node) -> int | None:
    short = isinstance(node, NumberNode) and node.text.isdigit() and len(node.text) < 6
    return int(node.text) if short and isinstance(node, NumberNode) else None


# ------------------------------------------------------------------ dependencies

Kind = Literal["same step", "earlier", "later", "last", "all steps", "untimed"]
OUTSIDE: tuple[Kind, ...] = ("last", "all steps", "untimed")
"""What can only be read when the loop of a variable is over."""

INDICES: dict[Kind, str] = {"last": "[T]", "untimed": ""}


@dataclass(frozen=True)
class Edge:
    """One variable reads another."""

    reader: str
    name: str
    kind: Kind
    read: Read | Last
    scope: Scope

    @property
    def shown(self) -> str:
        """What is read, with its index."""
        return self.name + INDICES.get(self.kind, "[t]")


class Dependencies:
    """Which variable reads which, and how."""

    def __init__(self, equations: Iterable[Draft], starts: Iterable[Draft]) -> None:
        self.equations = {draft.name: draft for draft in equations}
        self.starts: dict[str, list[Draft]] = {}
        for draft in starts:
            self.starts.setdefault(draft.name, []).append(draft)
        self.edges = {name: list(self._edges(name, draft)) for name, draft in self.equations.items()}
        self.component, self.members = components(self.edges, lambda name: [edge.name for edge in self.edges[name]])

    def _edges(self, reader: str, draft: Draft) -> Iterable[Edge]:
        whole = {id(node) for call in walk(draft.expr) if is_over_time(call) for node in walk(call)}
        for node in walk(draft.expr):
            if not isinstance(node, Read | Last) or node.name not in self.equations:
                continue
            kind = _kind(node)
            yield Edge(reader, node.name, "all steps" if id(node) in whole else kind, node, draft.scope)
            if kind in ("earlier", "later"):
                for start in self.starts.get(node.name, []):
                    yield from self._edges(reader, start)

    def inside(self, members: Sequence[str]) -> list[Edge]:
        """The edges within one component."""
        where = self.component[members[0]]
        return [edge for name in members for edge in self.edges[name] if self.component[edge.name] == where]


def is_over_time(node: Expr) -> bool:
    """Whether a node gives one value for each sequence, from all steps of it."""
    return isinstance(node, Call) and node.function in FUNCTIONS and FUNCTIONS[node.function].over_time


def _kind(node: Read | Last) -> Kind:
    if isinstance(node, Last):
        return "last"
    if node.when != "step":
        return "untimed"
    if node.lag == 0:
        return "same step"
    return "earlier" if node.lag > 0 else "later"


# ------------------------------------------------------------------ checks


def check_time(dependencies: Dependencies) -> list[Diagnostic]:
    """Cycles within a step, values that need themselves, and recurrences that run both ways."""
    problems: list[Diagnostic] = []
    for members in dependencies.members:
        edges = dependencies.inside(members)
        cycle = _cycle(edges, ("same step",)) or (_cycle(edges, None) if _outside(edges) else None)
        if cycle:
            problems.append(_depends_on_itself(cycle))
            continue
        back = next((edge for edge in edges if edge.kind == "later"), None)
        forth = next((edge for edge in edges if edge.kind == "earlier"), None)
        if back and forth:
            problems.append(_both_ways(back, forth))
    return problems


def _outside(edges: Sequence[Edge]) -> bool:
    """Whether a component contains a step out of its own loop, which no loop can serve."""
    return any(edge.kind in OUTSIDE for edge in edges)


def _cycle(edges: Sequence[Edge], kinds: tuple[Kind, ...] | None) -> list[Edge]:
    """A chain of edges of these kinds (None: all) that ends where it starts; for all kinds one that leaves the loop."""
    usable = [edge for edge in edges if kinds is None or edge.kind in kinds]
    following: dict[str, list[Edge]] = {}
    for edge in usable:
        following.setdefault(edge.reader, []).append(edge)
    firsts = [edge for edge in usable if kinds or edge.kind in OUTSIDE]
    for first in firsts:
        chain = _path(following, first)
        if chain:
            return chain
    return []


def _path(following: Mapping[str, list[Edge]], first: Edge) -> list[Edge]:
    """The shortest chain of edges from the first one back to its reader; empty if there is none."""
    arrived: dict[str, list[Edge]] = {first.name: [first]}
    queue = [first.name]
    for name in queue:
        if name == first.reader:
            return arrived[name]
        for edge in following.get(name, []):
            if edge.name not in arrived:
                arrived[edge.name] = [*arrived[name], edge]
                queue.append(edge.name)
    return []


def _depends_on_itself(cycle: list[Edge]) -> Diagnostic:
    last = cycle[-1]
    same = all(edge.kind == "same step" for edge in cycle)
    start = last.shown if last.kind == "untimed" else f"{last.name}[t]"
    chain = " -> ".join([start, *(edge.shown for edge in cycle)])
    base = last.name.rsplit(".", 1)[-1]
    message = f"`{start}` depends on itself" + (" at the same time step" if same else "")
    help = f"use the previous step somewhere in this chain, for example `{base}[t-1]`"
    if not same:
        help = "a value for the whole sequence cannot be used at the steps it is made from"
    label = Label(last.scope.shown(written(last.read)))
    return Diagnostic("E0401", message, (label,), (("note", chain), ("help", help)))


def _both_ways(back: Edge, forth: Edge) -> Diagnostic:
    message = f"`{back.name}` uses both its past and its future"
    help = "write one variable for each direction and join them with `concat`"
    span = back.scope.shown(written(back.read))
    others = [(forth.scope.shown(written(forth.read)), "runs forwards")]
    return back.scope.problem("E0402", message, span, "runs backwards", help=help, others=others)


# ------------------------------------------------------------------ when


def relations(dependencies: Dependencies) -> dict[str, When]:
    """How each variable relates to time: an untimed one that reads only parameters and numbers is `fixed`."""
    whens: dict[str, When] = {}
    for members in dependencies.members:  # those that are read come first
        for name in members:
            draft = dependencies.equations[name]
            timed = draft.definition is not None and draft.definition.timed
            whens[name] = "step" if timed else _untimed(draft.expr, whens)
    return whens


def _untimed(expr: Expr, whens: Mapping[str, When]) -> When:
    if isinstance(expr, Call):
        return when_of(expr.function, (_untimed(arg, whens) for arg in expr.args))
    return whens.get(expr.name, expr.when) if isinstance(expr, Read) else expr.when
