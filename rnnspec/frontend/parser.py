"""The parser of equations and settings: grammar.lark and the rule about line ends."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from lark import Lark, Token


class Continuation:
    """Lets a line end close an equation, except inside brackets, after an operator, and before a line with one in front.

    No equation starts with an operator, so this is never ambiguous.
    """

    always_accept = ("_NL",)
    between = frozenset(("SIGN", "TIMES", "COMPARE", "COMMA", "POWER", "OR", "AND"))
    before = between | {"NOT", "EQUAL"}

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens without the line ends that end nothing."""
        level, previous, line_end = 0, "", None
        for token in stream:
            if token.type == "_NL":
                if level == 0 and previous not in self.before:
                    line_end = token
                continue
            if line_end is not None and (token.type not in self.between or not previous):
                yield line_end
            line_end = None
            if token.type in ("LPAR", "LSQB"):
                level += 1
            elif token.type in ("RPAR", "RSQB"):
                level = max(0, level - 1)
            previous = token.type
            yield token
        if line_end is not None:
            yield line_end


def build_parser(strict: bool = False) -> Lark:
    """The parser; `strict` also proves that no two terminals or rules collide, and needs the package interegular."""
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    # The contextual lexer would read one token ahead of `Continuation` in the state before it.
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start=["equations", "value"],
        propagate_positions=True,
        maybe_placeholders=True,
        strict=strict,
        postlex=Continuation(),
    )


PARSER = build_parser()
