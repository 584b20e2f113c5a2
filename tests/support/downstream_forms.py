"""A plugin for the example's suite: its client sleeps in the way of the variable FORM, and verdicts go to OUT."""

from __future__ import annotations

import asyncio
import json
import os
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import viralsync_client.client as example

from viralsync_mock.client import Sandbox

OWN_SLEEPS: dict[str, dict[str, Any]] = {
    "time.sleep": {},
    "asyncio.sleep": {"sleep": lambda seconds: asyncio.run(asyncio.sleep(seconds))},  # noqa: TID251 - a client's own
}

verdicts: dict[str, dict[str, str]] = {}


def leave_out_what_tests_inject(own: dict[str, Any]) -> None:
    """Give the client its own sleep and clock in place of those that a test passes."""
    original = example.ViralSync.__init__

    @wraps(original)
    def init(self: example.ViralSync, base_url: str, api_key: str, **options: Any) -> None:
        rest = {name: value for name, value in options.items() if name not in ("sleep", "clock")}
        original(self, base_url, api_key, **rest, **own)

    example.ViralSync.__init__ = init  # type: ignore[method-assign]


def pytest_configure() -> None:
    if (form := os.environ["FORM"]) in OWN_SLEEPS:
        leave_out_what_tests_inject(OWN_SLEEPS[form])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every clock jump that real time does not move: a sleep has no effect on a frozen one."""
    for item in items if os.environ["FORM"] != "as written" else ():
        clocks = [mark.kwargs["clock"] for mark in item.iter_markers("viralsync") if "clock" in mark.kwargs]
        if clocks[:1] != ["real"]:
            item.add_marker(pytest.mark.viralsync(clock="jump"), append=False)


def pytest_viralsync_closing(sandbox: Sandbox, nodeid: str) -> None:
    verdicts[nodeid] = {each.rule: each.outcome for each in sandbox.verdict().rules}


def pytest_sessionfinish() -> None:
    Path(os.environ["OUT"]).write_text(json.dumps(verdicts))
