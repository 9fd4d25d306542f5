"""Names: what each one in an equation means.  Syntax trees become expressions of the typed tree, without shapes yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.diagnostics import Diagnostic, Span, problem, suggest
from rnnspec.frontend import syntax
from rnnspec.frontend.calls import CallReader
from rnnspec.frontend.functions import FUNCTIONS, OPERATORS, when_of
from rnnspec.frontend.misuse import Symbol, defined_twice, is_condition, misused, not_a_number
from rnnspec.frontend.parameters import Declarations
from rnnspec.frontend.scope import MODEL, Definition, Draft, Place, Scope
from rnnspec.frontend.sizes import Size
from rnnspec.frontend.syntax import Node, RefNode
from rnnspec.frontend.time import Index, read_index
from rnnspec.frontend.typed import Call, Expr, Last, Mask, Number, Parameter, Read
from rnnspec.frontend.words import RESERVED, taken

MATRIX_NAME = re.compile(r"(.*\.)?[WUVRPE](_[A-Za-z0-9_]+|[0-9]*)\Z")
VECTOR_NAME = re.compile(r"(.*\.)?(b|g|beta|gamma)(_[A-Za-z0-9_]+|[0-9]*)\Z")

UNDECLARED = "only names like `W_x` (matrix) and `b_h` (vector) become parameters without a declaration"
PATHLESS = "not an input, a target or the left side of an equation"


@dataclass
class Use:
    """A parameter that some expression reads."""

    span: Span  # of its first use
    scope: Scope
    implicit: Literal["", "matrix", "vector"]  # declared by use, as one of these
    count: int = 0
    inside: bool = False  # read by the cell that it belongs to
    ties: int = 0  # so many of the reads are meant for a parameter that is tied to it


@dataclass
class Names:
    """Everything that has a name in a spec, and how often it is read."""

    symbols: dict[str, Symbol]
    sizes: Mapping[str, Size]
    cells: Iterable[str]
    declarations: Declarations
    problems: list[Diagnostic]
    broken: set[str]  # left sides with a problem of their own
    outputs: Mapping[str, str]  # the name of each output inside its cell -> its name in the model
    parameters: dict[str, Use] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)  # symbols that are read outside their own equation
    unknown: set[str] = field(default_factory=set)  # names already reported

    def __post_init__(self) -> None:
        self.calls = CallReader(frozenset(self.cells), self._timed, self._constant, self.problems)

    # ---- definitions
    def define(self, definitions: Iterable[Definition]) -> list[Definition]:
        """Enter the left sides of all equations; the equations and starts that are usable."""
        kept = [definition for definition in definitions if self._enter(definition)]
        return [definition for definition in kept if definition.start is None or self._may_start(definition)]

    def _enter(self, definition: Definition) -> bool:
        left, name = definition.left, definition.name
        if definition.start is not None:
            return True
        others = (("a size", self.sizes), ("a cell", self.calls.cells))
        wrong = taken(left.name, left.name_span, *others) if "." not in name else None
        if wrong is not None:
            self.problems.append(wrong)
            self.broken.add(name)
            return False
        before = self.symbols.get(name)
        if before is not None:
            self.problems.append(defined_twice(definition, before))
            return False
        span = definition.scope.shown(left.name_span)
        self.symbols[name] = Symbol("variable", "step" if definition.timed else "sequence", span)
        return True

    def _may_start(self, definition: Definition) -> bool:
        """A start belongs to a timed equation."""
        name, left = definition.left.name, definition.left
        symbol = self.symbols.get(definition.name)
        if definition.name in self.broken:
            return False
        if symbol is None:
            near = suggest(name, [n for n, s in self.symbols.items() if s.kind == "variable" and s.when == "step"])
            help = f"did you mean `{near}`?" if near else f"add `{name}[t] = ...`"
            message = f"`{name}` has an initial value but no equation"
            self.problems.append(definition.scope.problem("E0201", message, left.name_span, help=help))
        elif symbol.kind != "variable":
            message = f"`{name}` is an {symbol.kind}" if symbol.kind == "input" else f"`{name}` is a {symbol.kind}"
            message += " and cannot have an initial value"
            self.problems.append(definition.scope.problem("E0409", message, left.span))
        elif symbol.when != "step":
            message = f"`{name}` does not change with time and cannot have an initial value"
            self.problems.append(definition.scope.problem("E0409", message, left.span))
        else:
            return True
        return False

    # ---- expressions
    def draft(self, definition: Definition) -> Draft | None:
        """The right side of an equation or a start with its names resolved; None after an error was reported."""
        before = self.used
        self.used = set()
        expr = self.value(definition.right, definition.scope, definition.place, outermost=True)
        self.used = before | (self.used - {definition.name})
        if expr is not None and is_condition(expr):
            self.problems.append(not_a_number(definition.right.span, definition.scope))
            return None
        return None if expr is None else Draft(expr, definition.span, definition.scope, definition)

    def value(self, node: Node, scope: Scope, place: Place, outermost: bool = False) -> Expr | None:
        """The meaning of an expression; None after an error was reported."""
        if isinstance(node, syntax.NumberNode):
            return Number(node.value, node.span)
        if isinstance(node, RefNode):
            return self._reference(node, scope, place)
        if isinstance(node, syntax.CallNode):
            return self._call(node, scope, place, outermost)
        if isinstance(node, syntax.Binary):
            return self._binary(node, scope, place, outermost)
        if isinstance(node, syntax.Unary):
            return self._unary(node, scope, place, outermost)
        if isinstance(node, syntax.Transpose):
            return self._operator("transpose", [node.operand], node, scope, place)
        what = {syntax.StringNode: "text", syntax.ListNode: "list"}.get(type(node), "`true` or `false`")
        article = "" if what.startswith("`") else "a "
        self.problems.append(scope.problem("E0209", f"{article}{what} cannot be used in an equation", node.span))
        return None

    def _unary(self, node: syntax.Unary, scope: Scope, place: Place, outermost: bool) -> Expr | None:
        if node.op == "+":
            return self.value(node.operand, scope, place)
        if node.op == "-" and isinstance(node.operand, syntax.NumberNode):
            return Number(-node.operand.value, node.span)
        return self._operator("not" if node.op == "not" else "neg", [node.operand], node, scope, place, outermost)

    def _binary(self, node: syntax.Binary, scope: Scope, place: Place, outermost: bool) -> Expr | None:
        if node.op == "**":
            return self._power(node, scope, place)
        return self._operator(OPERATORS[node.op], [node.left, node.right], node, scope, place, outermost)

    def _operator(
        self, name: str, nodes: list[Node], node: Node, scope: Scope, place: Place, outermost: bool = False
    ) -> Expr | None:
        args = [self.value(operand, scope, place, outermost) for operand in nodes]
        if name in ("and", "or", "not"):
            args = self._conditions(args, nodes, f"`{name}` joins conditions", scope)
        else:
            self._refuse_conditions(args, nodes, scope)
        return made(name, args, node.span)

    def _power(self, node: syntax.Binary, scope: Scope, place: Place) -> Expr | None:
        base, exponent = self.value(node.left, scope, place), self.value(node.right, scope, place)
        self._refuse_conditions([base], [node.left], scope)
        if exponent is not None and not isinstance(exponent, Number):
            help = "write `exp(b * log(a))` for a power that changes"
            message = "the exponent must be a plain number"
            self.problems.append(scope.problem("E0210", message, node.right.span, help=help))
            return None
        return made("pow", [base, exponent], node.span)

    def _call(self, node: syntax.CallNode, scope: Scope, place: Place, outermost: bool) -> Expr | None:
        arguments = self.calls.read(node, scope, place, outermost)
        if arguments is None:
            return None
        over_time = arguments.function.over_time
        inside: Place = "step" if over_time and place in ("sequence", "start") else place
        args = [self.value(arg, scope, inside) for arg in arguments.values]
        nodes = list(arguments.values)
        if over_time and args[0] is not None and args[0].when != "step":
            message = f"`{node.name}` needs a value that changes with time"
            self.problems.append(scope.problem("E0404", message, nodes[0].span))
            return None
        if node.name == "where":
            self._refuse_conditions(args[1:], nodes[1:], scope)
            args[:1] = self._conditions(args[:1], nodes[:1], "the first argument of `where` must be a condition", scope)
        else:
            self._refuse_conditions(args, nodes, scope)
        return made(node.name, args, node.span, arguments.options)

    # ---- conditions
    def _conditions(self, args: list[Expr | None], nodes: list[Node], message: str, scope: Scope) -> list[Expr | None]:
        """Arguments that must be conditions; `mask` counts as `mask > 0`."""
        found: list[Expr | None] = []
        for arg, node in zip(args, nodes, strict=True):
            if isinstance(arg, Mask):
                arg = made("greater", [arg, Number(0.0, node.span)], node.span)
            elif arg is not None and not is_condition(arg):
                help = f"compare it, for example `{node.span.text} > 0`"
                self.problems.append(scope.problem("E0209", message, node.span, help=help))
            found.append(arg)
        return found

    def _refuse_conditions(self, args: list[Expr | None], nodes: list[Node], scope: Scope) -> None:
        for arg, node in zip(args, nodes, strict=True):
            if arg is not None and is_condition(arg):
                self.problems.append(not_a_number(node.span, scope))

    # ---- references
    def _reference(self, node: RefNode, scope: Scope, place: Place) -> Expr | None:
        index = read_index(node, scope)
        if isinstance(index, Diagnostic):
            self.problems.append(index)
            return None
        if node.name in RESERVED:
            return self._reserved(node, scope, place)
        constant = self._constant(node.name, scope)
        name = scope.full(node.name)
        if constant is not None and node.index is None:
            return Number(float(constant), node.span)
        if name.split(".")[0] in self.broken:
            return None
        if name in self.symbols:
            return self._variable(name, node, index, scope, place)
        if node.index is not None:
            self._unknown_timed(name, node, scope)
            return None
        return self._parameter(name, node, scope)

    def _reserved(self, node: RefNode, scope: Scope, place: Place) -> Expr | None:
        if node.name != "mask":
            message = f"`{node.name}` is {RESERVED[node.name]} and cannot be used as a value"
            self.problems.append(scope.problem("E0404", message, node.span))
        elif node.index is not None:
            self.problems.append(scope.problem("E0404", "`mask` takes no index", node.span, help="write `mask`"))
        elif place in ("sequence", "start"):
            message = "`mask` cannot be used in an equation without `[t]` on its left side"
            self.problems.append(scope.problem("E0407", message, node.span))
        else:
            return Mask(node.span)
        return None

    def _variable(self, name: str, node: RefNode, index: Index, scope: Scope, place: Place) -> Expr | None:
        symbol = self.symbols[name]
        self.used.add(name)
        found = misused(symbol, node, index, scope, place)
        if found is not None:
            self.problems.append(found)
            return None
        if index.kind == "T":
            return Last(name, (), node.span)
        lag = index.offset if scope.reverse else -index.offset
        return Read(name, (), symbol.when, lag if symbol.when == "step" else 0, node.span)

    def _unknown_timed(self, name: str, node: RefNode, scope: Scope) -> None:
        written = node.name
        timed = [n for n, symbol in self.symbols.items() if symbol.when == "step"]
        near = (self.outputs.get(name) or suggest(written, timed)) if scope is MODEL else None
        if name in self.parameters or ((MATRIX_NAME.match(name) or VECTOR_NAME.match(name)) and near is None):
            message = f"`{written}` is a parameter: it does not change with time"
            note = f"or define it with an equation `{written}[t] = ...`"
            self.problems.append(scope.problem("E0404", message, node.span, help=f"write `{written}`", note=note))
        elif name not in self.unknown:
            self.unknown.add(name)
            index = node.span.text[len(written) :]
            help = f"define it with an equation `{written}[t] = ...`, or list it under `inputs:`"
            help = f"did you mean `{near}{index}`?" if near else help
            message = f"`{written}` is not defined"
            self.problems.append(scope.problem("E0201", message, node.name_span, PATHLESS, help=help))

    def _parameter(self, name: str, node: RefNode, scope: Scope) -> Expr | None:
        shaped = self.declarations.attribute(name, "shape") is not None
        implicit: Literal["", "matrix", "vector"] = ""
        if not shaped and MATRIX_NAME.match(name):
            implicit = "matrix"
        elif not shaped and VECTOR_NAME.match(name):
            implicit = "vector"
        elif not shaped and self.declarations.tied(name) is None:
            self._no_parameter(name, node, scope)
            return None
        tie = self.declarations.tied(name)
        if tie is not None:
            return self._tied(name, tie.name, tie.transposed, node, scope)
        use = self.parameters.setdefault(name, Use(node.span, scope, implicit))
        use.count += 1
        use.inside = use.inside or bool(scope.instance)
        return Parameter(name, (), node.span)

    def _tied(self, name: str, other: str, transposed: bool, node: RefNode, scope: Scope) -> Expr | None:
        """The parameter that stands in for a tied one."""
        self.declarations.found(name)
        if self.declarations.tied(other) is not None:
            return None  # reported with the declarations
        expr = self._parameter(other, RefNode(other, node.span, node.span), MODEL)
        if expr is not None:
            self.parameters[other].ties += 1
        return made("transpose", [expr], node.span) if transposed else expr

    def _no_parameter(self, name: str, node: RefNode, scope: Scope) -> None:
        if name in self.unknown:
            return
        self.unknown.add(name)
        written = node.name
        if written in FUNCTIONS:
            found = scope.problem("E0205", f"`{written}` is a function", node.span, help=f"write `{written}(...)`")
        elif self.declarations.exact(name):
            found = scope.problem(
                "E0302", f"the parameter `{written}` needs a `shape`", node.span,
                help=f"write `{written}: {{shape: [H]}}` under `params:`",
                note="only names like `W_x` (matrix) and `b_h` (vector) get their shape from the equations",
            )  # fmt: skip
        else:
            near = self.outputs.get(name) or suggest(written, [*self.symbols, *self.sizes, *self.parameters])
            help = f"if it is a parameter, declare it: `params: {{{written}: {{shape: [H]}}}}`"
            help = f"did you mean `{near}`?" if near else help
            found = scope.problem("E0201", f"`{written}` is not defined", node.span, help=help, note=UNDECLARED)
        self.problems.append(found)

    # ---- afterwards
    def check_ties(self) -> None:
        """A parameter is tied to one that has a use of its own."""
        self.declarations.check_ties()
        for name, use in self.parameters.items():
            if use.count == use.ties and not self.declarations.exact(name):
                near = suggest(name, [n for n, other in self.parameters.items() if other.count > other.ties])
                help = f"did you mean `{near}`?" if near else None
                message = f"a parameter is tied to `{name}`, which nothing else uses"
                self.problems.append(use.scope.problem("E0504", message, use.span, help=help))

    def check_members(self) -> None:
        """A name such as `h1.W_i` in the model must be a parameter of the cell; nothing declares it from outside."""
        for name, use in self.parameters.items():
            instance = name.rpartition(".")[0]
            if not instance or use.inside:
                continue
            near = suggest(name, [*self.symbols, *(n for n, other in self.parameters.items() if other.inside)])
            help = f"did you mean `{near}`?" if near else None
            self.problems.append(problem("E0201", f"`{name}` is not defined", use.span, help=help))

    # ---- for the reader of calls
    def _timed(self, name: str) -> bool | None:
        symbol = self.symbols.get(name)
        return None if symbol is None else symbol.when == "step"

    def _constant(self, name: str, scope: Scope) -> float | None:
        """A named size of the spec, or an argument of the cell."""
        if name in scope.numbers:
            return scope.numbers[name]
        size = (scope.sizes if scope.instance else self.sizes).get(name)
        return None if size is None else size.find().value


def made(function: str, args: list[Expr | None], span: Span, options: tuple[tuple[str, object], ...] = ()) -> Expr | None:
    """A call of the typed tree; None where an argument is broken."""
    values = tuple(arg for arg in args if arg is not None)
    if len(values) < len(args):
        return None
    return Call(function, values, (), when_of(function, (value.when for value in values)), options, span)
