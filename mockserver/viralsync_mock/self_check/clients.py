"""The clients of the self-check: each makes a call in its own way and reports what it saw in the same terms.

httpx, aiohttp and requests are not dependencies of the mock; those that are not installed are skipped.
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
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Now = Callable[[], float]

CLIENT_TIMEOUT = 10.0
"""Time-out in seconds of a call that should be answered."""

GRACE = 5.0
"""Seconds that curl and Node may take beyond the time-out they were given."""

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
    """What a client saw; without a `status` not even the head of a response.

    `body` is the part that arrived; a client may drop what it had not handed out when the connection broke. `problem`
    is `timed out`, `reset`, `closed` (before the response was whole) or `other`; `said` is the client's own message.
    The head came after `head_after` seconds, the end after `seconds`.
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
        """Release what the client holds."""


class Reading:
    """A response as it arrives, with its times."""

    def __init__(self, now: Now) -> None:
        self._now, self._began = now, now()
        self._seen, self._chunks = ClientObservation(), list[bytes]()

    def head(self, status: int, media_type: str | None) -> None:
        self._seen = ClientObservation(status, media_type or "", head_after=self._now() - self._began)

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def end(self, error: BaseException | None = None) -> ClientObservation:
        problem, said = ("", "") if error is None else (problem_of(error), f"{type(error).__name__}: {error}")
        seconds = self._now() - self._began
        return self._seen._replace(body=b"".join(self._chunks), problem=problem, said=said, seconds=seconds)


PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "RemoteDisconnected": CLOSED,  # http.client; derives from ConnectionResetError
        "IncompleteRead": CLOSED,  # http.client and urllib3
        "InvalidChunkLength": CLOSED,  # urllib3
        "RemoteProtocolError": CLOSED,  # httpx2, httpx
        "ChunkedEncodingError": CLOSED,  # requests, once the answer has begun
        "ServerDisconnectedError": CLOSED,  # aiohttp
        "ClientPayloadError": CLOSED,  # aiohttp
        "ConnectionResetError": RESET,
        "TimeoutError": TIMED_OUT,
        "TimeoutException": TIMED_OUT,  # httpx2, httpx
    }
)
"""The problem for an error, by the name of its class or of a base class."""


def problem_of(error: BaseException) -> str:
    """Return the problem for an error, looking through its class, its causes and its arguments."""
    meanings = (PROBLEMS.get(each.__name__) for cause in _causes(error) for each in type(cause).__mro__)
    return next(filter(None, meanings), OTHER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for cause in (error.__cause__ or error.__context__, *error.args, getattr(error, "reason", None)):
        if isinstance(cause, BaseException):
            yield from _causes(cause)


class Httpx2(Client):
    """httpx2, with a new connection for each call."""

    name = "httpx2"

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._httpx = import_module(self.name)  # for httpx: it need not be installed
        self._tls = self._httpx.create_ssl_context(verify=False)  # once: it takes long, and nothing here is encrypted

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        method, url, headers, body, timeout = wanted
        reading = Reading(self._now)
        try:
            with (
                self._httpx.Client(timeout=timeout, trust_env=False, verify=self._tls) as client,
                client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                reading.head(response.status_code, response.headers.get("content-type"))
                for chunk in response.iter_raw():
                    reading.add(chunk)
        except self._httpx.HTTPError as error:
            return reading.end(error)
        return reading.end()


class Httpx(Httpx2):
    """httpx, with a new connection for each call."""

    name = "httpx"


class Aiohttp(Client):
    """aiohttp, in a new event loop for each call."""

    name = "aiohttp"

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        return asyncio.run(self._fetch(wanted))

    async def _fetch(self, wanted: ClientRequest) -> ClientObservation:
        import aiohttp  # it need not be installed

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
    """requests, with a new connection for each call."""

    name = "requests"

    def fetch(self, wanted: ClientRequest, /) -> ClientObservation:
        import requests  # it need not be installed

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
        report = json.loads(done.stderr)
        said: str = report.get("errormsg") or ""
        problem = self.problems.get(done.returncode, OTHER) if done.returncode else ""
        return ClientObservation(
            status=report["http_code"] or None,
            media_type=report["content_type"] or "",
            body=done.stdout,
            problem=RESET if "reset" in said else problem,
            said=said,
            head_after=report["time_starttransfer"],
            seconds=report["time_total"],
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
            report = json.loads(line)
            self._waiting.pop(report["number"]).set_result(report["seen"])

    def close(self) -> None:
        """End the process."""
        with self._process:  # closes its pipes, and waits
            self._process.terminate()
            self._reader.join()


CLIENTS: Mapping[str, Callable[[Now], Client]] = MappingProxyType(
    {each.name: each for each in (Httpx2, Httpx, Aiohttp, Requests, Curl, NodeFetch)}
)
"""Constructors by name; each takes a clock that counts real seconds."""


def is_installed(name: str) -> bool:
    return shutil.which(name) is not None if name in ("curl", "node") else find_spec(name) is not None
