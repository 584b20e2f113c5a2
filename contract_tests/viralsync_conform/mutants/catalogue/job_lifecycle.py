"""Mutants whose jobs live wrongly: status, phase and progress from submission to end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from viralsync_conform.mutants.engine.exchange import Layer
from viralsync_conform.mutants.engine.layers import (
    TERMINAL,
    Document,
    Seen,
    both,
    edit_jobs,
    edit_request,
    response_mutant,
)
from viralsync_conform.mutants.engine.stream_layers import edit_data, without
from viralsync_conform.mutants.mutant import Mutant

JOBS, SUBMIT = "job life", "submitRenderJob"
UNFINISHED: dict[str, object] = {"outputUrl": None, "mediaData": None, "error": None}

job = partial(response_mutant, JOBS)


def everywhere(edit: Callable[[Document, Seen], object]) -> Layer:
    """Change a job in each answer, and what its stream tells of it, in the same way."""
    return both(edit_jobs(edit), edit_data(edit))


def where(field: str, value: object, **changes: object) -> Callable[[Document, Seen], None]:
    """Return an edit of the jobs whose field has this value."""

    def edit(document: Document, _seen: Seen) -> None:
        if field in document and document[field] == value:
            document.update({name: new for name, new in changes.items() if name in document})

    return edit


def flips_back(document: Document, seen: Seen) -> None:
    """After a job was seen done once, show it at work again."""
    if document["status"] == "done":
        seen["done"] = seen.get("done", 0) + 1
        if seen["done"] > 1:
            document.update(status="running", phase="uploading", progress=0.99, **UNFINISHED)


def ends_otherwise(document: Document, seen: Seen) -> None:
    """After a job was seen done once, show it as failed."""
    if document["status"] == "done":
        seen["ended"] = seen.get("ended", 0) + 1
        if seen["ended"] > 1:
            document.update(UNFINISHED, status="failed", error="UPLOAD_FAILED: The output could not be uploaded")


def never_seen_done(document: Document, _seen: Seen) -> None:
    """Show a job that is done as still uploading."""
    if document["status"] == "done":
        document.update(status="running", phase="uploading", progress=0.99, **UNFINISHED)


def falls(document: Document, seen: Seen) -> None:
    """Let progress be less than the most that was told, every time it has grown."""
    highest = seen.get("highest", 0.0)
    seen["highest"] = max(highest, document["progress"])
    if document["progress"] > highest > 0 and document["status"] not in TERMINAL:
        document["progress"] = round(highest / 2, 4)


def stuck(document: Document, _seen: Seen) -> None:
    """Tell of no progress until the end."""
    if document["status"] not in TERMINAL:
        document["progress"] = 0


def percent(document: Document, _seen: Seen) -> None:
    """Tell progress from 0 to 100."""
    document["progress"] = round(document["progress"] * 100)


def early(document: Document, _seen: Seen) -> None:
    """Tell of all progress while the job is assembled."""
    if document.get("phase") == "assembling":
        document["progress"] = 1


def reset_at_end(document: Document, _seen: Seen) -> None:
    """Tell of no progress of a job that failed or was cancelled."""
    if document["status"] in {"failed", "cancelled"}:
        document["progress"] = 0


def swapped(document: Document, _seen: Seen) -> None:
    """Show the phases planning and dispatching in each other's place."""
    other = {"planning": "dispatching", "dispatching": "planning"}
    if document.get("phase") in other:
        document["phase"] = other[document["phase"]]


def keeps_phase(document: Document, seen: Seen) -> None:
    """Show the last phase of a job that has ended."""
    if document["status"] not in TERMINAL:
        seen["phase"] = document.get("phase")
    elif "phase" in document:
        document["phase"] = seen.get("phase") or "uploading"


LIFE: tuple[Mutant, ...] = (
    job(
        "job-never-ends",
        "A job renders for ever.",
        edit_request(lambda request: request.with_headers(x_mock_scenario="stuck"), SUBMIT),
    ),
    job(
        "job-always-fails",
        "Every job fails while it is assembled.",
        edit_request(lambda request: request.with_headers(x_mock_scenario="assemble-fails"), SUBMIT),
    ),
    job("job-never-seen-done", "GET shows a job that is done as still uploading.", edit_jobs(never_seen_done)),
    job("job-flips-back", "A job that was seen done is seen running again.", edit_jobs(flips_back, "getJob")),
    job("job-ends-twice", "A job that was seen done is seen failed later.", edit_jobs(ends_otherwise, "getJob")),
    job(
        "job-back-to-queue",
        "A job goes back to the queue before it is assembled.",
        everywhere(where("phase", "assembling", status="queued", phase=None)),
    ),
    job(
        "job-never-queued",
        "A job is running from its first instant on.",
        everywhere(where("status", "queued", status="running", phase="planning")),
    ),
    job(
        "job-waits-before-planning",
        "A queued job is shown as waiting.",
        everywhere(where("status", "queued", status="waiting")),
    ),
    job(
        "job-planning-missing",
        "A job stays queued while it is planned.",
        everywhere(where("phase", "planning", status="queued", phase=None)),
    ),
    job(
        "job-rendering-missing",
        "A job has no phase while its scenes are rendered.",
        everywhere(where("phase", "rendering", phase=None)),
    ),
    job(
        "job-assembling-missing",
        "A job is shown rendering until it uploads.",
        everywhere(where("phase", "assembling", status="waiting", phase="rendering")),
    ),
    job("job-phases-swapped", "A job is dispatched before it is planned.", everywhere(swapped)),
    job("job-phase-after-end", "A job that has ended still has a phase.", edit_jobs(keeps_phase)),
    job(
        "job-unknown-phase",
        "The phase `rendering` is called `encoding`.",
        everywhere(where("phase", "rendering", phase="encoding")),
    ),
    job(
        "job-unknown-status",
        "The status `done` is called `completed`.",
        everywhere(where("status", "done", status="completed")),
    ),
    job(
        "job-canceled",
        "The status `cancelled` is written with one l.",
        everywhere(where("status", "cancelled", status="canceled")),
    ),
    job(
        "job-status-upper-case",
        "The status is written in capitals.",
        everywhere(lambda d, _: d.update(status=d["status"].upper())),
    ),
    job(
        "job-cancelled-as-failed",
        "A cancelled job is shown as failed.",
        edit_jobs(where("status", "cancelled", status="failed", error="CANCELLED: by the user")),
    ),
    job("progress-falls", "Progress falls every other time it is told.", everywhere(falls)),
    job("progress-falls-in-get", "Progress falls between two reads.", edit_jobs(falls, "getJob")),
    job("progress-stuck", "Progress is 0 until the job has ended.", everywhere(stuck)),
    job("progress-in-percent", "Progress goes from 0 to 100.", everywhere(percent)),
    job("progress-above-one", "Progress of a done job is 1.01.", everywhere(where("status", "done", progress=1.01))),
    job(
        "progress-not-one-at-end", "Progress of a done job is 0.99.", everywhere(where("status", "done", progress=0.99))
    ),
    job("progress-one-too-early", "Progress is 1 while the job is assembled.", everywhere(early)),
    job("progress-reset-at-end", "Progress of a failed or cancelled job is 0.", everywhere(reset_at_end)),
    job("progress-negative", "Progress of a queued job is -1.", everywhere(where("status", "queued", progress=-1))),
    job(
        "executing-status-differs-in-stream",
        "A rendering job is `waiting` in GET and `running` in its stream.",
        edit_data(where("phase", "rendering", status="running")),
    ),
    job(
        "executing-status-differs-in-get",
        "A rendering job is `running` in GET and `waiting` in its stream.",
        edit_jobs(where("phase", "rendering", status="running"), "getJob"),
    ),
    job(
        "stream-without-assembling",
        "A stream leaves the phase `assembling` out.",
        without(lambda event, _: event.document is not None and event.document.get("phase") == "assembling"),
    ),
    job(
        "get-always-queued",
        "GET shows every unfinished job as queued.",
        edit_jobs(
            lambda d, _: None if d["status"] in TERMINAL else d.update(status="queued", phase=None, progress=0),
            "getJob",
        ),
    ),
    job("error-on-done", "A done job has an error.", edit_jobs(where("status", "done", error="NONE: no error"))),
    job(
        "get-cancel-not-seen",
        "GET shows a cancelled job as running.",
        edit_jobs(where("status", "cancelled", status="running", phase="rendering"), "getJob"),
    ),
)
