"""The laws of a job: each is kept by a job of the spec, and broken by the same job with one thing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.fake_target import Api, run_of
from tests.support.results import call, spec

from viralsync_conform.calls import Event, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.run import job_invariants
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.submissions import Job
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile

Document = dict[str, Any]
EXAMPLES: dict[str, Document] = {
    name: example["value"] for name, example in spec().document["components"]["examples"].items()
}
QUEUED, RENDERING, DONE, FAILED, CANCELLED, SCENE, ASSEMBLY = (
    EXAMPLES[name]
    for name in (
        "queuedJob", "renderingJob", "doneJob", "failedJob", "cancelledJob", "sceneChildJob", "assembleChildJob",
    )
)  # fmt: skip
RUN = run_of(Api())


def over(job: Document, **changes: Any) -> Document:
    return {**job, **changes}


def counting(job: Document, **changes: int) -> Document:
    return {**job, "children": {**job["children"], **changes}}


def described(job: Document, **changes: Any) -> Document:
    return {**job, "mediaData": {**job["mediaData"], **changes}}


def broken(job: Document, run: RunContext = RUN) -> set[Check]:
    return {check for check, holds, _, _ in job_invariants.job_invariants(run, job) if not holds}


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLES if name.endswith("Job")))
def test_the_jobs_of_the_spec_keep_every_law(name: str) -> None:
    """A clean control: a law that the examples break would be a false alarm."""
    assert broken(EXAMPLES[name]) == set()


@pytest.mark.parametrize(
    ("law", "job"),
    [
        (facts.OUTPUT, over(DONE, outputUrl=None)),
        (facts.OUTPUT, over(RENDERING, outputUrl="https://r2.example/early.mp4")),
        (facts.OUTPUT, over(SCENE, status="running", outputUrl="https://r2.example/early.mp4")),
        (facts.OUTPUT_FORM, over(DONE, outputUrl="https://r2.example/a.mp4")),
        (facts.MEDIA, over(DONE, mediaData=None)),
        (facts.MEDIA, over(CANCELLED, mediaData=DONE["mediaData"])),
        (facts.MEDIA_MATCHES, described(DONE, duration=51)),
        (facts.MEDIA_SIZE, described(DONE, width=1280)),
        (facts.MEDIA_SIZE, described(DONE, height=1082)),
        (facts.ERROR_TEXT, over(FAILED, error=None)),
        (facts.ERROR_TEXT, over(DONE, error="SCENE_RENDER_FAILED: late")),
        (facts.ERROR_FORM, over(FAILED, error="it went wrong")),
        (facts.PROGRESS_DONE, over(DONE, progress=0.99)),
        (facts.PROGRESS_QUEUED, over(QUEUED, progress=0.1)),
        (facts.PHASE_NULL, over(QUEUED, phase="planning")),
        (facts.PHASE_NULL, over(DONE, phase="uploading")),
        (facts.PHASE_STATUS, over(RENDERING, status="running")),
        (facts.PHASE_STATUS, over(RENDERING, phase=None)),
        (facts.PHASE_STATUS, over(RENDERING, phase="planning")),
        (facts.PARENT, over(DONE, parentJobId="job_ffffffffffff")),
        (facts.PARENT, over(SCENE, parentJobId=None)),
        (facts.PARENT, over(SCENE, parentJobId=SCENE["jobId"])),
        (facts.CHILDREN, over(DONE, children=None)),
        (facts.CHILDREN, over(SCENE, children=DONE["children"])),
        (facts.CHILDREN_SUM, counting(RENDERING, queued=7)),
        (facts.CHILDREN_MOST, counting(FAILED, failed=9)),
        (facts.CHILDREN_DONE, counting(DONE, succeeded=2, failed=1)),
        (facts.CHILDREN_START, counting(QUEUED, queued=0, running=QUEUED["children"]["total"])),
        (facts.UPDATED, over(DONE, updatedAt="2025-12-31T23:59:59.999Z")),
        (facts.JOB_ID_FORM, over(DONE, jobId="job_XYZ")),
    ],
)
def test_a_job_that_breaks_a_law_is_noticed(law: Check, job: Document) -> None:
    """One thing changed, and that law no longer holds."""
    assert law in broken(job)


SENT = {"scenes": [{"id": "b", "duration": 26}, {"id": "a", "duration": 26}]}


@pytest.mark.parametrize(
    ("check", "echo", "media"),
    [
        (facts.DEFAULTS, {"title": ""}, {}),
        (facts.DEFAULTS, {"fps": 24, "id": "movie"}, {}),
        (facts.DEFAULTS, {"fps": 30}, {}),
        (facts.SCENE_ORDER, {"scenes": SENT["scenes"][::-1]}, {}),
        (facts.FRAME, {}, {"width": 1280}),
        (None, {"title": "Untitled Movie", "width": 1920, "id": "movie"}, {}),
        (None, {"scenes": None}, {"width": 1921, "height": "1080"}),
    ],
)
def test_a_job_is_held_against_what_was_submitted(check: Check | None, echo: Document, media: Document) -> None:
    """Whatever a target shows of the defaults must be the documented ones, in its echo and in its output."""
    run = run_of(Api())
    run.jobs[DONE["jobId"]] = Job(DONE["jobId"], {"movie": SENT}, 0.0, call(1, "submitRenderJob", {}))
    job = described(over(DONE, payload={"projectId": "p", "movie": {**SENT, **echo}}), **media)
    assert {each for each, holds, _, _ in job_invariants.as_submitted(run, job) if not holds} == {check} - {None}


def test_a_law_tells_what_it_expected_and_what_came() -> None:
    """A finding can be understood without the answer beside it."""
    (told,) = [law for law in job_invariants.job_invariants(RUN, described(DONE, width=1280)) if not law[1]]
    assert told == (facts.MEDIA_SIZE, False, "width 1920", 1280)


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}])
@pytest.mark.parametrize("name", sorted(DONE))
def test_the_laws_read_whatever_a_target_sends(name: str, odd: object) -> None:
    """A field of another type is for the schema to judge: no law may fall over it."""
    job_invariants.learn_from(RUN, call(1, "getJob", over(DONE, **{name: odd})))
    list(job_invariants.job_invariants(RUN, over(DONE, **{name: odd})))
    list(job_invariants.job_invariants(RUN, {key: value for key, value in DONE.items() if key != name}))


@pytest.mark.parametrize(
    "media", [{"duration": "52"}, {"duration": None}, {"width": "1920"}, {"duration": True, "width": True}, {}]
)
def test_the_laws_read_whatever_describes_an_output(media: Document) -> None:
    """The same for what is nested in a job."""
    for job in (over(DONE, mediaData=media), over(DONE, children=media), over(DONE, payload={"movie": media})):
        list(job_invariants.job_invariants(RUN, job))


def test_the_statuses_of_phases_are_those_of_the_reading() -> None:
    """Where `running` is believed while scenes render, `waiting` is what breaks."""
    run = run_of(Api(), behaviour=BehaviourProfile(job_executing_status="running"))
    assert broken(over(RENDERING, status="running"), run) == set()
    assert broken(RENDERING, run) == {facts.PHASE_STATUS}


@pytest.mark.parametrize(
    ("operation", "answer", "count"),
    [
        ("getJob", over(DONE, progress=0.5), 1), ("cancelJob", over(CANCELLED, phase="rendering"), 0),
        ("listJobs", {"jobs": [DONE, over(DONE, progress=0.5), "no job"], "nextCursor": None}, 1), ("getMe", {}, 0),
    ],
)  # fmt: skip
def test_jobs_are_held_against_the_laws_wherever_they_are_shown(operation: str, answer: Document, count: int) -> None:
    """On their own page and in the list; what a cancel answers is open, other answers have none."""
    run = run_of(Api())
    job_invariants.check_jobs(run, call(1, operation, answer))
    assert len(run.findings) == count
    job_invariants.check_jobs(run, call(2, operation, answer, status=404))
    assert [finding.calls for finding in run.findings] == [(1,)] * count


def learned(*calls: Exchange) -> dict[str, Any]:
    run = run_of(Api())
    for each in calls:
        job_invariants.learn_from(run, each)
        job_invariants.learn_from_events(run, each)
    return {switch: seen.value for switch, seen in run.learned.seen.items()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (call(1, "listJobs", {"items": [], "nextCursor": None}), {"list.key": "items"}),
        (call(1, "listJobs", {"jobs": [], "errors": []}), {}),
        (call(1, "listJobs", {"jobs": []}, status=400), {}),
        (call(1, "deleteJob", {"jobId": "job_1", "deleted": True}), {"delete.response": "body"}),
        (call(1, "deleteJob", status=204), {"delete.response": "empty"}),
        (call(1, "cancelJob", status=204), {"cancel.response": "empty"}),
        (call(1, "getJob", over(DONE, type="render.movie")),
         {"job.type": "render.movie", "job.children_counted": "scenes"}),
        (call(1, "getJob", counting(RENDERING, total=4)),
         {"job.type": "render", "job.executing_status": "waiting", "job.children_counted": "scenes+assemble"}),
        (call(1, "getJob", SCENE), {}),
    ],
)  # fmt: skip
def test_an_answer_teaches_the_switches_that_it_shows(answer: Exchange, expected: dict[str, Any]) -> None:
    """Each shows its own, refusals show none, and children do not speak for their parents."""
    assert learned(answer) == expected


def stream(*events: tuple[str | None, Document]) -> Exchange:
    told = tuple(Event("1", name, json.dumps(document), EPOCH) for name, document in events)
    return call(1, "streamJobProgress", events=told, headers=(("content-type", "text/event-stream"),))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (stream((None, {"status": "done"})), {"sse.event_names": "unnamed", "sse.payload": "webhook"}),
        (stream(("message", DONE)), {"sse.event_names": "unnamed", "sse.payload": "job"}),
        (stream(("progress", {"status": "running"}), ("done", {"status": "done"})),
         {"sse.event_names": "by_kind", "sse.payload": "webhook"}),
        (stream(), {}),
    ],
)  # fmt: skip
def test_a_stream_teaches_its_names_and_its_payload(answer: Exchange, expected: dict[str, Any]) -> None:
    """An empty stream teaches nothing."""
    assert learned(answer) == expected


def test_names_that_say_something_else_than_the_kind_are_unknown() -> None:
    """A value that fits no position is kept as it was seen, and never taken for the nearest one."""
    run = run_of(Api())
    job_invariants.learn_from_events(run, stream(("update", {"status": "running"})))
    assert ("sse.event_names" in run.learned.seen, run.learned.foreign["sse.event_names"].value) == (
        False, "named update",
    )  # fmt: skip
