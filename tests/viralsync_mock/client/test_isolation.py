"""What a test patches for its own traffic does not reach ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests
import responses
import respx
import vcr
from pytest_httpx import HTTPXMock
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Receiver

from viralsync_mock.client import Sandbox


@pytest.fixture
def fresh(live_server: LiveServer) -> Iterator[Sandbox]:
    with Sandbox(live_server.base_url, live_server.new_key()) as sandbox:
        yield sandbox


def finish_a_job(sandbox: Sandbox) -> set[str]:
    """Submit with our own client, advance by the control API, and return the outcomes of the webhooks."""
    with Receiver() as receiver, sandbox.client() as client:
        sandbox.open(clock="frozen")
        job = client.post("/v1/render/jobs", json=movie(callbackUrl=receiver.url)).json()["jobId"]
        sandbox.clock.run_until(job, "done")
        assert len(receiver.got) == len(sandbox.deliveries) > 0
        return {delivery.outcome for delivery in sandbox.deliveries}


def test_respx_does_not_catch_our_traffic(fresh: Sandbox) -> None:
    """Nor do deliveries count as made that never left."""
    with respx.mock:
        respx.get("https://example.com/").respond(418)
        assert finish_a_job(fresh) == {"delivered"}
        assert httpx.get("https://example.com/").status_code == 418


def test_respx_that_answers_everything_does_not_catch_our_traffic(fresh: Sandbox) -> None:
    """With `assert_all_mocked=False` it answers 200 to whatever it does not know: what counts as delivered arrived."""
    with respx.mock(assert_all_mocked=False):
        assert finish_a_job(fresh) == {"delivered"}
        assert httpx.get("https://example.com/").status_code == 200


def test_pytest_httpx_does_not_catch_our_traffic(fresh: Sandbox, httpx_mock: HTTPXMock) -> None:
    """Users mock another service with it."""
    httpx_mock.add_response(url="https://example.com/", status_code=418)
    assert finish_a_job(fresh) == {"delivered"}
    assert httpx.get("https://example.com/").status_code == 418


def test_responses_does_not_catch_our_traffic(fresh: Sandbox) -> None:
    """It patches requests."""
    with responses.RequestsMock() as mock:
        mock.get("https://example.com/", status=418)
        assert finish_a_job(fresh) == {"delivered"}
        assert requests.get("https://example.com/", timeout=5).status_code == 418


@pytest.mark.parametrize("get", [httpx.get, httpx2.get, requests.get], ids=["httpx", "httpx2", "requests"])
def test_vcrpy_records_and_replays_the_code_under_test_only(fresh: Sandbox, tmp_path: Path, get: Any) -> None:
    """Neither control calls nor webhooks are on the tape; what is played again never reaches the mock."""
    tape, url = str(tmp_path / "tape.yaml"), f"{fresh.base_url}/v1/me"
    fresh.open(clock="frozen")
    with Receiver() as receiver, fresh.client() as client:
        for played in (0, 1):
            job = client.post("/v1/render/jobs", json=movie(callbackUrl=receiver.url)).json()["jobId"]
            with vcr.use_cassette(tape) as cassette:
                assert get(url, headers=fresh.headers, timeout=5).status_code == 200
                fresh.clock.run_until(job, "done")
            assert {delivery.outcome for delivery in fresh.deliveries} == {"delivered"}
            assert (len(cassette), cassette.play_count) == (1, played)
    fresh.assert_called("getMe", times=1)


def test_calls_of_our_client_are_the_tests_own(fresh: Sandbox) -> None:
    """They fail no rule, unless the client stands for the code under test."""
    fresh.open(scenario="instant")
    with fresh.client() as ours, fresh.client(is_observer=False) as theirs:
        job = ours.post("/v1/render/jobs", json=movie()).json()["jobId"]
        for _ in range(30):
            ours.get(f"/v1/jobs/{job}")
        assert fresh.verdict().is_good
        for _ in range(30):
            theirs.get(f"/v1/jobs/{job}")
        assert not fresh.verdict().is_good


async def test_clients_share_one_ssl_context(fresh: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """None reads the certificates of the authorities."""
    monkeypatch.setattr("ssl.SSLContext.load_verify_locations", None)
    monkeypatch.setattr("ssl.create_default_context", None)
    with fresh.client() as client, fresh.client(httpx.Client) as other:
        assert client.get("/v1/me").status_code == other.get("/v1/me").status_code == 200
    async with fresh.async_client() as third, fresh.client(httpx.AsyncClient) as fourth:
        assert (await third.get("/v1/me")).status_code == (await fourth.get("/v1/me")).status_code == 200
    assert isinstance(fourth, httpx.AsyncClient)
    assert fresh.verdict().is_good


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.mark.parametrize("get", [httpx.get, httpx2.get, requests.get], ids=["httpx", "httpx2", "requests"])
@pytest.mark.usefixtures("proxied")
def test_a_proxy_of_the_environment_does_not_catch_the_code_under_test(viralsync: Sandbox, get: Any) -> None:
    """The fixture names its host in NO_PROXY, and our own traffic asks no proxy."""
    assert get(f"{viralsync.base_url}/v1/me", headers=viralsync.headers, timeout=5).status_code == 200
    assert finish_a_job(viralsync) == {"delivered"}
