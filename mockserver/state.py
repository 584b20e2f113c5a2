"""What one server holds, and what one call knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.behaviour import Behaviour, load_behaviour, parse_behaviour
from mockserver.clock import Mode
from mockserver.movies import MovieDefaults, read_movie_defaults
from mockserver.sandbox import Sandbox, Sandboxes
from mockserver.scenario_file import Library, load_scenario
from mockserver.settings import Settings, shipped
from mockserver.spec import Operation, load_spec
from mockserver.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mockserver.answers import Answer
    from mockserver.scenario import Account, Scenario
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
    that nobody foresaw.
    """

    settings: Settings
    files: Files
    sandboxes: Sandboxes
    on_call: Callable[[Call, Answer], None] = ignore
    on_bug: Callable[[str, Exception], None] = ignore

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

    def home(self, sandbox: Sandbox) -> Scenario:
        """Return the scenario that a sandbox is in: its own, or the server's."""
        return sandbox.chosen or self.files.scenario


UNRESOLVED = Operation("", "", "", (), None, False, {}, False, {})
"""The operation of a call for which none was found, or not yet."""


@dataclass(eq=False, slots=True)
class Call:
    """One request on its way through the pipeline; each stage fills in what it finds out.

    `account` is who calls, as the scenario has it; `body` is None when it was larger than the spec's limit.
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
    operation: Operation = UNRESOLVED
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    document: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    _now: datetime | None = None

    @property
    def spec(self) -> Spec:
        """The spec that this call is held against from its beginning to its end."""
        return self.files.spec

    async def pause(self, seconds: float) -> None:
        """Let real time pass."""
        await self.sandbox.clock.real.sleep(seconds)
        self._now = None

    async def jump(self, instant: Callable[[datetime], datetime | None]) -> None:
        """On an auto clock, go to the instant that this call waits for, as reckoned from now."""
        if self.sandbox.clock.mode is Mode.AUTO:
            await self.sandbox.jump(instant(self.now))
            self._now = None

    @property
    def now(self) -> datetime:
        """The instant on the sandbox's clock at which the call happens."""
        if self._now is None:
            self._now = self.sandbox.clock.now()
        return self._now

    def draw(self, purpose: str) -> float:
        """Draw from the sandbox's seed, for this call alone."""
        return self.sandbox.draw(purpose, self.number)


def behaviour_under(files: Files, scenario: Scenario) -> Behaviour:
    """Return the server's behaviour profile with what the scenario turns."""
    if not scenario.behaviour:
        return files.behaviour
    return parse_behaviour(dict(scenario.behaviour), files.spec.errors, files.behaviour)
