"""Plays every fault to every client, and holds what the client saw against what the fault promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.self_check.clients import CLIENTS, Httpx, is_installed
from viralsync_mock.self_check.expectations import EXPECTATIONS
from viralsync_mock.self_check.probes import ClientSession, Environment, WebhookInbox
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from concurrent.futures import Future

    from viralsync_mock.self_check.clients import Client

AT_ONCE = 12
"""How many cells are played at a time: most of them wait."""

CELL_SECONDS = 30.0
"""How long one more cell may take until it is given up."""

OK, FAILED, NOT_INSTALLED = "ok", "failed", "not installed"


class CheckResult(NamedTuple):
    """One fault as one client met it: the verdict, and what was promised and seen instead."""

    fault: str
    client: str
    verdict: str
    seen: str = ""


def difference(kind: str, scene: ClientSession) -> str:
    """Play the story of a fault; return what it promised and what was seen instead, or "" when the promise holds."""
    promise = EXPECTATIONS[kind]
    evidence = promise.story(scene)
    return "" if promise.holds(evidence) else f"promised: {promise.statement} Seen: {evidence}"


def run(kinds: Collection[str] = EXPECTATIONS, clients: Collection[str] = CLIENTS) -> list[CheckResult]:
    """Start a mock, play these faults to these clients, and return the cells, fault by fault."""
    with ThreadPoolExecutor(AT_ONCE) as pool, open_environment() as stage, ExitStack() as stack:
        made = {name: CLIENTS[name](RealTime().monotonic) for name in clients if is_installed(name)}
        for client in made.values():
            stack.enter_context(closing(client))
        playing = {
            (kind, name): pool.submit(run_check, stage, kind, client) for kind in kinds for name, client in made.items()
        }
        return [_ended(kind, name, playing.get((kind, name))) for kind in kinds for name in clients]


def run_check(stage: Environment, kind: str, client: Client) -> CheckResult:
    """Let one client meet one fault; whatever goes wrong on the way is told in its cell."""
    try:
        seen = difference(kind, new_session(stage, kind, client))
    except Exception as error:  # a client may do anything
        seen = f"{type(error).__name__}: {error}"
    return CheckResult(kind, client.name, FAILED if seen else OK, seen)


@contextmanager
def open_environment() -> Iterator[Environment]:
    """Set up where scenes are played."""
    settings = Settings(clock=Mode.FROZEN, is_rate_limited=False)
    with WebhookInbox() as mailbox, BackgroundServer(create_app(settings)) as server:
        yield Environment(server.base_url, mailbox, Httpx(RealTime().monotonic))


def new_session(stage: Environment, kind: str, client: Client, *, is_armed: bool = True) -> ClientSession:
    """Return a scene with a key of its own, in which the client will meet a fault of this kind, if it is armed."""
    key = f"vs_prod_{hexadecimal('self-check', kind, client.name, is_armed, length=32)}"
    return ClientSession(stage, client, key, {kind: EXPECTATIONS[kind].value} if is_armed else {})


def _ended(kind: str, client: str, cell: Future[CheckResult] | None) -> CheckResult:
    if cell is None:
        return CheckResult(kind, client, NOT_INSTALLED)
    try:
        return cell.result(CELL_SECONDS)
    except TimeoutError:
        cell.cancel()
        return CheckResult(kind, client, FAILED, f"Still not over after {CELL_SECONDS:g} s.")
