"""What a run may cost, as a hard wall: the worst case is reserved before each call and given back afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SECONDS_PER_MINUTE = 60
UNKNOWN_SCENE_SECONDS = 60.0
"""What a scene counts whose duration is no number: the target may take it for one."""

CALLS_TO_CLEAN_A_JOB = 3
"""A look, a cancel and a delete: kept aside for every job that a run makes."""


class BudgetSpentError(Exception):
    """The next call could cost more than is left; it was not made."""


@dataclass(slots=True)
class Budget:
    """Requests and render minutes of the account under test. What throwaway sandboxes of a mock do costs requests only.

    `reserved` are the minutes of jobs that could still be charged, `charged` those of jobs that are done.
    """

    max_requests: int
    max_render_minutes: float
    requests: int = 0
    reserved: float = 0.0
    charged: float = 0.0
    renders: int = 0
    unclean_jobs: int = 0
    is_cleaning: bool = False

    @property
    def requests_left(self) -> int:
        """How many calls may still be made beside those that clean up."""
        aside = 0 if self.is_cleaning else CALLS_TO_CLEAN_A_JOB * self.unclean_jobs
        return self.max_requests - self.requests - aside

    def spend_request(self, aside: int = 0) -> None:
        """Count one call before it is made; raises BudgetSpentError when there is none left beside `aside` others."""
        if self.requests_left - aside < 1:
            raise BudgetSpentError(
                f"{self.requests} of {self.max_requests} requests are made, and the rest is kept to clean up: "
                "allow more with --max-requests"
            )
        self.requests += 1

    def can_afford(self, minutes: float) -> bool:
        """Say whether this many render minutes could be charged without going over."""
        return self.charged + self.reserved + minutes <= self.max_render_minutes + 1e-9

    def reserve(self, minutes: float, *, is_free: bool = False) -> None:
        """Keep this many minutes for a submission; raises BudgetSpentError when they could go over what is allowed.

        A job that is cancelled at once is free (`is_free`): it may be longer, and nothing else fits beside it.
        """
        if not is_free and not self.can_afford(minutes):
            raise BudgetSpentError(
                f"a submission could cost {minutes:.3f} render minutes, and {self.charged + self.reserved:.3f} of "
                f"{self.max_render_minutes:g} are spent or reserved: allow more with --max-render-minutes"
            )
        self.reserved += minutes

    def release(self, minutes: float) -> None:
        """Give back what was reserved: the submission was refused, or its job failed or was cancelled."""
        self.reserved = max(0.0, self.reserved - minutes)

    def charge(self, minutes: float) -> None:
        """Turn what was reserved into what was charged: the job is done."""
        self.release(minutes)
        self.charged += minutes
        self.renders += 1


def worst_case(body: object) -> float:
    """Return how many render minutes a submission could cost at most, if the target took it as it is."""
    movie = body.get("movie") if isinstance(body, Mapping) else None
    scenes = movie.get("scenes") if isinstance(movie, Mapping) else None
    if not isinstance(scenes, list):
        return 0.0
    return sum(map(_seconds, scenes)) / SECONDS_PER_MINUTE


def _seconds(scene: Any) -> float:
    duration = scene.get("duration") if isinstance(scene, Mapping) else None
    if isinstance(duration, bool) or not isinstance(duration, int | float | str):
        return UNKNOWN_SCENE_SECONDS
    try:
        seconds = float(duration)
    except ValueError:
        return UNKNOWN_SCENE_SECONDS
    except OverflowError:
        return math.inf
    if math.isnan(seconds):
        return math.inf
    return max(UNKNOWN_SCENE_SECONDS if isinstance(duration, str) else 0.0, seconds)
