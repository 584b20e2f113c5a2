"""When to ask again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import httpx

Outcome = httpx.Response | httpx.RequestError
"""What became of a call: an answer, or why there is none."""


@dataclass(frozen=True)
class Retries:
    """So many attempts; the waits between them, in seconds, double from `first` up to `longest`, less some jitter."""

    attempts: int = 5
    first: float = 1.0
    longest: float = 60.0
    rng: Random = field(default_factory=Random, repr=False)

    def wait_after(self, attempt: int, outcome: Outcome) -> float | None:
        """Return how long to wait after what became of attempt 1, 2 ..., or None when it should not be made again."""
        if attempt >= self.attempts or not may_pass(outcome):
            return None
        asked = asked_wait(outcome)
        return self.backed_off(attempt) if asked is None else asked

    def backed_off(self, attempt: int) -> float:
        """Return the wait after attempt 1, 2 ...: at least 1.5 times the one before, until it is the longest."""
        return min(self.first * 2.0 ** (attempt - 1), self.longest) * self.rng.uniform(0.75, 1.0)


def may_pass(outcome: Outcome) -> bool:
    """Whether it may go better the next time: the answer was lost, a 429, or a 5xx."""
    return is_unclear(outcome) or (isinstance(outcome, httpx.Response) and outcome.status_code == 429)


def is_unclear(outcome: Outcome) -> bool:
    """Whether the API may have done what it was asked for, or may not."""
    return not isinstance(outcome, httpx.Response) or outcome.is_server_error


def asked_wait(outcome: Outcome) -> float | None:
    """Return the seconds of `Retry-After`, if there are any."""
    text = outcome.headers.get("retry-after", "") if isinstance(outcome, httpx.Response) else ""
    return float(text) if text.isdecimal() else None
