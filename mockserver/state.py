"""What one server holds, and what one call knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.answers import Reader
from mockserver.behaviour import Behaviour, load_behaviour, parse_behaviour
from mockserver.clock import Mode
from mockserver.models import after
from mockserver.movies import MovieDefaults, read_movie_defaults
from mockserver.sandbox import Sandbox, Sandboxes
from mockserver.scenario_file import Library, load_scenario
from mockserver.settings import Settings, shipped
from mockserver.spec import Operation, load_spec
from mockserver.sse import KEEP_ALIVE
from mockserver.validation import Validator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from datetime import datetime

    from starlette.types import Receive

    from mockserver.answers import Answer
    from mockserver.deliveries import Post
    from mockserver.journal import Entry
    from mockserver.scenario import Account, Scenario
    from mockserver.sender import Send
    from mockserver.spec import Spec


class Files(NamedTuple):
    """What was read from files, and fits together: a reload takes all of it anew, or keeps all of it."""

    spec: Spec
    validator: Validator
    movies: MovieDefaults
    library: Library
    scenario: Scenario
    behaviour: Behaviour


def read_files(settings: Settings) -> Files:
    """Read the spec, the server's scenario and its behaviour profile; raises UsageError for one that is broken."""
    spec = load_spec(settings.spec)
    library = Library(shipped("fixtures/scenarios"), spec)
    path = Path(settings.scenario)
    is_file = path.suffix in {".yaml", ".yml", ".json"}
    scenario = load_scenario(path, spec) if is_file else library.get(settings.scenario)
    behaviour = load_behaviour(settings.behaviour, spec.errors) if settings.behaviour else Behaviour()
    return Files(spec, Validator(spec), read_movie_defaults(spec), library, scenario, behaviour)


def ignore(*_: object) -> None:
    """Listen to nothing."""


@dataclass(eq=False, slots=True)
class Mock:
    """One server: its settings, its files, and a sandbox for each key.

    `on_call` is told of each call with its answer; `on_bug` of each answer that breaks the spec and of each error
    that nobody foresaw. `sender` takes webhooks over the network; without one the first webhook makes it.
    """

    settings: Settings
    files: Files
    sandboxes: Sandboxes
    on_call: Callable[[Call, Answer], None] = ignore
    on_bug: Callable[[str, BaseException], None] = ignore
    sender: Send | None = None

    @classmethod
    def start(cls, settings: Settings) -> Mock:
        """Read the files and open for calls."""
        return cls(settings, read_files(settings), Sandboxes(settings))

    def reload(self) -> None:
        """Read the files anew; jobs stay. Raises UsageError and keeps the old files when one is broken."""
        self.files = read_files(self.settings)

    def sandbox(self, key: str) -> Sandbox:
        """Return the sandbox of a key, opened when it is not open yet."""
        return self.sandboxes.get(key) or self.sandboxes.open(key, self.files.scenario)

    def post(self, sandbox: Sandbox) -> Post:
        """Return who sends the webhooks of a sandbox."""
        if sandbox.post is None:
            # imported here: most servers start faster than they need them
            from mockserver.courier import Courier
            from mockserver.sender import HttpSender

            self.sender = self.sender or HttpSender(self.settings.webhook_hosts)
            sandbox.post = Courier(sandbox, self.sender, self.files.movies.output_url, self._report)
        return sandbox.post

    def _report(self, where: str, error: BaseException) -> None:
        self.on_bug(where, error)

    async def close(self) -> None:
        """End everything that still waits: open streams, and webhooks under way."""
        self.sandboxes.drop_all()
        self.sandboxes.outside.close()
        if self.sender is not None:
            await self.sender.close()

    def home(self, sandbox: Sandbox) -> Scenario:
        """Return the scenario that a sandbox is in: its own, or the server's."""
        return sandbox.chosen or self.files.scenario


NO_TIME = timedelta()
NONE: Mapping[str, Any] = MappingProxyType({})

UNRESOLVED = Operation("", "", "", (), None, False, {}, False, {})
"""The operation of a call for which none was found, or not yet."""


@dataclass(eq=False, slots=True)
class Call:
    """One request on its way through the pipeline; each stage fills in what it finds out.

    `account` is who calls, as the scenario has it; `body` is None when it was larger than the spec's limit.
    `entry` is the call in the journal. Faults set `lag`, `hidden_for` and `webhook_faults`: see `faults.World`.
    """

    mock: Mock
    files: Files
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    raw_headers: list[tuple[bytes, bytes]]
    sandbox: Sandbox
    scenario: Scenario
    behaviour: Behaviour
    account: Account
    receive: Receive
    hang_up: Callable[..., None]
    respond: Callable[[int, bytes, bytes], bool]
    entry: Entry
    operation: Operation = UNRESOLVED
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    document: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lag: timedelta = NO_TIME
    hidden_for: timedelta = NO_TIME
    webhook_faults: tuple[object, ...] = ()
    _now: datetime | None = None

    @property
    def spec(self) -> Spec:
        """The spec that this call is held against from its beginning to its end."""
        return self.files.spec

    async def pause(self, seconds: float) -> None:
        """Let real time pass; once the client has gone, nobody waits any more."""
        sleeping = asyncio.ensure_future(self.sandbox.clock.real.sleep(seconds))
        async with self.reader() as reader:
            reader.on_leave = partial(_cancel, sleeping)
            try:
                await asyncio.wait({sleeping})
            finally:
                sleeping.cancel()
        if not sleeping.cancelled():
            sleeping.result()  # what went wrong with it is not lost
        self._now = None

    async def jump(self, next_change: Callable[[datetime], datetime | None]) -> None:
        """On an auto clock, go to where the view of this call next changes, as reckoned from its instant."""
        if self.sandbox.clock.mode is Mode.AUTO:
            instant = next_change(self.seen_at)
            await self.sandbox.hasten(instant and instant + self.lag)
            self._now = None

    @property
    def now(self) -> datetime:
        """The instant on the sandbox's clock at which the call happens."""
        if self._now is None:
            self._now = self.sandbox.clock.now()
        return self._now

    @property
    def seen_at(self) -> datetime:
        """The instant whose jobs the call gets to see: now, but for a fault."""
        return self.now - self.lag if self.lag else self.now

    def later(self) -> None:
        """Take note that time may have passed."""
        self._now = None

    def draw(self, purpose: str) -> float:
        """Draw from the sandbox's seed, for this call alone."""
        return self.sandbox.draw(purpose, self.entry.number)

    async def gone(self) -> None:
        """Wait until the client has gone, or the sandbox is closed."""
        async with self.reader() as reader:
            async for _ in self.linger(reader, keep_alive=False):
                pass

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """Watch the client at the other end."""
        reader = Reader()
        watch = asyncio.create_task(_watch(self.receive, reader))
        try:
            yield reader
        finally:
            watch.cancel()

    async def linger(self, reader: Reader, *, keep_alive: bool) -> AsyncGenerator[bytes]:
        """Keep a stream open until its reader goes or the sandbox is closed: in silence, or with keep-alives."""
        clock, seconds = self.sandbox.clock, self.behaviour.sse_keep_alive_seconds
        with clock.alarm() as alarm:
            reader.on_leave = alarm.ring
            while not (reader.has_left or self.sandbox.is_closed):
                # the clock counts milliseconds: a shorter pause would be none, and the loop never wait
                due = None if seconds is None or not keep_alive else after(clock.now(), max(seconds, 0.001))
                await alarm.until(due)
                if due is not None and due <= clock.now():
                    yield KEEP_ALIVE


def _cancel(sleeping: asyncio.Future[None]) -> None:
    sleeping.cancel()


async def _watch(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.leave()


def behaviour_under(files: Files, scenario: Scenario, profile: Behaviour | None = None) -> Behaviour:
    """Return a sandbox's behaviour profile, or the server's, with what the scenario turns."""
    base = profile or files.behaviour
    if not scenario.behaviour:
        return base
    return parse_behaviour(dict(scenario.behaviour), files.spec.errors, base)
