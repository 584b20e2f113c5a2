"""Every response of the mock validated against its own spec, in the tests of the mock."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.response import Response, json_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from viralsync_mock.api.call import Call
    from viralsync_mock.response import StreamClient
    from viralsync_mock.validation.validator import Violation


class ResponseViolatesSpec(AssertionError):
    """A response of the mock that its own spec does not allow."""


def validate_response(call: Call, response: Response) -> Response:
    """Validate a response; one that breaks the spec becomes a bug and a 500 that says where.

    What a scenario scripts and what a behaviour profile turns may differ from the spec.
    """
    if response.is_scripted or not call.operation.id or call.behaviour != BehaviourProfile():
        return response
    if response.stream is not None:
        response.stream = partial(_checked_events, call, response.stream)
        return response
    content_type = [(b"content-type", response.content_type)] if response.content_type else []
    headers = [*content_type, *response.headers]
    response.join()
    violations = call.files.validator.answer(call.operation, response.status, headers, response.body)
    if not violations:
        return response
    text = _report(call, response.status, violations)
    return json_response({"error": text, "code": "INTERNAL_ERROR"}, 500)


async def _checked_events(
    call: Call, events: Callable[[StreamClient], AsyncGenerator[bytes]], reader: StreamClient
) -> AsyncGenerator[bytes]:
    async with aclosing(events(reader)) as chunks:
        async for chunk in chunks:
            if violations := _violations(call, chunk):
                _report(call, 200, violations)
                return
            yield chunk


def _violations(call: Call, chunk: bytes) -> list[Violation]:
    data_lines = [line[6:] for line in chunk.splitlines() if line.startswith(b"data: ")]
    return [each for data in data_lines for each in call.files.validator.event(call.operation, data)]


def _report(call: Call, status: int, violations: Sequence[Violation]) -> str:
    text = f"this response ({status}) breaks the spec: {'; '.join(map(str, violations))}"
    call.mock.on_bug(f"{call.method} {call.path}", ResponseViolatesSpec(text))
    return text
