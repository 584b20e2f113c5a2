"""What the control API does to the journal of a sandbox: list its calls, explain one, hand all over, forget them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import ApiError, did_you_mean
from viralsync_mock.inspection.exchange import call_id, exchange_of
from viralsync_mock.inspection.explanation import DEFAULT_HOST, explain, redact_json, summarize
from viralsync_mock.inspection.har import archive
from viralsync_mock.jobs.models import parse_timestamp
from viralsync_mock.journal.entry import Filter
from viralsync_mock.response import Response, json_response
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from datetime import datetime

    from viralsync_mock.api.call import Call
    from viralsync_mock.sandbox import Sandbox


async def list_calls(call: Call) -> Response:
    """GET /__mock/journal: the newest calls that are sought."""
    parameters = call.parameters
    sandbox = call.mock.sandboxes.anonymous if parameters["anonymous"] else call.sandbox
    sought = Filter(
        operation=_known(call, "operation", call.spec.operations),
        status=parameters.get("status"),
        job_id=parameters.get("jobId"),
        code=_known(call, "code", call.spec.errors),
        since=_instant(call, "since"),
        until=_instant(call, "until"),
    )
    newest = sandbox.journal.newest_first(sought, parameters["limit"])
    return json_response({"total": len(sandbox.journal), "calls": [summarize(sandbox, entry) for entry in newest]})


def _known(call: Call, name: str, words: Collection[str]) -> str | None:
    """Return a parameter that has to be a word of the spec, or None when it was not sent; raises `Invalid`."""
    word: str | None = call.parameters.get(name)
    if word is not None and word not in words:
        what = {"operation": "an operation", "code": "an error code"}[name]
        invalid(f"query.{name}", f"expected {what} of the spec, got {preview(word)}.{did_you_mean(word, words)}")
    return word


def _instant(call: Call, name: str) -> datetime | None:
    text: str | None = call.parameters.get(name)
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except (ValueError, OverflowError):
        return invalid(f"query.{name}", f"expected an instant such as 2026-01-31T23:58:00Z, got {preview(text)}")


async def explain_call(call: Call) -> Response:
    """GET /__mock/journal/{callId}: why it was answered so; raises CALL_NOT_FOUND."""
    sought = call.path_parameters["callId"]
    for sandbox in (call.sandbox, call.mock.sandboxes.anonymous):
        number = sought.removeprefix(sandbox.call_prefix.decode())
        if number != sought and number.isascii() and number.isdigit():
            entry = sandbox.journal.read(int(number[:20]))
            if entry is not None and call_id(sandbox, entry) == sought:
                return json_response(explain(call, sandbox, entry))
    raise ApiError("CALL_NOT_FOUND", callId=preview(sought), kept=_kept(call.sandbox))


def _kept(sandbox: Sandbox) -> str:
    oldest = next(sandbox.journal.oldest_first(), None)
    if oldest is None:
        return "no calls"
    return f"{len(sandbox.journal)} calls, from {call_id(sandbox, oldest)} on"


async def clear_journal(call: Call) -> Response:
    """DELETE /__mock/journal: forget this key's calls."""
    journal = call.sandbox.journal
    dropped = len(journal)
    journal.clear()
    return json_response({"dropped": dropped})


async def export_har(call: Call) -> Response:
    """GET /__mock/journal.har: this key's calls as HAR 1.2."""
    asked = call.headers.get(b"host", DEFAULT_HOST)
    exchanges = [
        exchange_of(call.sandbox, entry, dict(entry.headers).get(b"host", asked).decode("latin-1"))
        for entry in call.sandbox.journal.oldest_first()
        if entry.status is not None
    ]
    return json_response(redact_json(archive(exchanges, "viralsync-mock"), call.sandbox.key))


JOURNAL_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {"listCalls": list_calls, "explainCall": explain_call, "clearJournal": clear_journal, "exportHar": export_har}
)
"""By operationId."""
