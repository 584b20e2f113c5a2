"""The way of Schemathesis' engine to the target: through the run, so that guard, budget and pace hold for all it does.

The engine knows no address and no key. Its schema names a host that does not exist, and where a key belongs it shows a
pass: only what comes through here gets anywhere, and no key can be found in what Schemathesis keeps or prints.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from schemathesis.transport.requests import REQUESTS_TRANSPORT, ManagedCookiesSession, RequestsTransport
from urllib3 import HTTPHeaderDict, HTTPResponse

from viralsync_conform.budget import BudgetSpentError
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS, READS, STREAMS
from viralsync_conform.fuzzing.coverage_cases import BASE
from viralsync_conform.run.context import StopRunError
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import Request
from viralsync_conform.run.submissions import Job, cancel, register_job, reserve, settle_budget

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.core.transport import Response

KEY_PLACEHOLDER = "pass-of-the-run"
KEY_HEADER = "x-api-key"
STREAM_SECONDS = 5.0
"""Real seconds for which a stream is read that the target does not close."""

_OF_REQUESTS = frozenset({"content-length", "accept-encoding", "connection"})
_OF_THE_WIRE = frozenset({"content-encoding", "transfer-encoding", "content-length"})


@dataclass
class EngineTransport:
    """Sends what the engine makes up, on the account of a context; `numbers` tells which call became of a case.

    What stops the engine is in `stopped`: the engine itself only knows that it was interrupted. `handed_out` are the
    values that answers gave for links, by the name of their field. `walks` holds the job that a walk made on the
    account under test, until the next one; every other job is cancelled at once there.
    """

    context: JourneyContext
    phase: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    handed_out: dict[str, set[str]] = field(default_factory=dict)
    walks: list[Job] = field(default_factory=list)
    stopped: BudgetSpentError | StopRunError | None = None

    def answer(self, case: Case[Any], request: requests.PreparedRequest) -> requests.Response:
        """Send a request through the run; raises KeyboardInterrupt, which is all that stops the engine."""
        try:
            call = self._sent(self._translated(case, request))
        except (BudgetSpentError, StopRunError) as reason:
            self.stopped = reason
            raise KeyboardInterrupt from reason
        self.numbers[case.id] = call.number
        for name, value in call.document.items():
            if isinstance(value, str):
                self.handed_out.setdefault(name, set()).add(value)
        if call.status is None:
            raise requests.ConnectionError(call.problem, request=request)
        return as_requests(call, request)

    def _translated(self, case: Case[Any], request: requests.PreparedRequest) -> Request:
        parts = urlsplit(str(request.url).removeprefix(BASE))
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() not in _OF_REQUESTS}
        has_pass = headers.get(KEY_HEADER) == KEY_PLACEHOLDER
        if has_pass:
            del headers[KEY_HEADER]
        known = self.context.run.contract.operations[str(case.operation.definition.raw["operationId"])]
        body = request.body.encode() if isinstance(request.body, str) else request.body
        return Request(
            method=str(request.method),
            path=parts.path,
            query=_query(parts.query),
            headers=headers,
            content=body if isinstance(body, bytes) else None,
            operation=known.id if request.method == known.method else None,
            path_parameters={name: str(value) for name, value in (case.path_parameters or {}).items()},
            journey=self.context.journey,
            step=f"{self.phase}: {known.id}",
            account=self.context.account,
            auth="header" if has_pass else "none",
            is_repeatable=request.method == "GET",
            is_generated=True,
        )

    def _sent(self, request: Request) -> Exchange:
        """Send through the client, and account for the jobs that come of it on the account under test."""
        run = self.context.run
        minutes = run.cost_of(request)
        creates = run.contract.effect(request.operation) == CREATES
        if creates:
            self.end_walks()
            reserve(self.context, minutes)
        if run.contract.effect(request.operation) == STREAMS:
            return self._streamed(request)
        call = self.context.client.send(request)
        if creates and self.context.account.is_main:
            body = request.document
            job = register_job(self.context, call, body if isinstance(body, dict) else {}, minutes)
            if job is not None:
                self.walks.append(job)
                if self.phase != "stateful":
                    self.end_walks()
        if self.context.account.is_main and call.is_success:
            self._note(call)
        return call

    def end_walks(self) -> None:
        """Cancel the jobs that were left to be walked to; there is never more than one."""
        while self.walks:
            job = self.walks.pop()
            if job.id in self.context.run.settled:
                continue
            known = self.context.run.contract.one(READS)
            path = self.context.run.contract.job_path(known, job.id)
            call = self.context.call(known.id, 200, path=path, step="look at what was accepted")
            status = call.document.get("status")
            if status in TERMINAL:
                settle_budget(self.context, job, status)
            else:
                cancel(self.context, job)

    def _note(self, call: Exchange) -> None:
        """Remember what a walk did to a job of the run."""
        job = self.context.run.jobs.get(call.job_id)
        if job is not None and call.effect == ENDS:
            settle_budget(self.context, job, "cancelled")
        if job is not None and call.effect == DELETES:
            settle_budget(self.context, job, "done" if job.id not in self.context.run.settled else "cancelled")
            self.context.run.deleted.add(job.id)

    def _streamed(self, request: Request) -> Exchange:
        with self.context.client.open(request) as (stream, call):
            if stream is None:
                return call
            stream.wait_closed(STREAM_SECONDS)
            return self.context.client.finished(call, stream)


class Transport(RequestsTransport):
    """Schemathesis' own transport, which ends at the run's client."""

    def __init__(self, engine_transport: EngineTransport) -> None:
        super().__init__()
        self._copy_serializers_from(REQUESTS_TRANSPORT)
        self._engine_transport = engine_transport

    def send(self, case: Case[Any], *, session: requests.Session | None = None, **kwargs: Any) -> Response:
        """Send a case through the run; whatever address the engine has in mind is not asked for."""
        session = session or ManagedCookiesSession()
        session.trust_env = False
        session.mount(BASE, _Adapter(self._engine_transport, case))
        return super().send(case, session=session, **{**kwargs, "base_url": BASE})


class _Adapter(BaseAdapter):
    def __init__(self, engine_transport: EngineTransport, case: Case[Any]) -> None:
        super().__init__()
        self._engine_transport, self._case = engine_transport, case

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send a request; time-outs, proxies and certificates are those of the run."""
        return self._engine_transport.answer(self._case, request)

    def close(self) -> None:
        """There is nothing to close."""


def _query(text: str) -> dict[str, str | list[str]]:
    """Return a query by name, with a list for a name that comes several times."""
    found = parse_qs(text, keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def as_requests(call: Exchange, request: requests.PreparedRequest) -> requests.Response:
    """Return an answer as `requests` would have read it."""
    headers = HTTPHeaderDict()
    for name, value in call.headers:
        if name.lower() not in _OF_THE_WIRE:
            headers.add(name, value)
    raw = HTTPResponse(body=io.BytesIO(call.body), headers=headers, status=call.status or 0, preload_content=False)
    response = requests.Response()
    response.status_code, response.raw, response.request = call.status or 0, raw, request
    response.headers = CaseInsensitiveDict(headers.items())
    response.url, response.reason = str(request.url), ""
    response.elapsed = timedelta(seconds=call.seconds)
    return response
