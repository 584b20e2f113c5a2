"""The verdict on clients as they are met in the field: bad habits are noticed, ordinary clients are left in peace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.conftest import LiveServer
from tests.verdict_clients import field
from tests.verdict_clients.bad import BAD
from tests.verdict_clients.good import ACCUSED, GOOD
from tests.verdict_clients.world import World

Client = Callable[[World], None]


@pytest.fixture
def world(live_server: LiveServer) -> Iterator[World]:
    """Yield a sandbox with a client in it."""
    with ExitStack() as stack:
        yield World(live_server, stack)


def _failed(world: World) -> dict[str, str]:
    return {rule: each["reason"] for rule, each in world.verdict().items() if each["outcome"] == "failed"}


@pytest.mark.parametrize("client", {**BAD, **field.BAD}, ids=lambda each: each.__name__)
def test_a_bad_habit_is_noticed(world: World, client: Client) -> None:
    """A rule that fits fails."""
    client(world)
    assert {**BAD, **field.BAD}[client] & _failed(world).keys()


@pytest.mark.parametrize("client", [*GOOD, *field.GOOD], ids=lambda each: each.__name__)
def test_an_ordinary_client_fails_no_rule(world: World, client: Client) -> None:
    """Not even one that does not fit; the one exception is in docs/verdict.md."""
    client(world)
    assert _failed(world).keys() == ({ACCUSED[client]} if client in ACCUSED else set())


def test_there_is_at_most_one_exception() -> None:
    """A rule that accuses more of them is wrong."""
    assert len(ACCUSED) <= 1
