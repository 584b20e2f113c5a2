"""The four plans, as the billing pages list them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Plan:
    """What a plan allows; None is unlimited. Minutes are render minutes, `longest` is in seconds."""

    name: str
    minutes: float | None
    daily: float | None
    longest: float
    frame: tuple[int, int]
    at_once: int | None


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan("free", 30, 5, 600, (1280, 720), 1),
        Plan("pro", 200, None, 600, (1920, 1080), 3),
        Plan("business", 600, None, 1200, (2560, 1440), 6),
        Plan("enterprise", None, None, 7200, (3840, 2160), None),
    )
}
