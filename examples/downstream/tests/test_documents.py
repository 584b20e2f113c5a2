"""What the client makes of the API's documents, held against the documentation: every field that our users read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from conftest import MOVIE
from viralsync_mock import Sandbox
from viralsync_mock.testing import WebhookReceiver

from viralsync_client import Conflict, InvalidKey, Job, NotFound, QuotaExceeded, RateLimited, ViralSync
from viralsync_client.errors import ApiError
from viralsync_client.retrying import Retries

UPRIGHT = {"title": "Größe 🎬", "width": 720, "height": 1280, "scenes": [
    {"id": "b", "duration": 1.5, "layers": [{"type": "text", "text": "hi"}]}, {"id": "a", "duration": 2}
]}  # fmt: skip
PHASES = ["planning", "dispatching", "rendering", "assembling", "uploading"]
MEDIA = {"duration": 3.5, "width": 720, "height": 1280}
WITHOUT = {"outputUrl": None, "mediaData": None}


@pytest.fixture
def plain(viralsync: Sandbox) -> Iterator[ViralSync]:
    """Yield the client for a test that itself looks often, or answers badly: no verdict is asked for."""
    with ViralSync(viralsync.base_url, viralsync.api_key, sleep=viralsync.sleep) as api:
        yield api


def lived(api: ViralSync, viralsync: Sandbox, job: Job) -> list[dict[str, Any]]:
    """Return the job as the API shows it after each of its steps, until it is over."""
    shown = [dict(api.job(job.id).raw)]
    while shown[-1]["status"] not in ("done", "failed", "cancelled"):
        viralsync.clock.advance_to_next()
        shown.append(dict(api.job(job.id).raw))
    return shown


def instant(text: str) -> datetime:
    """Read a timestamp, which is written in UTC with milliseconds."""
    return datetime.strptime(
        text, "%Y-%m-%dT%H:%M:%S.%f%z" if len(text) == 24 and text.endswith("Z") else "a timestamp"
    )


def phases(documents: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Return each pair of status and phase once, in order."""
    return list(dict.fromkeys((each["status"], each["phase"]) for each in documents))


@pytest.mark.viralsync(clock="frozen")
def test_a_job_goes_through_every_phase(plain: ViralSync, viralsync: Sandbox) -> None:
    """Progress and updatedAt grow, and what belongs to the end comes at the end."""
    job = plain.submit(UPRIGHT)
    assert (job.raw, job.id[:4]) == ({"jobId": job.id, "status": "queued"}, "job_")
    life = lived(plain, viralsync, job)
    running = [("waiting" if phase == "rendering" else "running", phase) for phase in PHASES]
    assert phases(life) == [("queued", None), *running, ("done", None)]
    progress = [each["progress"] for each in life]
    assert progress == [step.progress for step in viralsync.jobs[job.id].timeline.steps]
    updated = [instant(each["updatedAt"]) for each in life]
    assert updated == [step.at for step in viralsync.jobs[job.id].timeline.steps]
    assert {instant(each["createdAt"]) for each in life} == {updated[0]}
    for each in life[:-1]:
        assert {**each, **WITHOUT, "error": None} == each


@pytest.mark.viralsync(clock="frozen")
def test_a_done_job_has_its_video(plain: ViralSync, viralsync: Sandbox) -> None:
    """Everything that a user of ours shows of it, and it stays so."""
    job = plain.submit(UPRIGHT)
    *before, done = lived(plain, viralsync, job)
    sent = done["payload"]["movie"]
    assert done == {
        "jobId": job.id, "type": "render", "status": "done", "phase": None, "progress": 1, "parentJobId": None,
        "outputUrl": f"https://r2.viralsync.io/outputs/{job.id}/output.mp4", "error": None,
        "mediaData": {**MEDIA, "fileSize": done["mediaData"]["fileSize"]},
        "payload": {"projectId": "proj_default", "movie": {**UPRIGHT, "id": sent["id"]}},
        "children": {"total": 2, "succeeded": 2, "running": 0, "queued": 0, "failed": 0},
        "createdAt": done["createdAt"], "updatedAt": done["updatedAt"],
    }  # fmt: skip
    assert done["mediaData"]["fileSize"] > 0
    viralsync.sleep(60)
    assert plain.job(job.id).raw == done
    for each in before:
        counts = each["children"]
        assert (counts["total"], sum(counts.values())) == (2, 4)
        assert each["payload"] == done["payload"]


@pytest.mark.viralsync(clock="frozen", scenario="scene-fails")
def test_a_failed_job_says_why(plain: ViralSync, viralsync: Sandbox) -> None:
    """The code comes first; there is no video, and the failed scene is counted."""
    *_, failed = lived(plain, viralsync, plain.submit(UPRIGHT))
    assert failed["status"] == "failed"
    assert failed["error"].startswith("SCENE_RENDER_FAILED: ")
    assert {**failed, **WITHOUT, "phase": None} == failed
    assert failed["children"]["failed"] == 1
    assert 0 < failed["progress"] < 1


@pytest.mark.viralsync(clock="frozen")
def test_a_cancelled_job_stays_cancelled(api: ViralSync, viralsync: Sandbox) -> None:
    """Whatever looks at it."""
    job = api.submit(MOVIE)
    viralsync.sleep(4)
    reached = api.job(job.id).progress
    cancelled = dict(api.cancel(job.id).raw)
    expected = {**cancelled, **WITHOUT, "status": "cancelled", "phase": None, "error": None, "progress": reached}
    assert cancelled == expected
    assert cancelled["children"]["running"] == 0
    viralsync.sleep(60)
    assert api.job(job.id).raw == cancelled
    assert [each.raw for each in api.jobs()] == [cancelled]
    assert [(each.status, each.url) for each in api.stream(job.id)] == [("cancelled", None)]


@pytest.mark.parametrize("scenario", ["happy", "scene-fails"])
def test_a_stream_tells_what_the_job_shows(api: ViralSync, viralsync: Sandbox, scenario: str) -> None:
    """Each event is of this job, at its time, with the progress and the end of the timeline."""
    viralsync.scenario(scenario)
    job = api.submit(UPRIGHT)
    told = [dict(each.raw) for each in api.stream(job.id)]
    timeline = viralsync.jobs[job.id].timeline
    assert [(each["status"], each.get("phase"), each["progress"]) for each in told] == [
        (step.status, step.phase, step.progress) for step in timeline.steps
    ]
    assert [instant(each["timestamp"]) for each in told] == [step.at for step in timeline.steps]
    assert {each["jobId"] for each in told} == {job.id}
    shown = api.job(job.id).raw
    for name in ("outputUrl", "mediaData", "error"):
        assert told[-1].get(name) == shown[name]
        assert not any(each.get(name) for each in told[:-1])
    assert all(each["children"]["total"] == 2 for each in told[:-1])
    assert [each.raw for each in api.stream(job.id)] == told[-1:]
    (called,) = viralsync.assert_called("streamJobProgress", times=2)[:1]
    assert called.status == 200


@pytest.mark.viralsync(clock="frozen", plan="enterprise")
def test_the_list_shows_jobs_as_they_are(api: ViralSync, viralsync: Sandbox) -> None:
    """Newest first, all of them once, each as by its id, by every status, and none of another account."""
    made = [api.submit({**MOVIE, "title": str(number)}).id for number in range(6)]
    viralsync.sleep(4)
    api.cancel(made[1])
    viralsync.sleep(60)
    viralsync.scenario("scene-fails")
    made += [api.submit(UPRIGHT).id]
    viralsync.sleep(60)
    viralsync.scenario("stuck")
    made += [api.submit(MOVIE).id]
    viralsync.sleep(5)
    made += [api.submit(MOVIE).id]
    for size in (1, 2, 3, 9, 100):
        assert [job.id for job in api.jobs(page_size=size)] == made[::-1]
    assert [job.raw for job in api.jobs()] == [api.job(name).raw for name in made[::-1]]
    for status in ("done", "failed", "cancelled", "queued", "waiting", "running"):
        expected = [job.id for job in api.jobs() if job.status == status]
        assert [job.id for job in api.jobs(status=status, page_size=2)] == expected
    walk = api.jobs(page_size=2)
    seen = [next(walk).id, api.submit(MOVIE).id and next(walk).id, *(job.id for job in walk)]
    assert seen == made[::-1]


@pytest.mark.viralsync(clock="frozen", plan="enterprise")
def test_a_page_holds_25_jobs(api: ViralSync, viralsync: Sandbox) -> None:
    """That is the page size that we send; no page comes without need, and an empty list is none."""
    assert list(api.jobs()) == []
    made = [api.submit(MOVIE).id for _ in range(26)]
    assert [job.id for job in api.jobs()] == made[::-1]
    viralsync.assert_called("listJobs", times=3)


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
@pytest.mark.viralsync(clock="frozen")
def test_webhooks_tell_what_the_job_shows(
    api: ViralSync, viralsync: Sandbox, viralsync_webhooks: WebhookReceiver, end: str
) -> None:
    """One for each phase, and every five seconds, signed; the last says how it ended."""
    viralsync.scenario("scene-fails" if end == "failed" else "happy")
    job = api.submit(UPRIGHT, callback_url=f"{viralsync_webhooks.url}?of=ours")
    viralsync.sleep(4)
    if end == "cancelled":
        api.cancel(job.id)
    viralsync.sleep(200)
    assert viralsync_webhooks.violations == []
    *progress, last = told = viralsync_webhooks.events(job.id)
    assert len(told) == len(viralsync_webhooks.received)
    shown = api.job(job.id).raw
    assert (last["status"], last["progress"], last["outputUrl"]) == (end, shown["progress"], shown["outputUrl"])
    assert last.get("error") == shown["error"]
    assert last.get("mediaData") == shown["mediaData"]
    assert "phase" not in last
    assert "children" not in last
    times = [instant(each["timestamp"]) for each in told]
    assert times == sorted(set(times))
    steps = viralsync.jobs[job.id].timeline.steps
    for each, at in zip(progress, times, strict=False):
        step = [step for step in steps if step.at <= at][-1]
        assert (each["status"], each["phase"], each["progress"]) == (step.status, step.phase, step.progress)
        assert (each["outputUrl"], each["children"]["total"]) == (None, 2)
    if end == "done":
        assert list(dict.fromkeys(each["phase"] for each in progress)) == PHASES
    requests = [dict(each.headers) for each in viralsync.deliveries]
    assert {each["content-type"] for each in requests} == {"application/json"}


@pytest.mark.viralsync(clock="frozen")
def test_a_webhook_of_the_end_is_tried_three_times(
    plain: ViralSync, viralsync: Sandbox, viralsync_webhooks: WebhookReceiver
) -> None:
    """The same bytes each time, ever later; those of progress come once."""
    job = plain.submit(MOVIE, callback_url=viralsync_webhooks.url)
    viralsync_webhooks.respond_with(*[503] * 50)
    viralsync.sleep(600)
    ends = [each for each in viralsync_webhooks.received if each.document["status"] == "done"]
    assert len(ends) == 3
    assert len({each.body for each in ends}) == 1
    progress = [each.body for each in viralsync_webhooks.received if each.document["status"] != "done"]
    assert len(progress) == len(set(progress)) > 4
    assert {each.document["jobId"] for each in viralsync_webhooks.received} == {job.id}


def refusal(problem: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    """Return status and code; every refusal says something to people, too."""
    assert len(str(problem.value)) > len(f"{problem.value.status} {problem.value.code}: ")
    assert "Traceback" not in str(problem.value)
    return problem.value.status, problem.value.code


def test_refusals_have_their_codes(api: ViralSync, viralsync: Sandbox) -> None:
    """What our users match on: the kind of the error, and the API's code."""
    with pytest.raises(NotFound) as unknown:
        api.job("job_000000000000")
    assert refusal(unknown) == (404, "JOB_NOT_FOUND")
    with pytest.raises(ApiError) as invalid:
        api.submit({"scenes": [{"id": "one", "duration": "long"}]})
    assert refusal(invalid) == (400, "VALIDATION_ERROR")
    assert "$.movie.scenes[0].duration" in str(invalid.value)
    for query in ("limit=0", "limit=101", "limit=x", "cursor=nobody", "status=x"):
        with pytest.raises(ApiError) as bad:
            api._door.ask("GET", f"/v1/jobs?{query}")
        assert refusal(bad) == (400, "VALIDATION_ERROR")
    viralsync.account(plan="free")
    with pytest.raises(ApiError) as free:
        api.submit(MOVIE)
    assert refusal(free) == (403, "FORBIDDEN")
    viralsync.account(revoked=True)
    with pytest.raises(InvalidKey) as revoked:
        api.submit(MOVIE)
    assert refusal(revoked) == (401, "API_KEY_REVOKED")


@pytest.mark.viralsync(clock="frozen")
def test_limits_are_told_from_each_other(api: ViralSync, viralsync: Sandbox) -> None:
    """Too many at once, too large, used up: three different things to do about it."""
    jobs = [api.submit(MOVIE) for _ in range(3)]
    with pytest.raises(Conflict) as many:
        api.submit(MOVIE)
    assert refusal(many) == (409, "CONCURRENCY_LIMIT_EXCEEDED")
    for job in jobs:
        api.cancel(job.id)
    for size in ({"width": 3840, "height": 2160}, {"scenes": [{"id": "long", "duration": 601}]}):
        with pytest.raises(QuotaExceeded) as large:
            api.submit({**MOVIE, **size})
        assert refusal(large) == (402, "PLAN_LIMIT_EXCEEDED")
    viralsync.account(minutes_used=199.99)
    assert api.wait(api.submit(MOVIE).id).status == "done"
    with pytest.raises(QuotaExceeded) as used:
        api.submit(MOVIE)
    assert refusal(used) == (402, "RENDER_QUOTA_EXCEEDED")


@pytest.mark.viralsync(clock="frozen")
def test_a_429_says_truthfully_how_long_to_wait(viralsync: Sandbox) -> None:
    """A second before it is too early, and then the call goes through."""
    options = {"sleep": viralsync.sleep, "retries": Retries(attempts=1)}
    with ViralSync(viralsync.base_url, viralsync.api_key, **options) as api:  # type: ignore[arg-type]
        job = api.submit(MOVIE)
        viralsync.sleep(20)
        for _ in range(119):
            api.job(job.id)
        for wait in (39.5, 0.4):
            with pytest.raises(RateLimited) as limited:
                api.job(job.id)
            assert refusal(limited) == (429, "RATE_LIMITED")
            (call,) = viralsync.journal.calls(limit=1)
            response = viralsync.journal.explain(call).response or {}
            seconds = int(dict(response["headers"])["retry-after"])
            assert seconds == (40 if wait > 1 else 1)
            assert str(seconds) in str(limited.value)
            viralsync.sleep(wait)
        viralsync.sleep(0.1)
        assert api.job(job.id).status == "done"
