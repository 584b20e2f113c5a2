"""Keeps the sandboxes of a server in a store beyond its memory.

What changed is collected for all calls of a moment and written at once, in a thread of its own, so that many calls
share one commit. A call that changes more than counts is answered only then; what it merely counts follows within
milliseconds.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from viralsync_mock.errors import StateError
from viralsync_mock.persistence.backend import Change
from viralsync_mock.snapshots.parts import SandboxParts, read_name, read_parts, sandbox_id, write_name
from viralsync_mock.snapshots.snapshot import resume_webhooks
from viralsync_mock.validation.schema import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.persistence.backend import Backend
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.state import MockServer

T = TypeVar("T")

WRITE_BEHIND = 0.01
"""Real seconds until what was only counted is written."""

RETRY = 1.0
"""Real seconds from a write that failed to the next."""

GRACE = 0.05
"""Real seconds after the end of a lease until it is claimed."""

CLOSED = "The mock is stopping: call again once it has started."
LAPSED = "This replica has lost its lease, and another may answer for the key: call again."


class LostSandbox:
    """The recorder of a sandbox that another server may own by now: no call of it is answered."""

    def note(self, _kind: str, _subject: object = None) -> None:
        """Keep nothing."""

    def outbox_changed(self, _job: object) -> None:
        """Keep nothing."""

    async def commit(self) -> None:
        """Refuse."""
        raise StateError(LAPSED)


class Keeper:
    """Keeps the sandboxes of one server in a backend."""

    def __init__(self, mock: MockServer, backend: Backend) -> None:
        self._mock, self._backend = mock, backend
        self._worker = ThreadPoolExecutor(1, "viralsync-mock state")
        self._changed: dict[str, SandboxParts] = {}
        self._apart: dict[str, Change] = {}
        """What is to be written of sandboxes that are not in memory."""
        self._waiting: list[asyncio.Future[set[str]]] = []
        """The calls that wait for the next write, each for the ids that belong to another server by now."""
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight = 0
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._is_closed = False
        self._failure = self._reported = ""
        """Why nothing can be kept at this moment, and what the log says already of it."""

    @property
    def problem(self) -> str:
        """Why nothing can be kept at this moment; empty if it can."""
        return self._failure or ("" if self._backend.holds() else LAPSED)

    # what the registry of sandboxes shows

    def keep(self, sandbox: Sandbox) -> None:
        """Keep a new sandbox from now on, in place of any other of its key."""
        self._apart.pop(sandbox_id(sandbox.key), None)
        self._attach(SandboxParts(self._mock, sandbox, self))

    def _attach(self, parts: SandboxParts) -> None:
        sandbox = parts.sandbox
        sandbox.recorder, sandbox.store.on_edit = parts, parts.job_changed
        if parts.replaces:
            self.write_soon(parts)

    def _detach(self, sandbox: Sandbox) -> str:
        sandbox.recorder = sandbox.store.on_edit = None
        name = sandbox_id(sandbox.key)
        self._changed.pop(name, None)
        return name

    def forget(self, sandbox: Sandbox) -> None:
        """Forget a sandbox that is reset."""
        name = self._detach(sandbox)
        self._apart[name] = Change(name, write_name(self._mock, sandbox.key), replaces=True)
        self._write_later()

    def forget_all(self) -> None:
        """Forget every sandbox, also those that are not in memory."""
        self._worker.submit(self._backend.erase_all)

    def park(self, sandbox: Sandbox) -> None:
        """Write a sandbox that leaves memory; the next call of its key brings it back."""
        parts = sandbox.recorder
        if isinstance(parts, SandboxParts) and (parts.id in self._changed or not parts.is_whole):
            parts.is_last = True
            self._apart[parts.id] = _change(parts)
            self._write_later()
        self._detach(sandbox)

    # reading

    async def start(self) -> None:
        """Go on with the webhooks that are due, and stay the owner."""
        if self._backend.heartbeat is not None:
            await self._run(self._backend.renew)
        self._begin_task(self._take_over())
        if self._backend.heartbeat is not None:
            self._begin_task(self._stay_owner(self._backend.heartbeat))

    async def prepare(self, key: str) -> None:
        """Bring the sandbox of a key into memory; raises StateError."""
        if self._is_closed:
            raise StateError(CLOSED)
        if self._mock.sandboxes.get(key) is None:
            await self._load(sandbox_id(key), key)

    async def _load(self, name: str, key: str | None = None) -> None:
        loading = self._loading.get(name)
        if loading is None:
            loading = self._loading[name] = asyncio.ensure_future(self._read(name, key))
            loading.add_done_callback(lambda _: self._loading.pop(name))
        await asyncio.shield(loading)

    async def _read(self, name: str, key: str | None) -> None:
        if name in self._apart:
            self._begin()  # one worker: it writes before it reads
        try:
            fields = await self._run(self._backend.claim, name)
        except StateError as error:
            if not error.wait:
                raise
            await self._mock.settings.real.sleep(error.wait + GRACE)  # its owner seems to be dead
            fields = await self._run(self._backend.claim, name)
        if name in self._apart:
            raise StateError("The state could not be written before: see the log of the mock, and call again.")
        key = key or fields.get("key", b"").decode()
        if fields:
            read_name(self._mock, key, fields)
        if "head" not in fields or not key or self._mock.sandboxes.get(key) is not None:
            return
        try:
            restored, parts = read_parts(self._mock, key, fields, self)
        except ValidationFailed as error:
            raise StateError(
                f"The state of this key cannot be read: {error}. Forget all with POST /__mock/reset?all=true, or start "
                "the mock that wrote it."
            ) from None
        self._attach(parts)
        self._mock.sandboxes.take_back(parts.sandbox)
        resume_webhooks(self._mock, restored)

    async def _take_over(self) -> None:
        """Bring back the sandboxes that have webhooks to send and no owner."""
        with suppress(StateError):  # the next one tries again
            for name in await self._run(self._backend.with_webhooks):
                try:
                    await self._load(name)
                except StateError as error:
                    self._report(error)

    async def _stay_owner(self, seconds: float) -> None:
        while True:
            await self._mock.settings.real.sleep(seconds)
            try:
                if not await self._run(self._backend.renew):
                    for sandbox in self._mock.sandboxes.all():
                        self._lose(sandbox.key)
                    await self._run(self._backend.renew)  # with the new lease, now that all is closed
            except StateError as error:
                self._fail(error)
                continue
            self._failure = ""
            await self._take_over()

    def _lose(self, key: str) -> None:
        """Close a sandbox that another server may own by now, and send its listeners there."""
        if (sandbox := self._mock.sandboxes.get(key)) is not None:
            self._detach(sandbox)
            sandbox.recorder = LostSandbox()
            self._mock.sandboxes.release(key)
            if (watcher := self._mock.sandboxes.watchers.get(key)) is not None:
                watcher.close()

    # writing

    async def before_answer(self, sandbox: Sandbox, entry: JournalEntry | None, *, waits: bool) -> None:
        """Keep what a call has changed, before its response leaves; raises StateError."""
        parts = sandbox.recorder
        if isinstance(parts, SandboxParts):
            parts.note("call", entry)
            if waits or parts.must_be_kept:
                await self.commit(parts)
        elif parts is not None:
            await parts.commit()
        elif waits and self._apart:  # it was reset
            await self._flush()
        if not self._backend.holds():
            raise StateError(LAPSED)

    def write_later(self, parts: SandboxParts, seconds: float) -> None:
        """Write what has changed, after this time in real seconds."""
        asyncio.get_running_loop().call_later(seconds, self.write_soon, parts)

    def write_soon(self, parts: SandboxParts) -> None:
        """Write what has changed, in a few milliseconds."""
        if parts.sandbox.recorder is not parts or self._is_closed:
            return
        self._changed[parts.id] = parts
        self._write_later()

    def _write_later(self, seconds: float = WRITE_BEHIND) -> None:
        if self._timer is None and not self._waiting and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    async def commit(self, parts: SandboxParts) -> None:
        """Return when all that has changed is written; raises StateError."""
        if parts.sandbox.recorder is parts:
            self._changed[parts.id] = parts
        lost = await self._flush()
        if parts.id in lost or isinstance(parts.sandbox.recorder, LostSandbox):
            raise StateError(LAPSED)

    def _flush(self) -> asyncio.Future[set[str]]:
        """Return what comes of the next write: all calls of this turn of the loop share it; raises StateError."""
        if self._is_closed:
            raise StateError(CLOSED)
        loop = asyncio.get_running_loop()
        written: asyncio.Future[set[str]] = loop.create_future()
        self._waiting.append(written)
        if len(self._waiting) == 1 and not self._in_flight:
            loop.call_soon(self._begin)
        return written

    def _begin(self) -> None:
        """Hand all changes to the worker."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting, self._timer = self._waiting, [], None
        apart, self._apart = self._apart, {}
        changed, self._changed = self._changed, {}
        if not (apart or changed or waiting):
            return
        loop, self._in_flight = asyncio.get_running_loop(), self._in_flight + 1
        try:
            changes = [*apart.values(), *map(_change, changed.values())]
            writing = loop.run_in_executor(self._worker, self._backend.write, changes)
        except Exception as error:  # a bug of ours: no call may wait for ever
            writing = loop.create_future()
            writing.set_exception(error)
        writing.add_done_callback(partial(self._written, apart, changed, waiting))

    def _written(
        self,
        apart: dict[str, Change],
        changed: dict[str, SandboxParts],
        waiting: list[asyncio.Future[set[str]]],
        writing: asyncio.Future[set[str]],
    ) -> None:
        self._in_flight -= 1
        waiting = [each for each in waiting if not each.done()]  # as those of calls that were given up are
        if (error := writing.exception()) is not None:
            self._fail(error)
            self._write_again(apart, changed)
            refusal = error if isinstance(error, StateError) else StateError(f"The state is not written: {error}")
            for each in waiting:
                each.set_exception(refusal)
                each.exception()  # so that no call that is given up now makes the loop complain
        else:
            self._failure = self._reported = ""
            lost = writing.result()
            for name in lost & changed.keys():
                self._lose(changed[name].sandbox.key)
            for each in waiting:
                each.set_result(lost)
        if self._waiting and not self._in_flight:
            self._begin()

    def _write_again(self, apart: dict[str, Change], changed: dict[str, SandboxParts]) -> None:
        self._apart = apart | self._apart
        for parts in changed.values():
            if parts.sandbox.recorder is parts:
                parts.begin()
                self._changed[parts.id] = parts
        if self._apart or self._changed:
            self._write_later(RETRY)

    def _fail(self, error: BaseException) -> None:
        self._failure = str(error)
        self._report(error)

    def _report(self, error: BaseException) -> None:
        """Say in the log what keeps the state from being kept, once until it is kept again."""
        if isinstance(error, StateError):
            if str(error) != self._reported:
                self._reported = str(error)
                self._mock.sandboxes.report(f"state: {error}")
        else:
            self._mock.on_bug("state", error)

    async def close(self) -> None:
        """Write what is still to be written."""
        for task in self._tasks:
            task.cancel()
        for sandbox in self._mock.sandboxes.all():
            if isinstance(parts := sandbox.recorder, SandboxParts) and not parts.is_whole:
                parts.is_last = True
                self._changed[parts.id] = parts
        flushed = self._flush()
        self._is_closed = True
        try:
            await flushed
        except StateError as error:
            self._mock.sandboxes.report(f"state: what changed last is lost, as it could not be written: {error}")
        with suppress(StateError):
            await self._run(self._backend.close)
        self._worker.shutdown()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)

    def _begin_task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _change(parts: SandboxParts) -> Change:
    replaces = parts.replaces
    fields = parts.take()
    if replaces:
        fields["key"] = parts.sandbox.key.encode()
    return Change(parts.id, fields, replaces=replaces)
