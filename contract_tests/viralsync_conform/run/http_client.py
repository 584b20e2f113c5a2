"""The one way out: every call of a run is guarded, paid for, paced, sent and recorded here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson

from viralsync_conform.budget import CALLS_TO_CLEAN_A_JOB, worst_case
from viralsync_conform.calls import Event, Exchange, Headers
from viralsync_conform.clocks import measured
from viralsync_conform.redaction import redact, redact_bytes
from viralsync_conform.run.context import RunContext
from viralsync_conform.target import Account
from viralsync_conform.target.event_stream import Stream
from viralsync_mock.redaction import SECRET_HEADERS

ROOM = 0.8
"""How much of the rate limit a run uses: others may need the rest."""

MAX_SILENCE = 600.0
"""Real seconds that a stream may tell nothing: that a sign of life comes more often is only assumed."""

MAX_KEPT_BODY = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What is to be sent. `path` is percent-encoded already; `content` goes out as it is."""

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    content: bytes | None
    operation: str | None
    path_parameters: Mapping[str, str]
    journey: str
    step: str
    expected: str
    account: Account
    auth: str = "header"
    is_paced: bool = True
    is_generated: bool = False

    @property
    def target(self) -> str:
        """Path and query."""
        query = urlencode([(name, value) for name, value in self.query.items() if value is not None], doseq=True)
        return f"{self.path}?{query}" if query else self.path


class HttpClient:
    """Sends the calls of a run, one at a time."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._numbers = itertools.count(len(run.calls) + 1)

    def send(self, request: Request) -> Exchange:
        """Make one call and record it; raises BudgetSpentError or ForeignIdError instead of making it."""
        self._admit(request)
        at = request.account.clock.now()
        with measured() as taken:
            response, problem = self._exchange(request)
        _came_in(request.account)
        body = b"" if response is None or problem or _is_stream(response) else response.content
        return self._record(request, at, taken[0], response, _headers(response), body, problem)

    @contextmanager
    def open(self, request: Request) -> Iterator[tuple[Stream | None, Exchange]]:
        """Open a stream and yield it with the call as it began; what came of it is recorded by `finished`.

        Any success is read as one, also where its media type is another: it may not end until it is left.

        The stream is None where no stream was opened: then the call is a complete one.
        """
        self._admit(request)
        at, http = request.account.clock.now(), self._run.target.http
        response: httpx.Response | None
        with measured() as taken:
            try:
                response, problem = http.send(self._built(request), stream=True), ""
                if not response.is_success:
                    problem = _read(response)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                response, problem = None, _named(error)
        _came_in(request.account)
        if response is None or not response.is_success:
            body = b"" if response is None or problem else response.content
            yield None, self._record(request, at, taken[0], response, _headers(response), body, problem)
            return
        response.request.extensions["timeout"]["read"] = MAX_SILENCE
        stream = Stream(response, request.account.clock.now)
        call = self._record(request, at, taken[0], response, stream.headers, b"", "")
        try:
            yield stream, call
        finally:
            stream.close()

    def finished(self, call: Exchange, stream: Stream) -> Exchange:
        """Return the call of a stream with all that it told, in the place of the one that was recorded."""
        key = self._key_of(call.account)
        whole = replace(
            call,
            body=redact_bytes(stream.text.encode(), key)[:MAX_KEPT_BODY],
            events=tuple(_without_keys(event, key) for event in stream.events),
            comments=tuple(stream.comments),
            is_closed=stream.is_closed,
            problem=redact(stream.problem, key),
        )
        self._run.calls[call.number - 1] = whole
        return whole

    def _key_of(self, account: str) -> str:
        target = self._run.target
        return target.main.key if account == target.main.name else target.opened[account].key

    def _admit(self, request: Request) -> None:
        run, operations = self._run, self._run.contract.operations
        plain = [each.path for each in operations.values() if "{" not in each.path]
        submit = operations["submitRenderJob"].path
        if request.account.is_main:  # a throwaway sandbox holds nothing but what this run made in it
            run.guard.check(request.method, request.path, submit, bool(request.content), plain)
        run.budget.spend_request(CALLS_TO_CLEAN_A_JOB if _may_make_a_job(request) else 0)
        if request.is_paced:
            self.reserve_rate(request.account)
        now = request.account.clock.now().timestamp()
        request.account.instants.append(now)

    def reserve_rate(self, account: Account, requests: int = 1) -> None:
        """Wait until so many calls may be made without a pause: time that passes within a journey would change it."""
        limit = self._run.contract.spec.rate_limit
        most = max(1, int(limit.requests * ROOM))
        now = account.clock.now().timestamp()
        account.instants = [each for each in account.instants if each > now - limit.window]
        if len(account.instants) + min(requests, most) > most:
            account.clock.wait(account.instants[-1 - most + min(requests, most)] + limit.window - now + 0.001)

    def _exchange(self, request: Request) -> tuple[httpx.Response | None, str]:
        try:
            response = self._run.target.http.send(self._built(request), stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, _named(error)
        if _is_stream(response):  # where none was expected: that there is one says enough
            response.close()
            return response, ""
        return response, _read(response)

    def _built(self, request: Request) -> httpx.Request:
        headers = {**_auth(request), **request.headers}
        url = f"{self._run.target.base_url}{request.target}"
        return self._run.target.http.build_request(request.method, url, headers=headers, content=request.content)

    def _record(
        self,
        request: Request,
        at: datetime,
        seconds: float,
        response: httpx.Response | None,
        headers: Headers,
        body: bytes,
        problem: str,
    ) -> Exchange:
        key = request.account.key
        call = Exchange(
            number=next(self._numbers),
            journey=request.journey,
            step=request.step,
            account=request.account.name,
            operation=request.operation,
            method=request.method,
            url=redact(request.target, key),
            path_parameters={name: redact(value, key) for name, value in request.path_parameters.items()},
            query={
                name: redact(value, key) if isinstance(value, str) else value for name, value in request.query.items()
            },
            request_headers=_hidden({**_auth(request), **request.headers}.items(), key),
            request_body=redact_bytes((request.content or b"")[:MAX_KEPT_BODY], key),
            status=None if response is None else response.status_code,
            headers=_hidden(headers, key),
            body=redact_bytes(body, key),
            at=at,
            seconds=seconds,
            problem=redact(problem, key),
            expected=request.expected,
            is_generated=request.is_generated,
            shows_key=response is not None and _shows_key(headers, body, key),
            is_closed=True,
        )
        self._run.calls.append(call)
        self._run.on_call(call)
        return call


def _may_make_a_job(request: Request) -> bool:
    """Say whether a job may come of a call that then has to be cleaned: without scenes there is nothing to render."""
    if request.operation != "submitRenderJob" or not request.account.is_main:
        return False
    try:
        return worst_case(orjson.loads(request.content or b"null")) > 0
    except ValueError:
        return False


def encoded(path: str, parameters: Mapping[str, str]) -> str:
    """Return a path template with its parameters in place, percent-encoded."""
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def as_json(document: object) -> bytes:
    """Return the bytes of a document."""
    return orjson.dumps(document)


def _came_in(account: Account) -> None:
    """Count a call from when it was answered on: by then it has come in, however long the way was."""
    account.instants[-1] = account.clock.now().timestamp()


def _shows_key(headers: Headers, body: bytes, key: str) -> bool:
    """Say whether an answer repeats a key, that of the account or another that was tried."""
    return redact_bytes(body, key) != body or any(redact(value, key) != value for _, value in headers)


def _auth(request: Request) -> dict[str, str]:
    key = request.account.key
    ways = {"header": {"x-api-key": key}, "bearer": {"authorization": f"Bearer {key}"}, "none": {}}
    return ways[request.auth]


def _hidden(headers: Any, key: str) -> Headers:
    return tuple(
        (redact(name, key), "***" if name.lower() in SECRET_HEADERS else redact(value, key)) for name, value in headers
    )


def _without_keys(event: Event, key: str) -> Event:
    return replace(
        event,
        id=redact(event.id, key) if event.id else event.id,
        name=redact(event.name, key) if event.name else event.name,
        data=redact(event.data, key),
    )


def _headers(response: httpx.Response | None) -> Headers:
    return () if response is None else tuple(response.headers.multi_items())


def _is_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith("text/event-stream")


def _read(response: httpx.Response) -> str:
    try:
        response.read()
    except (httpx.HTTPError, httpx.StreamError) as error:
        return _named(error)
    return ""


def _named(error: Exception) -> str:
    """Return what went wrong as one sentence."""
    if isinstance(error, httpx.TimeoutException):
        return "time-out: no answer came in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")
