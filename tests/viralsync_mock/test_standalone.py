"""A sandbox without pytest: a block, decorators of functions and of TestCases."""

from __future__ import annotations

import asyncio
import os
import time
import unittest

import httpx
import pytest
from tests.conftest import movie

from viralsync_mock import Sandbox, open_sandbox
from viralsync_mock.errors import ControlError, UsageError


def submit(sandbox: Sandbox) -> str:
    with sandbox.client() as client:
        return str(client.post("/v1/render/jobs", json=movie()).json()["jobId"])


def test_a_block_opens_a_fresh_sandbox() -> None:
    """With its options, on the one mock of this process; another block sees nothing of it."""
    with open_sandbox(scenario="scene-fails", plan="business") as first:
        submit(first)
        seen = first.scenario(), first.account()["plan"], len(first.jobs)
    with open_sandbox() as second:
        assert (*seen, len(second.jobs)) == ("scene-fails", "business", 1, 0)
    assert (first.base_url, first.api_key != second.api_key) == (second.base_url, True)


def test_the_variables_lead_there_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands before it, and what was excepted from the proxy before still is."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.com")
    before = dict(os.environ)
    with open_sandbox() as sandbox:
        assert httpx.get(f"{os.environ['VIRALSYNC_BASE_URL']}/v1/me", headers=sandbox.headers).status_code == 200
        assert (os.environ["VIRALSYNC_API_KEY"], os.environ["NO_PROXY"]) == (sandbox.api_key, "example.com,127.0.0.1")
    assert dict(os.environ) == before


def test_sleeps_are_virtual_on_request() -> None:
    """An hour passes on the clock."""
    with open_sandbox(sleeps="virtual") as sandbox:
        start = sandbox.clock.now
        time.sleep(3600)  # noqa: TID251 - what a client does
        assert 3600 <= (sandbox.clock.now - start).total_seconds() < 3601


def test_a_function_gets_the_sandbox_as_its_last_argument() -> None:
    """Each call has a fresh one; a coroutine function too."""

    @open_sandbox(plan="business")
    def plan(name: str, sandbox: Sandbox) -> str:
        submit(sandbox)
        return f"{name} {sandbox.account()['plan']} {len(sandbox.jobs)}"

    @open_sandbox(plan="free")
    async def asynchronous_plan(sandbox: Sandbox) -> str:
        async with sandbox.async_client() as client:
            await client.get("/v1/me")
        return str(sandbox.account()["plan"])

    assert [plan("a"), plan("b"), asyncio.run(asynchronous_plan())] == ["a business 1", "b business 1", "free"]


def test_each_test_of_a_case_has_a_sandbox() -> None:
    """Opened before its own `setUp`."""

    @open_sandbox(scenario="instant")
    class Case(unittest.TestCase):
        sandbox: Sandbox

        def setUp(self) -> None:
            self.job = submit(self.sandbox)

        def test_one(self) -> None:
            assert self.sandbox.jobs[self.job].status == "done"

        def test_two(self) -> None:
            assert len(self.sandbox.jobs) == 1

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_what_is_wrong_is_refused() -> None:
    """An option, and a class that is no TestCase."""
    with pytest.raises(UsageError, match="expected real or virtual, got 'virtul'"):
        open_sandbox(sleeps="virtul")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="got the class object"):
        open_sandbox()(object)
    with pytest.raises(ControlError, match='Did you mean "scene-fails"'):
        open_sandbox(scenario="scene-fail").__enter__()
