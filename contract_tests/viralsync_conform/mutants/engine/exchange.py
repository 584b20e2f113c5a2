"""A request inside a mutant, what the mutant remembers, and requests to the mock behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from viralsync_conform.mutants.engine.asgi import (
    Answer,
    Application,
    Exchange,
    Request,
    Scope,
    ask,
    json_answer,
    made_request,
)
from viralsync_mock.app import CONTROL_PREFIX, App
from viralsync_mock.openapi.spec import Spec
from viralsync_mock.redaction import masked

Layer = Callable[["MutantCall"], Awaitable[Answer]]

UNUSED_KEY = "vs_prod_" + "0" * 32
"""A key that opens a sandbox in which nothing is."""

METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")


@dataclass(eq=False)
class MutantState:
    """State of a mutant: the mock behind it, its memory by key, the owners of jobs."""

    app: App
    quiet: App
    """The same mock without a rate limit, for the mutant's own requests."""

    spec: Spec
    of_key: dict[str, dict[Any, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    @classmethod
    def around(cls, app: App) -> MutantState:
        """Return the state of a mutant in front of a mock."""
        unlimited = replace(app.mock, settings=replace(app.mock.settings, is_rate_limited=False))
        return cls(app, App(unlimited), app.mock.files.spec)

    def secret_of(self, job_id: str) -> str:
        sandbox = self.app.mock.sandboxes.get(self.owners.get(job_id, ""))
        scenario = self.app.mock.scenario_of(sandbox) if sandbox else self.app.mock.files.scenario
        return scenario.webhooks.secret

    def named(self, scope: Scope, body: bytes) -> Request:
        """Return a request with its operation and job id."""
        method, path = scope["method"], scope["path"]
        found = self.app.api_routes.find(path)
        if found is None:
            return Request(scope, body, None, (), None)
        operations, values = found
        near = tuple(operations.by_method[each].id for each in METHODS if each in operations.by_method)
        operation = operations.by_method.get(method)
        return Request(scope, body, operation.id if operation else None, near, values.get("jobId"))


@dataclass(frozen=True, eq=False)
class MutantCall:
    """One request on its way through a mutant."""

    request: Request
    world: MutantState
    gone: asyncio.Event
    opened: list[Exchange]
    below: Layer

    @property
    def memory(self) -> dict[Any, Any]:
        return self.world.of_key.setdefault(self.request.key, {})

    async def proceed(self, request: Request | None = None) -> Answer:
        """Return the response of the layers below, the lowest being the mock."""
        return await self.below(self if request is None else replace(self, request=request))

    async def ask(self, method: str, target: str, document: object = None, *, key: str | None = None) -> Answer:
        """Send the mock a request of the mutant's own, which counts against no limit."""
        headers = {"x-api-key": self.request.key if key is None else key}
        request = made_request(method, target, headers, document)
        return await ask(cast(Application, self.world.quiet), request, self.opened)

    async def again(self, request: Request) -> Answer:
        """Return the mock's response to a request, without counting it."""
        return await ask(cast(Application, self.world.quiet), request, self.opened)

    async def ask_as_sent(self, method: str, target: str) -> Answer:
        """Send the mock a request with the key headers of the client."""
        sent = {name: self.request.header(name) for name in ("x-api-key", "authorization")}
        headers = {name: value for name, value in sent.items() if value is not None}
        request = made_request(method, target, headers)
        return await ask(cast(Application, self.world.quiet), request, self.opened)

    async def now(self) -> datetime:
        clock = (await self.ask("GET", f"{CONTROL_PREFIX}/clock")).document
        return datetime.fromisoformat(clock["now"])

    def refusal(self, code: str, retry_after: int | None = None, **values: object) -> Answer:
        """Return a refusal as the API writes it."""
        entry = self.world.spec.errors[code]
        if retry_after is not None:
            values["retryAfter"] = retry_after
        text = masked(entry.text.format_map(_Named(values)), self.request.key)
        answer = json_answer({"error": text, "code": code}, entry.status)
        if retry_after is not None:
            answer.set_header("retry-after", str(retry_after))
        return answer


class _Named(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return name


async def the_mock(call: MutantCall) -> Answer:
    """Return the mock's response: the lowest layer of every mutant."""
    return await ask(cast(Application, call.world.app), call.request, call.opened)
