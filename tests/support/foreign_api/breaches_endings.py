"""Breaches of section 7: the progress stream, cancel and delete."""

from __future__ import annotations

from typing import Any, Final

from .breach_kinds import hooked, in_status, refusal, refused_when, shown, tuned, without
from .conduct import Breach, Hook

_STREAM, _CANCEL, _DELETE = "a stream of a running job", "a cancel", "a delete"
_ENDS: Final = in_status("done", "failed", "cancelled")


def _frame(name: str, fact: str, hook: Hook) -> Breach:
    return hooked(name, fact, _STREAM, frame=hook)


def _event(name: str, hook: Hook) -> Breach:
    return hooked(name, "D-1.10", _STREAM, event=hook)


def _cut_at(*phases: str) -> Hook:
    return lambda text, raw: None if raw["phase"] in phases or _ENDS(raw, None) else text


def _status_of(call: Any) -> str:
    job = next((each for each in call.account.jobs if each.job_id == call.job_id), None)
    return job.status if job else ""


def _delete_of(status: str) -> Hook:
    return refused_when(lambda call: call.operation == "delete" and _status_of(call) == status, "delete-state")


def _neighbour_goes(call: Any, world: Any) -> Any:
    """A delete also takes the job made just before."""
    place = next((at for at, job in enumerate(call.account.jobs) if job.job_id == call.job_id), 0)
    before = [job for job in call.account.jobs[:place] if not job.parent and job.ended]
    if call.operation == "delete" and _status_of(call) in {"done", "failed", "cancelled"} and before:
        world.remove(before[-1])
    return call


def _cancel_running(call: Any) -> bool:
    return call.operation == "cancel" and _status_of(call) in {"running", "waiting"}


BREACHES: Final = (
    tuned("stream-as-json", "D-7.1", _STREAM, stream_type="application/json"),
    tuned("stream-as-text", "D-7.1", _STREAM, stream_type="text/plain"),
    tuned("stream-held-back", "D-1.10", _STREAM, stream_buffered=True),
    _frame("stream-without-blank-lines", "D-7.1", lambda text, _raw: text.replace("\n\n", "\n")),
    _frame("stream-without-data-prefix", "D-7.1", lambda text, _raw: text.replace("data: ", "")),
    _frame("stream-ends-while-rendering", "D-1.10", _cut_at("rendering")),
    _frame("stream-without-end", "D-1.10", lambda text, raw: None if _ENDS(raw, None) else text),
    _frame("stream-of-comments-only", "D-1.10", lambda _text, _raw: ": alive\n\n"),
    _event("stream-of-another-job", lambda event, _job: {**event, "jobId": "job_000000000000"}),
    _event("stream-without-status", without("status")),
    _event("stream-ends-as-done-when-cancelled", shown(in_status("cancelled"), status="done")),
    tuned(
        "stream-opening-free",
        "D-7.2",
        "a full rate-limit window",
        rate_cost=lambda call: int(call.operation != "progress"),
    ),
    tuned(
        "stream-opening-costs-three",
        "D-7.2",
        "a full rate-limit window",
        rate_cost=lambda call: 3 if call.operation == "progress" else 1,
    ),
    tuned("stream-events-cost", "D-7.2", "a stream and a full rate-limit window", event_cost=1),
    tuned("cancel-ends-failed", "D-7.3", _CANCEL, cancel_outcome="failed"),
    tuned("cancel-ends-done", "D-7.3", _CANCEL, cancel_outcome="done"),
    tuned("cancel-ignored", "D-7.3", _CANCEL, cancel_outcome="ignored"),
    tuned("cancel-never-ends", "D-7.3", _CANCEL, cancel_outcome="stuck"),
    hooked("cancel-of-running-refused", "D-1.11", _CANCEL, call=refused_when(_cancel_running, "cancel-state")),
    refusal("cancel-of-ended-accepted", "D-7.5", "nothing: it may be accepted", "cancel-state", visible=False),
    tuned("cancel-of-ended-changes-it", "D-5.14", "a cancel of a finished job", cancel_of_ended="cancelled"),
    tuned("cancel-of-ended-restarts-it", "D-5.14", "a cancel of a finished job", cancel_of_ended="running"),
    refusal("delete-of-unfinished-accepted", "D-7.4", "a delete of a running job", "delete-state"),
    hooked("delete-of-done-refused", "D-7.4", _DELETE, call=_delete_of("done")),
    hooked("delete-of-failed-refused", "D-7.4", "a delete of a failed job", call=_delete_of("failed")),
    hooked("delete-of-cancelled-refused", "D-7.4", "a delete of a cancelled job", call=_delete_of("cancelled")),
    tuned("deleted-job-still-read", "D-1.12", _DELETE, deleted_from=frozenset({"list"})),
    tuned("deleted-job-still-listed", "D-1.12", _DELETE, deleted_from=frozenset({"read"})),
    tuned("delete-does-nothing", "D-1.12", _DELETE, deleted_from=frozenset()),
    hooked("delete-takes-the-job-before", "D-1.12", _DELETE, call=_neighbour_goes),
)
