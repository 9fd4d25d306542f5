"""A second look at a finished script: it may import, name and call only what a training script needs.

The first line of defence is that only vetted text is ever rendered; this one would catch a mistake in that.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

IMPORTS = frozenset(
    {"argparse", "csv", "gzip", "hashlib", "json", "math", "numpy", "os", "re", "signal", "sys", "tempfile", "time"}
)
FROM_IMPORTS = {
    "functools": {"lru_cache"},
    "importlib.util": {"find_spec"},
    "pathlib": {"Path"},
    "pydoc_data.topics": {"topics"},
}
"""What may be imported from a module; from NumPy everything but what is forbidden below."""

MEMBERS = {
    "os": {"cpu_count", "environ", "fsync", "O_RDONLY", "open", "close", "name", "replace"},
    "sys": {"exit", "stderr"},
    "signal": {"signal", "SIGINT", "SIGTERM", "SIG_DFL"},
    "csv": {"DictReader"},
    "gzip": {"open"},
    "re": {"findall", "match"},
    "json": {"dumps", "loads"},
    "hashlib": {"sha256"},
    "tempfile": {"TemporaryFile"},
    "time": {"perf_counter"},
    "argparse": {"ArgumentParser", "ArgumentTypeError"},
}
"""What may be used of a module; of `math` everything, of NumPy everything but what is forbidden below."""

GPU_MEMBERS = {
    "ctypes": {"CDLL", "byref", "c_double", "c_float", "c_longlong", "c_size_t", "c_void_p"},
    "cp": {"RawModule", "asarray", "asnumpy", "cuda", "empty", "full", "ones", "zeros", "zeros_like"},
}
"""The same for scripts that run on a GPU: they alone import these modules."""

FORBIDDEN_MEMBERS = frozenset(
    {"ctypeslib", "DataSource", "f2py", "testing", "memmap", "fromfile", "tofile", "fromregex", "genfromtxt", "loadtxt"}
    | {"savetxt", "frompyfunc", "vectorize", "system", "popen", "spawn", "execv", "fork", "kill", "remove", "rmdir"}
    | {"rmtree", "chmod"}
)
FORBIDDEN_NAMES = frozenset(
    {"eval", "exec", "compile", "globals", "locals", "vars", "dir", "delattr", "input", "breakpoint", "open"}
    | {"memoryview", "help", "exit", "quit", "getattr", "setattr"}
)
DUNDERS = frozenset({"__name__", "__init__", "__main__"})


ALIASES = {"numpy": "np", "cupy": "cp"}


@dataclass(frozen=True)
class Allowed:
    """The modules that may be imported, and what may be used of them."""

    imports: frozenset[str]
    members: Mapping[str, set[str]]

    @cached_property
    def taken(self) -> frozenset[str]:
        """Names that nothing in a script may have."""
        return FORBIDDEN_NAMES | self.imports


ALLOWED: dict[str, Allowed] = {
    "cpu": Allowed(IMPORTS, MEMBERS),
    "gpu": Allowed(IMPORTS | {"ctypes", "cupy"}, {**MEMBERS, **GPU_MEMBERS}),
}


LOOKED_AT = frozenset(
    {ast.Import, ast.ImportFrom, ast.Attribute, ast.Name, ast.FunctionDef, ast.ClassDef, ast.Call}
    | {ast.Global, ast.Nonlocal, ast.AsyncFunctionDef, ast.Await}
)
"""The kinds of nodes for which there is a rule in `_vetted` or `_reason`."""


class NotAllowed(Exception):
    """A script contains something that no training script needs."""


def check(text: str, device: str = "cpu") -> None:
    """Raise NotAllowed, or SyntaxError, unless the text is a script that may be written for a device."""
    allowed = ALLOWED[device]
    nodes = [node for node in ast.walk(ast.parse(text)) if type(node) in LOOKED_AT]
    vetted = {id(name) for node in nodes for name in _vetted(node, allowed)}
    for node in nodes:
        reason = "" if id(node) in vetted else _reason(node, allowed)
        if reason:
            raise NotAllowed(f"line {getattr(node, 'lineno', 1)}: {reason}")


def _vetted(node: ast.AST, allowed: Allowed) -> list[ast.AST]:
    """What may be used in one way only, where it is used in that way."""
    match node:
        case ast.Attribute(value=ast.Name(id=name) as module) if name in allowed.imports:
            return [module]  # whether the member may be used is looked at with the attribute
        case ast.Call(func=ast.Name(id="getattr" | "setattr") as function, args=[target, *_]) if _of_self(target):
            return [function]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="memmap") as function, keywords=named):
            reads = any(k.arg == "mode" and getattr(k.value, "value", "") == "r" for k in named)
            return [function] if reads else []
    return []


def _of_self(node: ast.AST) -> bool:
    """Whether a value is `self` or a member of it."""
    return isinstance(node, ast.Name) and node.id == "self" or isinstance(node, ast.Attribute) and _of_self(node.value)


def _reason(node: ast.AST, allowed: Allowed) -> str:
    """Why a node must not be there; empty if it may."""
    match node:
        case ast.Import(names=names):
            return ", ".join(f"import of {alias.name}" for alias in names if not _importable(alias, allowed))
        case ast.ImportFrom(module=module, names=names, level=level):
            fine = level == 0 and all(_importable_from(module, alias) for alias in names)
            return "" if fine else f"import from {module}"
        case ast.Attribute():
            return _attribute(node, allowed)
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return f"the name {name}" if name in allowed.taken or _dunder(name) else ""
        case ast.Call(func=ast.Attribute(attr="load")):
            safe = any(k.arg == "allow_pickle" and getattr(k.value, "value", True) is False for k in node.keywords)
            return "" if safe else "np.load without allow_pickle=False"
        case ast.Global() | ast.Nonlocal() | ast.AsyncFunctionDef() | ast.Await():
            return f"a {type(node).__name__} statement"
    return ""


def _importable(alias: ast.alias, allowed: Allowed) -> bool:
    return alias.name in allowed.imports and alias.asname == ALIASES.get(alias.name)


def _importable_from(module: str | None, alias: ast.alias) -> bool:
    if module == "numpy":
        listed = alias.name not in FORBIDDEN_MEMBERS | {"*"} and not _dunder(alias.name)
    else:
        listed = alias.name in FROM_IMPORTS.get(module or "", ())
    return listed and alias.asname is None


def _attribute(node: ast.Attribute, allowed: Allowed) -> str:
    if _dunder(node.attr) or node.attr in FORBIDDEN_MEMBERS:
        return f"the member {node.attr}"
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    listed = allowed.members.get(module)
    return f"{module}.{node.attr}" if listed and node.attr not in listed else ""


def _dunder(name: str) -> bool:
    return name.startswith("__") and name not in DUNDERS
