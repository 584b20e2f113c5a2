"""`GET /__mock/metrics`, as Prometheus' own client library reads it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import MOVIE, LiveServer
from tests.support.in_process import KEY, InProcess

from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings

Read = Callable[..., float]


def parsed(text: str) -> Read:
    """Return a function from a sample's name and labels to its value; each sample is there once."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(each.name, frozenset(each.labels.items())): each.value for each in samples}
    assert len(found) == len(samples)
    return lambda name, **labels: found[f"viralsync_mock_{name}", frozenset(labels.items())]


async def metrics(mock: InProcess) -> Read:
    return parsed((await mock.call("GET", "/__mock/metrics")).content.decode())


async def test_calls_and_jobs_are_counted_by_what_became_of_them() -> None:
    """By operation and status, also a path that is none and a call that a fault broke off."""
    async with InProcess() as mock:
        await mock.call("POST", "/v1/render/jobs", MOVIE)
        await mock.call("POST", "/v1/render/jobs", {})
        await mock.call("GET", "/nowhere")
        await mock.call("GET", "/v1/me", headers={"x-mock-fault": "reset_peer"})
        read = await metrics(mock)
    assert [
        read("calls_total", operation="submitRenderJob", status="202"),
        read("calls_total", operation="submitRenderJob", status="400"),
        read("calls_total", operation="none", status="404"),
        read("calls_total", operation="getMe", status="aborted"),
        read("jobs", status="queued"),
        read("jobs", status="done"),
    ] == [1, 1, 1, 1, 1, 0]


async def test_a_stream_is_open_until_its_client_goes() -> None:
    """The gauge goes down again, the counter does not."""
    async with InProcess() as mock:
        job = (await mock.call("POST", "/v1/render/jobs", MOVIE)).document["jobId"]
        stream = mock.begin("GET", f"/v1/jobs/{job}/progress")
        await mock.quiet()
        before = await metrics(mock)
        stream.leave()
        await mock.quiet()
        after = await metrics(mock)
    assert [each(name) for each in (before, after) for name in ("open_streams", "streams_total")] == [1, 1, 0, 1]


async def test_webhooks_are_counted_when_they_end() -> None:
    """Each by its outcome."""
    async with InProcess() as mock:
        mock.receiver.replies.extend([200, None])
        await mock.call("POST", "/v1/render/jobs", {**MOVIE, "callbackUrl": "http://localhost/hook"})
        await mock.control("POST", "/clock/advance", {"seconds": 600})
        read, sent = await metrics(mock), [status for _, status in mock.receiver.got]
    assert [read("deliveries_total", outcome=each) for each in ("delivered", "failed")] == [sent.count(200), 1]


async def test_sandboxes_and_clocks_are_gauges() -> None:
    """Sandboxes by the mode of their clock; the clock of the server where a new one would be."""
    async with InProcess(sandboxes=300) as mock:
        for number in range(250):
            mock.mock.sandboxes.open(f"vs_prod_{number:032}", mock.mock.files.scenario, Mode.AUTO)
        assert mock.sandbox.key == KEY
        read = await metrics(mock)
    assert [read("sandboxes", clock=each) for each in ("frozen", "auto", "real")] == [1, 250, 0]
    assert [read("sandboxes_max"), read("clock_rate"), read("clock_timestamp_seconds")] == [300, 0, 1767225600]


def test_memory_has_the_name_that_other_programs_use(live_server: LiveServer) -> None:
    """With the content type that Prometheus asks for, and help and type for each metric."""
    with live_server.client() as client:
        response = client.get("/__mock/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {each.name: each for each in text_string_to_metric_families(response.text)}
    assert families["process_resident_memory_bytes"].samples[0].value > 1e7
    assert [name for name, each in families.items() if not each.documentation or each.type == "unknown"] == []


@pytest.mark.parametrize(("options", "status"), [({}, 403), ({"open_metrics": True}, 200)])
def test_the_token_is_asked_for_unless_the_metrics_are_open(
    start_mock: Callable[[Settings], LiveServer], options: dict[str, Any], status: int
) -> None:
    """What a team counts is its own affair, until it says otherwise; the rest stays closed."""
    server = start_mock(Settings(clock=Mode.FROZEN, control_token="sesame", **options))
    with httpx.Client(base_url=server.base_url) as client:
        assert client.get("/__mock/metrics").status_code == status
        assert client.get("/__mock/scenarios").status_code == 403
        assert client.get("/__mock/metrics", headers={"x-mock-token": "sesame"}).status_code == 200


def test_the_page_takes_no_longer_than_the_sandboxes_need() -> None:
    """Between hundreds of sandboxes other calls get their turn."""
    turns = 0

    async def run() -> None:
        nonlocal turns
        async with InProcess() as mock:
            for number in range(1000):
                mock.mock.sandboxes.open(f"vs_prod_{number:032}", mock.mock.files.scenario)
            exchange = mock.begin("GET", "/__mock/metrics")
            while not exchange.is_over:
                turns += 1
                await mock.mock.settings.real.sleep(0)

    asyncio.run(run())
    assert turns >= 10
