"""The layers of ARCHITECTURE.md, held against the imports."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mockserver"
KIT = ROOT / "contract_tests"
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

OUTSIDERS = {
    "starlette": {"app"},
    "uvicorn": {"connection", "server"},
    "yaml": {"document"},
    "faker": {"fake_values"},
    "httpx": {"sender", "client_door", "self_check_clients"},
    "click": {"cli", "cli_conform", "cli_faults", "cli_options", "cli_scenarios"},
    "msgspec": {
        "snapshot",
        "snapshot_jobs",
        "snapshot_journal",
        "snapshot_parts",
        "snapshot_tables",
        "snapshot_webhooks",
    },
    "pytest": {"pytest_coverage", "pytest_options", "pytest_plugin", "pytest_sandboxes", "pytest_verdict"},
    "contract_tests": {"cli_conform"},
}


@cache
def layers(section: str = "Layers") -> dict[str, int]:
    """Read the table of a section of the document."""
    text = (ROOT / "ARCHITECTURE.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) [a-z ]+\| (.+) \|$", text, re.MULTILINE)
    return {name: int(level) for level, names in rows for name in re.findall(r"`([a-z_]+)`", names)}


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))


def sources() -> list[str]:
    """Return every file of both packages."""
    return sorted(str(path.relative_to(ROOT)) for package in (PACKAGE, KIT) for path in package.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    """Return every module that a file imports, wherever the import stands."""
    return imported(tree(path))


@cache
def running_imports(path: Path) -> frozenset[str]:
    """Return what a file imports when it runs: nothing from under `if TYPE_CHECKING`."""
    source = ast.parse(path.read_text())
    source.body = [n for n in source.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    return imported(source)


def imported(source: ast.Module) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in {PACKAGE.name, KIT.name}:
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return frozenset(found)


def in_circles(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Take away whoever needs nothing that is left, again and again, and return the rest."""
    while free := {module for module, needed in needs.items() if not needed & needs.keys()}:
        needs = {module: needed for module, needed in needs.items() if module not in free}
    return needs


def inside(module: str) -> set[str]:
    return {name.split(".")[1] for name in imports(PACKAGE / f"{module}.py") if name.startswith("mockserver.")} & set(
        modules()
    )


def test_every_module_has_its_place_in_the_document() -> None:
    """The table of layers names exactly the modules that there are."""
    assert sorted(layers()) == modules()


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_from_its_own_layer_or_lower(module: str) -> None:
    """No import goes up, not even inside a function or for a type."""
    assert {name for name in inside(module) if layers()[name] > layers()[module]} == set()


def test_there_is_no_circle_of_imports() -> None:
    """Taking away whoever imports nothing that is left takes away everything."""
    assert in_circles({module: inside(module) for module in modules()}) == {}


@pytest.mark.parametrize("package", sorted(OUTSIDERS))
def test_a_library_is_imported_where_it_belongs_only(package: str) -> None:
    """Each library has its modules, and no other knows of it but for types."""
    known = {m for m in modules() for n in running_imports(PACKAGE / f"{m}.py") if n.split(".")[0] == package}
    assert known <= OUTSIDERS[package]


@pytest.mark.parametrize("source", sources())
def test_no_module_keeps_mutable_state(source: str) -> None:
    """No list, dictionary or set, and no `global`, stands at the level of a module but for constants in capitals."""
    names = [
        target.id
        for node in tree(ROOT / source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Set | ast.ListComp)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id != "__all__"
    ]
    assert names == []
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree(ROOT / source)))


@pytest.mark.parametrize("source", sources())
def test_modules_and_functions_stay_short(source: str) -> None:
    """A module has at most 400 lines, a function at most 40 without its docstring."""
    assert len((ROOT / source).read_text().splitlines()) <= LONGEST_MODULE
    assert [name for name, lines in lengths(tree(ROOT / source)) if lines > LONGEST_FUNCTION] == []


def lengths(source: ast.Module) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for node in ast.walk(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[1] if documented else node.body[0]
            found.append((node.name, (node.end_lineno or 0) - first.lineno + 1))
    return found
