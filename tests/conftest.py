"""What the tests share: one mock that checks every answer it gives, and keys of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import settings

from viralsync_mock.app import App, create_app
from viralsync_mock.client import Sandbox
from viralsync_mock.clock import Mode
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings, shipped

settings.register_profile("suite", max_examples=35, deadline=None, derandomize=True)
settings.load_profile("suite")

MOVIE = {
    "kind": "movie",
    "projectId": "proj_abc123",
    "movie": {
        "scenes": [
            {"id": "intro", "duration": 2},
            {"id": "middle", "duration": 3.5},
            {"id": "end", "duration": 0.5},
        ]
    },
}


@dataclass
class LiveServer:
    """A mock on a real socket; `bugs` holds every answer that broke the spec and every error nobody foresaw."""

    app: App
    base_url: str
    bugs: list[tuple[str, Exception]] = field(default_factory=list)
    scope: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.app.mock.on_bug = lambda where, error: self.bugs.append((where, error))

    def new_key(self, clock: str | None = None, scenario: str | None = None, plan: str | None = None) -> str:
        """Return a key of a sandbox of its own, on an auto clock unless another mode is asked for."""
        key = f"vs_prod_{hexadecimal(self.scope, next(self.numbers), length=32)}"
        mock = self.app.mock
        chosen = mock.files.library.get(scenario) if scenario else None
        sandbox = mock.sandboxes.open(key, chosen or mock.files.scenario)
        sandbox.scenario_override, sandbox.clock.mode = chosen, Mode(clock or "auto")
        if plan:
            sandbox.account_overrides["plan"] = plan
        return key

    def headers(self, key: str) -> dict[str, str]:
        """Return what authenticates a request."""
        return {"x-api-key": key}

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """Return an HTTP client that shows a key: a new one, unless one is given."""
        headers = self.headers(key or self.new_key(**options))
        return httpx.Client(base_url=self.base_url, headers=headers, verify=False)  # noqa: S501 - saves reading the CAs


@pytest.fixture(scope="session")
def _server() -> Iterator[LiveServer]:
    app = create_app(Settings(clock=Mode.FROZEN, check_answers=True))
    with BackgroundServer(app) as server:
        yield LiveServer(app, server.base_url)


@pytest.fixture
def live_server(_server: LiveServer, request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """Yield the session's mock; keys are the same in every run; the test fails when the mock broke its own spec."""
    _server.bugs.clear()
    _server.scope, _server.numbers = request.node.nodeid, count(1)
    yield _server
    assert _server.bugs == []


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield an HTTP client with a new key, on an auto clock."""
    with live_server.client() as client:
        yield client


@pytest.fixture
def frozen(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield an HTTP client with a new key, on a frozen clock."""
    with live_server.client(clock="frozen") as client:
        yield client


@pytest.fixture
def start_mock() -> Iterator[Callable[[Settings], LiveServer]]:
    """Yield a function that starts a mock with settings of its own; all are stopped after the test."""
    servers: list[BackgroundServer] = []

    def start(settings: Settings) -> LiveServer:
        app = create_app(settings)
        servers.append(BackgroundServer(app).start())
        return LiveServer(app, servers[-1].base_url)

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def sandbox(live_server: LiveServer) -> Iterator[Sandbox]:
    """Yield a sandbox on a frozen clock, its draws those of seed 7."""
    with Sandbox(live_server.base_url, live_server.new_key()) as sandbox:
        yield sandbox.open(clock="frozen", seed=7)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Yield what the code under test would be: an HTTP client with the sandbox's key."""
    with httpx.Client(base_url=sandbox.base_url, headers=sandbox.headers, verify=False) as client:  # noqa: S501 - saves reading the CAs
        yield client


def movie(**changes: Any) -> dict[str, Any]:
    """Return a valid submission with some of its top-level fields replaced."""
    return {**MOVIE, **changes}


__all__ = ["MOVIE", "LiveServer", "movie", "shipped"]
