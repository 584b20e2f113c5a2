"""What the API tells. Fields that are not known here stay in `raw`, and a status may be any word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

TERMINAL = frozenset({"done", "failed", "cancelled"})
"""A job with one of these never changes again; a status that nobody knows yet is none of them."""


@dataclass(frozen=True)
class Job:
    """A job as it was when it was told of, by an answer, a stream or a webhook; `progress` is from 0.0 to 1.0."""

    id: str
    status: str
    phase: str | None
    progress: float
    url: str | None
    error: str | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API tells of a job; raises KeyError without `jobId` or `status`."""
        return cls(
            id=document["jobId"],
            status=document["status"],
            phase=document.get("phase"),
            progress=document.get("progress") or 0.0,
            url=document.get("outputUrl"),
            error=document.get("error"),
            raw=document,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in TERMINAL
