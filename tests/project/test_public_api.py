"""The public names: pinned, loaded when they are used, and the only ones that the documentation imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.support.documents import python_blocks
from tests.support.paths import ROOT

import viralsync_mock
import viralsync_mock.testing

MODULES = ("viralsync_mock", "viralsync_mock.client", "viralsync_mock.testing", "viralsync_conform")
"""The modules that users may import from."""

NAMES = [
    *("BackgroundServer", "Sandbox", "Settings", "WebhookReceiver", "__version__", "create_app", "open_sandbox"),
    "verify_signature",
]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")])


def sources(page: Path) -> list[str]:
    """Return the Python of an example, or of a page's blocks."""
    text = page.read_text(encoding="utf-8")
    return [text] if page.suffix == ".py" else python_blocks(text)


def imported(source: str) -> set[tuple[str, str]]:
    """Return module and name of each import of ours."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {(node.module, name.name) for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {(name.name, "") for name in node.names}
    return {(module, name) for module, name in found if module.startswith(("viralsync_mock", "viralsync_conform"))}


def test_public_names_are_pinned() -> None:
    """A name that users import does not come or go unnoticed, and each can be had."""
    assert sorted(viralsync_mock.__all__) == sorted(NAMES)
    assert all(getattr(viralsync_mock, name) for name in NAMES)
    assert viralsync_mock.testing.__all__ == ["Received", "WebhookReceiver", "verify_signature"]


def test_importing_the_package_loads_nothing_else() -> None:
    """Each name is loaded when it is first used."""
    script = "import sys; before = set(sys.modules); import viralsync_mock; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["viralsync_mock"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_imports_public_names_only(page: Path) -> None:
    """Users copy from the documentation: everything there is public."""
    names = {name for source in sources(page) for name in imported(source)}
    assert {(module, name) for module, name in names if not _is_public(module, name)} == set()


def _is_public(module: str, name: str) -> bool:
    return module in MODULES and (not name or name in import_module(module).__all__)
