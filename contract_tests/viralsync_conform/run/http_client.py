"""The one way out: every request of a run, a journey's or a generated one, passes the same list of hooks."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import httpx2

from viralsync_conform.budget import CALLS_TO_CLEAN_A_JOB
from viralsync_conform.calls import Event, Exchange, Headers
from viralsync_conform.clocks import measured, monotonic
from viralsync_conform.redaction import redact, redact_bytes
from viralsync_conform.run import job_invariants, response_checks
from viralsync_conform.run.context import RunContext, StopRunError
from viralsync_conform.run.outages import send_with_retries
from viralsync_conform.run.request import Request
from viralsync_conform.target import Account
from viralsync_conform.target.event_stream import Stream
from viralsync_conform.target.wire import ERRORS, MAX_SHORT, Answer, ask, begin, described, headers_of, read
from viralsync_mock.redaction import shown_value

CLEANING_SECONDS = 300.0
"""Real seconds that cleaning up may take after the time of a run is over."""

MAX_SILENCE = 600.0
"""Real seconds that a stream may be silent: that a sign of life comes more often is only assumed."""

MAX_KEPT_REQUEST = 64 * 1024
MAX_KEPT = 16 * 1024 * 1024
"""Bytes of long bodies that a run keeps: beyond it, of the oldest only the beginning stays. Each is judged before."""


def deadline(run: RunContext, request: Request) -> None:  # noqa: ARG001 - a hook like any other
    """Raise StopRunError when the run has had all its time; the clean-up has a little more."""
    over = monotonic() - run.deadline
    if over > (CLEANING_SECONDS if run.budget.is_cleaning else 0.0):
        reason = "the time of the run is over: allow more with --deadline"
        run.mark_inconclusive("deadline", reason)
        raise StopRunError(reason)


def guard(run: RunContext, request: Request) -> None:
    """Raise ForeignIdError for what could change jobs of others; a throwaway account has none."""
    if request.account.is_main:
        plain = [each.path for each in run.contract.operations.values() if "{" not in each.path]
        run.guard.check(request.method, request.path, run.contract.submit.path, bool(request.content), plain)


def budget(run: RunContext, request: Request) -> None:
    """Raise BudgetSpentError for a request that is too many; a job needs those to clean it up as well."""
    may_make_a_job = request.account.is_main and run.cost_of(request) > 0
    run.budget.spend_request(CALLS_TO_CLEAN_A_JOB if may_make_a_job else 0)


def pace(run: RunContext, request: Request) -> None:
    """Wait until the request keeps the account below its rate limit."""
    if request.is_paced:
        wait_for_rate(run, request.account)
    request.account.instants.append(request.account.clock.now().timestamp())


def learn(run: RunContext, exchange: Exchange) -> None:
    """Learn which position of a switch the answer shows."""
    job_invariants.learn_from(run, exchange)
    job_invariants.learn_from_events(run, exchange)


def check(run: RunContext, exchange: Exchange) -> None:
    """Hold the answer against the spec."""
    response_checks.check_response(run, exchange)
    response_checks.check_events(run, exchange)


def invariants(run: RunContext, exchange: Exchange) -> None:
    """Hold every job in the answer against what is true of jobs at any time."""
    job_invariants.check_jobs(run, exchange)


BEFORE: tuple[Callable[[RunContext, Request], None], ...] = (deadline, guard, budget, pace)
AFTER: tuple[Callable[[RunContext, Exchange], None], ...] = (learn, check, invariants)
"""What each attempt passes, before it is sent and after it was recorded; `send` adds the retries around it."""


class HttpClient:
    """Sends the requests of a run, one at a time."""

    def __init__(self, run: RunContext) -> None:
        self.run = run
        self._numbers = itertools.count(len(run.calls) + 1)
        self._long: deque[int] = deque()

    def send(self, request: Request) -> Exchange:
        """Send a request, again where that is safe and no answer of the API came; return the last exchange.

        Raises BudgetSpentError or ForeignIdError instead of sending, StopRunError when the target stays away.
        """
        return send_with_retries(self.run, self.attempt, request)

    def attempt(self, request: Request) -> Exchange:
        """Send a request once."""
        for admit in BEFORE:
            admit(self.run, request)
        at = request.account.clock.now()
        with measured() as taken:
            target = self.run.target
            answer = ask(target.http, self._built(request), target.answer_seconds, target.connections)
        _answered(request.account)
        exchange = self._record(request, at, taken[0], answer)
        for look in AFTER:
            look(self.run, exchange)
        return exchange

    @contextmanager
    def open(self, request: Request) -> Iterator[tuple[Stream | None, Exchange]]:
        """Open a stream and yield it with the exchange as it began; `finished` records what came of it.

        Any success is read as a stream, also with another media type: it may not end until it is left. The stream is
        None where the target refused: then the exchange is complete.
        """
        for admit in BEFORE:
            admit(self.run, request)
        at, http = request.account.clock.now(), self.run.target.http
        response: httpx2.Response | None = None
        with measured() as taken:
            built, seconds = self._built(request), self.run.target.answer_seconds
            try:
                with self.run.target.connections.limit(built, seconds):
                    response = begin(http, built)
                self.run.target.connections.keep(response)
                is_open = response.is_success and response.status_code != response_checks.NO_CONTENT
                answer = Answer(response.status_code, headers_of(response)) if is_open else read(response, seconds)
            except ERRORS as error:
                answer, is_open = Answer(problem=described(error)), False
        _answered(request.account)
        exchange = self._record(request, at, taken[0], answer)
        if response is None or not is_open:
            for look in AFTER:
                look(self.run, exchange)
            yield None, exchange
            return
        response.request.extensions["timeout"]["read"] = MAX_SILENCE
        stream = Stream(response, request.account.clock.now)
        try:
            yield stream, exchange
        finally:
            stream.close()

    def finished(self, call: Exchange, stream: Stream) -> Exchange:
        """Return the exchange of a stream with all that came, in the place of the one that was recorded."""
        key = self._key_of(call.account)
        whole = replace(
            call,
            body=redact_bytes(stream.text.encode(), key)[:MAX_KEPT_REQUEST],
            events=tuple(_without_keys(event, key) for event in stream.events),
            comments=tuple(stream.comments),
            is_closed=stream.is_closed,
            problem=redact(stream.problem, key),
        )
        self.run.calls[call.number - 1] = whole
        for look in AFTER:
            look(self.run, whole)
        return whole

    def _key_of(self, account: str) -> str:
        target = self.run.target
        return target.main.key if account == target.main.name else target.opened[account].key

    def _built(self, request: Request) -> httpx2.Request:
        url = f"{self.run.target.base_url}{request.target}"
        headers, content = request.all_headers, request.content
        return self.run.target.http.build_request(request.method, url, headers=headers, content=content)

    def _record(self, request: Request, at: datetime, seconds: float, answer: Answer) -> Exchange:
        key = request.account.key
        known = self.run.contract.operations.get(request.operation or "")
        exchange = Exchange(
            number=next(self._numbers),
            journey=request.journey,
            step=request.step,
            account=request.account.name,
            operation=request.operation,
            effect=known.effect.kind if known and known.effect else "",
            method=request.method,
            url=redact(request.target, key),
            path_parameters={name: redact(value, key) for name, value in request.path_parameters.items()},
            query={
                name: redact(value, key) if isinstance(value, str) else value for name, value in request.query.items()
            },
            request_headers=_hidden(tuple(request.all_headers.items()), key),
            request_body=redact_bytes((request.content or b"")[:MAX_KEPT_REQUEST], key),
            status=answer.status,
            headers=_hidden(answer.headers, key),
            body=redact_bytes(answer.body, key),
            at=at,
            seconds=seconds,
            problem=redact(answer.problem, key),
            expected=request.expected,
            is_generated=request.is_generated,
            shows_key=_shows_key(answer, key),
            is_closed=True,
        )
        self.run.calls.append(exchange)
        self._cut_old_bodies(exchange)
        self.run.on_call(exchange)
        return exchange

    def _cut_old_bodies(self, newest: Exchange) -> None:
        if len(newest.body) <= MAX_SHORT:
            return
        self._long.append(newest.number)
        calls = self.run.calls
        while sum(len(calls[number - 1].body) for number in self._long) > MAX_KEPT:
            number = self._long.popleft()
            calls[number - 1] = replace(calls[number - 1], body=calls[number - 1].body[:MAX_SHORT])


def wait_for_rate(run: RunContext, account: Account, requests: int = 1) -> None:
    """Wait until this many requests can be sent without a pause: time that passes within a journey would change it."""
    limit = run.contract.spec.rate_limit
    most = max(1, int(limit.requests * account.share))
    now = account.clock.now().timestamp()
    account.instants = [each for each in account.instants if each > now - limit.window]
    if len(account.instants) + min(requests, most) > most:
        account.clock.wait(account.instants[-1 - most + min(requests, most)] + limit.window - now + 0.001)


def _answered(account: Account) -> None:
    """Count a call from when it was answered on: by then it has come in, however long the way was."""
    account.instants[-1] = account.clock.now().timestamp()


def _shows_key(answer: Answer, key: str) -> bool:
    """Return whether an answer repeats a key, that of the account or another that was tried."""
    return redact_bytes(answer.body, key) != answer.body or any(
        redact(value, key) != value for _, value in answer.headers
    )


def _hidden(headers: Headers, key: str) -> Headers:
    return tuple((redact(name, key), shown_value(name, redact(value, key))) for name, value in headers)


def _without_keys(event: Event, key: str) -> Event:
    return replace(
        event,
        id=redact(event.id, key) if event.id else event.id,
        name=redact(event.name, key) if event.name else event.name,
        data=redact(event.data, key),
    )
