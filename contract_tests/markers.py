"""What a test costs and needs, as markers of pytest: the fields of its journey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from contract_tests.journey import Journey

MARKERS = (
    "renders: submits jobs on the account under test, which cost render minutes",
    "requests_heavy: makes as many requests as the rate limit allows, or more",
    "needs_control: needs a mock, which lends throwaway accounts and moves their clocks",
    "needs_receiver: needs a place that webhooks reach",
)


def marks_of(journey: Journey) -> list[pytest.MarkDecorator]:
    """Return the markers of a journey."""
    names = (line.partition(":")[0] for line in MARKERS)
    return [getattr(pytest.mark, name) for name in names if getattr(journey, name)]


def parameters(journeys: Iterable[Journey]) -> list[Any]:
    """Return journeys as the parameters of a test, each under its name and with its markers."""
    return [pytest.param(journey, id=journey.name, marks=marks_of(journey)) for journey in journeys]
