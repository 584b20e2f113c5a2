"""The calls of a run for the mock's writers of HAR and curl; `traffic.har` holds all of them, entry n is call n."""

from __future__ import annotations

from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.reports.wording import base_url
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import shown_headers
from viralsync_mock.inspection.curl import LINES, to_curl
from viralsync_mock.inspection.exchange import HttpExchange
from viralsync_mock.inspection.har import archive
from viralsync_mock.redaction import sanitised


def archive_of(result: Result) -> dict[str, Any]:
    """Return the archive; instants are of the target's clock, the time until a response is real."""
    exchanges = [_neutral(call, base_url(result)) for call in result.calls]
    return archive(exchanges, "viralsync-mock conform", f"Target: {result.target}. Keys are masked.")


def curl(call: Exchange, base: str) -> str:
    """Return the command, over several lines, that makes a call again."""
    return to_curl(_neutral(call, base), LINES)


def _neutral(call: Exchange, base: str) -> HttpExchange:
    streamed = max(0.0, (call.events[-1].at - call.at).total_seconds()) if call.events else 0.0
    return HttpExchange(
        method=call.method,
        url=f"{base}{call.url}",
        request_headers=shown_headers(call.request_headers),
        request_body=call.request_body,
        request_size=len(call.request_body),
        status=call.status or 0,
        headers=shown_headers(call.headers),
        body=call.body,
        size=len(call.body),
        at=call.at,
        wait=round(call.seconds * 1000, 3),
        receive=round(streamed * 1000, 3),
        is_stream=call.operation == "streamJobProgress",
        comment=_comment(call),
    )


def _comment(call: Exchange) -> str:
    parts = [f"call {call.number}", f"{call.journey}: {call.step}", f"account {call.account}"]
    if call.expected:
        parts.append(f"expected {call.expected}")
    if call.events:
        parts.append(f"{len(call.events)} events")
    if call.problem:
        parts.append(call.problem)
    return sanitised(", ".join(parts))
