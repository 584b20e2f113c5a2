"""The sandboxes of a server by API key, and what is dropped to stay within their number and memory."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Protocol

from viralsync_mock.clock import EPOCH, Clock, Mode
from viralsync_mock.jobs.store import JobStore
from viralsync_mock.journal.entry import Journal
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.sandbox import Sandbox, use_account, user_id
from viralsync_mock.webhooks.delivery import DeliveryLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.sandbox import SandboxKeeper, Watcher
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.settings import Settings

SHRINK_TO = 0.9
"""A sandbox that has to forget its calls forgets until this share of the limit is taken: not again with each call."""

MAX_IN_USE = 10_000
"""How many sandboxes that are in use are passed over in the search for an idle one."""


class SlowReader(Protocol):
    """A connection whose client does not read what was written to it."""

    def break_off(self) -> None:
        """Close the connection, and forget what it has not read."""


class Memory:
    """Bytes held by sandboxes and by what slow clients have not read yet, against a limit."""

    __slots__ = ("limit", "slow_readers", "used")

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.slow_readers: dict[SlowReader, int] = {}  # those that wait longest come first

    @property
    def is_exceeded(self) -> bool:
        """Whether more is held than may be."""
        return self.used > self.limit

    def hold(self, reader: SlowReader, size: int) -> None:
        """Count what waits for a slow client."""
        self.release(reader)
        self.slow_readers[reader] = size
        self.used += size

    def release(self, reader: SlowReader) -> None:
        """Count no more what waited for a client: it has caught up, or gone."""
        self.used -= self.slow_readers.pop(reader, 0)

    def break_off_slow_readers(self) -> int:
        """Break off as many slow clients as it takes, those that wait longest first; return how many."""
        broken = 0
        while self.is_exceeded and self.slow_readers:
            reader = next(iter(self.slow_readers))
            self.release(reader)
            reader.break_off()
            broken += 1
        return broken


def size_text(size: int) -> str:
    """Return a number of bytes as people write it."""
    return f"{size / 2**20:.4g} MiB"


class SandboxRegistry:
    """The sandboxes by key. Over the maximum, or beyond the memory they may take, the one idle longest is dropped.

    One that answers a call is never dropped. `dropped` has a sentence for each key that lost its sandbox so; `report`
    gets each such sentence.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: OrderedDict[str, Sandbox] = OrderedDict()
        self._resets = 0
        self.watchers: dict[str, Watcher] = {}
        """Of the keys whose sandboxes are watched; a reset does not end that."""
        self.names: dict[str, str] = {}
        """What people call the sandboxes of keys; a reset does not change that."""
        self.memory = Memory(settings.memory)
        self.dropped: OrderedDict[str, str] = OrderedDict()
        self.times_dropped = 0
        self.keeper: SandboxKeeper | None = None
        """Keeps sandboxes beyond memory, with `--state`: then none is lost that is dropped."""
        self.report: Callable[[str], None] = lambda _text: None
        self.anonymous = self._new("", None)
        """For calls without a valid key."""

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> tuple[Sandbox, ...]:
        """Return the open sandboxes, the one idle longest first."""
        return tuple(self._open.values())

    def find(self, user: str) -> str | None:
        """Return the key of an account that has a sandbox, or is watched."""
        return next((key for key in (*self._open, *self.watchers) if user_id(key) == user), None)

    def get(self, key: str) -> Sandbox | None:
        """Return the open sandbox of a key."""
        sandbox = self._open.get(key)
        if sandbox is not None:
            self._open.move_to_end(key)
        return sandbox

    def set_name(self, key: str, name: str | None) -> None:
        """Name the sandbox of a key; beyond as many names as sandboxes, the oldest is forgotten."""
        self.names.pop(key, None)
        if name is not None:
            self.names[key] = name
        if len(self.names) > self._settings.sandboxes:
            del self.names[next(iter(self.names))]

    def open(self, key: str, scenario: Scenario, mode: Mode | None = None, seed: str | None = None) -> Sandbox:
        """Open a sandbox for a key; `scenario` has the start of its clock and the minutes its account has used.

        By default mode and seed are the server's; two sandboxes with the same named seed draw alike.
        """
        sandbox = self._new(key, scenario, mode, seed)
        self._keep(sandbox)
        return sandbox

    def replace(self, sandbox: Sandbox) -> None:
        """Replace the sandbox of a key."""
        self.drop(sandbox.key)
        self._keep(sandbox)

    def _keep(self, sandbox: Sandbox) -> None:
        if self.keeper is not None:
            self.keeper.keep(sandbox)
        self.take_back(sandbox)

    def take_back(self, sandbox: Sandbox) -> None:
        """Hold a sandbox that was read from where it is kept."""
        self._open[sandbox.key] = sandbox
        sandbox.used = self._settings.real.monotonic()
        if self.watchers and (watcher := self.watchers.get(sandbox.key)) is not None:
            watcher.attach(sandbox)
        if len(self._open) > self._settings.sandboxes:
            self._drop_idle(sandbox, f"to keep at most {self._settings.sandboxes} (--sandboxes)")
        self.count(sandbox)

    def count(self, sandbox: Sandbox) -> None:
        """Count what a sandbox holds now; beyond the limit, drop others, the one idle longest first."""
        if sandbox.is_closed:
            return
        held, memory = sandbox.held, self.memory
        memory.used += held - sandbox.counted
        sandbox.counted = held
        if memory.used > memory.limit:
            self.make_room(sandbox)

    def has_room(self, sandbox: Sandbox, size: int) -> bool:
        """Say whether a sandbox can hold this much more, once all has been dropped that may be."""
        memory = self.memory
        if memory.used + size <= memory.limit:
            return True
        memory.used += size
        self.make_room(sandbox)
        has_room = not memory.is_exceeded
        memory.used -= size
        return has_room

    def make_room(self, sandbox: Sandbox | None = None) -> None:
        """Free memory: idle sandboxes, then what slow clients have not read, then what this sandbox can forget."""
        memory = self.memory
        limit = f"to stay within {size_text(memory.limit)} (--memory)"
        while memory.is_exceeded and self._drop_idle(sandbox, limit):
            pass
        if memory.is_exceeded and (broken := memory.break_off_slow_readers()):
            self.report(f"broke off {broken} clients that did not read their responses, {limit}")
        for each in filter(None, (self.anonymous, sandbox)):
            if memory.is_exceeded:
                self._shrink(each, limit)

    def _drop_idle(self, but: Sandbox | None, reason: str) -> bool:
        """Drop the sandbox that was idle longest; False if all others are in use."""
        for _ in range(min(len(self._open), MAX_IN_USE)):
            key, sandbox = next(iter(self._open.items()))
            if sandbox.in_use or sandbox is but or key in self.watchers:
                self._open.move_to_end(key)
                continue
            if self.keeper is not None:
                self.keeper.park(sandbox)
                self.release(key)
                return True
            del self._open[key]
            self._close(sandbox)
            text = f"the sandbox {sandbox.user_id} was dropped {reason}: its jobs, journal and settings are gone"
            self.dropped[key] = text
            self.times_dropped += 1
            if len(self.dropped) > self._settings.sandboxes:
                self.dropped.popitem(last=False)
            self.report(text)
            return True
        return False

    def _shrink(self, sandbox: Sandbox, reason: str) -> None:
        """Let a sandbox in use forget its oldest calls, then its oldest finished jobs."""
        memory, now, forgotten = self.memory, sandbox.clock.now(), [0, 0]
        ways: tuple[Callable[[], bool], ...] = (
            sandbox.journal.forget_oldest,
            partial(sandbox.store.forget_oldest, now),
        )
        for at, forget in enumerate(ways):
            while memory.used > memory.limit * SHRINK_TO and forget():
                forgotten[at] += 1
                memory.used += sandbox.held - sandbox.counted
                sandbox.counted = sandbox.held
        if any(forgotten):
            self.report(f"the sandbox {sandbox.user_id} forgot {forgotten[0]} calls and {forgotten[1]} jobs {reason}")

    def _close(self, sandbox: Sandbox) -> None:
        sandbox.close()
        self.memory.used -= sandbox.counted

    def release(self, key: str) -> None:
        """Close a sandbox that is kept elsewhere: that is no reset."""
        if (sandbox := self._open.pop(key, None)) is not None:
            self._close(sandbox)

    def drop(self, key: str) -> None:
        """Reset: the next call of this key opens a new sandbox."""
        self.dropped.pop(key, None)
        if (sandbox := self._open.pop(key, None)) is not None:
            if self.keeper is not None:
                self.keeper.forget(sandbox)
            self._close(sandbox)
            self._resets += 1

    def drop_all(self) -> None:
        """Reset every sandbox."""
        for key in tuple(self._open):
            self.drop(key)
        if self.keeper is not None:
            self.keeper.forget_all()

    def _new(
        self, key: str, scenario: Scenario | None, mode: Mode | None = None, named_seed: str | None = None
    ) -> Sandbox:
        settings = self._settings
        mode = mode or settings.clock
        start = scenario.clock_start if scenario else None
        clock = Clock(
            anchor=start or (settings.real.wall() if mode.flows else EPOCH),
            mode=mode,
            speed=settings.speed,
            real=settings.real,
        )
        purpose: tuple[object, ...] = ("sandbox", key) if named_seed is None else ("sandbox",)
        if named_seed is None and settings.renews_seed and self._resets:
            purpose = (*purpose, self._resets)
        seed = hexadecimal(settings.seed if named_seed is None else named_seed, *purpose, length=16)
        sandbox = Sandbox(key, seed, clock, JobStore(), opened=clock.now(), named_seed=named_seed)
        sandbox.journal, sandbox.deliveries = Journal(settings.journal_size), DeliveryLog(settings.journal_size)
        if scenario is not None:
            use_account(sandbox, scenario)
        return sandbox
