"""Names for type checkers: a wrong one is an error where it is written.

Generated from the spec, the faults and the rules by `tests/project/test_literals.py`.
"""

# fmt: off
from typing import Any, Literal, TypeAlias, TypedDict

Operation: TypeAlias = Literal[
    "submitRenderJob", "listJobs", "getJob", "deleteJob", "streamJobProgress", "cancelJob", "getMe", "getUsage",
]

ErrorCode: TypeAlias = Literal[
    "VALIDATION_ERROR", "UNAUTHORIZED", "API_KEY_REVOKED", "RENDER_QUOTA_EXCEEDED", "RENDER_QUOTA_DAILY_EXCEEDED",
    "PLAN_LIMIT_EXCEEDED", "FORBIDDEN", "JOB_NOT_FOUND", "NOT_FOUND", "METHOD_NOT_ALLOWED",
    "CONCURRENCY_LIMIT_EXCEEDED", "INVALID_STATE_TRANSITION", "PAYLOAD_TOO_LARGE", "RATE_LIMITED", "INTERNAL_ERROR",
    "SERVICE_UNAVAILABLE",
]

Plan: TypeAlias = Literal[
    "free", "pro", "business", "enterprise",
]

Limit: TypeAlias = Literal[
    "quota", "rate", "concurrency",
]

Clock: TypeAlias = Literal[
    "real", "scaled", "frozen", "auto", "jump",
]

JobStatus: TypeAlias = Literal[
    "queued", "running", "waiting", "done", "failed", "cancelled",
]

WebhookKind: TypeAlias = Literal[
    "progress", "done", "failed", "cancelled",
]

DeliveryOutcome: TypeAlias = Literal[
    "pending", "delivered", "failed", "refused", "dropped",
]

FaultName: TypeAlias = Literal[
    "latency", "timeout", "reset_peer", "empty_response", "slow_body", "truncated_body", "malformed_json",
    "wrong_content_type", "status", "drop_after_events", "cut_inside_event", "silence", "no_keep_alive",
    "duplicate_events", "reorder_events", "never_end", "end_without_terminal", "progress_goes_back", "stale_read",
    "missing_from_list", "unknown_field", "unknown_status", "duplicate", "reorder", "delay", "bad_signature", "drop",
    "tampered_body", "lost_response", "before_response",
]

Rule: TypeAlias = Literal[
    "waits-out-retry-after", "backs-off-after-5xx", "stops-at-terminal", "does-not-poll-while-streaming",
    "polls-no-faster-than", "sleeps-between-calls", "resumes-dropped-streams", "stays-on-its-stream",
    "reads-each-page-once", "reads-every-page", "does-not-submit-twice", "does-not-resubmit-failed",
    "does-not-repeat-refused", "answers-webhooks", "answers-webhooks-at-once", "refuses-bad-signatures",
    "survives-duplicates", "survives-disorder", "ignores-unknown-fields", "ignores-unknown-statuses",
    "believes-no-old-status", "cancels-what-it-abandons", "sends-no-key-in-url",
]

Outcome: TypeAlias = Literal[
    "passed", "failed", "not_applicable", "inconclusive", "waived",
]


class Faults(TypedDict, total=False):
    """A fault by its name, with its value."""

    latency: Any
    timeout: Any
    reset_peer: Any
    empty_response: Any
    slow_body: Any
    truncated_body: Any
    malformed_json: Any
    wrong_content_type: Any
    status: Any
    drop_after_events: Any
    cut_inside_event: Any
    silence: Any
    no_keep_alive: Any
    duplicate_events: Any
    reorder_events: Any
    never_end: Any
    end_without_terminal: Any
    progress_goes_back: Any
    stale_read: Any
    missing_from_list: Any
    unknown_field: Any
    unknown_status: Any
    duplicate: Any
    reorder: Any
    delay: Any
    bad_signature: Any
    drop: Any
    tampered_body: Any
    lost_response: Any
    before_response: Any


class Waivers(TypedDict, total=False):
    """Rules that may fail, each with the reason why."""

    waits_out_retry_after: str
    backs_off_after_5xx: str
    stops_at_terminal: str
    does_not_poll_while_streaming: str
    polls_no_faster_than: str
    sleeps_between_calls: str
    resumes_dropped_streams: str
    stays_on_its_stream: str
    reads_each_page_once: str
    reads_every_page: str
    does_not_submit_twice: str
    does_not_resubmit_failed: str
    does_not_repeat_refused: str
    answers_webhooks: str
    answers_webhooks_at_once: str
    refuses_bad_signatures: str
    survives_duplicates: str
    survives_disorder: str
    ignores_unknown_fields: str
    ignores_unknown_statuses: str
    believes_no_old_status: str
    cancels_what_it_abandons: str
    sends_no_key_in_url: str
