"""Plays every fault to every client, and holds what the client saw against what the fault promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.self_check.clients import CLIENTS, Httpx, is_installed
from viralsync_mock.self_check.expectations import PROMISES
from viralsync_mock.self_check.probes import Mailbox, Scene, Stage
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


class Cell(NamedTuple):
    """One fault as one client met it: the verdict, and what was promised and seen instead."""

    fault: str
    client: str
    verdict: str
    seen: str = ""


def difference(kind: str, scene: Scene) -> str:
    """Play the story of a fault; return what it promised and what was seen instead, or "" when the promise holds."""
    promise = PROMISES[kind]
    evidence = promise.story(scene)
    return "" if promise.holds(evidence) else f"promised: {promise.statement} Seen: {evidence}"


def run(kinds: Collection[str] = PROMISES, clients: Collection[str] = CLIENTS) -> list[Cell]:
    """Start a mock, play these faults to these clients, and return the cells, fault by fault."""
    with ThreadPoolExecutor(AT_ONCE) as pool, open_stage() as stage, ExitStack() as stack:
        made = {name: CLIENTS[name](RealTime().monotonic) for name in clients if is_installed(name)}
        for client in made.values():
            stack.enter_context(closing(client))
        playing = {
            (kind, name): pool.submit(play, stage, kind, client) for kind in kinds for name, client in made.items()
        }
        return [_ended(kind, name, playing.get((kind, name))) for kind in kinds for name in clients]


def play(stage: Stage, kind: str, client: Client) -> Cell:
    """Let one client meet one fault; whatever goes wrong on the way is told in its cell."""
    try:
        seen = difference(kind, scene(stage, kind, client))
    except Exception as error:  # a client may do anything
        seen = f"{type(error).__name__}: {error}"
    return Cell(kind, client.name, FAILED if seen else OK, seen)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Set up where scenes are played."""
    settings = Settings(clock=Mode.FROZEN, is_rate_limited=False)
    with Mailbox() as mailbox, BackgroundServer(create_app(settings)) as server:
        yield Stage(server.base_url, mailbox, Httpx(RealTime().monotonic))


def scene(stage: Stage, kind: str, client: Client, *, is_armed: bool = True) -> Scene:
    """Return a scene with a key of its own, in which the client will meet a fault of this kind, if it is armed."""
    key = f"vs_prod_{hexadecimal('self-check', kind, client.name, is_armed, length=32)}"
    return Scene(stage, client, key, {kind: PROMISES[kind].value} if is_armed else {})


def _ended(kind: str, client: str, cell: Future[Cell] | None) -> Cell:
    if cell is None:
        return Cell(kind, client, NOT_INSTALLED)
    try:
        return cell.result(CELL_SECONDS)
    except TimeoutError:
        cell.cancel()
        return Cell(kind, client, FAILED, f"Still not over after {CELL_SECONDS:g} s.")
