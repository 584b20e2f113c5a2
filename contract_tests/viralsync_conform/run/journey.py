"""What a journey is: a function that travels, with what it costs and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from viralsync_conform.run.journey_context import JourneyContext

JourneyFunction = Callable[[JourneyContext], None]


@dataclass(frozen=True, slots=True)
class Journey:
    """A sequence of calls to the target, with what must hold.

    `requests` is the most that it makes; `renders` says whether it submits jobs on the account under test, `writes`
    whether it sends what could change something, were it not refused.
    `needs_control` wants a mock that lends throwaway accounts, `needs_receiver` a place that webhooks reach,
    `requests_heavy` fills the rate limit of a throwaway account, `is_deep` is for the deep profile only, `is_real` for
    targets without a control API.
    """

    name: str
    function: JourneyFunction
    statement: str
    requests: int
    renders: bool = False
    writes: bool = False
    needs_control: bool = False
    needs_receiver: bool = False
    requests_heavy: bool = False
    is_deep: bool = False
    is_real: bool = False


def journey(name: str, statement: str, requests: int, **needs: bool) -> Callable[[JourneyFunction], Journey]:
    """Turn a function into a journey, which shows that the statement holds; `needs` are fields of `Journey`."""
    return lambda travel: Journey(name, travel, statement, requests, **needs)
