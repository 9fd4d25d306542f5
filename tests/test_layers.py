"""The folders import each other in one direction only, and commands load no more than they need."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rnnspec"

LAYERS = {
    "catalogue": -1,
    "conventions": 0,
    "diagnostics": 0,
    "ir": 1,
    "templates": 1,
    "frontend": 2,
    "passes": 2,
    "script": 2,
    "verify": 2,
    "run": 2,
    "compiler": 3,
    "commands": 4,
    "cli": 5,
    "__init__": -2,
    "__main__": 6,
}
"""A part imports parts of lower layers only; two parts of one layer do not know each other."""

READERS_OF_THE_TYPED_TREE = {"verify", "passes", "script"}

FILES = sorted(PACKAGE.rglob("*.py"))


def module(path: Path) -> str:
    """`rnnspec/ir/ops.py` is `rnnspec.ir.ops`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def part(name: str) -> str:
    """The part of rnnspec that a module belongs to: its folder, or itself at the top."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def imports(path: Path, at_load: bool) -> set[str]:
    """The modules of rnnspec that a file imports; `at_load`: when it is imported itself, not later in a function."""
    tree = ast.parse(path.read_text())
    nodes = load_time(tree) if at_load else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} has a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return {name for name in found if name.split(".")[0] == "rnnspec"}


def load_time(node: ast.AST) -> list[ast.AST]:
    """Every node that runs at import: nothing inside functions or under `if TYPE_CHECKING`."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        found += [child, *load_time(child)]
    return found


def allowed(importer: str, imported: str) -> bool:
    """Whether a module may import another one."""
    if part(importer) == part(imported) or LAYERS[part(imported)] < LAYERS[part(importer)]:
        return True
    return imported == "rnnspec.frontend.typed" and part(importer) in READERS_OF_THE_TYPED_TREE


def test_every_part_has_a_layer() -> None:
    assert {part(name) for name in MODULES} <= set(LAYERS)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down(name: str) -> None:
    wrong = [other for other in sorted(imports(MODULES[name], at_load=False)) if not allowed(name, other)]
    if part(name) == "__init__":
        wrong = []
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


def test_no_cycles_at_load_time() -> None:
    edges = {name: imports(path, at_load=True) - {name} for name, path in MODULES.items()}
    while free := [name for name, needs in edges.items() if not needs & set(edges)]:
        for name in free:
            del edges[name]
    assert not edges, f"these modules import each other in a circle: {sorted(edges)}"


def test_the_rule_bites() -> None:
    assert not allowed("rnnspec.ir.ops", "rnnspec.passes.hoist")
    assert not allowed("rnnspec.passes.hoist", "rnnspec.script.fast")
    assert not allowed("rnnspec.run.train", "rnnspec.frontend.typed")
    assert not allowed("rnnspec.frontend.check", "rnnspec.compiler")
    assert allowed("rnnspec.passes.lower", "rnnspec.frontend.typed")


# ------------------------------------------------------------------ what a command loads

HEAVY = ("numpy", "lark", "yaml", "jinja2", "rich", "torch", "rnnspec.compiler")


def loaded(code: str) -> set[str]:
    """The heavy modules that are loaded after running `code` in a new process."""
    report = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_rnnspec_loads_nothing_heavy() -> None:
    assert loaded("import rnnspec") == set()


def test_the_command_line_loads_nothing_heavy() -> None:
    assert loaded("import rnnspec.cli") == set()


def test_a_run_needs_neither_torch_nor_rich_until_it_draws() -> None:
    assert not loaded("import rnnspec.commands.launch, rnnspec.verify.certificate") & {"torch", "rich"}
