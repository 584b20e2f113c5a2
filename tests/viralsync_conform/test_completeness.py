"""No empty green: each thing that a run must have seen, taken away from a run that has seen it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_target import Api, run_of
from tests.support.results import JOB, call, spec

from viralsync_conform.calls import Event, Exchange
from viralsync_conform.completeness import unmet_requirements
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile

DONE = spec().document["components"]["examples"]["doneJob"]["value"]
OWN = {"jobId": JOB}
SEEN = ("queued", "running", "waiting", "done", "cancelled")
CURSOR = "c1"


def numbered(calls: Sequence[Exchange]) -> list[Exchange]:
    return [replace(each, number=number) for number, each in enumerate(calls, 1)]


def job(status: str) -> Exchange:
    return call(0, "getJob", {**DONE, "status": status}, path_parameters=OWN)


def page(then: str | None = None, **query: Any) -> Exchange:
    return call(0, "listJobs", {"jobs": [DONE], "nextCursor": then}, query=query)


def stream(status: str = "done") -> Exchange:
    told = (Event("1", None, json.dumps({"status": status}), EPOCH),)
    return call(0, "streamJobProgress", events=told, path_parameters=OWN)


def complete() -> list[Exchange]:
    """Return the calls of a run with renders that has seen all that a target without control can show."""
    refused = {
        "submitRenderJob": (400, 401, 413), "listJobs": (400, 401), "getJob": (401, 404),
        "deleteJob": (401, 404, 409), "streamJobProgress": (401, 404), "cancelJob": (401, 404, 409), "getMe": (401,),
        "getUsage": (401,),
    }  # fmt: skip
    return [
        call(0, "getMe", {"plan": "pro"}),
        call(0, "getUsage", {"plan": "pro"}),
        call(0, "submitRenderJob", {"jobId": JOB, "status": "queued"}, status=202),
        page(CURSOR),
        page(cursor=CURSOR),
        *map(job, SEEN),
        stream(),
        call(0, "cancelJob", {**DONE, "status": "cancelled"}, path_parameters=OWN),
        job("cancelled"),
        call(0, "deleteJob", {"jobId": JOB, "deleted": True}, path_parameters=OWN),
        call(0, "getJob", {}, status=404, path_parameters=OWN),
        *(call(0, each, {}, status=status) for each, statuses in refused.items() for status in statuses),
    ]


def names(calls: Sequence[Exchange], has_control: bool = False, **options: Any) -> list[str]:
    run = run_of(Api(), **options)
    run.target.has_control = has_control
    run.calls[:] = numbered(calls)
    return [name for name, _ in unmet_requirements(run)]


def test_a_run_that_saw_everything_misses_nothing() -> None:
    """A clean control: else every run would be inconclusive."""
    assert names(complete()) == []


@pytest.mark.parametrize("operation", sorted(spec().operations))
def test_an_operation_without_an_accepted_call_is_missing(operation: str) -> None:
    """A refusal is no accepted call."""
    calls = [each for each in complete() if each.operation != operation or not each.is_success]
    assert operation in names(calls)


@pytest.mark.parametrize("status", ["queued", "running", "waiting", "done", "cancelled"])
def test_a_status_that_no_job_had_is_missing(status: str) -> None:
    """Every status that the target can show must have been seen, in an answer or an event."""
    other = {"waiting": "running"}.get(status, "waiting")
    told = json.dumps(status).encode()
    calls = [replace(each, body=each.body.replace(told, json.dumps(other).encode())) for each in complete()]
    calls = [replace(each, events=()) if status == "done" else each for each in calls]
    assert status in names(calls)


def test_statuses_of_refusals_say_nothing() -> None:
    """The body of a 4xx is no job."""
    calls = [each for each in complete() if each.document.get("status") != "running"]
    calls.append(call(0, "getJob", {"status": "running"}, status=404))
    assert names(calls) == ["running"]


def test_the_statuses_to_be_seen_are_those_of_the_reading() -> None:
    """Where scenes render as `running`, nobody waits for `waiting`."""
    calls = [each for each in complete() if each.document.get("status") != "waiting"]
    assert names(calls) == ["waiting"]
    assert names(calls, behaviour=BehaviourProfile(job_executing_status="running")) == []


@pytest.mark.parametrize("without", ["events", "end"])
def test_a_stream_that_never_ended_is_missing(without: str) -> None:
    """An open stream, or one without events, proves nothing of the end."""
    told = stream("running") if without == "end" else replace(stream(), events=())
    calls = [told if each.operation == "streamJobProgress" and each.is_success else each for each in complete()]
    assert names(calls) == ["stream"]


@pytest.mark.parametrize(
    ("operation", "status"), [("listJobs", 400), ("getJob", 404), ("cancelJob", 409), ("getUsage", 401)],
)  # fmt: skip
def test_a_refusal_that_was_never_answered_is_missing(operation: str, status: int) -> None:
    """What is declared and can be met must be met."""
    calls = [each for each in complete() if (each.operation, each.status) != (operation, status)]
    assert names(calls)[-1:] == [f"{operation} {status}"]


def test_what_only_used_up_accounts_answer_needs_a_mock() -> None:
    """402, 403, 429 and the concurrency limit are asked of a target that lends its accounts, and of no other."""
    found = names(complete(), has_control=True)
    assert {"submitRenderJob 402", "getMe 403", "listJobs 429", "submitRenderJob 409", "failed"} == set(found) & {
        "submitRenderJob 402", "getMe 403", "listJobs 429", "submitRenderJob 409", "failed", "submitRenderJob 500",
        "getMe 405", "getMe 503", "getMe 400",
    }  # fmt: skip
    allowed = names(complete(), has_control=True, behaviour=BehaviourProfile(free_plan_rest="allowed"))
    assert "getMe 403" not in allowed


def followed(*calls: Exchange) -> list[str]:
    return [name for name in names(calls) if len(name.split()) == 3]


def test_a_link_is_followed_by_a_later_call_with_its_values() -> None:
    """The id of the answer must be the one that is asked for, and afterwards."""
    submitted = call(0, "submitRenderJob", {"jobId": JOB, "status": "queued"}, status=202)
    link = "submitRenderJob 202 getJob"
    assert link in followed(submitted)
    assert link in followed(submitted, call(0, "getJob", DONE, path_parameters={"jobId": "job_other"}))
    assert link in followed(job("done"), submitted)
    assert link not in followed(submitted, job("done"))


def test_the_link_to_the_next_page_may_lead_nowhere() -> None:
    """Where every page is the last one there is nothing to follow; where one is not, its cursor must be used."""
    link = "listJobs 200 nextPage"
    assert link not in followed(page())
    assert link in followed(page(CURSOR))
    assert link in followed(page(CURSOR), page(cursor="other"))
    assert link not in followed(page(CURSOR), page(cursor=CURSOR))


def test_reads_only_ask_for_reads() -> None:
    """`quick` submits nothing: what needs a write is not missing, and what needs a job only where there is one."""
    calls = [call(0, "getMe", {}), call(0, "getUsage", {}), replace(page(), body=b'{"jobs": [], "nextCursor": null}')]
    refused = [call(0, each, {}, status=401) for each in ("getMe", "getUsage", "listJobs")]
    refused.append(call(0, "listJobs", {}, status=400))
    assert names([*calls, *refused], profile="quick") == []
    assert {"getJob", "streamJobProgress"} <= set(names([*calls, *refused, page()], profile="quick"))


def test_a_finding_is_a_sentence() -> None:
    """Whoever reads the report is told what was not seen."""
    run = run_of(Api())
    assert ("getMe", "getMe got no accepted call") in set(unmet_requirements(run))
