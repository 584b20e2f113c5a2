"""Requests of real clients, proxies and pages that a simple server gets wrong, over a real socket."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"
BODY = json.dumps(movie()).encode()
UPGRADE = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA")
KEY = "vs_prod_" + "7d" * 16

StartMock = Callable[[Settings], LiveServer]


def connect(base_url: str) -> socket.socket:
    url = httpx.URL(base_url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def head(line: str, *headers: str, host: str = "localhost") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"host: {host}", *headers, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


# Offers to upgrade


@pytest.mark.parametrize("cut", [0, 10, len(BODY)], ids=["head and body apart", "within the body", "together"])
def test_an_offer_to_upgrade_keeps_its_body(live_server: LiveServer, cut: int) -> None:
    """`curl --http2` and Java's client offer h2c with each request: a server may ignore it (RFC 9110 7.8)."""
    key, length = f"x-api-key: {live_server.new_key()}", f"content-length: {len(BODY)}"
    with connect(live_server.base_url) as connection:
        connection.sendall(head(f"POST {SUBMIT}", key, length, "content-type: application/json", *UPGRADE) + BODY[:cut])
        connection.sendall(BODY[cut:] + head("GET /v1/me", key, "connection: close"))
        assert statuses(received(connection)) == [202, 200]


def test_an_offer_without_a_body_is_answered(live_server: LiveServer) -> None:
    """On the control API too, and the next request of the connection is none of the other protocol."""
    key = f"x-api-key: {live_server.new_key()}"
    with connect(live_server.base_url) as connection:
        connection.sendall(head("GET /__mock/clock", key, *UPGRADE) + head("GET /v1/me", key, "connection: close"))
        assert statuses(received(connection)) == [200, 200]


# Paths and hosts


def test_an_escaped_slash_is_data(frozen: httpx.Client) -> None:
    """`%2F` begins no segment (RFC 3986 2.2): neither is the job cancelled, nor another path reached."""
    job = frozen.post(SUBMIT, json=movie()).json()["jobId"]
    answers = [frozen.post(f"/v1/jobs/{job}%2fcancel"), frozen.get("/v1%2Fme"), frozen.get(f"/v1/jobs/{job}%0A")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert frozen.get(f"/v1/jobs/{job}").json()["status"] == "queued"


@pytest.mark.parametrize("hosts", ["", "host: localhost\r\nhost: localhost\r\n"], ids=["none", "two"])
def test_exactly_one_host_is_expected(live_server: LiveServer, hosts: str) -> None:
    """RFC 9112 3.2 asks for 400."""
    with connect(live_server.base_url) as connection:
        connection.sendall(f"GET /v1/me HTTP/1.1\r\n{hosts}\r\n".encode())
        answer = received(connection)
    assert statuses(answer) == [400]
    assert b"expected exactly one Host" in answer


def test_http_1_0_needs_no_host(live_server: LiveServer) -> None:
    """It did not know the header yet."""
    with connect(live_server.base_url) as connection:
        connection.sendall(f"GET /v1/me HTTP/1.0\r\nx-api-key: {live_server.new_key()}\r\n\r\n".encode())
        assert statuses(received(connection)) == [200]


@pytest.mark.parametrize("path", ["/v1/me", "/__mock/clock"])
@pytest.mark.parametrize(
    ("host", "status"),
    [("studio.example", 403), ("localhost.studio.example:80", 403), ("LOCALHOST:1", 200), ("[::1]", 200)],
)
def test_a_loopback_server_answers_to_names_of_this_machine(
    client: httpx.Client, path: str, host: str, status: int
) -> None:
    """A page can make its own name lead to 127.0.0.1: then its `Host` gives it away."""
    assert client.get(path, headers={"host": host}).status_code == status


def test_a_named_host_is_answered(start_mock: StartMock) -> None:
    """`--allow-host` names what else leads here."""
    server = start_mock(Settings(clock=Mode.FROZEN, allowed_hosts=("mock.example",)))
    with server.client() as client:
        assert client.get("/v1/me", headers={"host": "Mock.Example:8080"}).status_code == 200


# Content codings


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("deflate", bare_deflate)],
)
def test_an_encoded_body_is_decoded(client: httpx.Client, coding: str, pack: Callable[[bytes], bytes]) -> None:
    """The job is made as from the plain body."""
    headers = {"content-type": "application/json", "content-encoding": coding}
    assert client.post(SUBMIT, content=pack(BODY), headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("coding", "content"), [("br", b"x"), ("gzip, gzip", b"x"), ("gzip", BODY), ("deflate", zlib.compress(BODY)[:-3])]
)
def test_a_body_that_cannot_be_decoded_is_refused(client: httpx.Client, coding: str, content: bytes) -> None:
    """The text names the header, not the JSON."""
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = client.post(SUBMIT, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "header.content-encoding: " in answer.json()["error"]


def test_an_encoded_body_is_replayed_plain(client: httpx.Client) -> None:
    """The journal keeps it decoded, so the command must not say that it is encoded."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    made = client.post(SUBMIT, content=gzip.compress(BODY), headers=headers)
    call = client.get(f"/__mock/journal/{made.headers['x-mock-call-id']}").json()
    assert json.loads(call["request"]["body"]) == movie()
    assert "content-encoding" not in call["replay"]["curl"]


def test_a_body_is_bounded_after_decoding(client: httpx.Client) -> None:
    """A few bytes that unpack to many are too large."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post(SUBMIT, content=gzip.compress(b" " * 5_000_000), headers=headers).status_code == 413


# Pages


@pytest.mark.parametrize("path", [SUBMIT, "/v1/jobs/job_1/cancel", "/v1/nowhere", "/__mock/reset"])
@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"])
def test_a_preflight_for_a_private_network_is_answered(live_server: LiveServer, path: str, origin: str) -> None:
    """Browsers ask so before a public page may call this machine."""
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,content-type",
        "access-control-request-private-network": "true",
    }
    answer = httpx.options(f"{live_server.base_url}{path}", headers=asked)
    allowed = [answer.headers.get(f"access-control-allow-{name}") for name in ("origin", "private-network")]
    assert (answer.status_code, allowed) == (200, [origin, "true"])


@pytest.mark.parametrize("origin", ["https://studio.example", "null", "http://localhost.studio.example"])
def test_pages_elsewhere_are_not_let_in(live_server: LiveServer, client: httpx.Client, origin: str) -> None:
    """Their preflight is refused with what to do, and they may read nothing."""
    asked = {"origin": origin, "access-control-request-method": "GET"}
    preflight = httpx.options(f"{live_server.base_url}/v1/me", headers=asked)
    assert (preflight.status_code, "--cors-origin" in preflight.text) == (400, True)
    assert "access-control-allow-origin" not in client.get("/v1/me", headers={"origin": origin}).headers


def test_a_named_origin_is_let_in(start_mock: StartMock) -> None:
    """`--cors-origin` names it."""
    server = start_mock(Settings(clock=Mode.FROZEN, cors_origins=("https://studio.example",)))
    with server.client() as client:
        answer = client.get("/v1/me", headers={"origin": "https://studio.example"})
    assert answer.headers["access-control-allow-origin"] == "https://studio.example"


# Half-closed clients, and stopping


def test_a_client_that_closes_its_side_gets_its_answer(live_server: LiveServer) -> None:
    """As `nc -N` does once its input has ended."""
    with connect(live_server.base_url) as connection:
        connection.sendall(head("GET /v1/me", f"x-api-key: {live_server.new_key()}"))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(received(connection)) == [200]


LARGE = movie(movie={"scenes": [{"id": "a", "duration": 1, "layers": [{"type": "text", "text": "x" * 900_000}]}]})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fault", ["", "latency=300ms", "slow_body=300ms"])
def test_a_half_closed_client_gets_its_answer_late_and_large(live_server: LiveServer, method: str, fault: str) -> None:
    """However late it comes and however large it is; a probe that it has to ignore may come before."""
    key = live_server.new_key()
    with httpx.Client(base_url=live_server.base_url, headers={"x-api-key": key}) as client:
        job = client.post(SUBMIT, json=LARGE).json()["jobId"]
    with connect(live_server.base_url) as connection:
        more = [f"x-mock-fault: {fault}"] if fault else []
        connection.sendall(head(f"{method} /v1/jobs/{job}", f"x-api-key: {key}", *more))
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert statuses(answer) in ([200], [100, 200])
    assert (len(answer) > 900_000) is (method == "GET")


def test_a_client_that_half_closes_within_a_slow_body_gets_the_rest_of_it(live_server: LiveServer) -> None:
    """Its length is known, so that there is no byte to ask with whether the client is still there."""
    with connect(live_server.base_url) as connection:
        more = [f"x-api-key: {live_server.new_key()}", "x-mock-fault: slow_body=200ms"]
        connection.sendall(head("GET /v1/me", *more))
        start = connection.recv(1 << 16)
        connection.shutdown(socket.SHUT_WR)
        answer = start + received(connection)
    assert statuses(answer) == [200]
    assert answer.endswith(b"}")


def test_two_calls_of_a_half_closed_client_are_both_answered(live_server: LiveServer) -> None:
    """Pipelined, as a script with `nc` sends them."""
    with connect(live_server.base_url) as connection:
        connection.sendall(2 * head("GET /v1/me", f"x-api-key: {live_server.new_key()}"))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(received(connection)) == [200, 200]


def test_a_half_closed_client_gets_its_stream_to_the_end(live_server: LiveServer) -> None:
    """The comment that tells it from one that has gone is no event."""
    key = live_server.new_key(clock="frozen")
    with httpx.Client(base_url=live_server.base_url, headers={"x-api-key": key}) as client:
        job = client.post(SUBMIT, json=movie()).json()["jobId"]
        with connect(live_server.base_url) as connection:
            connection.sendall(head(f"GET /v1/jobs/{job}/progress", f"x-api-key: {key}"))
            start = connection.recv(1 << 16)
            connection.shutdown(socket.SHUT_WR)
            while b"\n:\n" not in start:
                start += connection.recv(1 << 16)
            client.post("/__mock/clock/advance", json={"seconds": 600})
            stream = start + received(connection)
    assert b'"status":"done"' in stream
    assert stream.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("fault", ["latency=60s", "slow_body=4s", "timeout"])
def test_a_client_that_has_gone_is_noticed_while_its_call_is_held(live_server: LiveServer, fault: str) -> None:
    """It looks like a half-closed one, but resets what is sent to it."""
    key = live_server.new_key()
    sandbox = live_server.app.mock.sandbox(key)
    with connect(live_server.base_url) as connection:
        connection.sendall(head("GET /v1/me", f"x-api-key: {key}", f"x-mock-fault: {fault}"))
        while not sandbox.clock.calls and not len(sandbox.journal):
            threading.Event().wait(0.01)
    while sandbox.in_use:
        threading.Event().wait(0.01)
    assert next(sandbox.journal.oldest_first()).ending in ("client left", "timeout")


@pytest.mark.parametrize("fault", ["latency=60s", "timeout=before", "slow_body=60s"])
def test_a_stop_breaks_off_held_calls(fault: str) -> None:
    """No text of the server's own takes the place of the response."""
    app = create_app(Settings(clock=Mode.FROZEN))
    server = BackgroundServer(app).start()
    with connect(server.base_url) as connection:
        connection.sendall(head("GET /v1/me", f"x-api-key: {KEY}", f"x-mock-fault: {fault}"))
        while not len(app.mock.sandbox(KEY).journal):
            threading.Event().wait(0.01)
        server.stop()
        try:
            got = received(connection)
        except ConnectionResetError:
            got = b""
    assert b"Internal Server Error" not in got
    assert not got or fault.startswith("slow_body")


# The journal, streams and webhooks


@pytest.mark.parametrize(
    ("fault", "status"), [("status=503", 503), ("reset_peer=before", None), ("empty_response=before", None)]
)
def test_a_broken_call_is_about_its_job(frozen: httpx.Client, fault: str, status: int | None) -> None:
    """The journal knows the job from the path, whatever came of the call."""
    job = frozen.post(SUBMIT, json=movie()).json()["jobId"]
    with suppress(httpx.TransportError):
        frozen.get(f"/v1/jobs/{job}", headers={"x-mock-fault": fault})
    calls = frozen.get(f"/__mock/journal?jobId={job}&operation=getJob").json()["calls"]
    assert [(call["jobId"], call["status"]) for call in calls] == [(job, status)]


def test_a_refused_call_is_about_its_job(frozen: httpx.Client) -> None:
    """Also one without the right to look."""
    frozen.patch("/__mock/account", json={"revoked": True})
    frozen.delete("/v1/jobs/job_000000000001")
    calls = frozen.get("/__mock/journal?jobId=job_000000000001").json()["calls"]
    assert [call["code"] for call in calls] == ["API_KEY_REVOKED"]


def with_behaviour(client: httpx.Client, **sse: Any) -> str:
    """Open a sandbox with switches of streams; return the id of a job that is done."""
    client.put("/__mock/sandbox", json={"clock": "auto", "behaviour": {"sse": sse}}).raise_for_status()
    job = str(client.post(SUBMIT, json=movie()).json()["jobId"])
    client.post("/__mock/clock/advance", json={"seconds": 3600}).raise_for_status()
    return job


def last_id(stream: str) -> str:
    return [line.removeprefix("id: ") for line in stream.splitlines() if line.startswith("id: ")][-1]


@pytest.mark.parametrize(("reading", "status"), [("empty_stream", 200), ("no_content", 204)])
def test_a_reconnect_after_the_end_is_a_switch(client: httpx.Client, reading: str, status: int) -> None:
    """204 ends the reconnecting of an `EventSource` (HTML standard 9.2)."""
    job = with_behaviour(client, after_end=reading)
    seen = last_id(client.get(f"/v1/jobs/{job}/progress").text)
    again = client.get(f"/v1/jobs/{job}/progress", headers={"last-event-id": seen})
    assert (again.status_code, again.text) == (status, "")


@pytest.mark.parametrize(("milliseconds", "count"), [(None, 0), (2500, 1)])
def test_the_time_to_reconnect_is_a_switch(client: httpx.Client, milliseconds: int | None, count: int) -> None:
    """`retry:` comes once, with the first event."""
    stream = client.get(f"/v1/jobs/{with_behaviour(client, retry_milliseconds=milliseconds)}/progress")
    assert (stream.text.count("retry: "), stream.text.startswith("retry: 2500\n")) == (count, bool(count))


def test_no_proxy_holds_events_back(client: httpx.Client) -> None:
    """Nginx buffers a stream unless the header says no."""
    job = client.post(SUBMIT, json=movie()).json()["jobId"]
    assert client.get(f"/v1/jobs/{job}/progress").headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "[::1]", "127.8.9.1"])
def test_no_webhook_goes_to_the_mock_itself(live_server: LiveServer, client: httpx.Client, host: str) -> None:
    """It could reset every sandbox: the delivery fails, and says why."""
    port = httpx.URL(live_server.base_url).port
    url = f"http://{host}:{port}/__mock/reset?all=true"
    client.post(SUBMIT, json=movie(callbackUrl=url)).raise_for_status()
    client.post("/__mock/clock/advance", json={"seconds": 3600}).raise_for_status()
    deliveries = client.get("/__mock/deliveries").json()["deliveries"]
    reasons = {attempt["reason"] for each in deliveries for attempt in each["attempts"]}
    assert len(reasons) == 1
    assert "leads to the mock itself" in reasons.pop()
