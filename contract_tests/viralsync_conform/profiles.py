"""How much a run does: reads only, a careful night, or everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """What a run may cost, and what it does.

    `renders` says whether jobs are submitted at all; `generated_cases` how many of Schemathesis' cases are sent,
    `explores` whether all its phases run, positive submissions and links included. `has_canary` adds a run against
    a mutant, which must go red. After `max_minutes` of real time a run gives up, cleans up and says so.
    """

    name: str
    max_requests: int
    max_render_minutes: float
    renders: bool
    generated_cases: int
    max_minutes: float
    explores: bool = False
    has_canary: bool = False


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("quick", 59, 0.0, renders=False, generated_cases=12, max_minutes=15),
        Profile("nightly", 499, 0.1, renders=True, generated_cases=50, max_minutes=60, has_canary=True),
        Profile(
            "deep", 20_000, 30.0, renders=True, generated_cases=400, max_minutes=720, explores=True, has_canary=True
        ),
    )
}
