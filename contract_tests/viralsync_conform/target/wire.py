"""One request over HTTP: the body bounded, also decompressed; a deadline; no redirect to another host."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit
from weakref import WeakSet

import httpx2

from viralsync_conform.calls import Headers
from viralsync_conform.clocks import monotonic
from viralsync_mock.errors import MockError

MAX_READ = 8 * 1024 * 1024
"""Bytes of a body that are read, as sent and as decompressed; what has more is a problem of the call."""

MAX_SHORT = 16 * 1024
"""Bytes that are kept of a body which was not read to its end: enough to show."""

MAX_VALUES = 400_000
"""JSON values of a body, roughly: each costs far more memory than it has bytes."""

CONNECT_SECONDS = 4.5
EVENT_STREAM = "text/event-stream"
ENCODINGS = "gzip, deflate"
REDIRECTS = frozenset({301, 302, 307, 308})
ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, zlib.error, OSError)


class TargetAwayError(MockError):
    """Nothing answers at the target's address: nothing was tested."""


class Connections:
    """The connections of a client: a call that takes too long is hung up on, wherever in its answer it hangs.

    Time-outs of the client are for each piece that arrives: an answer that drips never meets one.
    """

    def __init__(self) -> None:
        self._open: WeakSet[Any] = WeakSet()
        self._kept: WeakSet[Any] = WeakSet()

    def keep(self, response: httpx2.Response) -> None:
        """Leave the connection of a stream alone: it may be open for as long as its job takes."""
        if (connection := response.extensions.get("network_stream")) is not None:
            self._kept.add(connection)

    @contextmanager
    def limit(self, request: httpx2.Request, seconds: float) -> Iterator[threading.Event]:
        """Hang up when this many seconds are over; the event that is yielded says whether that was necessary."""
        is_late = threading.Event()
        request.extensions["trace"] = self._trace
        timer = threading.Timer(max(0.0, seconds), self._hang_up, (is_late,))
        timer.daemon = True
        timer.start()
        try:
            yield is_late
        finally:
            timer.cancel()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._open.add(info["return_value"])

    def _hang_up(self, is_late: threading.Event) -> None:
        is_late.set()
        for connection in set(self._open) - set(self._kept):
            with suppress(OSError):
                connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def check_reachable(http: httpx2.Client, base_url: str) -> None:
    """Raise TargetAwayError, within five seconds, when no connection can be made; no key is sent."""
    request = http.build_request("GET", f"{base_url}/", timeout=CONNECT_SECONDS)
    try:
        with Connections().limit(request, CONNECT_SECONDS):
            http.send(request, stream=True).close()
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        reason = f"inconclusive (3): {base_url} cannot be reached, nothing was tested: {described(error)}"
        raise TargetAwayError(reason) from None
    except httpx2.HTTPError:
        pass  # something is there; the run finds out what


def bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks up to the bound; raises OSError beyond it."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_READ:
            raise OSError(f"the stream is longer than {MAX_READ >> 20} MiB")
        yield chunk


@dataclass(frozen=True)
class Answer:
    """What came back; `status` is None where nothing did, and `problem` says what went wrong on the way."""

    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    problem: str = ""


def ask(http: httpx2.Client, request: httpx2.Request, seconds: float, connections: Connections | None = None) -> Answer:
    """Send a request and read its answer; nothing is raised, and nothing takes longer than `seconds`."""
    with (connections or Connections()).limit(request, seconds) as is_late:
        try:
            response = begin(http, request)
        except ERRORS as error:
            return Answer(problem=_too_late("answer", seconds) if is_late.is_set() else described(error))
        try:
            answer = read(response, seconds)
        finally:
            response.close()
    is_cut = is_late.is_set() and bool(answer.problem)
    return replace(answer, problem=_too_late("body", seconds)) if is_cut else answer


def _too_late(what: str, seconds: float) -> str:
    return f"the {what} did not end within {seconds:g} s"


ENDLESS = ("the body did not end", "the body is longer")
"""How the problem of a call begins whose body was cut off here, and not there."""


def begin(http: httpx2.Client, request: httpx2.Request) -> httpx2.Response:
    """Send a request and return the response with its body unread; one redirect from http to https is followed."""
    request.headers["accept-encoding"] = ENCODINGS
    response = http.send(request, stream=True)
    location = response.headers.get("location", "")
    if response.status_code in REDIRECTS and _is_upgrade(str(request.url), location):
        response.close()
        content = request.content
        url = urljoin(str(request.url), location)
        return http.send(http.build_request(request.method, url, headers=request.headers, content=content), stream=True)
    return response


def _is_upgrade(url: str, location: str) -> bool:
    """Return whether a redirect leads to the same place by https: a key goes nowhere else."""
    here, there = urlsplit(url), urlsplit(urljoin(url, location))
    return (here.scheme, there.scheme) == ("http", "https") and (here.hostname, here.path, here.query) == (
        there.hostname,
        there.path,
        there.query,
    )


def read(response: httpx2.Response, seconds: float) -> Answer:
    """Read a body within the bounds; that of an event stream is left where it is: it need not end."""
    headers = headers_of(response)
    if is_stream(response):
        return Answer(response.status_code, headers)
    body, problem = bytearray(), ""
    deadline = monotonic() + seconds
    try:
        for chunk in _decoded(response):
            body += chunk
            if len(body) > MAX_READ:
                problem = f"the body is longer than {MAX_READ >> 20} MiB"
                break
            if monotonic() > deadline:
                problem = _too_late("body", seconds)
                break
    except httpx2.TimeoutException:
        problem = _too_late("body", seconds)
    except ERRORS as error:
        problem = described(error)
    if not problem and sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        problem = f"the body has more than {MAX_VALUES:,} values"
    return Answer(response.status_code, headers, bytes(body[:MAX_SHORT] if problem else body), problem)


def _decoded(response: httpx2.Response) -> Iterator[bytes]:
    """Yield the body decompressed, never more of it than one byte beyond the bound."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in {"gzip", "x-gzip", "deflate"}:
        yield from response.iter_raw()
        return
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
    for chunk in response.iter_raw():
        yield unpack.decompress(chunk, MAX_READ + 1)
        if unpack.unconsumed_tail:
            return
    yield unpack.flush()


def is_stream(response: httpx2.Response) -> bool:
    """Return whether an answer says that it is an event stream."""
    return str(response.headers.get("content-type", "")).lower().startswith(EVENT_STREAM)


def headers_of(response: httpx2.Response) -> Headers:
    """Return the headers as they came, repeated ones too."""
    return tuple(response.headers.multi_items())


def described(error: Exception) -> str:
    """Return what went wrong as one sentence."""
    if isinstance(error, httpx2.TimeoutException):
        return "time-out: no answer came in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")
