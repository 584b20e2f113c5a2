"""Loaded into the tests of a team by `challenge`: writes which tests fail, and leaves out those it is asked to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOLDER = "VIRALSYNC_CHALLENGE_DIR"
FAILED, SKIPPED = "failed.txt", "skipped.txt"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        with (Path(os.environ[FOLDER]) / FAILED).open("a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    path = Path(os.environ[FOLDER]) / SKIPPED
    skipped = set(path.read_text("utf-8").splitlines()) if path.exists() else set()
    dropped = [item for item in items if item.nodeid in skipped]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item.nodeid not in skipped]
