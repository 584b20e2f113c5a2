"""The levels of the contract tests in ARCHITECTURE.md, held against the imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_architecture import KIT, PACKAGE, imports, in_circles, layers, running_imports

OF_PYTEST = ("test_", "conftest", "__")
"""Files that pytest collects from the package: they stand above everything, and nothing imports them."""

PUBLIC = {
    "app", "behaviour", "client", "closing", "errors", "randomness", "redaction", "server", "settings", "spec",
}  # fmt: skip
"""What the kit may know of the mock: names that its documentation shows, and nouns without state."""

LIBRARIES = {
    "schemathesis": {"cases", "censor", "engine", "gateway", "generated"},
    "requests": {"cases", "gateway"},
    "httpx": {"generated", "sender", "streams", "target"},
    "pytest_httpserver": {"receiver"},
    "jsonschema_rs": {"contract", "judge"},
    "pytest": {"markers"},
    "rich": {"command"},
    "starlette": set(),
    "uvicorn": set(),
}


def files() -> dict[str, Path]:
    """Return every file of the kit but pytest's own, by its dotted name."""
    names = {".".join(path.relative_to(KIT).with_suffix("").parts): path for path in KIT.rglob("*.py")}
    return {name: path for name, path in names.items() if not name.startswith(OF_PYTEST)}


def unit(name: str) -> str:
    """Return the module, or the package as a whole, that a file belongs to."""
    return name.partition(".")[0]


def inside(path: Path) -> set[str]:
    """Return the modules and packages of the kit that a file imports when it runs."""
    return {name.split(".")[1] for name in running_imports(path) if name.startswith("contract_tests.")}


def test_every_module_has_its_level_in_the_document() -> None:
    """The table of levels names exactly the modules and packages that there are."""
    assert sorted(layers("Levels")) == sorted({unit(name) for name in files()})


@pytest.mark.parametrize("name", sorted(files()))
def test_a_module_imports_from_its_own_level_or_lower(name: str) -> None:
    """No import goes up, not even inside a function; only a type may be named from above."""
    levels = layers("Levels")
    assert {other for other in inside(files()[name]) if levels[other] > levels[unit(name)]} == set()


def test_there_is_no_circle_of_imports() -> None:
    """Neither between the modules of the kit, nor within its packages."""
    needs = {unit(name): set[str]() for name in files()}
    for name, path in files().items():
        needs[unit(name)] |= inside(path) - {unit(name)}
    assert in_circles(needs) == {}
    dotted = {
        name: {each.removeprefix("contract_tests.") for each in running_imports(path)} - {name}
        for name, path in files().items()
    }
    assert in_circles(dotted) == {}


@pytest.mark.parametrize("name", sorted(name for name in files() if unit(name) != "mutants"))
def test_the_kit_is_a_black_box(name: str) -> None:
    """Of the mock it knows public modules only, types included; a mutant is a mock, and knows more."""
    known = {each.split(".")[1] for each in imports(files()[name]) if each.startswith("mockserver.")}
    assert known <= PUBLIC


def test_nothing_of_the_mock_needs_the_kit_but_its_command() -> None:
    """The mock starts without Schemathesis: `conform` alone imports the kit, when somebody asks for it."""
    suspects = [path for path in PACKAGE.glob("*.py") if "contract_tests" in path.read_text()]
    importers = {path.stem for path in suspects if any("contract_tests" in each for each in imports(path))}
    assert importers == {"cli_conform"}


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_is_imported_where_it_belongs_only(library: str) -> None:
    """Each library has its modules, and no other knows of it but for types."""
    found = {name for name, path in files().items() for each in running_imports(path) if each.split(".")[0] == library}
    assert {name for name in found if unit(name) != "mutants"} <= LIBRARIES[library]


def test_files_of_pytest_are_imported_by_nobody() -> None:
    """What pytest collects is an edge."""
    assert not {name for path in files().values() for name in inside(path) if name.startswith(OF_PYTEST)}
