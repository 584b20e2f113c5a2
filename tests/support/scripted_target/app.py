"""A production that is not ours: the API written anew from its documentation, with its own habits and troubles.

Nothing of the mock is in it, and it has no control API: time passes, as fast as its clock says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol

import anyio
import httpx2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.support.scripted_target.jobs import TERMINAL, Habits, Job, Step
from tests.support.scripted_target.movies import what_is_wrong
from tests.support.scripted_target.outages import Trouble, make

LIMIT, WINDOW = 120, 60.0
LARGEST_BODY = 1024 * 1024
BETWEEN_LOOKS = 0.005
"""Real seconds between two looks of a stream at its job."""

PLANS = {"pro": (200, 3), "business": (600, 6), "enterprise": (None, None)}
STATUSES = {"queued", "running", "waiting", *TERMINAL}


class Clock(Protocol):
    """What time it is here."""

    def now(self) -> datetime:
        """Return the instant."""
        ...


class Refused(Exception):
    """The call is answered with an error."""

    def __init__(self, status: int, code: str, text: str, **headers: str) -> None:
        self.status, self.code, self.text, self.headers = status, code, text, headers


@dataclass
class Account:
    """One customer; `plan` is how it is named, `limits` minutes in a month and jobs at once."""

    key: str
    plan: str = "pro"
    limits: tuple[int | None, int | None] | None = None
    used: float = 0.0
    jobs: dict[str, Job] = field(default_factory=dict)
    instants: list[float] = field(default_factory=list)

    @property
    def allowed(self) -> tuple[int | None, int | None]:
        """Minutes in a month, jobs at once."""
        return self.limits or PLANS[self.plan]


@dataclass(frozen=True)
class Seen:
    """A request as it came in; `at` in seconds of this production's clock."""

    at: float
    method: str
    path: str
    key: str
    status: list[int] = field(default_factory=list)


Handler = Callable[[Account, Request], Awaitable[Response]]


class Production:
    """The ASGI application. Every request that comes in is in `seen`, every job that was ever made in `made`."""

    def __init__(
        self, clock: Clock, accounts: Sequence[Account], habits: Habits, troubles: Sequence[Trouble] = ()
    ) -> None:
        self.clock, self.habits, self.troubles = clock, habits, troubles
        self.accounts = {account.key: account for account in accounts}
        self.seen: list[Seen] = []
        self.made: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        routes = [
            ("/v1/me", "GET", self._me),
            ("/v1/usage", "GET", self._usage),
            ("/v1/render/jobs", "POST", self._submit),
            ("/v1/jobs", "GET", self._list),
            ("/v1/jobs/{id}/progress", "GET", self._progress),
            ("/v1/jobs/{id}/cancel", "POST", self._cancel),
        ]
        found = [Route(path, self._open(handler), methods=[method, "OPTIONS"]) for path, method, handler in routes]
        one = Route("/v1/jobs/{id}", self._open(self._one), methods=["GET", "DELETE", "OPTIONS"])
        errors: Any = {HTTPException: self._no_route, Refused: self._refused}
        self._app = Starlette(routes=[*found, one], exception_handlers=errors)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, unless there is trouble."""
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        seen = Seen(self.clock.now().timestamp(), scope["method"], scope["path"], key)
        if not scope["path"].startswith("/__mock"):
            self.seen.append(seen)

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.status.append(message["status"])
                if self.habits.has_date:
                    date = format_datetime(self.clock.now(), usegmt=True).encode()
                    message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        trouble = next((each for each in self.troubles if each.hits(len(self.seen), scope)), None)
        if trouble is None or await make(trouble, send, told):
            await self._app(scope, receive, told)

    # what every call goes through

    def _open(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(None, 204, {"allow": "GET, HEAD, OPTIONS"})
            account = self._authenticated(request)
            left = self._counted(account)
            response = await handler(account, request)
            if self.habits.limit_headers:
                response.headers["x-ratelimit-limit"] = str(LIMIT)
                response.headers["x-ratelimit-remaining"] = str(left)
            return response

        return endpoint

    def _authenticated(self, request: Request) -> Account:
        header, bearer = request.headers.get("x-api-key"), request.headers.get("authorization")
        shown = {key for key in (header, bearer and bearer.removeprefix("Bearer ")) if key}
        account = self.accounts.get(shown.pop()) if len(shown) == 1 else None
        if account is None:
            raise Refused(401, "UNAUTHORIZED", "This key opens nothing")
        return account

    def _counted(self, account: Account) -> int:
        now = self.clock.now().timestamp()
        account.instants = [each for each in account.instants if each > now - WINDOW]
        if len(account.instants) >= LIMIT:
            wait = int(account.instants[0] + WINDOW - now) + 1
            raise Refused(429, "RATE_LIMITED", f"Retry after {wait} seconds", **{"retry-after": str(wait)})
        account.instants.append(now)
        return LIMIT - len(account.instants)

    async def _refused(self, _: Request, refusal: Refused) -> Response:
        code = self.habits.codes.get(refusal.code, refusal.code)
        body = {"error": refusal.text, "code": code} | (
            {"docs": "https://errors.example"} if self.habits.extras else {}
        )
        return JSONResponse(body, refusal.status, refusal.headers)

    async def _no_route(self, request: Request, error: HTTPException) -> Response:
        code = "METHOD_NOT_ALLOWED" if error.status_code == 405 else "NOT_FOUND"
        return await self._refused(request, Refused(error.status_code, code, "No such thing", **(error.headers or {})))

    # the account

    async def _me(self, account: Account, _: Request) -> Response:
        found = {"userId": "usr-1", "plan": account.plan, "email": "ada@studio.example"}
        return JSONResponse(found | ({"seats": 4} if self.habits.extras else {}))

    async def _usage(self, account: Account, _: Request) -> Response:
        used = self._used(account)
        if not self.habits.has_usage_detail:
            return JSONResponse({"minutesUsed": used})
        (minutes, jobs), start = (
            account.allowed,
            self.clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0),
        )
        left = None if minutes is None else max(0.0, minutes - used)
        period = {"periodStart": start, "periodEnd": (start + timedelta(days=32)).replace(day=1)}
        return JSONResponse(
            {
                "plan": account.plan,
                **{name: f"{instant:%Y-%m-%dT%H:%M:%S}.000Z" for name, instant in period.items()},
                "renderMinutes": {"used": used, "limit": minutes, "remaining": left},
                "daily": None,
                "concurrentJobs": {"running": len(self._unfinished(account)), "limit": jobs},
            }
        )

    def _used(self, account: Account) -> float:
        for job in account.jobs.values():
            if not job.charged and self._step(job).status == "done":
                job.charged = True
                account.used += job.length / 60
        return account.used

    def _unfinished(self, account: Account) -> list[Job]:
        return [job for job in account.jobs.values() if self._step(job).status not in TERMINAL]

    def _step(self, job: Job) -> Step:
        return job.step(self.clock.now())[1]

    # jobs

    async def _submit(self, account: Account, request: Request) -> Response:
        body = await self._body(request)
        if wrong := what_is_wrong(body):
            raise Refused(400, "VALIDATION_ERROR", wrong)
        (minutes, at_once), under_way = account.allowed, len(self._unfinished(account))
        if minutes is not None and self._used(account) >= minutes:
            raise Refused(402, "RENDER_QUOTA_EXCEEDED", "The minutes of this month are used up")
        if at_once is not None and under_way >= at_once:
            raise Refused(409, "CONCURRENCY_LIMIT_EXCEEDED", f"{under_way} jobs are under way")
        self.made.append(self.habits.id_form.format(len(self.made) + 0xA1))
        job = Job(self.made[-1], body, self.clock.now(), self.habits)
        account.jobs[job.id] = job
        if body.get("callbackUrl"):
            task = asyncio.get_running_loop().create_task(self._tell(job, body["callbackUrl"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        told = {"jobId": job.id} if self.habits.tells_id else {}
        return JSONResponse({**told, "status": "queued"}, 202)

    async def _body(self, request: Request) -> Any:
        content = await request.body()
        if len(content) > LARGEST_BODY:
            raise Refused(413, "PAYLOAD_TOO_LARGE", "More than a mebibyte")
        is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        try:
            if self.habits.needs_json_type and not is_json:
                raise ValueError("expected application/json")
            return json.loads(content)
        except (ValueError, RecursionError) as wrong:
            raise Refused(400, "VALIDATION_ERROR", f"The body is not JSON: {wrong}") from None

    def _found(self, account: Account, request: Request) -> tuple[str, Job]:
        wanted = request.path_params["id"]
        for job in account.jobs.values():
            if wanted == job.id or wanted in job.children_ids():
                return wanted, job
        raise Refused(404, "JOB_NOT_FOUND", "No such job")

    async def _one(self, account: Account, request: Request) -> Response:
        wanted, job = self._found(account, request)
        now = self.clock.now()
        if request.method != "DELETE":
            return JSONResponse(job.document(now) if wanted == job.id else job.child(wanted, now))
        if self._step(job).status not in TERMINAL:
            raise Refused(409, "INVALID_STATE_TRANSITION", "It is not finished")
        self._used(account)
        del account.jobs[job.id]
        return JSONResponse({"jobId": job.id, "deleted": True}) if self.habits.delete_body else Response(None, 204)

    async def _cancel(self, account: Account, request: Request) -> Response:
        _, job = self._found(account, request)
        if self._step(job).status in TERMINAL:
            raise Refused(409, "INVALID_STATE_TRANSITION", "It is finished")
        now = self.clock.now()
        job.cancelled_after = (now - job.created).total_seconds()
        return JSONResponse(job.document(now)) if self.habits.cancel_body else Response(None, 204)

    async def _list(self, account: Account, request: Request) -> Response:
        query = request.query_params
        limit, status = query.get("limit", "25"), query.get("status")
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= 100):
            raise Refused(400, "VALIDATION_ERROR", "limit must be from 1 to 100")
        if status is not None and status not in STATUSES:
            raise Refused(400, "VALIDATION_ERROR", "status is not known")
        kept = [job for job in self._listed(account) if self._is_asked_for(job, query.get("type"), status)]
        start = 0
        if "cursor" in query:
            last = _before(query["cursor"])
            older = [number for number, job in enumerate(kept) if _number(job["jobId"]) < last]
            start = older[0] if older else len(kept)
        page = kept[start : start + int(limit)]
        is_last = start + len(page) >= len(kept)
        cursor = None if is_last else base64.urlsafe_b64encode(f"<{page[-1]['jobId']}".encode()).decode()
        return JSONResponse({self.habits.list_key: page, "nextCursor": cursor})

    def _listed(self, account: Account) -> Iterator[dict[str, Any]]:
        now = self.clock.now()
        for job in reversed(account.jobs.values()):
            yield job.document(now)
            if self.habits.lists_children:
                yield from (job.child(each, now) for each in job.children_ids())

    def _is_asked_for(self, job: dict[str, Any], kind: str | None, status: str | None) -> bool:
        is_kind = kind is None or job["type"] == kind or job["type"].startswith(f"{kind}.")
        return is_kind and status in {None, job["status"]}

    # what is told of a job while it goes on

    async def _progress(self, account: Account, request: Request) -> Response:
        _, job = self._found(account, request)
        last = request.headers.get("last-event-id", "") if self.habits.resumes else ""
        first = int(last) + 1 if last.isdecimal() else job.step(self.clock.now())[0]
        headers = {"cache-control": "no-cache"}
        return StreamingResponse(self._events(job, first), media_type="text/event-stream", headers=headers)

    async def _events(self, job: Job, first: int) -> Any:
        async for number, step in self._lived(job, first):
            kind = step.status if step.status in TERMINAL else "progress"
            name = f"event: {kind}\n" if self.habits.event_names else ""
            number_line = f"id: {number}\n" if self.habits.event_ids else ""
            yield f"{name}{number_line}data: {json.dumps(job.event(step))}\n\n"

    async def _lived(self, job: Job, first: int) -> Any:
        """Yield the steps of a job from one on, each when it is there, up to the terminal one."""
        told = first
        while True:
            number, _ = job.step(self.clock.now())
            for each in range(told, number + 1):
                step = job.steps()[each]
                yield each, step
                if step.status in TERMINAL:
                    return
            told = max(told, number + 1)
            await anyio.sleep(BETWEEN_LOOKS)

    async def _tell(self, job: Job, url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            async for _, step in self._lived(job, 0):
                body = json.dumps(job.event(step)).encode()
                signature = hmac.new(self.habits.hook_secret.encode(), body, hashlib.sha256).hexdigest()
                headers = {"content-type": "application/json", "x-render-signature": signature}
                try:
                    await client.post(url, content=body, headers=headers)
                except (httpx2.HTTPError, httpx2.InvalidURL):
                    return


def _number(job_id: str) -> tuple[int, str]:
    return len(job_id), job_id


def _before(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        text = ""
    if not text.startswith("<"):
        raise Refused(400, "VALIDATION_ERROR", "No page gave this cursor")
    return _number(text[1:])
