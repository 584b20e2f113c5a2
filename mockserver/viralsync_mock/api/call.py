"""What one call knows on its way through the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from viralsync_mock.clock import Mode
from viralsync_mock.jobs.models import add_seconds
from viralsync_mock.jobs.sse import KEEP_ALIVE
from viralsync_mock.journal.entry import CLIENT_DISCONNECTED, JournalEntry
from viralsync_mock.openapi.spec import Operation
from viralsync_mock.response import StreamClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from starlette.types import Receive, Scope

    from viralsync_mock.errors import ApiError
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Rule
    from viralsync_mock.state import MockServer

NO_TIME = timedelta()
NONE: Mapping[str, Any] = MappingProxyType({})

ABORT_EXTENSION = "viralsync.hang_up"
"""ASGI extension of our server: a fault breaks the connection off with `abort(reset=...)`."""

RESPOND_EXTENSION = "viralsync.respond"
"""ASGI extension of our server: `respond(status, head, body)` sends a whole response with one write, if it can."""

UNRESOLVED = Operation("", "", "", (), None, False, {}, False, {})
"""The operation of a call before one was found."""


class Call:
    """One request on its way through the pipeline; each stage fills in what it finds out.

    `account` is the caller's, as the scenario has it; `body` is None when it was larger than the spec's limit, and
    `body_error` set when it could not be decoded. `entry` is the call in the journal. `abort` and `respond` are the
    extensions of our server (api/asgi.py). Faults set `read_lag`, `listing_delay` and `webhook_faults`: see
    `FaultContext`.
    """

    path_parameters: Mapping[str, str] = NONE
    parameters: Mapping[str, Any] = NONE
    operation = UNRESOLVED
    body: bytes | None = b""
    body_error: ApiError | None = None
    document: Any = None
    rule: Rule | None = None
    read_lag = listing_delay = NO_TIME
    webhook_faults: tuple[object, ...] = ()

    def __init__(
        self, mock: MockServer, scope: Scope, receive: Receive, sandbox: Sandbox, headers: dict[bytes, bytes]
    ) -> None:
        self.mock, self.sandbox, self.receive, self.headers = mock, sandbox, receive, headers
        files = self.files = mock.files  # those of this call: a reload does not change them
        self.spec, self.scenario, self.account = files.spec, files.scenario, files.scenario.account
        self.behaviour = sandbox.behaviour_override or files.behaviour
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        extensions = scope.get("extensions", NONE)
        self.abort: Callable[..., None] = extensions.get(ABORT_EXTENSION, _cannot_abort)
        self.respond: Callable[[int, bytes, bytes], bool] = extensions.get(RESPOND_EXTENSION, _cannot_respond)
        now = sandbox.clock.now()
        self._now: datetime | None = now
        self.entry = JournalEntry(sandbox.calls + 1, now, scope, sandbox.key)

    @property
    def job_id(self) -> str:
        """The id of the job that the path names; empty if it names none."""
        return self.path_parameters.get(self.operation.job_parameter or "", "")

    async def pause(self, seconds: float) -> None:
        """Let real time pass, until the client has gone at most."""
        if not await while_connected(self.receive, self.sandbox.clock.real.sleep(seconds)):
            self.entry.ending = CLIENT_DISCONNECTED
        self._now = None

    async def auto_advance(self, next_change: Callable[[datetime], datetime | None]) -> None:
        """On an auto clock, go to where the view of this call next changes."""
        if self.sandbox.clock.mode is Mode.AUTO:
            instant = next_change(self.seen_at)
            await self.sandbox.auto_advance_if_idle(instant and instant + self.read_lag)
            self._now = None

    @property
    def now(self) -> datetime:
        """The instant on the sandbox's clock at which the call happens."""
        if self._now is None:
            self._now = self.sandbox.clock.now()
        return self._now

    @property
    def seen_at(self) -> datetime:
        """The instant whose state the call sees: now, or earlier by a fault."""
        return self.now - self.read_lag if self.read_lag else self.now

    def invalidate_now(self) -> None:
        """Read the clock again at the next look: time may have passed."""
        self._now = None

    def draw(self, purpose: str) -> float:
        """Draw from the sandbox's seed, for this call alone."""
        return self.sandbox.draw(purpose, self.entry.number)

    async def wait_disconnect(self) -> None:
        """Wait until the client has gone, or the sandbox is closed."""
        async with self.reader() as reader:
            with self.sandbox.clock.waiting_call():
                async for _ in self.keep_open(reader, keep_alive=False):
                    pass

    def reader(self) -> AbstractAsyncContextManager[StreamClient]:
        """Watch the client at the other end."""
        return watched(self.receive)

    async def keep_open(self, reader: StreamClient, *, keep_alive: bool) -> AsyncGenerator[bytes]:
        """Keep a stream open until its client goes or the sandbox is closed, in silence or with keep-alives."""
        clock, seconds = self.sandbox.clock, self.behaviour.sse_keep_alive_seconds
        with clock.alarm() as alarm:
            reader.on_disconnect = alarm.wake
            while not (reader.is_disconnected or self.sandbox.is_closed):
                # the clock counts milliseconds: a shorter pause would be none, and the loop never wait
                due = None if seconds is None or not keep_alive else add_seconds(clock.now(), max(seconds, 0.001))
                await alarm.until(due)
                if due is not None and due <= clock.now():
                    yield KEEP_ALIVE


def _cannot_respond(_status: int, _head: bytes, _body: bytes) -> bool:
    return False


def _cannot_abort(*, reset: bool) -> None:
    how = "reset" if reset else "close"
    raise ConnectionAbortedError(f"a fault wants to {how} the connection, and this server offers no way to it")


@asynccontextmanager
async def watched(receive: Receive) -> AsyncIterator[StreamClient]:
    """Watch the client at the other end of a request whose body has been read."""
    reader = StreamClient()
    watch = asyncio.create_task(_watch(receive, reader))
    try:
        yield reader
    finally:
        watch.cancel()


async def while_connected(receive: Receive, work: Awaitable[object]) -> bool:
    """Wait for some work, and cancel it when the client goes; return whether the client is still there."""
    waiting = asyncio.ensure_future(work)
    async with watched(receive) as reader:
        reader.on_disconnect = partial(_cancel, waiting)
        try:
            await asyncio.wait({waiting})
        finally:
            waiting.cancel()
    if not waiting.cancelled():
        waiting.result()  # raises what went wrong with it
    return not reader.is_disconnected


def _cancel(waiting: asyncio.Future[object]) -> None:
    waiting.cancel()


async def _watch(receive: Receive, reader: StreamClient) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.disconnect()
