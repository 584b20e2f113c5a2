"""HTTP/1.1 with as little client as possible, so that what is timed is the server."""

import asyncio
import json
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.payloads import KEY, SUBMISSION_BODY, SUBMIT_PATH
from benchmarks.report import BenchmarkError

PATIENCE = 120


def request_bytes(method: str, path: str, body: bytes = b"", key: str = KEY) -> bytes:
    """A whole request as it goes over the socket."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def parse(buffer: bytes | bytearray) -> tuple[int, bytes, int] | None:
    """Status, body and length of the first whole response in `buffer`; None while it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise BenchmarkError("the server sent a response without Content-Length")
    size = int(head[at + 15 :].split(b"\r\n", 1)[0])
    whole = end + 4 + size
    return (int(head[9:12]), bytes(buffer[end + 4 : whole]), whole) if len(buffer) >= whole else None


class Connection:
    """One blocking keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send one request; status and body of the answer."""
        self._socket.sendall(request)
        buffer = bytearray()
        while (found := parse(buffer)) is None:
            received = self._socket.recv(1 << 18)
            if not received:
                raise BenchmarkError("the server closed the connection inside a response")
            buffer += received
        return found[0], found[1]

    def call(self, method: str, path: str, body: object = None, key: str = KEY) -> Any:
        """The parsed body of a call that has to succeed."""
        content = b"" if body is None else json.dumps(body).encode()
        status, answer = self.exchange(request_bytes(method, path, content, key))
        if status >= 300:
            raise BenchmarkError(f"{method} {path} answered {status}: {answer[:200].decode(errors='replace')}")
        return json.loads(answer)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        self.call("POST", "/__mock/clock/advance", {"seconds": seconds})


def answers(port: int) -> bool:
    """Whether something speaks HTTP on `port`, whatever it says."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as probe:
            probe.sendall(request_bytes("GET", "/v1/me"))
            return probe.recv(8).startswith(b"HTTP/1.1")
    except OSError:
        return False


def submit(port: int, count: int, connections: int = 16) -> list[str]:
    """Submit `count` jobs over a few connections; their ids, in the order of the answers."""
    bodies = asyncio.run(_repeat(port, request_bytes("POST", SUBMIT_PATH, SUBMISSION_BODY), count, connections))
    return [str(json.loads(body)["jobId"]) for body in bodies]


def submit_and_finish(port: int, count: int, batch: int = 1000) -> list[str]:
    """Submit `count` jobs in batches, moving a frozen clock past the end of each batch; their ids."""
    ids: list[str] = []
    with Connection(port) as connection:
        while len(ids) < count:
            ids += submit(port, min(batch, count - len(ids)))
            connection.advance(3600)
        status = connection.call("GET", f"/v1/jobs/{ids[-1]}")["status"]
    if status != "done":
        raise BenchmarkError(f"the last job is {status} after an hour of virtual time")
    return ids


class _Repeater(asyncio.Protocol):
    """Sends the same request as often as `take` allows, one at a time."""

    def __init__(self, request: bytes, take: Callable[[], bool], bodies: list[bytes], ended: asyncio.Future[None]):
        self._request, self._take, self._bodies, self._ended = request, take, bodies, ended
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found = parse(self._buffer)
        if found is None:
            return
        status, body, size = found
        del self._buffer[:size]
        if status >= 300:
            self._fail(f"{SUBMIT_PATH} answered {status}: {body[:200].decode(errors='replace')}")
            return
        self._bodies.append(body)
        self._next()

    def connection_lost(self, _: Exception | None) -> None:
        self._fail("the server closed a connection early")

    def _fail(self, text: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(BenchmarkError(text))

    def _next(self) -> None:
        assert self._transport is not None
        if self._take():
            self._transport.write(self._request)
            return
        if not self._ended.done():
            self._ended.set_result(None)
        self._transport.close()


async def _repeat(port: int, request: bytes, count: int, connections: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    left = iter(range(count))
    bodies: list[bytes] = []
    ends = [loop.create_future() for _ in range(min(connections, count))]

    def take() -> bool:
        return next(left, None) is not None

    for end in ends:
        await loop.create_connection(partial(_Repeater, request, take, bodies, end), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*ends), PATIENCE)
    return bodies
