"""Runs of pytest inside a test, with the plugin as an outsider has it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol

import pytest

import viralsync_mock

LAZY = ("anyio._backends._asyncio", "h11", "httpcore", "httpcore2", "httpx2", "pytest_httpserver", "werkzeug.serving")

for name in (*LAZY, *(f"viralsync_mock.{module.name}" for module in pkgutil.iter_modules(viralsync_mock.__path__))):
    if name != "viralsync_mock.__main__":
        # an inner run forgets the modules that it has loaded: what httpx, say, keeps of its own would be of another
        importlib.import_module(name)

PRELUDE = """
import os, threading
import httpx, pytest

MOVIE = {"kind": "movie", "projectId": "proj_abc123", "movie": {"scenes": [{"id": "intro", "duration": 2}]}}

def api(sandbox):
    return httpx.Client(base_url=sandbox.base_url, headers=sandbox.headers, verify=False)

def submit(sandbox, **more):
    with api(sandbox) as client:
        return client.post("/v1/render/jobs", json=MOVIE | more).json()["jobId"]

def get(sandbox, path, headers=None):
    with api(sandbox) as client:
        return client.get(path, headers=headers)
"""


USUAL = (
    *("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-W", "error"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),  # pytest-asyncio warns when it is left out
)


class Run(Protocol):
    """Runs `test_inner.py` made of the prelude and a source, with warnings as errors and in the order of the file."""

    def __call__(self, source: str, *arguments: str, subprocess: bool = False) -> pytest.RunResult:
        """Return what came of it; `subprocess` runs it in a process of its own."""
        ...


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Return a function that runs an inner pytest."""

    def run(source: str, *arguments: str, subprocess: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_inner=PRELUDE + source)
        start = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return start(*USUAL, *arguments)

    return run


def passed(result: pytest.RunResult, number: int) -> None:
    """Fail unless this many inner tests passed and nothing else happened."""
    __tracebackhide__ = True
    assert result.parseoutcomes() == {"passed": number}, "\n".join(result.outlines + result.errlines)


__all__ = ["PRELUDE", "Run", "passed", "run"]
