"""The HTTP below the client: one call, and the same call again while that is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from viralsync_client.errors import error_of
from viralsync_client.retrying import Outcome, Retries


class Door:
    """Makes the calls; a call that did not succeed ends in an error of this library."""

    def __init__(self, http: httpx.Client, sleep: Callable[[float], None], retries: Retries) -> None:
        self.http, self.sleep, self.retries = http, sleep, retries

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Make a call that is safe to make twice, as often as the retries say; return the JSON of its answer."""
        attempt = 1
        while True:
            outcome = self.attempt(method, path, **options)
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome.json() if outcome.content else None
            wait = self.retries.wait_after(attempt, outcome)
            if wait is None:
                raise error_of(outcome)
            self.sleep(wait)
            attempt += 1

    def attempt(self, method: str, path: str, **options: Any) -> Outcome:
        """Make a call once; a success whose JSON is broken counts as an answer that was lost."""
        try:
            answer = self.http.request(method, path, **options)
        except httpx.RequestError as problem:
            return problem
        return _readable(answer)


def _readable(answer: httpx.Response) -> Outcome:
    try:
        if answer.is_success and answer.content:
            answer.json()
    except ValueError as problem:
        return httpx.DecodingError(str(problem), request=answer.request)
    return answer
