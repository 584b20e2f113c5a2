"""What goes over the wire: refusals with their status and code, and replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .readings import Readings

Doc = dict[str, Any]


class Refusal(NamedTuple):
    """The HTTP status and the `code` of one kind of refusal."""

    status: int
    code: str


class Refused(Exception):
    """A request that is not carried out; `kind` is a key of `REFUSALS`."""

    def __init__(self, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.headers = dict(headers or {})


class NothingThere(Exception):
    """A job that does not exist where a breach has lifted the refusal: the answer is empty."""


@dataclass(frozen=True)
class Reply:
    """What is answered: a document as JSON, or `text` as it is; status 0 closes the connection without a word."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    text: str | None = None
    content_type: str = "application/json"


REFUSALS: Final[dict[str, Refusal]] = {
    "validation": Refusal(400, "VALIDATION_ERROR"),
    "malformed": Refusal(400, "VALIDATION_ERROR"),
    "parameter": Refusal(400, "VALIDATION_ERROR"),
    "callback": Refusal(400, "VALIDATION_ERROR"),
    "two-keys": Refusal(400, "VALIDATION_ERROR"),
    "missing-key": Refusal(401, "UNAUTHORIZED"),
    "invalid-key": Refusal(401, "UNAUTHORIZED"),
    "revoked-key": Refusal(401, "API_KEY_REVOKED"),
    "quota": Refusal(402, "RENDER_QUOTA_EXCEEDED"),
    "daily-quota": Refusal(402, "RENDER_QUOTA_DAILY_EXCEEDED"),
    "length": Refusal(402, "PLAN_LIMIT_EXCEEDED"),
    "frame": Refusal(402, "PLAN_LIMIT_EXCEEDED"),
    "free-plan": Refusal(403, "FORBIDDEN"),
    "unknown-job": Refusal(404, "JOB_NOT_FOUND"),
    "unknown-route": Refusal(404, "NOT_FOUND"),
    "project": Refusal(404, "PROJECT_NOT_FOUND"),
    "method": Refusal(405, "METHOD_NOT_ALLOWED"),
    "slots": Refusal(409, "CONCURRENCY_LIMIT_EXCEEDED"),
    "cancel-state": Refusal(409, "INVALID_STATE_TRANSITION"),
    "delete-state": Refusal(409, "INVALID_STATE_TRANSITION"),
    "too-large": Refusal(413, "PAYLOAD_TOO_LARGE"),
    "media-type": Refusal(415, "UNSUPPORTED_MEDIA_TYPE"),
    "rate": Refusal(429, "RATE_LIMITED"),
    "crash": Refusal(500, "INTERNAL_ERROR"),
    "away": Refusal(503, "SERVICE_UNAVAILABLE"),
}

_OTHER_CODES: Final = {
    "VALIDATION_ERROR": "INVALID_REQUEST",
    "PLAN_LIMIT_EXCEEDED": "PLAN_LIMIT",
    "JOB_NOT_FOUND": "RESOURCE_NOT_FOUND",
    "NOT_FOUND": "ROUTE_NOT_FOUND",
    "METHOD_NOT_ALLOWED": "METHOD_NOT_SUPPORTED",
    "INVALID_STATE_TRANSITION": "JOB_STATE_CONFLICT",
    "PAYLOAD_TOO_LARGE": "BODY_TOO_LARGE",
}


def refusals_of(readings: Readings) -> dict[str, Refusal]:
    """The status and code of every kind of refusal under these readings."""
    table = dict(REFUSALS)
    if readings.assumed_codes == "other":
        table = {kind: Refusal(each.status, _OTHER_CODES.get(each.code, each.code)) for kind, each in table.items()}
    if readings.revoked_code == "shared":
        table["revoked-key"] = table["invalid-key"]
    if readings.method_not_allowed == 404:
        table["method"] = table["unknown-route"]
    if readings.content_type == "400":
        table["media-type"] = table["validation"]
    if readings.large_body == "json_400":
        table["too-large"] = table["validation"]
    if readings.callback_urls == "public_403":
        table["callback"] = Refusal(403, "CALLBACK_NOT_ALLOWED")
    for kind in ("length", "frame"):
        table[kind] = Refusal(readings.plan_limit, table[kind].code)
    return table
