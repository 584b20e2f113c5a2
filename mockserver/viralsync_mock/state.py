"""What one server holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.config.behaviour import Behaviour, load_behaviour, parse_behaviour
from viralsync_mock.openapi.defaults import MovieDefaults, read_movie_defaults
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.sandbox import Sandbox, Sandboxes
from viralsync_mock.scenarios.loader import Library, load_scenario
from viralsync_mock.settings import Settings, shipped
from viralsync_mock.validation.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.journal.entry import Entry
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.response import Answer
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.webhooks.delivery import Post
    from viralsync_mock.webhooks.sender import Send


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

    `on_call` gets each call as the journal keeps it, with its answer; `on_bug` each answer that breaks the spec and
    each unexpected error. `sender` takes webhooks over the network; without one the first webhook makes it.
    """

    settings: Settings
    files: Files
    sandboxes: Sandboxes
    on_call: Callable[[Entry, Answer], None] = ignore
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
            from viralsync_mock.webhooks.dispatcher import Courier
            from viralsync_mock.webhooks.sender import HttpSender

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


def behaviour_under(files: Files, scenario: Scenario, profile: Behaviour | None = None) -> Behaviour:
    """Return a sandbox's behaviour profile, or the server's, with what the scenario turns."""
    base = profile or files.behaviour
    if not scenario.behaviour:
        return base
    return parse_behaviour(dict(scenario.behaviour), files.spec.errors, base)
