"""Breaches of the errors: their bodies (section 1), their statuses and codes (sections 7, 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from .breach_kinds import hooked, of_refusal, refusal
from .conduct import Breach
from .wire import Doc, Reply

_ERROR, _FULL, _SPENT = "any error", "as many jobs at once as the plan allows", "a spent quota"
_TODAY = "a Free key with a spent day, where Free may use REST"


def _bodies(name: str, change: Any) -> Breach:
    def changed(reply: Reply) -> Reply:
        return replace(reply, document=change(reply.document)) if reply.document else reply

    return hooked(name, "D-1.4", _ERROR, reply=of_refusal(changed))


def _nested(body: Doc) -> Doc:
    return {"error": {"message": body["error"], "code": body["code"]}}


def _plain(reply: Reply) -> Reply:
    return replace(reply, text=str((reply.document or {}).get("error")), content_type="text/plain")


def _code_with_number(reply: Reply, call: Any) -> Reply:
    if not reply.refusal or not reply.document:
        return reply
    return replace(reply, document={**reply.document, "code": f"{reply.document['code']}_{call.number}"})


def _statuses() -> Iterator[Breach]:
    """One kind of refusal with statuses that a service may slip to."""
    table = (
        ("validation", "D-8.1", "a submit", ("validation",), (200, 422, 500)),
        ("malformed-json", "D-8.1", "malformed JSON", ("malformed",), (422, 500)),
        ("parameter-error", "D-8.1", "limit=abc", ("parameter",), (422, 500)),
        ("plan-limit", "D-8.5", "a movie too long for the plan", ("length", "frame"), (400, 409)),
        ("unknown-job", "D-7.6", "an unknown job", ("unknown-job",), (400, 403, 500)),
        ("unknown-route", "D-8.7", "an unknown route", ("unknown-route",), (200, 500)),
        ("cancel-of-ended", "D-7.5", "a cancel of an ended job", ("cancel-state",), (400, 500)),
        ("delete-of-unfinished", "D-8.9", "a delete of a running job", ("delete-state",), (400, 500)),
        ("concurrency-limit", "D-8.8", _FULL, ("slots",), (429, 503)),
        ("rate-limit", "D-8.10", "a 429", ("rate",), (403, 503)),
    )
    for subject, fact, needs, kinds, statuses in table:
        for status in statuses:
            yield refusal(f"{subject}-{status}", fact, needs, *kinds, status=status)
    for status in (403, 429):
        yield refusal(f"quota-{status}", "D-8.3", _SPENT, "quota", visible=False, status=status)


def _not_found_as(operation: str, status: int) -> Any:
    return of_refusal(lambda reply: replace(reply, status=status), {"unknown-job"}, operation)


BREACHES: Final = (
    _bodies("error-without-code", lambda body: {"error": body["error"]}),
    _bodies("error-without-text", lambda body: {"code": body["code"]}),
    _bodies("error-nested", _nested),
    _bodies("error-text-as-message", lambda body: {"message": body["error"], "code": body["code"]}),
    _bodies("error-text-as-object", lambda body: {**body, "error": {"message": body["error"]}}),
    _bodies("error-code-number", lambda body: {**body, "code": 1000 + len(body["code"])}),
    hooked("error-code-differs-each-time", "D-1.4", _ERROR, reply=_code_with_number),
    hooked("error-as-plain-text", "D-1.4", _ERROR, reply=of_refusal(_plain)),
    hooked("error-body-empty", "D-1.4", _ERROR, reply=of_refusal(lambda reply: replace(reply, document=None))),
    hooked("error-as-200", "D-1.3", _ERROR, reply=of_refusal(lambda reply: replace(reply, status=200))),
    hooked("rate-limit-error-as-text", "D-1.4", "a 429", reply=of_refusal(_plain, {"rate"})),
    *_statuses(),
    refusal("unknown-job-200", "D-7.6", "an unknown job", "unknown-job"),
    hooked("cancel-of-unknown-409", "D-8.7", "a cancel of an unknown job", reply=_not_found_as("cancel", 409)),
    hooked("delete-of-unknown-204", "D-8.7", "a delete of an unknown job", reply=_not_found_as("delete", 204)),
    hooked("progress-of-unknown-200", "D-8.7", "a stream of an unknown job", reply=_not_found_as("progress", 200)),
    refusal("quota-not-enforced", "D-8.3", _SPENT, "quota", visible=False),
    refusal("quota-code", "D-8.3", _SPENT, "quota", visible=False, code="QUOTA_EXCEEDED"),
    refusal("daily-quota-not-enforced", "D-8.4", _TODAY, "daily-quota", visible=False, variants="D"),
    refusal("daily-quota-code", "D-8.4", _TODAY, "daily-quota", visible=False, variants="D", code="QUOTA_EXCEEDED"),
    refusal("concurrency-limit-code", "D-8.8", _FULL, "slots", code="TOO_MANY_JOBS"),
    refusal("rate-limit-code", "D-9.5", "a 429", "rate", code="TOO_MANY_REQUESTS"),
)
