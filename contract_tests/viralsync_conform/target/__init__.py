"""What is tested: a base URL with the accounts on it. A mock on this machine lends its control API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from viralsync_conform.clocks import Clock, RealClock, VirtualClock, pause
from viralsync_conform.target.webhook_receiver import WebhookReceiver
from viralsync_conform.target.wire import Connections, ask, check_reachable
from viralsync_mock.client import ControlError, Plan, Sandbox
from viralsync_mock.errors import SettingsError
from viralsync_mock.net import host_of, is_loopback
from viralsync_mock.randomness import hexadecimal

MAIN = "main"
"""The name of the account under test."""

ANSWER_SECONDS = 30.0
"""How long a real target may take for an answer; a mock on this machine needs far less."""

KEEP_ALIVE_SECONDS = 2.0
"""How long an idle connection is used again: less than any server keeps one, or both ends could go at once."""

LOCAL_ANSWER_SECONDS = 8.0
SECONDS_TO_RENDER = 60
NO_KEY = "put it into the variable VIRALSYNC_API_KEY (never into a flag)"


@dataclass
class Account:
    """One API key of the target. With a sandbox, a mock's control API drives what is behind it."""

    name: str
    key: str
    clock: Clock
    sandbox: Sandbox | None = None
    is_main: bool = False
    share: float = 0.8
    """How much of the rate limit this account's calls use: others may need the rest, and some need more."""

    instants: list[float] = field(default_factory=list)
    """When this account's calls of the last window were made, in seconds of its clock."""


@dataclass
class Target:
    """A base URL, the account under test, and, where a mock lends them, as many others as are asked for.

    `pause` lets real seconds pass before a target that is not well is asked again.
    """

    base_url: str
    main: Account
    has_control: bool
    seed: str
    http: httpx2.Client
    control_token: str | None = None
    receiver: WebhookReceiver | None = None
    pause: Callable[[float], None] = pause
    answer_seconds: float = ANSWER_SECONDS
    opened: dict[str, Account] = field(default_factory=dict)
    connections: Connections = field(default_factory=Connections)

    @property
    def is_local(self) -> bool:
        """Whether the target is on this machine."""
        return is_loopback(host_of(self.base_url))

    def account(self, name: str, **options: Any) -> Account:
        """Return a throwaway account of a mock, its clock frozen; `options` are those of `Sandbox.open`."""
        if not self.has_control:
            raise SettingsError("only a mock lends throwaway accounts")
        key = f"vs_prod_{hexadecimal(self.seed, 'conform', name, length=32)}"
        sandbox = Sandbox(self.base_url, key, control_token=self.control_token)
        sandbox.open(**{"clock": "frozen", "seed": f"{self.seed}-{name}", **options})
        account = Account(name, key, VirtualClock(sandbox), sandbox)
        self.opened[name] = account
        return account

    def close(self) -> None:
        """Give the main account's clock back and drop the throwaway accounts, as far as the mock is still there."""
        for account in self.opened.values():
            if account.sandbox is not None:
                with suppress(ControlError):
                    account.sandbox.reset()
                account.sandbox.close()
        if isinstance(self.main.clock, VirtualClock):
            with suppress(ControlError):
                self.main.clock.restore()
        if self.main.sandbox is not None:
            self.main.sandbox.close()
        self.http.close()


def check_url(url: str) -> str:
    """Return the base URL without a slash at its end; raises SettingsError for what is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is none
    except ValueError as problem:
        raise SettingsError(f"--target: {problem}: expected a base URL like https://api.viralsync.io") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"--target: expected `mock` or a base URL like https://api.viralsync.io, got {url!r}")
    if parts.username or parts.password:
        raise SettingsError("--target: a URL with a password in it ends up in logs: leave it out")
    if parts.query or parts.fragment:
        raise SettingsError(f"--target: expected a base URL without query and fragment, got {url!r}")
    if parts.scheme == "http" and not is_loopback(host_of(url)):
        raise SettingsError(f"--target: {url} would send the API key in clear text: use https")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """Return the key as a header carries it, without blanks around it; raises SettingsError, which does not show it."""
    key = key.strip()
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise SettingsError("VIRALSYNC_API_KEY: expected one line of ASCII without blanks, got something else")
    return key


@contextmanager
def open_target(
    base_url: str,
    key: str | None,
    seed: str,
    *,
    control_token: str | None = None,
    uses_control: bool = True,
    clock: Clock | None = None,
    answer_seconds: float | None = None,
) -> Iterator[Target]:
    """Yield the target. `key` may be missing for a mock, which takes any; `uses_control` forbids its control API."""
    base_url, key = check_url(base_url), None if key is None else check_key(key)
    is_local = is_loopback(host_of(base_url))
    patience = answer_seconds or (LOCAL_ANSWER_SECONDS if is_local else ANSWER_SECONDS)
    limits = httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS)
    http = httpx2.Client(timeout=patience, limits=limits, verify=not is_local, trust_env=not is_local)
    with ExitStack() as failing:
        failing.callback(http.close)
        if key is None and not (is_local and uses_control):
            raise SettingsError(f"no API key: {NO_KEY}")
        check_reachable(http, base_url)
        failing.pop_all()
    has_control = uses_control and is_local and _is_mock(http, base_url, control_token)
    if key is None and not has_control:
        http.close()
        mock = f", and no mock with a control API answers at {base_url}"
        raise SettingsError(f"no API key{mock}: {NO_KEY}")
    key = key or f"vs_prod_{hexadecimal(seed, 'conform', 'main', length=32)}"
    with ExitStack() as ending:
        real = Account(MAIN, key, clock or RealClock(), is_main=True)
        main = _main(base_url, key, control_token) if has_control else real
        target = Target(base_url, main, has_control, seed, http, control_token, answer_seconds=patience)
        ending.callback(target.close)
        yield target


def _main(base_url: str, key: str, control_token: str | None) -> Account:
    sandbox = Sandbox(base_url, key, control_token=control_token)
    clock = VirtualClock(sandbox)
    clock.freeze()
    return Account(MAIN, key, clock, sandbox, is_main=True)


def _is_mock(http: httpx2.Client, base_url: str, control_token: str | None) -> bool:
    """Ask whether a mock with a control API is there; a server that is none answers something else."""
    headers = {"x-mock-token": control_token} if control_token else {}
    answer = ask(http, http.build_request("GET", f"{base_url}/__mock/health", headers=headers), LOCAL_ANSWER_SECONDS)
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, Mapping) and {"status", "version", "sandboxes"} <= document.keys()


def seeded(target: Target, plan: str, *, with_jobs: bool) -> None:
    """Prepare the account of a mock: its plan, and jobs to be read where a run makes none."""
    sandbox = target.main.sandbox
    if sandbox is None:
        return
    sandbox.account(plan=cast("Plan", plan))
    if with_jobs:
        movie = {"scenes": [{"id": "only", "duration": 1}]}
        body = {"kind": "movie", "projectId": "proj_of_the_mock", "movie": movie}
        for _ in range(2):
            target.http.post(f"{target.base_url}/v1/render/jobs", json=body, headers=sandbox.headers)
        sandbox.clock.advance(SECONDS_TO_RENDER)


@contextmanager
def own_mock(behaviour: Path | None, seed: str) -> Iterator[str]:
    """Start a mock in this process and yield its base URL."""
    from viralsync_mock.app import create_app
    from viralsync_mock.server import BackgroundServer
    from viralsync_mock.settings import Settings

    app = create_app(Settings(behaviour=behaviour, seed=seed))
    with BackgroundServer(app) as server:
        yield server.base_url


__all__ = ["Account", "ControlError", "Target", "check_url", "open_target", "own_mock"]
