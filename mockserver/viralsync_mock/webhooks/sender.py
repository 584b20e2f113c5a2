"""Sends one webhook over the network, by default to this machine only.

httpx2 is imported with the first send: it takes longer than the rest of the start, and most servers send no webhook.
Its transports are used without its client: so it adds no cookies, redirects, proxies or headers.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol
from urllib.parse import urljoin

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import MockError
from viralsync_mock.net import is_loopback, is_this_machine
from viralsync_mock.redaction import SECRET_HEADERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import httpx2

    Headers = tuple[tuple[str, str], ...]
    Kind = Literal["refused_target", "unreachable", "timed_out", "broken_answer", "redirected_away"]

USER_AGENT = "ViralSync-Webhooks/1.0 (mock)"
MAX_BODY, MAX_HEADERS, MAX_HEADER, MAX_HOPS = 4096, 50, 1000, 5
MAX_SHOWN = 200
# httpcore2 does not reuse a connection that its peer has closed. A close that crosses a request on its way looks like a
# receiver that read the webhook and hung up, and a webhook must not arrive twice unseen: so such an attempt fails, is
# not repeated here, and is made rare: receivers close what idles (Node after 5 s, gunicorn after 2 s) later than we do.
KEEP_ALIVE_SECONDS = 1.0
MAX_KEPT = 2  # per line, for receivers at two addresses

_KEEPING_METHOD = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303}) | _KEEPING_METHOD
# So narrow that no two parsers can differ about the host: no user, escapes, backslashes, blanks or other alphabets.
_PLAIN_URL = re.compile(
    r"(?:http|https)://(?P<host>\[[0-9a-f]{0,4}:[0-9a-f:]{1,40}\]|[a-z0-9._-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?#][^\x00-\x20\x7f\\\ud800-\udfff]{0,8000})?",
    re.IGNORECASE | re.ASCII,
)


class WebhookRequest(NamedTuple):
    """A webhook to send; `timeout` is in real seconds, for the whole attempt with its redirects."""

    url: str
    body: bytes
    headers: Headers
    timeout: float
    follows_redirects: bool = False
    secret: str = ""
    """What it is signed with; only the built-in receiver looks at it."""


class Reply(NamedTuple):
    """The response: at most 50 headers of at most 1,000 characters, without cookies; the first 4 KiB of the body."""

    status: int
    headers: Headers
    body: bytes


class DeliveryFailed(MockError):
    """An attempt that got no reply; `reason` is one sentence, `kind` a word for it."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason


class WebhookSender(Protocol):
    """Sends webhooks over the network."""

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Make one attempt and return the reply, or raise DeliveryFailed."""
        ...

    async def close(self) -> None:
        """Abort what is under way, and close every connection."""
        ...


def check_target(url: str, allowed_hosts: Collection[str], own_port: int | None = None) -> None:
    """Raise DeliveryFailed (`refused_target`) unless a URL leads to this machine or to an allowed host.

    `own_port` is where the mock itself listens: a webhook to it could reset every sandbox.
    """
    parts = _PLAIN_URL.fullmatch(url)
    if not parts or not 1 <= int(parts["port"] or 80) <= 65535:
        raise DeliveryFailed(
            "refused_target",
            f"The webhook URL {preview(url, MAX_SHOWN)} is not plain: expected http://localhost:PORT/PATH, without "
            "a user name and in ASCII up to the path, or another host that --allow-webhook-host names.",
        )
    _check_host(url, parts["host"], allowed_hosts)
    port = int(parts["port"] or (443 if url[:5].lower() == "https" else 80))
    if port == own_port and is_this_machine(parts["host"]):
        raise DeliveryFailed(
            "refused_target",
            f"The webhook URL {preview(url, MAX_SHOWN)} leads to the mock itself: expected the URL of another server.",
        )


def _check_host(url: str, host: str, allowed_hosts: Collection[str]) -> None:
    bare = _bare(host)
    if not is_loopback(bare) and bare not in map(_bare, allowed_hosts):
        raise DeliveryFailed(
            "refused_target",
            f"The webhook URL {preview(url, MAX_SHOWN)} leads to {preview(bare)}, which is not plainly this machine: "
            "webhooks go to localhost, 127.0.0.0/8 and [::1] only; to allow another host, start with "
            f"--allow-webhook-host {bare}.",
        )


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]").casefold()


class HttpSender:
    """Sends webhooks over HTTP/1.1; at most `most_at_once` are under way, others wait, which no time-out counts."""

    def __init__(
        self, allowed_hosts: Collection[str] = (), most_at_once: int = 32, own_port: int | None = None
    ) -> None:
        self._allowed_hosts, self._own_port = frozenset(allowed_hosts), own_port
        contexts: dict[str, ssl.SSLContext] = {}
        self._lines = [_ConnectionPool(self._allowed_hosts, contexts) for _ in range(most_at_once)]
        # Last in, first out: sends that follow each other share a connection.
        self._free: asyncio.LifoQueue[_ConnectionPool] = asyncio.LifoQueue()
        for line in self._lines:
            self._free.put_nowait(line)
        self._deadlines: set[asyncio.Timeout] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_closed = False

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Make one attempt and return the reply, whatever its status; raises DeliveryFailed when there is none."""
        check_target(request.url, self._allowed_hosts, self._own_port)
        line = await self._free.get()
        try:
            if self._is_closed:
                raise _closed(request)
            line.prepare(request.url)  # before the time runs: the first import takes long
            return await self._in_time(line, request)
        finally:
            self._free.put_nowait(line)

    async def close(self) -> None:
        """Abort what is under way, which then raises DeliveryFailed, and close the connections; twice does no harm."""
        self._is_closed = True
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0)  # long ago, so now
        await self._is_idle.wait()
        for line in self._lines:
            await line.close()

    async def _in_time(self, line: _ConnectionPool, request: WebhookRequest) -> Reply:
        deadline = asyncio.timeout(request.timeout)
        self._deadlines.add(deadline)
        self._is_idle.clear()
        try:
            async with deadline:
                return await self._answer(line, request)
        except TimeoutError:
            raise (_closed(request) if self._is_closed else timed_out(request)) from None
        finally:
            self._deadlines.discard(deadline)
            if not self._deadlines:
                self._is_idle.set()

    async def _answer(self, line: _ConnectionPool, request: WebhookRequest) -> Reply:
        method, hop = "POST", request
        for _ in range(MAX_HOPS + 1):
            reply, location = await line.request(method, hop)
            if not (request.follows_redirects and location and reply.status in _REDIRECTS):
                return reply
            hop = hop._replace(url=self._next_url(hop.url, location))
            if reply.status not in _KEEPING_METHOD:
                kept = tuple(each for each in hop.headers if not each[0].lower().startswith("content-"))
                method, hop = "GET", hop._replace(body=b"", headers=kept)
        raise DeliveryFailed(
            "broken_answer",
            f"{preview(request.url, MAX_SHOWN)} redirected more than {MAX_HOPS} times: expected an answer.",
        )

    def _next_url(self, url: str, location: str) -> str:
        try:
            joined = urljoin(url, location)
            check_target(joined, self._allowed_hosts, self._own_port)
        except (DeliveryFailed, ValueError) as error:
            text = f"{preview(url, MAX_SHOWN)} redirects to {preview(location, MAX_SHOWN)}, which is not followed"
            raise DeliveryFailed("redirected_away", f"{text}: {error}") from None
        return joined


class _ConnectionPool:
    """The connections of one webhook at a time; in one pool for all, httpcore2's work grows with the pool's square."""

    def __init__(self, allowed_hosts: frozenset[str], contexts: dict[str, ssl.SSLContext]) -> None:
        self._allowed_hosts = allowed_hosts
        self._contexts = contexts  # of all lines: reading the CAs takes long
        self._transports: dict[str, httpx2.AsyncHTTPTransport] = {}

    def prepare(self, url: str) -> httpx2.AsyncHTTPTransport:
        """Return what sends to a URL of this scheme; only https reads the CAs."""
        import httpx2

        from viralsync_mock.webhooks.transport import AsyncTransport

        scheme = url[: url.index(":")].lower()
        if scheme not in self._contexts:
            is_secure = scheme == "https"
            self._contexts[scheme] = (
                ssl.create_default_context() if is_secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
        if scheme not in self._transports:
            limits = httpx2.Limits(max_keepalive_connections=MAX_KEPT, keepalive_expiry=KEEP_ALIVE_SECONDS)
            self._transports[scheme] = AsyncTransport(verify=self._contexts[scheme], trust_env=False, limits=limits)
        return self._transports[scheme]

    async def request(self, method: str, hop: WebhookRequest) -> tuple[Reply, str]:
        """Return the reply of one request, and where it redirects to, or an empty string."""
        import httpx2

        target = httpx2.URL(hop.url)
        _check_host(hop.url, target.host, self._allowed_hosts)  # what is connected to, as httpx2 understands it
        headers = list(hop.headers)
        if not any(name.lower() == "user-agent" for name, _ in headers):
            headers.append(("user-agent", USER_AGENT))
        content = hop.body if method == "POST" else None
        with _explained(hop.url):
            request = httpx2.Request(method, target, headers=headers, content=content)
            response = await self.prepare(hop.url).handle_async_request(request)
            try:
                body = await _beginning(response)
            finally:
                await response.aclose()
        return Reply(response.status_code, _describe(response.headers.raw), body), response.headers.get("location", "")

    async def close(self) -> None:
        """Close the connections."""
        while self._transports:
            _, transport = self._transports.popitem()
            await transport.aclose()


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the first 4 KiB as they come, not decompressed."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) >= MAX_BODY:
            break
    return body[:MAX_BODY]


def _describe(lines: Iterable[tuple[bytes, bytes]]) -> Headers:
    decoded = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines)
    kept = [(name[:MAX_HEADER], value[:MAX_HEADER]) for name, value in decoded if name.lower() not in SECRET_HEADERS]
    return tuple(kept[:MAX_HEADERS])


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn httpx2's errors into DeliveryFailed."""
    import httpx2

    try:
        yield
    except (httpx2.ConnectError, httpx2.LocalProtocolError, UnicodeError) as error:
        raise DeliveryFailed("unreachable", f"Cannot send to {preview(url, MAX_SHOWN)}: {error}.") from error
    except httpx2.TransportError as error:
        text = str(error).rstrip(".") or "the connection broke"
        raise DeliveryFailed(
            "broken_answer", f"No HTTP answer came from {preview(url, MAX_SHOWN)}: {text}; expected a status."
        ) from error


def timed_out(request: WebhookRequest) -> DeliveryFailed:
    """Return the failure of an attempt that took too long."""
    where = preview(request.url, MAX_SHOWN)
    return DeliveryFailed(
        "timed_out", f"{where} gave no whole answer within {request.timeout:g} s: answer first, work later."
    )


def _closed(request: WebhookRequest) -> DeliveryFailed:
    where = preview(request.url, MAX_SHOWN)
    return DeliveryFailed("unreachable", f"The mock stopped before {where} answered: start it again.")
