"""The layers of ARCHITECTURE.md, by package, held against the imports."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from tests.support.paths import ROOT

PACKAGES = {"viralsync_mock": ROOT / "mockserver", "viralsync_conform": ROOT / "contract_tests"}
"""The folder above each import package."""

LONG_MODULE, LONG_FUNCTION, MODULES_IN_A_FOLDER = 400, 40, 15
"""Past these, look again: what is read together stays together, and then stands below with its reason."""

LONG: dict[str, str] = {
    "viralsync_conform.contract.documented_behaviour": "one table: the sentences of the documentation",
    "viralsync_conform.journeys.job_lifecycle": "one life, looked at in every way",
    "viralsync_mock.scenarios.loader": "one format: what each part of a scenario may hold",
    "viralsync_mock.clock": "one clock: its modes share waiters and timers",
    "viralsync_mock.server.protocol": "one connection: bounds, half-closed clients and breaking off share its state",
}
CROWDED = {"viralsync_conform.journeys"}
"""Folders of a catalogue: one module a subject, none of which imports another."""

LIBRARIES = {
    "starlette": {"viralsync_mock.api", "viralsync_mock.app", "viralsync_mock.control", "viralsync_mock.ui"},
    "uvicorn": {"viralsync_mock.server"},
    "yaml": {"viralsync_mock.config"},
    "faker": {"viralsync_mock.generation"},
    "jsonschema_rs": {"viralsync_mock.validation", "viralsync_conform.contract", "viralsync_conform.run"},
    "httpx": set(),
    "httpx2": {
        "viralsync_mock.client",
        "viralsync_mock.virtual_time",
        "viralsync_mock.webhooks",
        "viralsync_conform.run",
        "viralsync_conform.target",
    },
    "msgspec": {"viralsync_mock.persistence", "viralsync_mock.snapshots"},
    "redis": {"viralsync_mock.persistence"},
    "click": {"viralsync_mock.cli", "viralsync_conform.cli"},
    "rich": {"viralsync_mock.cli", "viralsync_conform.cli"},
    "pytest": {"viralsync_mock.pytest_plugin", "viralsync_conform.suite"},
    "pytest_httpserver": {"viralsync_mock.testing", "viralsync_conform.target"},
    "schemathesis": {"viralsync_conform.fuzzing", "viralsync_conform.suite", "viralsync_mock.cli"},
    "requests": {"viralsync_conform.fuzzing", "viralsync_mock.self_check"},
}
"""Where a library may be imported when the code runs."""

PUBLIC = {
    *("viralsync_mock.app", "viralsync_mock.client", "viralsync_mock.server", "viralsync_mock.settings"),
    *("viralsync_mock.config", "viralsync_mock.errors", "viralsync_mock.openapi", "viralsync_mock.inspection"),
    "viralsync_mock.artefacts",
    *(
        "viralsync_mock.net",
        "viralsync_mock.randomness",
        "viralsync_mock.redaction",
        "viralsync_mock.validation",
        "viralsync_mock.clock",
    ),
}
"""What the conformance kit may know of the mock: public names, and nouns without state. A mutant is a mock."""


@cache
def levels() -> dict[str, int]:
    """Read the table of packages, from the lowest level to the highest."""
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## Packages\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    found: dict[str, int] = {}
    for level, names in rows:
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", names):
            found[name.replace("mock.", "viralsync_mock.").replace("conform.", "viralsync_conform.")] = int(level)
    return found


@cache
def modules() -> dict[str, Path]:
    """Return every file of both packages, by its dotted name; a package is called like its `__init__`."""
    found: dict[str, Path] = {}
    for package, root in PACKAGES.items():
        for path in sorted((root / package).rglob("*.py")):
            found[".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def unit(module: str) -> str:
    """Return the package, or the module at the top, that a module belongs to."""
    return ".".join(module.split(".")[:2])


def units() -> list[str]:
    return sorted({unit(name) for name in modules() if "." in name and not name.endswith("__main__")})


@cache
def imports(module: str, *, for_types: bool) -> frozenset[str]:
    """Return what a module imports, wherever the import stands; with or without what is imported for types only."""
    tree = ast.parse(modules()[module].read_text())
    found: set[str] = set()
    for node in walk(tree, for_types=for_types):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted = {f"{node.module}.{name.name}" for name in node.names}
            found |= (dotted & modules().keys()) or {node.module}
    return frozenset(found)


def walk(node: ast.AST, *, for_types: bool) -> list[ast.AST]:
    if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return []
    return [node, *(each for child in ast.iter_child_nodes(node) for each in walk(child, for_types=for_types))]


def in_circles(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Take away whatever needs nothing that is left, again and again, and return the rest."""
    while free := {module for module, needed in needs.items() if not needed & needs.keys()}:
        needs = {module: needed for module, needed in needs.items() if module not in free}
    return needs


def test_every_package_has_its_level_in_the_document() -> None:
    """The table names exactly the packages that there are."""
    assert sorted(levels()) == units()


@pytest.mark.parametrize("package", units())
def test_a_package_imports_from_lower_levels_only(package: str) -> None:
    """No import goes up or sideways, not even inside a function; types may be named from above."""
    needed = {unit(other) for name in modules() if unit(name) == package for other in imports(name, for_types=False)}
    known = {name for name in needed & levels().keys() if name != package}
    assert {name for name in known if levels()[name] >= levels()[package]} == set()


def test_no_module_is_part_of_a_circle_not_even_by_type() -> None:
    """Taking away every module that imports nothing that is left takes away everything."""
    public = {"viralsync_mock", "viralsync_conform"}  # their names are imported for types, and when they are used
    needs = {m: (imports(m, for_types=True) & modules().keys()) - {m} for m in modules() if m not in public}
    assert in_circles({module: set(needed) for module, needed in needs.items()}) == {}


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_is_imported_where_it_belongs_only(library: str) -> None:
    """Each library has its packages, and no other knows of it but for types."""
    known = {unit(m) for m in modules() for n in imports(m, for_types=False) if n.split(".")[0] == library}
    assert known - {"viralsync_conform.mutants"} <= LIBRARIES[library]


def test_the_conformance_kit_knows_public_parts_of_the_mock_only() -> None:
    """It is a black box, types included; its mutants are mocks, and know more."""
    kit = [m for m in modules() if m.startswith("viralsync_conform.") and unit(m) != "viralsync_conform.mutants"]
    known = {unit(name) for m in kit for name in imports(m, for_types=True) if name.startswith("viralsync_mock.")}
    assert known <= PUBLIC


def test_the_mock_needs_the_conformance_kit_in_its_command_only() -> None:
    """The mock starts without Schemathesis: `conform` alone imports the kit, when it is asked for."""
    mock = [m for m in modules() if m.startswith("viralsync_mock")]
    assert [m for m in mock if any(n.startswith("viralsync_conform") for n in imports(m, for_types=True))] == [
        "viralsync_mock.cli.challenge",
        "viralsync_mock.cli.conform",
    ]


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_module_keeps_mutable_state(module: str) -> None:
    """No list, dictionary or set, and no `global`, stands at the level of a module but for constants in capitals."""
    tree = ast.parse(modules()[module].read_text())
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Set | ast.ListComp)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id != "__all__"
    ]
    assert names == []
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree))


def test_long_modules_are_known() -> None:
    """A module past 400 lines, or with a function past 40, was looked at, and has a reason to be so."""
    assert {name for name, path in modules().items() if is_long(path)} <= LONG.keys()


def is_long(path: Path) -> bool:
    text = path.read_text()
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return len(text.splitlines()) > LONG_MODULE or any(length(each) > LONG_FUNCTION for each in functions)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    documented = ast.get_docstring(function) is not None and len(function.body) > 1
    return (function.end_lineno or 0) - function.body[1 if documented else 0].lineno + 1


def test_a_folder_has_room_for_what_is_in_it() -> None:
    """At most fifteen modules, but for catalogues."""
    folders = Counter(name.rpartition(".")[0] for name, path in modules().items() if path.name != "__init__.py")
    assert {folder for folder, count in folders.items() if count > MODULES_IN_A_FOLDER} <= CROWDED
