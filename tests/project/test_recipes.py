"""The recipes run as they stand in the document, each in a folder and a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.paths import ROOT

TEXT = (ROOT / "docs/recipes.md").read_text()
FILES = re.findall(r"<!-- recipe: (\w+)/([\w.]+) -->\n```python\n(.*?)```", TEXT, re.DOTALL)
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
COMMANDS = {
    "flask": (PYTEST, "3 passed"),
    "fastapi": (PYTEST, "2 passed"),
    "django": (["-m", "django", "test", "--settings=settings"], "Ran 2 tests"),
    "unittest": (["test_render.py"], "Ran 1 test"),
}


@pytest.mark.parametrize("recipe", COMMANDS)
def test_a_recipe_runs(recipe: str, tmp_path: Path) -> None:
    """With the real framework."""
    arguments, outcome = COMMANDS[recipe]
    for name, file, code in FILES:
        if name == recipe:
            (tmp_path / file).write_text(code)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIRALSYNC_", "PYTEST_"))}
    environment = {**kept, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome in done.stdout + done.stderr


def test_every_block_is_run() -> None:
    """No Python stands in the document that no test runs."""
    assert {name for name, _, _ in FILES} == COMMANDS.keys()
    assert TEXT.count("```python") == len(FILES)
