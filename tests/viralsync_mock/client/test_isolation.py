"""What a test patches for its own traffic does not reach ours."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx
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


def test_pytest_httpx_does_not_catch_our_traffic(fresh: Sandbox, httpx_mock: HTTPXMock) -> None:
    """Users mock another service with it."""
    httpx_mock.add_response(url="https://example.com/", status_code=418)
    assert finish_a_job(fresh) == {"delivered"}
    assert httpx.get("https://example.com/").status_code == 418


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


def test_clients_share_one_ssl_context(fresh: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """None reads the certificates of the authorities."""
    monkeypatch.setattr("ssl.SSLContext.load_verify_locations", None)
    monkeypatch.setattr("ssl.create_default_context", None)
    with fresh.client() as client:
        assert client.get("/v1/me").status_code == 200
