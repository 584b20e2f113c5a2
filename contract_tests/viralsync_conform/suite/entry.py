"""A plugin that pytest always loads, and that costs nothing: it loads others where they are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
ABOVE = frozenset(FOLDER.parents[:2])
"""`viralsync_conform` and, in a checkout, `contract_tests`."""


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Add the options of the suite, or the recorder of `challenge`, before the command line is read."""
    if any(map(_is_suite, args)):
        early_config.pluginmanager.import_plugin("viralsync_conform.suite.plugin")
    if os.environ.get("VIRALSYNC_CHALLENGE_DIR"):
        early_config.pluginmanager.import_plugin("viralsync_conform.suite.recorder")


def _is_suite(argument: str) -> bool:
    name = argument.partition("::")[0]
    if name.partition(".")[0] == "viralsync_conform":  # with --pyargs
        return True
    try:
        path = Path(name).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    return path in ABOVE or path == FOLDER or FOLDER in path.parents
