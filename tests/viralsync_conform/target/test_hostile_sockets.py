"""What a server on a real socket can do to a call: nothing takes longer than it may, and nothing fills the memory."""

from __future__ import annotations

import contextlib
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from viralsync_conform.clocks import measured, pause
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Verdict
from viralsync_conform.target.wire import MAX_SHORT, Connections, ask, check_reachable

KEY = "vs_prod_" + "k3" * 16
SECONDS = 0.3
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def drip_headers(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        client.sendall(b"a")
        pause(0.02)


def drip_body(client: socket.socket) -> None:
    client.sendall(HEAD + b"content-length: 100000\r\n\r\n")
    while True:
        client.sendall(b" ")
        pause(0.02)


def say_nothing(client: socket.socket) -> None:
    client.recv(1)
    pause(5)


def endless_body(client: socket.socket) -> None:
    client.sendall(HEAD + b"\r\n")
    while True:
        client.sendall(b"[" * 65536)


def bomb(client: socket.socket) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    content = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    client.sendall(HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(content) + content)


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer every connection so, on a loopback address, until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_answer, args=(client, answer), daemon=True).start()


def _answer(client: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError), client:
        client.recv(65536)
        answer(client)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (drip_headers, "the answer did not end within 0.3 s"),
        (say_nothing, "the answer did not end within 0.3 s"),
        (drip_body, "the body did not end within 0.3 s"),
        (endless_body, "the body is longer than 8 MiB"),
        (bomb, "the body is longer than 8 MiB"),
    ],
)
def test_no_answer_takes_longer_than_it_may(answer: Callable[[socket.socket], None], problem: str) -> None:
    """Each byte may come in time, and the whole does not: the call ends, and says what was wrong."""
    with serving(answer) as url, httpx2.Client(timeout=10) as http, measured() as taken:
        found = ask(http, http.build_request("GET", f"{url}/v1/me"), SECONDS if "did" in problem else 10.0)
    assert (found.problem, len(found.body) <= MAX_SHORT) == (problem, True)
    assert taken[0] < 3 if "did" in problem else taken[0] < 10


def test_hanging_up_leaves_streams_alone() -> None:
    """A stream may be open for as long as its job takes, whatever other calls of the client meet."""
    with serving(drip_body) as url, httpx2.Client(timeout=10) as http:
        connections = Connections()
        request = http.build_request("GET", f"{url}/stream")
        with connections.limit(request, 5):
            stream = http.send(request, stream=True)
        connections.keep(stream)
        assert ask(http, http.build_request("GET", url), SECONDS, connections).problem
        assert next(stream.iter_raw())
        stream.close()


def test_a_target_whose_headers_drip_is_there() -> None:
    """Whether something listens is known at once, and nothing hangs on what it says."""
    with serving(say_nothing) as url, httpx2.Client() as http:
        check_reachable(http, url)


@pytest.mark.parametrize(
    ("answer", "verdict", "check"),
    [(drip_headers, Verdict.INCONCLUSIVE, "deadline"), (endless_body, Verdict.BROKEN, "body_ends")],
)
def test_a_run_against_a_hostile_server_ends(
    answer: Callable[[socket.socket], None], verdict: Verdict, check: str
) -> None:
    """However long each call takes: a run has a deadline and says so; only bodies without an end break the contract."""
    with serving(answer) as url, measured() as taken:
        options = Options(url, "quick", KEY, deadline=0.02, answer_seconds=SECONDS, uses_control=False)
        result = conform(options)
    assert result.verdict is verdict
    assert check in {finding.check for finding in result.findings}
    assert taken[0] < 30
