"""A second look at a finished script: it may import, name and call only what a training script needs.

The first line of defence is that only vetted text is ever rendered; this one would catch a mistake in that.
"""

from __future__ import annotations

import ast

IMPORTS = frozenset({"argparse", "csv", "hashlib", "json", "math", "numpy", "os", "signal", "sys", "time"})
FROM_IMPORTS = frozenset({"functools", "numpy", "pathlib", "pydoc_data.topics"})

MEMBERS = {
    "os": {"environ", "fsync", "O_RDONLY", "open", "close", "name", "replace"},
    "sys": {"exit", "stderr"},
    "signal": {"signal", "SIGINT", "SIGTERM", "SIG_DFL"},
    "csv": {"DictReader"},
    "json": {"dumps"},
    "hashlib": {"sha256"},
    "time": {"perf_counter"},
    "argparse": {"ArgumentParser"},
}
"""What may be used of a module; of `math` everything, of NumPy everything but what is forbidden below."""

FORBIDDEN_MEMBERS = frozenset(
    {"ctypeslib", "DataSource", "f2py", "testing", "memmap", "fromfile", "tofile", "fromregex", "genfromtxt", "loadtxt"}
    | {"savetxt", "frompyfunc", "vectorize", "system", "popen", "spawn", "execv", "fork", "kill", "remove", "rmdir"}
    | {"rmtree", "chmod"}
)
FORBIDDEN_NAMES = frozenset(
    {"eval", "exec", "compile", "globals", "locals", "vars", "dir", "delattr", "input", "breakpoint", "open"}
    | {"memoryview", "help", "exit", "quit"}
)
DUNDERS = frozenset({"__name__", "__init__", "__main__"})


class NotAllowed(Exception):
    """A script contains something that no training script needs."""


def check(text: str) -> None:
    """Raise NotAllowed, or SyntaxError, unless the text is a script that may be written."""
    for node in ast.walk(ast.parse(text)):
        reason = _reason(node)
        if reason:
            raise NotAllowed(f"line {getattr(node, 'lineno', 1)}: {reason}")


def _reason(node: ast.AST) -> str:
    """Why a node must not be there; empty if it may."""
    match node:
        case ast.Import(names=names):
            return _not_listed([alias.name for alias in names])
        case ast.ImportFrom(module=module, level=level):
            return "" if level == 0 and module in FROM_IMPORTS else f"import from {module}"
        case ast.Attribute():
            return _attribute(node)
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return f"the name {name}" if name in FORBIDDEN_NAMES or _dunder(name) else ""
        case ast.Call(func=ast.Attribute(attr="load")):
            safe = any(k.arg == "allow_pickle" and getattr(k.value, "value", True) is False for k in node.keywords)
            return "" if safe else "np.load without allow_pickle=False"
        case ast.Global() | ast.Nonlocal() | ast.AsyncFunctionDef() | ast.Await():
            return f"a {type(node).__name__} statement"
    return ""


def _not_listed(modules: list[str]) -> str:
    return ", ".join(f"import of {module}" for module in modules if module not in IMPORTS)


def _attribute(node: ast.Attribute) -> str:
    if _dunder(node.attr) or node.attr in FORBIDDEN_MEMBERS:
        return f"the member {node.attr}"
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    listed = MEMBERS.get(module)
    return f"{module}.{node.attr}" if listed and node.attr not in listed else ""


def _dunder(name: str) -> bool:
    return name.startswith("__") and name not in DUNDERS
