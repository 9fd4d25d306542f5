"""How the shape of a result follows from the shapes of the values: one rule a method, after language.md's `Shapes`.

A rule is tried until it is settled.  It waits while it does not know enough; when nothing moves any more, it may guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from rnnspec.diagnostics import Diagnostic, Span
from rnnspec.frontend.functions import FUNCTIONS
from rnnspec.frontend.scope import Scope
from rnnspec.frontend.sizes import Clash, Form, Origin, Size, matrix, number, vector
from rnnspec.frontend.text import SYMBOLS
from rnnspec.frontend.typed import Call, Expr

NEVER_BROADCAST = "sizes are never broadcast, except a single number with anything"
MOST_SHOWN = 8
"""A longer sum is not written out in a message."""


class Outcome(IntEnum):
    """What trying a rule came to."""

    STUCK = 0
    MOVED = 1  # something is known that was not
    SETTLED = 2


@dataclass
class Case:
    """One operator or function applied to values, whose shapes are to agree."""

    call: Call
    args: list[Form]
    scope: Scope
    problems: list[Diagnostic]
    parent: Call | None = None  # whose argument it is
    result: Form = field(default_factory=Form)

    def attempt(self, guess: bool = False) -> Outcome:
        """Try the rule of this call."""
        if self.result.broken or any(form.broken for form in self.args):
            self.result.break_()
            return Outcome.SETTLED
        return rule_of(self.call.function)(self, guess)

    def span(self, arg: int) -> Span:
        """Where an argument is written."""
        return written(self.call.args[arg])

    def give(self, form: Form) -> Outcome:
        """Settle for this result."""
        self.agree(self.result, form, "the sizes do not match: {a} and {b}")
        return Outcome.SETTLED

    def fail(self, code: str, message: str, span: Span | None = None, label: str = "", help: str | None = None) -> Outcome:
        """Report, and say no more about the result."""
        self.problems.append(self.scope.problem(code, message, span or written(self.call), label, help=help))
        self.result.break_()
        return Outcome.SETTLED

    def agree(self, a: Form, b: Form, message: str, label: str = "", help: str | None = None) -> bool:
        """Make two shapes equal, or report that they are not; `{a}` and `{b}` in the message stand for them."""
        found = disagreement(self.scope, written(self.call), a, b, message, label, help)
        if found is None:
            return True
        self.problems.append(found)
        self.result.break_()
        return False

    def needs_vector(self, arg: int, message: str) -> bool:
        """Make an argument a vector, or report that it is none; `{}` in the message stands for what it is."""
        if self.args[arg].rank is None:
            self.args[arg].unify(vector())
        if self.args[arg].rank == 1:
            return True
        self.fail("E0303", message.format(self.args[arg]), self.span(arg))
        return False


def written(expr: Expr) -> Span:
    """Where an expression of the front end is written."""
    assert expr.span is not None
    return expr.span


def disagreement(
    scope: Scope, span: Span, a: Form, b: Form, message: str, label: str = "", help: str | None = None
) -> Diagnostic | None:
    """Make two shapes equal; a diagnostic that shows where the sizes come from, if that is impossible."""
    before = {"a": str(a), "b": str(b)}
    try:
        a.unify(b)
    except Clash as clash:
        note = NEVER_BROADCAST if isinstance(clash.a, Form) else None
        others = [(origin.span, origin.text) for origin in distinct(clash.origins, span)]
        return scope.problem("E0301", message.format(**before), span, label, help=help, note=note, others=others)
    return None


def distinct(origins: list[Origin], span: Span) -> list[Origin]:
    """Origins at different places, none of them the very place that is reported."""
    places = {origin.span: origin for origin in reversed(origins) if origin.span != span}
    return [origin for origin in origins if places.get(origin.span) is origin]


# ------------------------------------------------------------------ element by element


def same(case: Case, guess: bool) -> Outcome:
    """Equal shapes, or one side a plain number."""
    pairs = [(i, form) for i, form in enumerate(case.args) if form.rank != 0]
    known = [(i, form) for i, form in pairs if form.rank is not None]
    if len(known) < len(pairs) and not guess:
        if not known or case.result.rank is not None:
            return Outcome.STUCK
        case.result.unify(known[0][1])
        return Outcome.MOVED
    if not pairs:
        return case.give(number())
    first, form = known[0] if known else pairs[0]
    for other, shape in pairs:
        if other != first and not _alike(case, min(first, other), max(first, other), form, shape):
            return Outcome.SETTLED
    return case.give(form)


def _alike(case: Case, left: int, right: int, form: Form, shape: Form) -> bool:
    a, b = (case.args[left], case.args[right])
    label = f"`{case.span(left).text}` is {a}, `{case.span(right).text}` is {b}"
    symbol = SYMBOLS.get(case.call.function)
    message = "the sizes do not match: {a} and {b}"
    if symbol:
        message = f"the two sides of `{symbol}` have different sizes: {{a}} and {{b}}"
    return case.agree(a, b, message, label, _product_help(case, a, b))


def _product_help(case: Case, a: Form, b: Form) -> str | None:
    """What to write where `*` stands between a matrix and a vector."""
    if case.call.function != "mul" or {a.rank, b.rank} != {1, 2}:
        return None
    parent = case.parent
    if parent is not None and parent.function == "matmul" and parent.args[0] is case.call:
        left, right, other = case.span(0).text, case.span(1).text, written(parent.args[1]).text
        return f"`*` and `@` have the same precedence: write `{left} * ({right} @ {other})`"
    return "`*` multiplies element by element; a matrix product is written `@`"


def on_vector(case: Case, guess: bool) -> Outcome:
    """The first value is a vector; the others are equal to it, or plain numbers."""
    if not case.needs_vector(0, f"`{case.call.function}` needs a vector, not {{}}"):
        return Outcome.SETTLED
    return same(case, guess)


def compared(case: Case, guess: bool) -> Outcome:
    """A prediction and a target of equal shape give a number; so does a variance beside them."""
    prediction, target, *variance = case.args
    if any(form.rank is None for form in (prediction, *variance)) and not guess:
        return Outcome.STUCK
    case.agree(prediction, target, "the prediction is {a} but the target is {b}")
    for form in variance:
        case.agree(form, target, "the variance is {a} but the target is {b}")
    return case.give(number())


# ------------------------------------------------------------------ products


def matmul(case: Case, guess: bool) -> Outcome:
    """[m, n] @ [n] -> [m], [m] @ [m, n] -> [n], [m, n] @ [n, p] -> [m, p]."""
    a, b = case.args
    if 0 in (a.rank, b.rank):
        return case.fail("E0303", "`@` cannot multiply by a single number", help="use `*`")
    if a.sizes is None or b.sizes is None:
        if not guess:
            return Outcome.STUCK
        a.unify(matrix()) if a.sizes is None else b.unify(vector())
        return Outcome.MOVED
    if a.rank == b.rank == 1:
        help = "use `*` for the elementwise product or `dot(a, b)` for the inner product"
        return case.fail("E0303", "`@` needs a matrix on one side", label="both sides are vectors", help=help)
    before = (str(a), str(b))
    try:
        a.sizes[-1].unify(b.sizes[0])
    except Clash as clash:
        return _wrong_product(case, before, clash)
    return case.give(Form([*a.sizes[:-1], *b.sizes[1:]]))


def _wrong_product(case: Case, shown: tuple[str, str], clash: Clash) -> Outcome:
    left, right = case.span(0).text, case.span(1).text
    message = f"the sizes of this product do not match: {shown[0]} @ {shown[1]}"
    label = f"`{left}` is {shown[0]}, `{right}` is {shown[1]}"
    others = [(origin.span, origin.text) for origin in distinct(clash.origins, written(case.call))]
    span = written(case.call)
    help = _transposed(case)
    case.problems.append(case.scope.problem("E0301", message, span, label, help=help, others=others))
    case.result.break_()
    return Outcome.SETTLED


def _transposed(case: Case) -> str | None:
    """The product with its matrix transposed, where that fits."""
    a, b = case.args
    left, right = case.span(0).text, case.span(1).text
    if a.sizes and b.sizes and a.rank == 2 and a.sizes[0].find().value == b.sizes[0].find().value:
        simple = left.replace(".", "").replace("_", "").isalnum()
        return f"did you mean `{left if simple else f'({left})'}.T @ {right}`?"
    return None


def transpose(case: Case, guess: bool) -> Outcome:
    """[m, n] -> [n, m]."""
    if case.args[0].sizes is None:
        case.args[0].unify(matrix())
    if case.args[0].rank != 2:
        return case.fail("E0303", f"`.T` needs a matrix, not {case.args[0]}")
    rows, columns = case.args[0].sizes or ()
    return case.give(Form([columns, rows]))


def dot(case: Case, guess: bool) -> Outcome:
    """Two vectors of equal size give a number."""
    if not all(case.needs_vector(i, "`dot` needs vectors, not {}") for i in range(2)):
        return Outcome.SETTLED
    _alike(case, 0, 1, *case.args)
    return case.give(number())


def outer(case: Case, guess: bool) -> Outcome:
    """[m], [n] -> [m, n]."""
    if not all(case.needs_vector(i, "`outer` needs vectors, not {}") for i in range(2)):
        return Outcome.SETTLED
    return case.give(Form([size for form in case.args for size in form.sizes or ()]))


# ------------------------------------------------------------------ parts


def concat(case: Case, guess: bool) -> Outcome:
    """Sizes add up."""
    if not all(case.needs_vector(i, "`concat` joins vectors, not {}") for i in range(len(case.args))):
        return Outcome.SETTLED
    if case.result.sizes is None:
        case.result.unify(vector())
    parts = [size.find() for form in case.args for size in form.sizes or ()]
    total = (case.result.sizes or ())[0].find()
    values = [part.value for part in parts if part.value is not None]
    missing = [part for part in parts if part.value is None]
    if not missing:
        parts_said = " + ".join(map(str, values)) if len(values) <= MOST_SHOWN else f"{len(values)} parts"
        origin = Origin(written(case.call), f"{parts_said} = {sum(values)}")
        return _add_up(case, total, Size(sum(values), None, origin))
    if len(missing) == 1 and total.value is not None:
        return _add_up(case, missing[0], Size(total.value - sum(values)))
    return Outcome.STUCK


def _add_up(case: Case, size: Size, needed: Size) -> Outcome:
    if needed.value is not None and needed.value < 1:
        return case.fail("E0301", "the parts of this vector are larger than the whole")
    try:
        size.unify(needed)
    except Clash as clash:
        wanted, found = (side.value for side in (clash.a, clash.b) if isinstance(side, Size))
        return case.fail("E0301", f"the joined size is {found}, but {wanted} is needed")
    return Outcome.SETTLED


def chunk(case: Case, guess: bool) -> Outcome:
    """One of n equal parts."""
    if not case.needs_vector(0, "`chunk` needs a vector, not {}"):
        return Outcome.SETTLED
    if case.result.sizes is None:
        case.result.unify(vector())
    parts = int(str(case.call.option("parts")))
    whole, part = (case.args[0].sizes or ())[0].find(), (case.result.sizes or ())[0].find()
    if whole.value is not None:
        if whole.value % parts:
            return case.fail("E0304", f"{case.args[0]} cannot be cut into {parts} equal parts")
        return case.give(vector(Size(whole.value // parts)))
    if part.value is not None:
        case.args[0].unify(vector(Size(part.value * parts)))
        return Outcome.SETTLED
    return Outcome.STUCK


RULES: dict[str, Callable[[Case, bool], Outcome]] = {
    "same": same,
    "where": same,
    "vector": on_vector,
    "compared": compared,
    "number": lambda case, guess: case.give(number()),
    "dot": dot,
    "outer": outer,
    "concat": concat,
    "chunk": chunk,
}

OPERATOR_RULES: dict[str, Callable[[Case, bool], Outcome]] = {"matmul": matmul, "transpose": transpose}
"""All other operators work element by element."""


def rule_of(function: str) -> Callable[[Case, bool], Outcome]:
    """The rule of a function or an operator."""
    if function in FUNCTIONS:
        return RULES[FUNCTIONS[function].rule]
    return OPERATOR_RULES.get(function, same)
