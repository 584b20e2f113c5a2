"""The Python client of the control API: one sandbox of a mock that runs anywhere. Synchronous and typed.

with Sandbox("http://127.0.0.1:4747", "vs_prod_0123456789abcdefghijklmnopqrstuv") as sandbox:
    sandbox.open(scenario="scene-fails", clock="frozen")
    sandbox.clock.advance(30)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypedDict, TypeVar, overload
from urllib.parse import urlsplit

import httpx2

from viralsync_mock.client.assertions import AssertionMixin
from viralsync_mock.client.connection import ControlConnection, unverified
from viralsync_mock.client.records import Delivery, Event
from viralsync_mock.client.resources import PAGE_SIZE, ClockControl, FaultControl, JobList, JournalView
from viralsync_mock.client.results import Coverage, VerdictMixin
from viralsync_mock.errors import ControlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Unpack

    from viralsync_mock.client.literals import Clock, Limit, Plan, Rule
    from viralsync_mock.virtual_time import ClockConnection

C = TypeVar("C")

OBSERVER: Mapping[str, str] = MappingProxyType({"x-mock-observer": "test"})
"""Marks calls of the test itself."""

ACCOUNT: Mapping[str, str] = MappingProxyType(
    {
        "plan": "plan",
        "minutes_used": "minutesUsed",
        "minutes_used_today": "minutesUsedToday",
        "revoked": "revoked",
        "email": "email",
    }
)
"""The fields of an account that can be changed, and their names in the control API."""

LIMITS = ("quota", "rate", "concurrency")


class AccountChanges(TypedDict, total=False):
    """What to change of an account; minutes are render minutes of the calendar month and day."""

    plan: Plan
    minutes_used: float
    minutes_used_today: float
    revoked: bool
    email: str | None


class FactoryOptions(TypedDict, total=False):
    """The options of a sandbox from `make_viralsync`."""

    scenario: str | Mapping[str, Any] | None
    plan: Plan | None
    clock: Clock | None
    seed: str | int | None
    behaviour: str | Mapping[str, Any] | None
    strict: bool | None
    well_behaved: bool | Literal["decided"] | Mapping[Rule, str] | None
    state: str | None


class SandboxFactory(Protocol):
    """The value of the fixture `make_viralsync`."""

    def __call__(self, name: str | None = None, **options: Unpack[FactoryOptions]) -> Sandbox:
        """Return a new sandbox; raises SettingsError for an unknown option or a wrong value."""


class Sandbox(AssertionMixin, VerdictMixin):
    """Everything of one API key on a mock: clock, scenario, account, faults, jobs, journal and deliveries.

    `base_url`, `api_key` and `headers` are what the code under test needs. Every method raises ControlError when the
    mock refuses, or does not answer within `timeout` real seconds. Threads may share a sandbox. `http` are connections
    from `open_connections()` that several sandboxes share; `close` leaves them open.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        control_token: str | None = None,
        timeout: float = 30.0,
        http: httpx2.Client | None = None,
    ) -> None:
        self._connect(ControlConnection(base_url, api_key, control_token, timeout, http))
        self.local_clock: ClockConnection | None = None
        """A way to the clock without HTTP, where the mock runs in this process."""

    def _connect(self, connection: ControlConnection) -> None:
        self._connection = connection
        self.base_url, self.api_key = connection.base_url, connection.api_key
        self.headers = {"x-api-key": connection.api_key}
        self.clock = ClockControl(connection)
        self.faults = FaultControl(connection)
        self.jobs = JobList(connection)
        self.journal = JournalView(connection)

    @overload
    def client(self, /, *, is_observer: bool = True, **options: Any) -> httpx2.Client: ...
    @overload
    def client(self, kind: Callable[..., C], /, *, is_observer: bool = True, **options: Any) -> C: ...
    def client(self, kind: Callable[..., Any] = httpx2.Client, /, *, is_observer: bool = True, **options: Any) -> Any:
        """Return an HTTP client with address and key, for the test's own calls: the verdict leaves them out.

        `kind` is its class: `httpx2.Client`, `httpx.Client`, `httpx.AsyncClient` ...; `options` are that class's. With
        `is_observer=False` its calls count as those of the code under test. It is made in a tenth of the time of
        `httpx.Client()`, since all share one SSL context, which checks no certificate.
        """
        headers = {**self.headers, **OBSERVER} if is_observer else self.headers
        return kind(base_url=self.base_url, headers=headers, verify=unverified(), trust_env=False, **options)

    def async_client(self, *, is_observer: bool = True, **options: Any) -> httpx2.AsyncClient:
        """Return the same for asyncio and trio: an `httpx2.AsyncClient`."""
        return self.client(httpx2.AsyncClient, is_observer=is_observer, **options)

    def with_key(self, api_key: str) -> Sandbox:
        """Return the sandbox of another key on the same mock; it shares this one's connections."""
        other = object.__new__(type(self))
        other._connect(self._connection.with_key(api_key))
        other.local_clock = None
        return other

    def open(
        self,
        *,
        scenario: str | Mapping[str, Any] | None = None,
        plan: Plan | None = None,
        clock: Clock | None = None,
        seed: str | int | None = None,
        behaviour: Mapping[str, Any] | None = None,
    ) -> Self:
        """Start afresh with these options; the server's defaults hold for the rest. A refusal changes nothing.

        `scenario` is a name or a whole scenario, `clock` a mode, `behaviour` nested switches. Sandboxes with the same
        `seed` draw alike, whatever their keys.
        """
        given = {
            "scenario": scenario if scenario is None or isinstance(scenario, str) else dict(scenario),
            "plan": plan,
            "clock": clock,
            "seed": None if seed is None else str(seed),
            "behaviour": None if behaviour is None else dict(behaviour),
        }
        self._connection.request("PUT", "/sandbox", {name: value for name, value in given.items() if value is not None})
        return self

    def scenario(self, scenario: str | Mapping[str, Any] | None = None) -> str:
        """Choose a shipped scenario by name, or give a whole one; return the name of the present one."""
        if scenario is None:
            return str(self._connection.request("GET", "/scenario")["name"])
        document = {"name": scenario} if isinstance(scenario, str) else dict(scenario)
        return str(self._connection.request("PUT", "/scenario", document)["name"])

    def account(self, **changes: Unpack[AccountChanges]) -> dict[str, Any]:
        """Change the account and return it: `plan`, `minutes_used`, `minutes_used_today`, `revoked`, `email`."""
        for name in changes:
            if name not in ACCOUNT:
                known = f"{did_you_mean(name, ACCOUNT)} It has: {', '.join(ACCOUNT)}"
                raise UsageError(f"an account has no {name!r}.{known}")
        patch = {ACCOUNT[name]: value for name, value in changes.items()}
        document = self._connection.request("PATCH" if patch else "GET", "/account", patch or None)
        return {name: document[key] for name, key in ACCOUNT.items()}

    def exhaust(self, limit: Limit) -> None:
        """Use up the `quota` (402), `rate` (429) or `concurrency` (409) limit: the next call meets it."""
        if limit not in LIMITS:
            raise UsageError(f"expected one of {', '.join(LIMITS)}, got {limit!r}.{did_you_mean(limit, LIMITS)}")
        self._connection.request("POST", "/exhaust", {"limit": limit})

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The webhooks of this sandbox, oldest first."""
        found = self._connection.request("GET", "/deliveries", limit=PAGE_SIZE)["deliveries"]
        return tuple(map(Delivery.of, reversed(found)))

    def redeliver(self, delivery: Delivery | str) -> Delivery:
        """Send a webhook once more, now; return it with the new attempt."""
        name = delivery if isinstance(delivery, str) else delivery.id
        return Delivery.of(self._connection.request("POST", f"/deliveries/{name}/redeliver"))

    def coverage(self, *, anonymous: bool = False) -> Coverage:
        """Return what was met since the sandbox was opened; `anonymous` adds calls without a usable key."""
        answer = self._connection.request("GET", "/coverage", anonymous=str(anonymous).lower())
        return Coverage(tuple(answer["met"]), tuple(answer["unmet"]), answer["percent"])

    def events(self, *, after: Event | str | None = None) -> Iterator[Event]:
        """Yield what happens in this sandbox, as it happens, until the caller stops or the mock does.

        The first event is `hello`. With `after`, the last event of an earlier loop, it goes on behind that one; if the
        mock no longer knows it, `hello` has `isResumed` false. Raises ControlError when the connection breaks.
        """
        last = after.id if isinstance(after, Event) else after
        with self._connection.stream("/events", {"last-event-id": last} if last else {}) as lines:
            yield from Event.parse(lines)

    def sleep(self, seconds: float) -> None:
        """Sleep on the sandbox's clock: pass it to the code under test in place of `time.sleep`."""
        self.clock.advance(seconds)

    @contextmanager
    def virtual_time(self, exempt: Iterable[str] = ()) -> Iterator[None]:
        """Let all sleeps of this process happen on the sandbox's clock; an `auto` clock is in mode `jump` meanwhile.

        Code in the modules and packages named in `exempt` keeps real time. Raises UsageError when virtual time is on
        already, or freezegun or time-machine is.
        """
        from viralsync_mock.virtual_time import virtual_time
        from viralsync_mock.virtual_time.http_clock import http_clock

        with ExitStack() as stack:
            if self.clock.mode == "auto":
                self.clock.jump()
                stack.callback(self.clock.auto)
            local = self.local_clock
            clock = local or stack.enter_context(http_clock(self.base_url, self._connection.headers))
            stack.enter_context(virtual_time(clock, exempt))
            yield

    def snapshot(self, *, journal: bool = False) -> dict[str, Any]:
        """Return the whole sandbox as JSON values."""
        document: dict[str, Any] = self._connection.request("GET", "/snapshot", journal=str(journal).lower())
        return document

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Replace the sandbox by a snapshot, of this mock or another."""
        self._connection.request("PUT", "/snapshot", dict(snapshot))

    def reset(self) -> None:
        """Start afresh: no jobs, no journal, the server's own scenario and clock."""
        self._connection.request("POST", "/reset")

    def close(self) -> None:
        """Close the connections, unless they are shared; the mock keeps the sandbox."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            state = f"scenario {self.scenario()}, {self.clock!r}, {len(self.jobs)} jobs, {len(self.journal)} calls"
        except ControlError as problem:  # a failed test shows its values, also when the mock has gone
            state = str(problem)
        return f"<sandbox on {self.base_url}: {state}>"


def environment(sandbox: Sandbox) -> dict[str, str]:
    """Return the variables that lead a client to a sandbox, past any proxy."""
    url = urlsplit(sandbox.base_url)
    variables = {"VIRALSYNC_BASE_URL": sandbox.base_url, "VIRALSYNC_API_KEY": sandbox.api_key}
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, (os.environ.get(name), url.hostname)))
    return variables
