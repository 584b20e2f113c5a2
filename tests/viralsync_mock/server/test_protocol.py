"""One connection: how a fault breaks it off, and what a hostile client gets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer
from uvicorn.server import ServerState

from viralsync_mock.app import App
from viralsync_mock.server import BackgroundServer, Binding
from viralsync_mock.server.protocol import ABORT_EXTENSION, HEAD_LIMIT, RESPOND_EXTENSION, MockHttpProtocol, Timeouts
from viralsync_mock.settings import Settings
from viralsync_mock.state import MockServer

SECONDS = 10
SHORT = Timeouts(head=0.05, body=0.05)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
START = {"type": "http.response.start", "status": 200, "headers": []}

Serve = Callable[[Any, Any, Any], Awaitable[None]]
Start = Callable[..., str]


class Small:
    """An application of one function, beside the state that the server asks for."""

    def __init__(self, mock: MockServer, serve: Serve) -> None:
        self.mock, self._serve = mock, serve

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
            return
        for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": answer})


@pytest.fixture(scope="module")
def mock() -> MockServer:
    return MockServer.start(Settings())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    public, key = folder / "c.pem", folder / "k.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2"
    try:
        subprocess.run([*command.split(), "-out", public, "-keyout", key], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return public, key


@pytest.fixture
def start(mock: MockServer) -> Iterator[Start]:
    """Yield a function that serves one function on uvloop, where it is installed, and returns the base URL."""
    servers: list[BackgroundServer] = []

    def start(serve: Serve, patience: Timeouts | None = None, certificate: tuple[Path, Path] | None = None) -> str:
        public, key = certificate or (None, None)
        binding = Binding("127.0.0.1", 0, public, key, patience or Timeouts())
        servers.append(BackgroundServer(cast("App", Small(mock, serve)), binding).start())
        return servers[-1].base_url

    yield start
    for server in servers:
        server.stop()


def connect(base_url: str) -> socket.socket:
    url = httpx.URL(base_url)
    connection = socket.create_connection((url.host, url.port or 0), timeout=SECONDS)
    if url.scheme == "https":
        connection = trusting_anybody().wrap_socket(connection)
    return connection


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def read(connection: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def exchange(base_url: str, *parts: bytes) -> bytes:
    """Send bytes, and return what comes until the server closes."""
    with connect(base_url) as connection:
        for part in parts:
            connection.sendall(part)
        return read(connection)


def refusal(answer: bytes) -> tuple[bytes, str, str]:
    """Return the status line, code and text of the only answer that came."""
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"connection: close" in head
    document = json.loads(body)
    return head.split(b"\r\n")[0], document["code"], document["error"].removeprefix("The request is not valid: ")


def refused(text: str) -> tuple[bytes, str, str]:
    return b"HTTP/1.1 400 Bad Request", "VALIDATION_ERROR", text


async def answer(send: Any, body: bytes = b"fine") -> None:
    await send({**START, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def read_and_answer(_scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body, once all of it is there."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await answer(send, b"%d" % size)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


# Hanging up


def hanging_up(*, reset: bool, written: tuple[bytes, ...] = ()) -> Serve:
    """Return an application that writes the head and these chunks, if any, and breaks off."""

    async def serve(scope: Any, _receive: Any, send: Any) -> None:
        if written:
            await send(START)
        for chunk in written:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        scope["extensions"][ABORT_EXTENSION](reset=reset)

    return serve


def test_hanging_up_before_an_answer_leaves_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The client reads the end of the connection, and uvicorn does not complain of a missing answer."""
    assert exchange(start(hanging_up(reset=False)), GET) == b""
    assert errors(caplog) == []


@pytest.mark.parametrize("is_tls", [False, True])
def test_what_was_written_leaves_before_the_hang_up(
    start: Start, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, is_tls: bool
) -> None:
    """Of an answer cut short the client has every byte up to the cut, and no end."""
    certificate = request.getfixturevalue("certificate") if is_tls else None
    got = exchange(start(hanging_up(reset=False, written=(b"abc", b"x" * 300_000)), None, certificate), GET)
    expected = b"3\r\nabc\r\n%x\r\n%b\r\n" % (300_000, b"x" * 300_000)
    assert got.partition(b"\r\n\r\n")[2] == expected
    assert errors(caplog) == []


def test_a_hang_up_with_bytes_unread_is_no_reset(start: Start) -> None:
    """A client in the midst of its body gets what was written, and an orderly end."""
    body = b"x" * 3_000_000
    got = exchange(start(hanging_up(reset=False, written=(b"abc",))), POST + b"content-length: 9000000\r\n\r\n", body)
    assert got.endswith(b"\r\n\r\n3\r\nabc\r\n")


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("written", [(), (b"abc",)], ids=["before", "within"])
def test_a_reset_is_one_of_tcp(
    start: Start,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    is_tls: bool,
    written: tuple[bytes, ...],
) -> None:
    """The client's system call fails, before the answer and within it, over TLS as well."""
    certificate = request.getfixturevalue("certificate") if is_tls else None
    base_url = start(hanging_up(reset=True, written=written), None, certificate)
    with socket.create_connection(("127.0.0.1", httpx.URL(base_url).port or 0), timeout=SECONDS) as connection:
        connection.sendall(through_tls(connection, GET) if is_tls else GET)
        with pytest.raises(ConnectionResetError):
            read(connection)
    assert errors(caplog) == []


def through_tls(connection: socket.socket, data: bytes) -> bytes:
    """Shake hands on a bare socket and return data encrypted: Python's own TLS sockets read a reset as an end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting_anybody().wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            incoming.write(connection.recv(1 << 16))
    tls.write(data)
    return outgoing.read()


@pytest.mark.parametrize("reset", [False, True])
def test_nothing_is_sent_after_hanging_up(start: Start, reset: bool) -> None:
    """What the application goes on to send leads nowhere, and it reads that the client is gone."""
    seen: list[str] = []
    done = threading.Event()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][ABORT_EXTENSION](reset=reset)
        scope["extensions"][ABORT_EXTENSION](reset=reset)
        await answer(send)
        seen.append((await receive())["type"])
        done.set()

    with connect(start(serve)) as connection:
        connection.sendall(GET)
        assert done.wait(SECONDS)
        assert seen == ["http.disconnect"]
        if not reset:
            assert read(connection) == b""


def test_requests_behind_a_hang_up_are_not_served(start: Start) -> None:
    """Whatever was pipelined is gone with the connection, and another connection is served."""
    paths: list[str] = []

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        if scope["path"] == "/break":
            await send(START)
            scope["extensions"][ABORT_EXTENSION](reset=False)
        else:
            await read_and_answer(scope, receive, send)

    base_url = start(serve)
    got = exchange(base_url, *(GET.replace(b"/", path, 1) for path in (b"/first", b"/break", b"/lost")))
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert httpx.get(f"{base_url}/after").text == "0"
    assert paths == ["/first", "/break", "/after"]


@pytest.mark.parametrize("reset", [False, True])
async def test_asyncio_s_own_transport_hangs_up_too(mock: MockServer, reset: bool) -> None:
    """Where uvloop is not installed a hang-up is the same."""
    serve = hanging_up(reset=reset, written=(b"abc",))
    config = uvicorn.Config(cast("Any", Small(mock, serve)), log_config=None, lifespan="off")
    make = partial(MockHttpProtocol, Timeouts(), config, ServerState(), {})
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(GET)
        ended = asyncio.ensure_future(reader.read())
        await asyncio.wait([ended], timeout=SECONDS)
        writer.close()
    error = ended.exception()
    assert isinstance(error, ConnectionResetError) if reset else ended.result().endswith(b"\r\n\r\n3\r\nabc\r\n")


# How long a head may be


ENDLESS = 5_000_000  # more than the limit and what the server reads at once
TOO_LONG = f"the request: expected a head of at most {HEAD_LIMIT} bytes (request line and headers), got more"


@pytest.mark.parametrize("event", ["half close", "garbage", "stop", "lost"])
async def test_a_response_that_has_not_left_yet_leaves_before_anything_else(mock: MockServer, event: str) -> None:
    """Responses leave at the end of a turn of the loop, and a client may do something before."""
    written: list[bytes] = []
    seen: list[bytes] = []

    class Recording(asyncio.Transport):
        write = staticmethod(written.append)

        def is_closing(self) -> bool:
            return False

        def close(self) -> None:
            written.append(b"closed")

        def can_write_eof(self) -> bool:
            return False

    async def serve(scope: Any, _receive: Any, _send: Any) -> None:
        assert scope["extensions"][RESPOND_EXTENSION](200, b"content-length: 4\r\n", b"fine")
        assert not written
        {
            "half close": protocol.eof_received,
            "garbage": partial(protocol.data_received, b"\0\r\n\r\n"),
            "stop": protocol.shutdown,
            "lost": partial(protocol.connection_lost, ConnectionResetError()),
        }[event]()
        seen.extend(written)

    config = uvicorn.Config(cast("App", Small(mock, serve)), log_config=None, proxy_headers=False)
    config.load()
    protocol = MockHttpProtocol(SHORT, config, ServerState(), {})
    protocol.connection_made(Recording())
    protocol.data_received(GET)
    await next(iter(protocol.tasks))
    if event == "lost":  # writing would raise: the transport is gone
        assert written == []
        return
    assert seen[0] == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
    protocol.connection_lost(None)


def head_of(size: int, line: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n") -> bytes:
    """Return a head of exactly this many bytes."""
    start, end = line + b"connection: close\r\nx: ", b"\r\n\r\n"
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("extra", [b"", b"content-length: 100000\r\n"], ids=["alone", "with a body"])
@pytest.mark.parametrize("size", [1 << 10, 1 << 20], ids=["pieces", "whole"])
def test_a_head_up_to_the_limit_is_taken(start: Start, size: int, extra: bytes) -> None:
    """The limit itself is allowed, however it comes, and bytes of the body are none of the head."""
    head = head_of(HEAD_LIMIT, b"GET / HTTP/1.1\r\nhost: x\r\n" + extra)
    body = b"x" * 100_000 if extra else b""
    sent = head + body
    got = exchange(start(read_and_answer), *(sent[at : at + size] for at in range(0, len(sent), size)))
    assert (got[:15], got.rpartition(b"\r\n")[2]) == (b"HTTP/1.1 200 OK", b"%d" % len(body))


@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_a_head_beyond_the_limit_is_refused(start: Start, pieces: int) -> None:
    """One byte more is refused with the limit in the text, and the server goes on."""
    base_url = start(read_and_answer)
    head = head_of(HEAD_LIMIT + 1)
    step = len(head) // pieces + 1
    parts = [head[at : at + step] for at in range(0, len(head), step)]
    assert refusal(exchange(base_url, *parts)) == refused(TOO_LONG)
    assert httpx.get(base_url).text == "0"


@pytest.mark.parametrize("start_of", [b"GET /", b"GET / HTTP/1.1\r\nx", b"GET / HTTP/1.1\r\nx: "])
def test_a_head_without_an_end_is_refused(start: Start, start_of: bytes) -> None:
    """A target, a name or a value that goes on and on is cut off at the limit."""
    sent = start_of + b"a" * (HEAD_LIMIT + 1 - len(start_of))
    assert refusal(exchange(start(read_and_answer), sent)) == refused(TOO_LONG)


def test_a_refused_client_can_read_why(start: Start) -> None:
    """Who goes on sending gets the refusal whole, and not a reset."""
    sent = b"GET / HTTP/1.1\r\nx: " + b"a" * ENDLESS
    assert refusal(exchange(start(read_and_answer), sent)) == refused(TOO_LONG)


def test_a_refused_client_that_does_not_leave_is_closed(start: Start) -> None:
    """Its bytes are taken for a second, and then no more."""
    with connect(start(read_and_answer)) as connection:
        connection.sendall(head_of(HEAD_LIMIT + 1))
        assert refusal(read(connection)) == refused(TOO_LONG)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_end(connection)


def send_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"a" * ENDLESS)


def test_many_requests_at_once_are_not_one_long_head(start: Start) -> None:
    """A head is counted from the end of the request before it."""
    many = 3000
    got = exchange(start(read_and_answer), GET * (many - 1) + head_of(500))
    assert len(GET * many) > HEAD_LIMIT
    assert got.count(b"HTTP/1.1 200 OK") == many


@pytest.mark.parametrize(
    "sent", [b"1;" + b"a" * ENDLESS, b"1\r\na\r\n0\r\nx: " + b"a" * ENDLESS], ids=["extension", "trailer"]
)
def test_what_is_not_of_the_body_is_bounded_too(start: Start, sent: bytes) -> None:
    """Nobody fills the memory through chunk extensions or trailers."""
    head = POST + b"transfer-encoding: chunked\r\n\r\n"
    assert refusal(exchange(start(read_and_answer), head, sent)) == refused(TOO_LONG)


# How long a request may take


HOLD = 0.35  # more than is granted, and not long before it is looked at again
HELD = Timeouts(head=0.2, body=0.2)
SLOW_HEAD = "the request: expected the end of its head within 0.05 seconds"
SLOW_BODY = "the body: expected more of it within 0.05 seconds, got nothing"


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"G", POST, POST + b"x: "])
def test_a_head_that_does_not_end_is_refused(start: Start, sent: bytes) -> None:
    """A slow client does not keep a connection, and the server goes on."""
    base_url = start(read_and_answer, SHORT)
    assert refusal(exchange(base_url, sent)) == refused(SLOW_HEAD)
    assert httpx.get(base_url).text == "0"


@pytest.mark.parametrize("is_glued", [False, True])
def test_a_second_head_is_bounded_like_the_first(start: Start, is_glued: bool) -> None:
    """It is so behind a call that was answered, in the same packet and after it."""
    with connect(start(read_and_answer, SHORT)) as connection:
        connection.sendall(GET + POST if is_glued else GET)
        first = connection.recv(len(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0"), socket.MSG_WAITALL)
        connection.sendall(b"" if is_glued else POST)
        assert (first[-1:], refusal(read(connection))) == (b"0", refused(SLOW_HEAD))


def test_each_byte_of_a_head_does_not_buy_more_time(start: Start) -> None:
    """The seconds count from the first byte: a byte every now and then does not keep the connection."""
    with connect(start(read_and_answer, SHORT)) as connection:
        connection.sendall(POST + b"x: ")
        connection.settimeout(0.005)
        got = b""
        while not got:
            try:
                got = connection.recv(1 << 16)
            except TimeoutError:
                connection.sendall(b"a")
    assert refusal(got) == refused(SLOW_HEAD)


@pytest.mark.parametrize(
    "sent",
    [b"content-length: 5\r\n\r\n", b"content-length: 5\r\n\r\n12", b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n"],
)
def test_a_body_that_stops_is_refused(start: Start, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The call learns that its client is gone."""
    base_url = start(read_and_answer, Timeouts(head=30, body=0.05))
    assert refusal(exchange(base_url, POST + sent)) == refused(SLOW_BODY)
    assert errors(caplog) == []


def test_each_piece_of_a_body_buys_more_time(start: Start) -> None:
    """A body may take as long as it likes while some of it comes."""
    head = POST + b"connection: close\r\ncontent-length: 30\r\n\r\n"
    with connect(start(read_and_answer, Timeouts(head=0.3, body=0.3))) as connection:
        connection.sendall(head)
        connection.settimeout(0.02)
        for _ in range(30):
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.sendall(b"a")
        connection.settimeout(SECONDS)
        assert read(connection).endswith(b"\r\n\r\n30")


def test_a_body_that_stops_after_its_answer_is_cut_off(start: Start) -> None:
    """Nothing follows the answer but the end."""

    async def serve(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send)

    with connect(start(serve, SHORT)) as connection:
        connection.sendall(POST + b"content-length: 5\r\n\r\n")
        first = connection.recv(len(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"), socket.MSG_WAITALL)
        connection.sendall(b"1")
        assert (first[-4:], read(connection)) == (b"fine", b"")


def test_an_idle_connection_has_a_time_of_its_own(start: Start) -> None:
    """Between two calls neither of the bounds on a request holds; a blank line is no request, and no way around."""
    with connect(start(read_and_answer, Timeouts(head=0.01, body=0.01, idle=0.3))) as connection:
        connection.sendall(GET)
        first = connection.recv(1 << 16)
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(SECONDS)
        connection.sendall(b"\r\n")
        assert (first[-1:], read(connection)) == (b"0", b"")


def held(gate: asyncio.Event, *, first: bytes = b"") -> Serve:
    """Return an application that sends a chunk, if any, and waits for the gate before it reads and answers."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if first:
            await send(START)
            await send({"type": "http.response.body", "body": first, "more_body": True})
        asyncio.get_running_loop().call_later(HOLD, gate.set)
        await gate.wait()
        if first:
            await send({"type": "http.response.body", "body": b"last"})
        else:
            await read_and_answer(scope, receive, send)

    return serve


@pytest.mark.parametrize("behind", [b"", b"GET /", b"\r\n"], ids=["alone", "before a head", "before a blank line"])
@pytest.mark.parametrize("framing", [b"", b"content-length: 5\r\n"], ids=["whole", "body missing"])
def test_an_open_stream_is_never_cut(start: Start, framing: bytes, behind: bytes) -> None:
    """While an answer is under way a client may be silent, whatever of a request is still to come."""
    with connect(start(held(asyncio.Event(), first=b"event"), SHORT)) as connection:
        connection.sendall(POST + framing + b"\r\n" + (b"" if framing else behind))
        got = b""
        while b"\r\n0\r\n\r\n" not in got:
            part = connection.recv(1 << 16)
            assert part != b""
            got += part
    assert got.partition(b"\r\n\r\n")[2].startswith(b"5\r\nevent\r\n4\r\nlast\r\n0\r\n\r\n")


def test_a_client_whose_body_is_not_read_is_waited_for(start: Start) -> None:
    """When the call does not take the body up, the time is not the client's fault."""
    body = b"x" * 5_000_000
    base_url = start(held(asyncio.Event()), HELD)
    assert httpx.post(base_url, content=body).text == str(len(body))


def test_a_client_that_waits_to_be_asked_for_the_body_is_waited_for(start: Start) -> None:
    """With `expect: 100-continue` it is the call that has to begin, and the client's time starts then."""
    with connect(start(held(asyncio.Event()), HELD)) as connection:
        connection.sendall(POST + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n")
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(SECONDS)
        connection.sendall(b"ab")
        assert read(connection).endswith(b"\r\n\r\n2")


# What is not HTTP


@pytest.mark.parametrize("pipelined", [b"", GET], ids=["alone", "behind another"])
def test_a_refusal_never_lands_within_an_answer(start: Start, pipelined: bytes) -> None:
    """Rubbish on the connection of an open stream ends the stream, and is not answered in the midst of it."""

    async def serve(_scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        await receive()

    with connect(start(serve)) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        got = b""
        while b"event" not in got:
            got += connection.recv(1 << 16)
        connection.sendall(pipelined + b"\0\r\n\r\n")
        with suppress(ConnectionResetError):  # the system's, when it was closed with bytes unread
            got += read(connection)
    assert got.partition(b"\r\n\r\n")[2] in (b"5\r\nevent\r\n", b"5\r\nevent\r\n1\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"x: a\nb",
        b"x: a\rb: c",
        b"x: a\0b",
        b"x: a\x1fb",
        b"x: a\x7fb",
        b"x y: a",
        b"x : a",
        b"x\0: a",
        b"\xff: a",
        b": a",
        b"x",
        b"content-length: -1",
        b"content-length: 1\r\ncontent-length: 2",
        b"content-length: 1\r\ntransfer-encoding: chunked",
        b"transfer-encoding: gzip",
    ],
)
def test_a_header_that_http_does_not_have_is_refused(live_server: LiveServer, header: bytes) -> None:
    """No control character, no odd name and no second framing comes as far as a call."""
    got = exchange(live_server.base_url, b"GET /v1/me HTTP/1.1\r\nhost: localhost\r\n" + header + b"\r\n\r\n")
    assert refusal(got)[:2] == refused("")[:2]


HEADERS = {"connection", "content-length", "content-type", "date", "retry-after", "allow", "www-authenticate"}


@given(
    path=st.text("\r\n: aé%/", max_size=8),
    value=st.binary(max_size=12).filter(lambda each: not set(each) & set(b"\r\n\0\x7f")),
)
def test_no_byte_of_a_request_makes_a_header(path: str, value: bytes, injected: LiveServer) -> None:
    """Line ends in a path, even encoded ones, and whatever a header holds, add no header to the answer."""
    target = f"{injected.base_url}/v1/jobs/{httpx.QueryParams({'x': path})}%0d%0ax-injected:%201"
    clean = bytes(each for each in value if each >= 32).strip()
    got = httpx.get(target, headers=[(b"x-api-key", clean), (b"last-event-id", clean), (b"x-scenario", clean)])
    assert {name for name in got.headers if not name.startswith("x-mock-")} <= HEADERS


@pytest.fixture(scope="module")
def injected(_server: LiveServer) -> LiveServer:
    return _server
