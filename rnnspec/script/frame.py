"""The frame of a script: where its templates are, and which words they use."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "templates", PACKAGE.parent / "templates")  # installed, or in a working copy


@cache
def frame_uses(word: str) -> bool:
    """Whether any template uses a name: what the frame uses, it cannot lend to a spec.

    Only templates that hold the word at all are parsed: a compilation asks for a few words, and there are many templates.
    """
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    return any(word in text and pattern.search(text) and word in _words(text) for text in _texts())


@cache
def _texts() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.j2")))


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(name for node in ast.walk(ast.parse(text)) for name in _names(node))


def _names(node: ast.AST) -> list[str]:
    """The names that a node of a syntax tree has itself."""
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            return [name]
        case ast.Attribute(attr=name) | ast.alias(name=name):
            return [name]
    return []
