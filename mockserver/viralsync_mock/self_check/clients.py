"""The clients of the self-check: each makes a call in its own way and says what it saw, in the same words.

aiohttp and requests are no dependencies of the kit: who has not installed them does without.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Now = Callable[[], float]

CLIENT_TIMEOUT = 10.0
"""The time-out, in seconds, of a call that is to be answered."""

GRACE = 5.0
"""How long a program of its own may take beyond the time-out that it was given."""

TIMED_OUT, RESET, CLOSED, OTHER = "timed out", "reset", "closed", "other"

SCRIPT = Path(__file__).with_suffix("").with_name("self_check.mjs")


class ClientRequest(NamedTuple):
    """A call to make, and the client's own time-out in seconds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    timeout: float = CLIENT_TIMEOUT


class ClientObservation(NamedTuple):
    """What a client saw: without a `status` not even the head of an answer.

    `body` is what came of it; a client may have thrown away what it had not handed out when the connection broke.
    `problem` is `timed out`, `reset`, `closed` (before the answer was whole) or `other`; `said` are the client's own
    words. The head came after `head_after` seconds, the end after `seconds`.
    """

    status: int | None = None
    media_type: str = ""
    body: bytes = b""
    problem: str = ""
    said: str = ""
    head_after: float = 0.0
    seconds: float = 0.0

    def __repr__(self) -> str:
        head = "no answer" if self.status is None else f"{self.status} {self.media_type}, {len(self.body)} bytes"
        problem = f", {self.problem} ({self.said[:100]})" if self.problem else ""
        return f"{head}{problem}, after {self.seconds:.2f} s"


class Client:
    """One way to make calls."""

    name: ClassVar[str]

    def __init__(self, now: Now) -> None:
        self._now = now

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call; return when it is answered, has failed, or has timed out."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is kept."""


class Reading:
    """An answer as it comes in, with the times that it takes."""

    def __init__(self, now: Now) -> None:
        self._now, self._began = now, now()
        self._seen, self._chunks = ClientObservation(), list[bytes]()

    def head(self, status: int, media_type: str | None) -> None:
        """Take the head."""
        self._seen = ClientObservation(status, media_type or "", head_after=self._now() - self._began)

    def add(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(chunk)

    def end(self, error: BaseException | None = None) -> ClientObservation:
        """Return what was seen until it ended, well or not."""
        problem, said = ("", "") if error is None else (problem_of(error), f"{type(error).__name__}: {error}")
        seconds = self._now() - self._began
        return self._seen._replace(body=b"".join(self._chunks), problem=problem, said=said, seconds=seconds)


PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "RemoteDisconnected": CLOSED,  # http.client: a ConnectionResetError for whoever does not look closely
        "IncompleteRead": CLOSED,  # http.client and urllib3
        "InvalidChunkLength": CLOSED,  # urllib3
        "RemoteProtocolError": CLOSED,  # httpx
        "ChunkedEncodingError": CLOSED,  # requests, once the answer has begun
        "ServerDisconnectedError": CLOSED,  # aiohttp
        "ClientPayloadError": CLOSED,  # aiohttp
        "ConnectionResetError": RESET,
        "TimeoutError": TIMED_OUT,
        "TimeoutException": TIMED_OUT,  # httpx
    }
)
"""What an error means, by the name of its class or of one that it derives from."""


def problem_of(error: BaseException) -> str:
    """Return what an error means: the first that says so of it, its class, and what it was caused by or holds."""
    meanings = (PROBLEMS.get(each.__name__) for cause in _causes(error) for each in type(cause).__mro__)
    return next(filter(None, meanings), OTHER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for cause in (error.__cause__ or error.__context__, *error.args, getattr(error, "reason", None)):
        if isinstance(cause, BaseException):
            yield from _causes(cause)


class Httpx(Client):
    """httpx, with a connection of its own for each call."""

    name = "httpx"

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._tls = httpx.create_ssl_context(verify=False)  # made once: nothing here is encrypted, and it takes long

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call."""
        method, url, headers, body, timeout = wanted
        reading = Reading(self._now)
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=False, verify=self._tls) as client,
                client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                reading.head(response.status_code, response.headers.get("content-type"))
                for chunk in response.iter_raw():
                    reading.add(chunk)
        except httpx.HTTPError as error:
            return reading.end(error)
        return reading.end()


class Aiohttp(Client):
    """aiohttp, in an event loop of its own for each call."""

    name = "aiohttp"

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call."""
        return asyncio.run(self._fetch(wanted))

    async def _fetch(self, wanted: ClientRequest) -> ClientObservation:
        import aiohttp  # not everybody has it

        method, url, headers, body, timeout = wanted
        reading = Reading(self._now)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
                session.request(method, url, headers=headers, data=body) as response,
            ):
                reading.head(response.status, response.headers.get("content-type"))
                async for chunk in response.content.iter_any():
                    reading.add(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            return reading.end(error)
        return reading.end()


class Requests(Client):
    """requests, with a connection of its own for each call."""

    name = "requests"

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call."""
        import requests  # not everybody has it

        method, url, headers, body, timeout = wanted
        reading = Reading(self._now)
        try:
            with requests.Session() as session:
                session.trust_env = False
                with session.request(method, url, headers=headers, data=body, timeout=timeout, stream=True) as response:
                    reading.head(response.status_code, response.headers.get("content-type"))
                    for chunk in response.iter_content(None):
                        reading.add(chunk)
        except requests.RequestException as error:
            return reading.end(error)
        return reading.end()


class Curl(Client):
    """curl, one process for each call."""

    name = "curl"
    problems: ClassVar[Mapping[int, str]] = MappingProxyType({18: CLOSED, 28: TIMED_OUT, 52: CLOSED, 56: CLOSED})
    """By exit code."""

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call; curl takes the times itself."""
        command = [shutil.which(self.name) or self.name, *self._options(wanted), wanted.url]
        limit = wanted.timeout + GRACE
        done = subprocess.run(command, input=wanted.body, capture_output=True, timeout=limit, check=False)  # noqa: S603 - no shell, and the words are ours
        told = json.loads(done.stderr)
        said: str = told.get("errormsg") or ""
        problem = self.problems.get(done.returncode, OTHER) if done.returncode else ""
        return ClientObservation(
            status=told["http_code"] or None,
            media_type=told["content_type"] or "",
            body=done.stdout,
            problem=RESET if "reset" in said else problem,
            said=said,
            head_after=told["time_starttransfer"],
            seconds=told["time_total"],
        )

    def _options(self, wanted: ClientRequest) -> Iterator[str]:
        yield from ("--disable", "--silent", "--no-buffer", "--noproxy", "*", "--request", wanted.method)
        yield from ("--max-time", str(wanted.timeout), "--write-out", "%{stderr}%{json}")
        for name, value in wanted.headers.items():
            yield from ("--header", f"{name}: {value}")
        if wanted.body is not None:
            yield from ("--data-binary", "@-")


class NodeFetch(Client):
    """Node's fetch: one process makes all calls."""

    name = "node"

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        command = [shutil.which(self.name) or self.name, str(SCRIPT)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - no shell, and the words are ours
        self._numbers = count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        """Make a call; the script takes the times itself."""
        coming = Future[dict[str, Any]]()
        document = wanted._asdict() | {"headers": dict(wanted.headers), "body": wanted.body and wanted.body.decode()}
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = coming
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.write(json.dumps({"number": number, **document}).encode() + b"\n")
            self._process.stdin.flush()
        seen = coming.result(wanted.timeout + GRACE)
        return ClientObservation(**seen | {"body": base64.b64decode(seen["body"])})

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            told = json.loads(line)
            self._waiting.pop(told["number"]).set_result(told["seen"])

    def close(self) -> None:
        """End the process."""
        with self._process:  # closes its pipes, and waits
            self._process.terminate()
            self._reader.join()


CLIENTS: Mapping[str, Callable[[Now], Client]] = MappingProxyType(
    {each.name: each for each in (Httpx, Aiohttp, Requests, Curl, NodeFetch)}
)
"""By name, what makes each: with a clock that counts real seconds."""


def is_installed(name: str) -> bool:
    """Say whether a client can be used here."""
    return shutil.which(name) is not None if name in ("curl", "node") else find_spec(name) is not None
