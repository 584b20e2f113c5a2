"""What one server holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.config.behaviour import BehaviourProfile, load_behaviour, parse_behaviour
from viralsync_mock.openapi.defaults import MovieDefaults, read_movie_defaults
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.registry import SandboxRegistry
from viralsync_mock.scenarios.loader import ScenarioLibrary, load_scenario
from viralsync_mock.settings import Settings, shipped
from viralsync_mock.validation.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.response import Response
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.webhooks.delivery import Delivery, Dispatcher
    from viralsync_mock.webhooks.inbox import Inbox
    from viralsync_mock.webhooks.sender import WebhookSender


class LoadedFiles(NamedTuple):
    """What was read from files: a reload replaces all of it, or nothing."""

    spec: Spec
    validator: Validator
    movies: MovieDefaults
    library: ScenarioLibrary
    scenario: Scenario
    behaviour: BehaviourProfile


def noop(*_: object) -> None:
    """Listen to nothing."""


def read_files(settings: Settings, check_spec: Callable[[Spec], None] = noop) -> LoadedFiles:
    """Read the spec, the server's scenario and its behaviour profile; raises UsageError for one that is broken."""
    spec = load_spec(settings.spec)
    library = ScenarioLibrary(shipped("fixtures/scenarios"), spec)
    path = Path(settings.scenario)
    is_file = path.suffix in {".yaml", ".yml", ".json"}
    scenario = load_scenario(path, spec) if is_file else library.get(settings.scenario)
    behaviour = load_behaviour(settings.behaviour, spec.errors) if settings.behaviour else BehaviourProfile()
    files = LoadedFiles(spec, Validator(spec), read_movie_defaults(spec), library, scenario, behaviour)
    check_spec(spec)
    return files


class Listener(NamedTuple):
    """A listening socket: `host` as it was given, `port` as it was bound."""

    host: str
    port: int
    is_loopback: bool


@dataclass(eq=False, slots=True)
class Totals:
    """What has happened since the start: calls by operation and status, ended deliveries by outcome, streams."""

    calls: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    open_streams: int = 0


@dataclass(eq=False, slots=True)
class MockServer:
    """One server: its settings, its files, and a sandbox for each key.

    `on_call` gets each call as the journal keeps it, with its response; `on_bug` each response that breaks the spec and
    each unexpected error; `on_delivery` the key and each webhook that will not be tried again; `on_reload` follows new
    files. `sender` sends webhooks over the network; without one the first webhook makes it. `listener` is the address
    that the server listens on, None where there is no socket.
    """

    settings: Settings
    files: LoadedFiles
    sandboxes: SandboxRegistry
    on_call: Callable[[JournalEntry, Response], None] | None = None
    on_bug: Callable[[str, BaseException], None] = noop
    on_delivery: Callable[[str, Delivery], None] = noop
    check_spec: Callable[[Spec], None] = noop
    on_reload: Callable[[], None] = noop
    sender: WebhookSender | None = None
    listener: Listener | None = None
    totals: Totals = field(default_factory=Totals)

    @classmethod
    def start(cls, settings: Settings, check_spec: Callable[[Spec], None] = noop) -> MockServer:
        """Read the files and open for calls; `check_spec` raises SpecError for what the API could not answer."""
        return cls(settings, read_files(settings, check_spec), SandboxRegistry(settings), check_spec=check_spec)

    def reload(self) -> None:
        """Read the files anew; jobs stay. Raises UsageError and keeps the old files when one is broken."""
        self.files = read_files(self.settings, self.check_spec)
        self.on_reload()

    def sandbox(self, key: str) -> Sandbox:
        """Return the sandbox of a key, opened when it is not open yet."""
        return self.sandboxes.get(key) or self.sandboxes.open(key, self.files.scenario)

    async def sleep(self, key: str, seconds: float, sleeper: str = "", *, all_asleep: bool = False) -> datetime:
        """Sleep on the clock of a key's sandbox: see `Sandbox.sleep`."""
        return await self.sandbox(key).sleep(seconds, sleeper, all_asleep=all_asleep)

    def dispatcher_for(self, sandbox: Sandbox) -> Dispatcher:
        """Return the webhook dispatcher of a sandbox, made with its first webhook."""
        if sandbox.dispatcher is None:
            # imported here: most servers start faster than they need them
            from viralsync_mock.webhooks.dispatcher import WebhookDispatcher
            from viralsync_mock.webhooks.inbox import InboxSender
            from viralsync_mock.webhooks.sender import HttpSender

            own_port = self.listener.port if self.listener else None
            self.sender = self.sender or HttpSender(self.settings.webhook_hosts, own_port=own_port)
            sandbox.dispatcher = WebhookDispatcher(
                sandbox,
                InboxSender(inbox_of(sandbox), self.sender, sandbox.clock.now, partial(sandbox.note, "received")),
                self.files.movies.output_url,
                self._report,
                lambda each: self._end_delivery(sandbox.key, each),
            )
        return sandbox.dispatcher

    def _end_delivery(self, key: str, delivery: Delivery) -> None:
        self.totals.deliveries[delivery.outcome] += 1
        self.on_delivery(key, delivery)

    def _report(self, where: str, error: BaseException) -> None:
        self.on_bug(where, error)

    async def close(self) -> None:
        """End open streams and webhooks under way."""
        if self.sandboxes.keeper is not None:
            await self.sandboxes.keeper.close()
            self.sandboxes.keeper = None
        for watcher in tuple(self.sandboxes.watchers.values()):
            watcher.close()
        self.sandboxes.drop_all()
        self.sandboxes.anonymous.close()
        if self.sender is not None:
            await self.sender.close()

    def scenario_of(self, sandbox: Sandbox) -> Scenario:
        """Return the sandbox's scenario, or the server's."""
        return sandbox.scenario_override or self.files.scenario


def inbox_of(sandbox: Sandbox) -> Inbox:
    """Return the built-in receiver of a sandbox, made when it is first needed."""
    if sandbox.inbox is None:
        from viralsync_mock.webhooks.inbox import Inbox

        sandbox.inbox = Inbox()
    return sandbox.inbox


def behaviour_under(
    files: LoadedFiles, scenario: Scenario, profile: BehaviourProfile | None = None
) -> BehaviourProfile:
    """Return a sandbox's behaviour profile, or the server's, with the switches that the scenario sets."""
    base = profile or files.behaviour
    if not scenario.behaviour:
        return base
    return parse_behaviour(dict(scenario.behaviour), files.spec.errors, base)
