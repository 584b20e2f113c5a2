"""What mutants are made of: layers that change requests, answers and the jobs in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_mock.app import CONTROL_PREFIX

JOB_VIEWS = ("getJob", "listJobs", "cancelJob")
SUCCESS = frozenset({200, 201, 202, 204})
REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 429})
ACCOUNT = f"{CONTROL_PREFIX}/account"
MAX_LISTED = 100
SECURED = ("submitRenderJob", "listJobs", "getJob", "streamJobProgress", "cancelJob", "deleteJob", "getMe", "getUsage")
"""The operations, as the API's documentation names them."""

Seen = dict[Any, Any]
"""What a mutant remembers of one job."""

Document = dict[str, Any]


def is_for(request: Request, operations: tuple[str, ...]) -> bool:
    """Say whether a request is for one of these operations; none are all."""
    return not operations or request.operation in operations


def edit_response(
    edit: Callable[[Answer], None], *operations: str, statuses: frozenset[int] | None = SUCCESS, code: str | None = None
) -> Layer:
    """Change an answer with such a status (None: any), and with this error code where one is given."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        fits = (statuses is None or answer.status in statuses) and (code is None or answer.code == code)
        if is_for(call.request, operations) and fits:
            edit(answer)
        return answer

    return layer


def edit_json(edit: Callable[[Document], object], *operations: str, statuses: frozenset[int] | None = SUCCESS) -> Layer:
    def edited(answer: Answer) -> None:
        document = answer.document
        if isinstance(document, dict):
            edit(document)
            answer.document = document

    return edit_response(edited, *operations, statuses=statuses)


def edit_error(edit: Callable[[Answer], None], code: str, *operations: str) -> Layer:
    return edit_response(edit, *operations, statuses=None, code=code)


def edit_jobs(edit: Callable[[Document, Seen], object], *operations: str) -> Layer:
    """Change every job that is shown, in place; what is remembered of a job stays with its id."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if call.request.operation in (operations or JOB_VIEWS) and answer.status in SUCCESS:
            document = answer.document
            for job in _jobs(document):
                edit(job, seen(call, job["jobId"]))
            if document is not None:
                answer.document = document
        return answer

    return layer


def seen(call: MutantCall, job_id: object) -> Seen:
    remembered: Seen = call.memory.setdefault(("job", job_id), {})
    return remembered


def _jobs(document: Any) -> Iterator[Document]:
    if isinstance(document, dict):
        for job in document.get("jobs", [document]):
            if isinstance(job, dict) and "jobId" in job:
                yield job


def edit_request(change: Callable[[Request], Request], *operations: str) -> Layer:
    """Let the mock answer another request than the one that came."""

    async def layer(call: MutantCall) -> Answer:
        if is_for(call.request, operations):
            return await call.proceed(change(call.request))
        return await call.proceed()

    return layer


def when(make: Callable[[MutantCall], Awaitable[Answer | None]], operation: str) -> Layer:
    """Answer an operation in the mock's place; where nothing is made, the mock answers."""

    async def layer(call: MutantCall) -> Answer:
        made = await make(call) if call.request.operation == operation else None
        return made or await call.proceed()

    return layer


def after(
    make: Callable[[MutantCall, Answer], Awaitable[Answer | None]], operation: str, *, status: int | None = None
) -> Layer:
    """See the mock's answer to an operation, and answer otherwise; where nothing is made, that answer stands."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if call.request.operation == operation and status in (None, answer.status):
            return await make(call, answer) or answer
        return answer

    return layer


def both(outer: Layer, inner: Layer) -> Layer:
    """Lay one layer over another."""

    async def layer(call: MutantCall) -> Answer:
        async def below(lower: MutantCall) -> Answer:
            return await inner(replace(lower, below=call.below))

        return await outer(replace(call, below=below))

    return layer


def status(number: int) -> Callable[[Answer], None]:
    return lambda answer: setattr(answer, "status", number)


def header(name: str, value: str | None) -> Callable[[Answer], None]:
    """Return an edit that gives a header another value, or leaves it out."""
    return lambda answer: answer.set_header(name, value)


def body(content: bytes, media_type: str = "application/json") -> Callable[[Answer], None]:
    def edit(answer: Answer) -> None:
        answer.body = content
        answer.set_header("content-type", media_type)

    return edit


def refused(code: str, retry_after: int | None = None, **values: object) -> Callable[..., Awaitable[Answer]]:
    """Return what refuses a request with an error code of the spec."""

    async def make(call: MutantCall, *_: object) -> Answer:
        return call.refusal(code, retry_after, **values)

    return make


def later(instant: str, seconds: float) -> str:
    """Return an instant of the API, later by some seconds."""
    moved = datetime.fromisoformat(instant) + timedelta(seconds=seconds)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moved.microsecond // 1000:03}Z"


def under_account(code: str, field: str, meanwhile: object, *operations: str) -> Layer:
    """Answer a request that was refused with this code as though the account were another."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if answer.code != code or not is_for(call.request, operations):
            return answer
        before = (await call.ask("GET", ACCOUNT)).document[field]
        await call.ask("PATCH", ACCOUNT, {field: meanwhile})
        try:
            return await call.again(call.request)
        finally:
            await call.ask("PATCH", ACCOUNT, {field: before})

    return layer


async def every_job(call: MutantCall, **parameters: str) -> list[Document]:
    jobs: list[Document] = []
    cursor: str | None = None
    while True:
        query = "".join(f"&{name}={value}" for name, value in {**parameters, "cursor": cursor}.items() if value)
        answer = await call.ask("GET", f"/v1/jobs?limit={MAX_LISTED}{query}")
        page: Any = answer.document
        if answer.status != 200:
            return jobs
        jobs += page["jobs"]
        cursor = page["nextCursor"]
        if cursor is None:
            return jobs
