"""The journal of a sandbox: list its calls, explain one, export or forget them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.control.request import JsonResponse, instant_of
from viralsync_mock.errors import ApiError, did_you_mean
from viralsync_mock.inspection.exchange import call_id, exchange_of
from viralsync_mock.inspection.explanation import DEFAULT_HOST, explain, redact_json, summarize
from viralsync_mock.inspection.har import archive
from viralsync_mock.journal.entry import Filter
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.sandbox import Sandbox


async def list_calls(request: ControlRequest) -> Response:
    """GET /__mock/journal: the newest calls that are sought."""
    parameters = request.parameters
    sandbox = request.mock.sandboxes.anonymous if parameters["anonymous"] else request.sandbox
    sought = Filter(
        operation=_known(request, "operation", request.spec.operations),
        status=parameters.get("status"),
        job_id=parameters.get("jobId"),
        code=_known(request, "code", request.spec.errors),
        since=_instant(request, "since"),
        until=_instant(request, "until"),
    )
    newest = sandbox.journal.newest_first(sought, parameters["limit"])
    document = {"total": len(sandbox.journal), "calls": [summarize(sandbox, entry) for entry in newest]}
    if (dropped := request.mock.sandboxes.dropped.get(sandbox.key)) is not None:
        document["dropped"] = dropped
    if sandbox.journal.forgotten:
        document["forgotten"] = sandbox.journal.forgotten
    return JsonResponse(document)


def _known(request: ControlRequest, name: str, words: Collection[str]) -> str | None:
    """Return a parameter that has to be a word of the spec, or None when it was not sent; raises `Invalid`."""
    word: str | None = request.parameters.get(name)
    if word is not None and word not in words:
        what = {"operation": "an operation", "code": "an error code"}[name]
        invalid(f"query.{name}", f"expected {what} of the spec, got {preview(word)}.{did_you_mean(word, words)}")
    return word


def _instant(request: ControlRequest, name: str) -> datetime | None:
    text: str | None = request.parameters.get(name)
    return None if text is None else instant_of(text, f"query.{name}")


async def explain_call(request: ControlRequest) -> Response:
    """GET /__mock/journal/{callId}: why it was answered so; raises CALL_NOT_FOUND."""
    sought = request.path_params["callId"]
    for sandbox in (request.sandbox, request.mock.sandboxes.anonymous):
        number = sought.removeprefix(sandbox.call_prefix.decode())
        if number != sought and number.isascii() and number.isdigit():
            entry = sandbox.journal.read(int(number[:20]))
            if entry is not None and call_id(sandbox, entry) == sought:
                return JsonResponse(explain(request.mock, sandbox, entry, request.headers.get("host", DEFAULT_HOST)))
    raise ApiError("CALL_NOT_FOUND", callId=preview(sought), kept=_kept(request.sandbox))


def _kept(sandbox: Sandbox) -> str:
    oldest = next(sandbox.journal.oldest_first(), None)
    if oldest is None:
        return "no calls"
    return f"{len(sandbox.journal)} calls, from {call_id(sandbox, oldest)} on"


async def clear_journal(request: ControlRequest) -> Response:
    """DELETE /__mock/journal: forget this key's calls."""
    journal = request.sandbox.journal
    dropped = len(journal)
    journal.clear()
    return JsonResponse({"dropped": dropped})


async def export_har(request: ControlRequest) -> Response:
    """GET /__mock/journal.har: this key's calls as HAR 1.2."""
    asked = request.headers.get("host", DEFAULT_HOST).encode("latin-1")
    exchanges = [
        exchange_of(request.sandbox, entry, dict(entry.headers).get(b"host", asked).decode("latin-1"))
        for entry in request.sandbox.journal.oldest_first()
        if entry.status is not None
    ]
    return JsonResponse(redact_json(archive(exchanges, "viralsync-mock"), request.sandbox.key))
