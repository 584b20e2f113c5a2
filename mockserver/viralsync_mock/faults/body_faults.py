"""Faults of an answer's body: cut short, no JSON, of another media type, slow. Answers without a body have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from viralsync_mock.response import Abort, Response

if TYPE_CHECKING:
    from viralsync_mock.faults.http import CallNext, FaultContext


@dataclass(frozen=True)
class TruncatedBody:
    """The body breaks off after a share of what `Content-Length` announces; then the connection is closed."""

    share: float = 0.5

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Cut the body."""
        answer = await proceed()
        if answer.body:
            answer.abort, answer.is_scripted = Abort("truncated_body", self.share), True
        return answer


@dataclass(frozen=True)
class MalformedJson:
    """The body arrives whole, but half of its JSON is missing: it ends in an object that was just opened."""

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Leave half of the JSON out."""
        answer = await proceed()
        if answer.body:
            # half a number is a number: with an open brace at its end nothing is JSON
            answer.body, answer.is_scripted = answer.body[: len(answer.body) // 2] + b"{", True
        return answer


@dataclass(frozen=True)
class WrongContentType:
    """The body is as ever, but its media type says something else."""

    media_type: str = "text/html"

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Name another media type."""
        answer = await proceed()
        if answer.content_type is not None:
            answer.content_type, answer.is_scripted = self.media_type.encode(), True
        return answer


@dataclass(frozen=True)
class SlowBody:
    """The body trickles in over so many real seconds."""

    seconds: float

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Spread the body."""
        answer = await proceed()
        answer.body_duration = self.seconds
        return answer
