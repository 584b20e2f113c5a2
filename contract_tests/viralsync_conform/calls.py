"""One call of a run: a request with its response, as it is kept, judged and reported. Keys never get in here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

Headers = tuple[tuple[str, str], ...]

TERMINAL = ("done", "failed", "cancelled")
"""The statuses in which a job ends."""

MAX_REMEMBERED = 64 * 1024
"""Bytes of a body whose JSON values are remembered with the call: a longer one is read again when it is needed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream as the standard parses it; `at` is when it arrived, by the target's clock.

    `id` and `name` are None where the stream gave none.
    """

    id: str | None
    name: str | None
    data: str
    at: datetime

    @property
    def document(self) -> dict[str, Any]:
        """The data as JSON values; an empty object where it is something else."""
        return _object(self.data)


@dataclass(frozen=True)
class Exchange:
    """A request and what came of it; whatever could be a key in it is masked.

    `operation` is None for a path or method that the spec does not have. `step` names the call within its journey,
    the same in every run. `status` is None when no answer came: then `problem` says why. `at` is an instant of the
    target's clock, `seconds` how long the answer took in real time. `events` and `comments` are those of a stream.
    `shows_key` says that the answer, before it was masked, repeated a key. `effect` is what the operation does to jobs.
    """

    number: int
    journey: str
    step: str
    account: str
    operation: str | None
    method: str
    url: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, Any]
    request_headers: Headers
    request_body: bytes
    status: int | None
    headers: Headers
    body: bytes
    at: datetime
    seconds: float
    problem: str = ""
    expected: str = ""
    is_generated: bool = False
    events: tuple[Event, ...] = ()
    comments: tuple[datetime, ...] = field(default=())
    is_closed: bool = True
    shows_key: bool = False
    effect: str = ""

    def header(self, name: str) -> str | None:
        """Return a header of the response; its name in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def is_success(self) -> bool:
        """Whether the answer is a 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def job_id(self) -> str:
        """The id of the job that its path names; empty where it names none."""
        return next(iter(self.path_parameters.values()), "")

    @property
    def media_type(self) -> str:
        """The type of the body, lower case, without parameters."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def json(self) -> Any:
        """The body as JSON values; None where it is something else."""
        return self._json if len(self.body) <= MAX_REMEMBERED else _long_json(self.body)

    @cached_property
    def _json(self) -> Any:
        return _json(self.body)

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is something else."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def sent(self) -> dict[str, Any]:
        """The body of the request as a JSON object; an empty one where it is something else."""
        return _object(self.request_body)

    @property
    def code(self) -> str | None:
        """The error code of the body, if it has one."""
        code = self.document.get("code")
        return code if isinstance(code, str) else None

    def __repr__(self) -> str:
        result = " ".join(str(part) for part in (self.status or self.problem, self.code) if part)
        return f"<#{self.number} {self.method} {self.url} -> {result}>"


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_long_json = lru_cache(maxsize=1)(_json)


def _object(text: str | bytes) -> dict[str, Any]:
    value = _json(text)
    return value if isinstance(value, dict) else {}


def instant_of(value: object) -> datetime | None:
    """Return an instant as the API writes it; None for anything else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if instant is None or instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
