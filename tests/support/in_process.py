"""Drives the application in this process, without a socket: one task a call, on real time that stands still."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

import orjson
from hypothesis import strategies as st
from starlette.types import Message, Scope

from viralsync_mock.api.call import ABORT_EXTENSION
from viralsync_mock.app import App
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.faults.stream import StreamFault
from viralsync_mock.registry import SandboxRegistry
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.scenarios.fault_syntax import KINDS, WEBHOOK_KINDS
from viralsync_mock.settings import Settings
from viralsync_mock.state import LoadedFiles, MockServer, read_files
from viralsync_mock.webhooks.sender import DeliveryFailed, Reply, WebhookRequest

KEY = "vs_prod_" + "5e" * 16
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET_TURNS = 12
"""Nothing has happened for this many turns of the loop: everything waits for somebody outside."""

MOST_TURNS = 20_000


async def turn(_seconds: float = 0) -> None:
    """Let everybody else run once, however long the wait was meant to be."""
    await RealTime().sleep(0)


STANDING = RealTime(wall=lambda: START, monotonic=lambda: 0.0, sleep=turn)
"""Real time that stands still: every pause is over at once."""


@dataclass(eq=False)
class Exchange:
    """One call on its way: what was asked, and what has come back so far.

    `has_ended` says that the answer is whole; `was_cut` how a fault broke the connection off: `closed` or `reset`.
    """

    scope: Scope
    body: bytes = b""
    status: int | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    has_ended: bool = False
    has_left: bool = False
    was_cut: str | None = None
    taken: int = 0

    def __post_init__(self) -> None:
        self._gone, self._is_asked = asyncio.Event(), False
        self.scope["extensions"] = {ABORT_EXTENSION: self._hang_up}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.has_ended or self.has_left or self.was_cut is not None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer by name."""
        return dict(self.lines)

    @property
    def content(self) -> bytes:
        """The body of the answer, as much of it as has come."""
        return b"".join(self.chunks)

    @property
    def document(self) -> Any:
        """The body of the answer as JSON values."""
        return orjson.loads(self.content)

    @property
    def number(self) -> int:
        """The number of the call in the journal, as `x-mock-call-id` has it."""
        return int(self.headers["x-mock-call-id"].rpartition("_")[2])

    def take(self) -> bytes:
        """Return what has come of the body since the last time."""
        since, self.taken = self.taken, len(self.chunks)
        return b"".join(self.chunks[since:])

    def leave(self) -> None:
        """Go, as a client that closes its connection."""
        self.has_left = True
        self._gone.set()

    async def receive(self) -> Message:
        """Hand out the body, then wait until the client has gone."""
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; what comes after the client has gone is lost, as on a socket."""
        if self.is_over:
            return
        if message["type"] == "http.response.start":
            assert self.status is None, "the head came twice"
            self.status = message["status"]
            self.lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            return
        assert self.status is not None, "a body came before its head"
        if message["body"]:
            self.chunks.append(message["body"])
        if not message.get("more_body"):
            self.has_ended = True
            self._gone.set()

    def _hang_up(self, *, reset: bool) -> None:
        self.was_cut = "reset" if reset else "closed"
        self._gone.set()


@dataclass
class Receiver:
    """Takes webhooks in the network's place: one of the `replies` an attempt, 200 after them; None is no answer."""

    replies: deque[int | None] = field(default_factory=deque)
    got: list[tuple[WebhookRequest, int | None]] = field(default_factory=list)

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Take one webhook."""
        await turn()
        status = self.replies.popleft() if self.replies else 200
        self.got.append((request, status))
        if status is None:
            raise DeliveryFailed("unreachable", "Nobody listens there.")
        return Reply(status, (), b"")

    async def close(self) -> None:
        """Hold nothing open."""


@cache
def files_for(scenario: str) -> LoadedFiles:
    """Return the files of a mock, read once."""
    return read_files(Settings(scenario=scenario))


class InProcess:
    """A mock and its clients in one process; `bugs` holds what the mock, or the loop, complained of.

    `made` are all exchanges in the order in which they began.
    """

    def __init__(self, mode: Mode = Mode.FROZEN, scenario: str = "happy", **options: Any) -> None:
        settings = Settings(clock=mode, scenario=scenario, real=STANDING, check_answers=True, **options)
        self.receiver, self.bugs = Receiver(), list[tuple[str, object]]()
        self.mock = MockServer(settings, files_for(scenario), SandboxRegistry(settings), sender=self.receiver)
        self.mock.on_bug = lambda where, error: self.bugs.append((where, error))
        self.app = App(self.mock)
        self.made: list[Exchange] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox of the usual key."""
        return self.mock.sandbox(KEY)

    def begin(
        self, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None, key: str = KEY
    ) -> Exchange:
        """Begin a call and return it at once; nothing has run yet."""
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        lines = {"x-api-key": key, **(headers or {})}
        if content:
            lines = {"content-type": "application/json", "content-length": str(len(content)), **lines}
        exchange = Exchange(_scope(method, target, lines.items()), content)
        self.made.append(exchange)
        task = asyncio.get_running_loop().create_task(self.app(exchange.scope, exchange.receive, exchange.send))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return exchange

    async def call(self, method: str, target: str, body: object = None, **how: Any) -> Exchange:
        """Make a call and return it with its answer; give up and leave when there is none to come."""
        exchange = self.begin(method, target, body, **how)
        await self.quiet(exchange)
        if not exchange.is_over:
            exchange.leave()
            await self.quiet()
        return exchange

    async def control(self, method: str, target: str, body: object = None, *statuses: int) -> Any:
        """Call the control API, which has to answer with one of these statuses, or 200; return the document."""
        exchange = await self.call(method, f"/__mock{target}", body)
        self.made.remove(exchange)
        assert exchange.status in (statuses or (200,)), exchange.content
        return exchange.document

    async def quiet(self, exchange: Exchange | None = None) -> None:
        """Run until a call is over, or until nothing happens any more."""
        still, before = 0, self._signs()
        for _ in range(MOST_TURNS):
            if (exchange is not None and exchange.is_over) or still == QUIET_TURNS:
                return
            await turn()
            signs = self._signs()
            still, before = (still + 1 if signs == before else 0), signs
        raise AssertionError("the mock never comes to rest")

    def _signs(self) -> tuple[object, ...]:
        """Return what changes whenever something happens."""
        sandbox = self.mock.sandboxes.get(KEY)
        now = None if sandbox is None else (sandbox.clock.now(), len(sandbox.journal), sandbox.clock.in_flight)
        return now, len(self.receiver.got), len(self._tasks), sum(len(each.chunks) for each in self.made[-40:])

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.bugs.append(("the call", error))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.bugs.append(("the loop", context)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the mock, with its clients still there: it has to end what they wait for by itself."""
        await self.mock.close()
        await self.quiet()


def _scope(method: str, target: str, headers: Iterable[tuple[str, str]]) -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


VALUES: dict[str, list[Any]] = {
    **{name: [True] for name in KINDS},
    "latency": ["800ms", {"mean": 1, "jitter": "900ms"}],
    **{name: ["before", "after"] for name in ("timeout", "reset_peer", "empty_response")},
    "slow_body": ["2s"],
    "truncated_body": ["10%", 0.9],
    "wrong_content_type": ["text/html", "text/plain; charset=utf-8"],
    "status": [500, 503],
    **{name: [0, 2] for name in ("drop_after_events", "silence")},
    "cut_inside_event": [1, 3],
    "duplicate_events": [2],
    "stale_read": ["5s"],
    "missing_from_list": ["1m"],
    "duplicate": [1, 2],
    "delay": ["30s"],
    "drop": ["all", "progress", "terminal"],
    "lost_response": [1, 3],
}
"""Values of each kind of fault."""

STREAM_KINDS = tuple(name for name, kind in KINDS.items() if issubclass(kind.fault_class, StreamFault))
CALL_KINDS = tuple(name for name in KINDS if name not in (*STREAM_KINDS, *WEBHOOK_KINDS))


def faults(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return one or two faults of these kinds as they are written."""
    one = st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(VALUES[name])))
    return st.lists(one, min_size=1, max_size=2).map(dict)


def armed_faults(operation: str | None) -> st.SearchStrategy[dict[str, Any]]:
    """Return one fault to arm, for calls of one operation or whatever it is done to."""
    of_operation = {"streamJobProgress": STREAM_KINDS, "submitRenderJob": WEBHOOK_KINDS, None: tuple(KINDS)}
    match = {} if operation is None else {"match": st.just({"operation": operation})}
    return st.fixed_dictionaries(
        {"fault": faults(*CALL_KINDS, *of_operation.get(operation, ())), **match},
        optional={
            "times": st.integers(1, 3),
            "probability": st.sampled_from([0.3, "50%", 1]),
            "for": st.sampled_from(["5s", "1m"]),
        },
    )


def arming() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return what `PUT /__mock/faults` takes."""
    operations = st.sampled_from([None, "submitRenderJob", "getJob", "listJobs", "streamJobProgress", "cancelJob"])
    return st.lists(operations.flatmap(armed_faults), max_size=3)
