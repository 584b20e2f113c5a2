"""How far the clock goes is written as times are everywhere: seconds, `30s`, or an instant."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize(
    ("order", "now"),
    [
        ({"seconds": 30}, "2026-01-01T00:00:30.000Z"),
        ({"seconds": "30s"}, "2026-01-01T00:00:30.000Z"),
        ({"seconds": "1.5h"}, "2026-01-01T01:30:00.000Z"),
        ({"seconds": "800ms"}, "2026-01-01T00:00:00.800Z"),
        ({"to": "2026-01-02T00:00:00Z"}, "2026-01-02T00:00:00.000Z"),
        ({"to": "2026-01-02T01:00:00+01:00"}, "2026-01-02T00:00:00.000Z"),
    ],
)
def test_the_clock_goes_as_far_as_is_written(frozen: httpx.Client, order: dict[str, object], now: str) -> None:
    """Every notation leads to the same place."""
    assert frozen.post("/__mock/clock/advance", json=order).json()["now"] == now


@pytest.mark.parametrize(
    ("order", "place"),
    [
        ({"seconds": "soon"}, "$.seconds: expected"),
        ({"seconds": "9999h"}, "$.seconds: expected at most 31 days"),
        ({"to": "nxt"}, "$.to: expected"),
        ({"to": "2025-01-01T00:00:00Z"}, "$.to: "),
        ({"to": "2027-01-01T00:00:00Z"}, "$.to: expected at most 31 days"),
    ],
)
def test_an_order_that_cannot_be_is_refused(frozen: httpx.Client, order: dict[str, object], place: str) -> None:
    """With its place, and the clock stays."""
    answer = frozen.post("/__mock/clock/advance", json=order)
    assert (answer.status_code, place in answer.json()["error"]) == (400, True)
