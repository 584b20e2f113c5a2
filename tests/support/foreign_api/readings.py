"""What the documentation leaves open: one field per choice; the table of the four variants is in `readings.md`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_type_hints

from .tables import rows_of


@dataclass(frozen=True)
class Readings:
    """One choice for each point that the documentation leaves open; durations are seconds, sizes are bytes."""

    plan_names: Literal["lower", "capitalised", "upper"]
    submit_body: Literal["minimal", "job", "id_only"]
    project_ids: Literal["non_empty", "any", "known"]
    callback_urls: Literal["http", "any_text", "public_400", "public_403"]
    scene_duration: Literal["required", "optional"]
    empty_scene_id: Literal["accepted", "refused"]
    title_null: Literal["accepted", "refused"]
    unknown_fields: Literal["accepted", "refused"]
    bg_color: Literal["strict", "any"]
    extra_fields: bool
    nulls: Literal["null", "left_out"]
    payload: Literal["as_sent", "with_defaults", "absent"]
    media_data: Literal["full", "extra", "duration_only"]
    job_ids: Literal["hex", "prefixed", "uuid", "number"]
    job_type: Literal["render", "render.movie"]
    executing_status: Literal["waiting", "running"]
    assembling_status: Literal["running", "waiting"]
    children_counted: Literal["scenes", "scenes_and_assemble"]
    list_includes_children: bool
    child_ids: Literal["sample", "opaque"]
    end_phase: Literal["null", "last"]
    queued_phase: Literal["null", "waiting"]
    waiting_phase: bool
    progress_rule: Literal["scenes", "steps", "zero_until_done"]
    timestamps: Literal["millis", "seconds", "offset"]
    updated_at_ticks: bool
    scene_failure: Literal["finish_in_flight", "run_all"]
    error_text: Literal["code", "sentence"]
    output_urls: Literal["r2", "signed"]
    list_key: Literal["jobs", "items", "data"]
    list_limit: Literal["error", "clamp"]
    list_unknown_type: Literal["empty", "error"]
    list_unknown_status: Literal["empty", "error"]
    list_type_render: Literal["prefix", "exact"]
    list_bad_cursor: Literal["error", "first_page"]
    list_cursor_form: Literal["plain", "base64"]
    list_last_page: Literal["exact", "empty_page"]
    list_items: Literal["full", "summary"]
    sse_event_names: Literal["none", "status", "progress"]
    sse_ids: bool
    sse_retry_milliseconds: int
    sse_snapshot: bool
    sse_payload: Literal["webhook", "job"]
    sse_lines: Literal["one", "several"]
    sse_first_comment: bool
    sse_close_delay: float
    sse_after_end: Literal["event", "empty_stream", "no_content"]
    sse_resume: Literal["replay", "ignored"]
    sse_keep_alive: float
    sse_end_timestamp: Literal["ended", "now"]
    cancel_response: Literal["job", "acknowledgement", "empty"]
    cancel_http_status: int
    cancel_delay: float
    cancel_queued: Literal["allowed", "refused"]
    cancel_again: Literal["conflict", "accepted"]
    delete_response: Literal["deleted", "empty", "job"]
    delete_lingers: float
    assumed_codes: Literal["facts", "other"]
    error_extras: bool
    revoked_code: Literal["own", "shared"]
    method_not_allowed: Literal[405, 404]
    content_type: Literal["any", "400", "415"]
    large_body: Literal["json_413", "json_400", "html_413"]
    body_limit: int
    head: Literal["answered", "refused"]
    plan_limit: Literal[402, 403]
    check_order: Literal["facts", "key_first", "limits_first"]
    two_keys: Literal["x_api_key", "bearer", "refused"]
    free_rest: Literal["forbidden", "allowed"]
    refused_use_budget: bool
    rate_headers: bool
    retry_after_extra: int
    quota_check: Literal["used", "forecast"]
    frame_compare: Literal["sides", "literal"]
    concurrency_counts: Literal["unfinished", "running_and_waiting", "running"]
    charge_delay: float
    usage_shape: Literal["nested", "flat", "snake"]
    webhook_signature: Literal["hex", "prefixed", "base64"]
    webhook_attempts: int
    webhook_interval: float
    webhook_phase_events: bool
    webhook_executing_status: Literal["same", "running", "waiting"]
    webhook_retries_progress: bool
    extra_headers: bool
    gzip: bool
    etag: bool
    chunked: bool
    lower_case_headers: bool
    http_version: Literal["1.1", "1.0"]
    clock_offset: float


def reading_from_text(name: str, text: str) -> Any:
    """The value that `text` stands for in the reading `name`; ValueError when there is no such name or choice."""
    hints = get_type_hints(Readings)
    if name not in hints:
        raise ValueError(f"no reading {name!r}; there are: {', '.join(field.name for field in fields(Readings))}")
    choices = get_args(hints[name]) or ((True, False) if hints[name] is bool else ())
    for choice in choices:
        if str(choice).lower() == text.lower():
            return choice
    if choices:
        raise ValueError(f"{name} is one of {', '.join(map(str, choices))}, not {text!r}")
    return hints[name](text)


def _variants() -> dict[str, Readings]:
    """The columns of the table in `readings.md`; ValueError for a cell that is no choice."""
    names, *rows = rows_of("readings.md")
    return {
        letter: Readings(**{row[0]: reading_from_text(row[0], row[column]) for row in rows})
        for column, letter in enumerate(names[1:5], start=1)
    }


VARIANTS: Final = _variants()
