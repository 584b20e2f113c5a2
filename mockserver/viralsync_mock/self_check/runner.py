"""Runs every fault against every client and compares what the client saw with what the fault should do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.self_check.clients import CLIENTS, Httpx2, is_installed
from viralsync_mock.self_check.expectations import EXPECTATIONS
from viralsync_mock.self_check.probes import ClientSession, Environment, WebhookInbox
from viralsync_mock.self_check.scripted import SCRIPTED
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from concurrent.futures import Future

    from viralsync_mock.self_check.clients import Client

CONCURRENCY = 12
"""Checks that run at once: most of them wait."""

CHECK_TIMEOUT = 30.0
"""Seconds to wait for one more check."""

OK, FAILED, NOT_INSTALLED = "ok", "failed", "not installed"


CHECKS = MappingProxyType({**EXPECTATIONS, **SCRIPTED})
"""All that is checked, by name: every kind of fault, and what rules say beside faults."""


class CheckResult(NamedTuple):
    """One fault with one client: the verdict, and on failure what was promised and what was seen."""

    fault: str
    client: str
    verdict: str
    seen: str = ""


def difference(kind: str, session: ClientSession) -> str:
    """Run the probe of a fault; return what was promised and what was seen, or "" if they agree."""
    expectation = CHECKS[kind]
    evidence = expectation.probe(session)
    return "" if expectation.holds(evidence) else f"promised: {expectation.statement} Seen: {evidence}"


def run(kinds: Collection[str] = CHECKS, clients: Collection[str] = CLIENTS) -> list[CheckResult]:
    """Start a mock, check these faults with these clients, and return the results, fault by fault."""
    with ThreadPoolExecutor(CONCURRENCY) as pool, open_environment() as environment, ExitStack() as stack:
        made = {name: CLIENTS[name](RealTime().monotonic) for name in clients if is_installed(name)}
        for client in made.values():
            stack.enter_context(closing(client))
        running = {
            (kind, name): pool.submit(run_check, environment, kind, client)
            for kind in kinds
            for name, client in made.items()
        }
        return [_ended(kind, name, running.get((kind, name))) for kind in kinds for name in clients]


def run_check(environment: Environment, kind: str, client: Client) -> CheckResult:
    """Check one fault with one client; an exception on the way becomes part of the result."""
    try:
        seen = difference(kind, new_session(environment, kind, client))
    except Exception as error:  # a client may do anything
        seen = f"{type(error).__name__}: {error}"
    return CheckResult(kind, client.name, FAILED if seen else OK, seen)


@contextmanager
def open_environment() -> Iterator[Environment]:
    """Start a mock and a receiver of webhooks."""
    settings = Settings(clock=Mode.FROZEN, is_rate_limited=False)
    with WebhookInbox() as inbox, BackgroundServer(create_app(settings)) as server:
        yield Environment(server.base_url, inbox, Httpx2(RealTime().monotonic))


def new_session(environment: Environment, kind: str, client: Client, *, is_armed: bool = True) -> ClientSession:
    """Return a session with a new key, in which the client will meet a fault of this kind, if it is armed."""
    key = f"vs_prod_{hexadecimal('self-check', kind, client.name, is_armed, length=32)}"
    return ClientSession(environment, client, key, {kind: CHECKS[kind].value} if is_armed else {})


def _ended(kind: str, client: str, result: Future[CheckResult] | None) -> CheckResult:
    if result is None:
        return CheckResult(kind, client, NOT_INSTALLED)
    try:
        return result.result(CHECK_TIMEOUT)
    except TimeoutError:
        result.cancel()
        return CheckResult(kind, client, FAILED, f"Still not over after {CHECK_TIMEOUT:g} s.")
