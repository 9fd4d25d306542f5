"""The frame of a script: where its templates are, and which words they use."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "templates", PACKAGE.parent / "templates")  # installed, or in a working copy


@cache
def frame_words() -> frozenset[str]:
    """Every name in every template: what the frame uses, it cannot lend to a spec."""
    texts = (path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.j2")))
    return frozenset(name for text in texts for node in ast.walk(ast.parse(text)) for name in _names(node))


def _names(node: ast.AST) -> list[str]:
    """The names that a node of a syntax tree has itself."""
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            return [name]
        case ast.Attribute(attr=name) | ast.alias(name=name):
            return [name]
    return []
