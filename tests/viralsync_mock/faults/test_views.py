"""Faults of views: what GET and list show lags behind what streams tell, and a new job is not listed yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.conftest import LiveServer, movie
from tests.viralsync_mock.api.test_progress_stream import advance, cancel, parse, planned, read, submit

from viralsync_mock.clock import Mode
from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.settings import Settings

ENDED = {"done", "failed", "cancelled"}


def get(client: httpx.Client, job_id: str, fault: str = "") -> dict[str, Any]:
    """Return a job as a call under a fault sees it."""
    answer = client.get(f"/v1/jobs/{job_id}", headers={"x-mock-fault": fault} if fault else {})
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def page(client: httpx.Client, fault: str, **asked: Any) -> dict[str, Any]:
    """Return a page of the list as a call under a fault sees it."""
    document: dict[str, Any] = (
        client.get("/v1/jobs", params=asked, headers={"x-mock-fault": fault}).raise_for_status().json()
    )
    return document


def listed(client: httpx.Client, fault: str, **asked: Any) -> list[str]:
    """Return the ids on a page."""
    return [job["jobId"] for job in page(client, fault, **asked)["jobs"]]


# Stale reads.


@pytest.mark.parametrize("scenario", ["happy", "scene-fails", "stuck"])
@pytest.mark.parametrize("child", ["{}", "scene_{}_001"])
def test_law_a_stale_read_shows_the_job_as_it_was(live_server: LiveServer, scenario: str, child: str) -> None:
    """Five seconds ago to the last field, however the job ends; before its creation it is as it began."""
    with live_server.client(scenario=scenario, clock="frozen") as client:
        job_id = submit(client)
        subject, true, stale = child.format(job_id), list[Any](), list[Any]()
        for second in range(30):
            true.append(get(client, subject))
            stale.append(get(client, subject, "stale_read=5s"))
            if second == 20 and scenario == "stuck":
                cancel(client, job_id)
            advance(client, 1)
    # at the instant of the cancel a read sees what came after it
    undecided = {20, 25} if scenario == "stuck" else set()
    expected = [true[0]] * 5 + true[:-5]
    assert [n for n in range(30) if stale[n] != expected[n] and n not in undecided] == []


def test_a_stream_is_ahead_of_a_stale_read(frozen: httpx.Client) -> None:
    """The stream has told of `done`; GET says so when the lag is over, not a millisecond earlier."""
    job_id = submit(frozen)
    first, *_, last = (datetime.fromisoformat(step["at"]) for step in planned(frozen, job_id))
    advance(frozen, (last - first).total_seconds())
    told = read(frozen, job_id)[-1].data["status"]
    advance(frozen, 2.999)
    before = get(frozen, job_id, "stale_read=3s")["status"]
    advance(frozen, 0.001)
    assert (told, before, get(frozen, job_id, "stale_read=3s")["status"]) == ("done", "running", "done")


def test_a_stale_read_delays_no_stream(frozen: httpx.Client) -> None:
    """Asked for on the stream itself, it changes nothing."""
    job_id = submit(frozen)
    advance(frozen, 100)
    url = f"/v1/jobs/{job_id}/progress"
    assert frozen.get(url, headers={"x-mock-fault": "stale_read=1h"}).text == frozen.get(url).text


def test_a_poller_of_stale_reads_sees_every_step_on_an_auto_clock(client: httpx.Client) -> None:
    """Each poll is one step on, the last `done`: a lag makes no poller wait for ever."""
    job_id = submit(client)
    seen = [get(client, job_id, "stale_read=7s")]
    while seen[-1]["status"] not in ENDED and len(seen) < 100:
        seen.append(get(client, job_id, "stale_read=7s"))
    assert [job["updatedAt"] for job in seen] == [step["at"] for step in planned(client, job_id)]
    assert seen[-1]["status"] == "done"


@pytest.mark.parametrize("fault", ["stale_read=7s", "missing_from_list=7s", "stale_read=2s, missing_from_list=1h"])
@pytest.mark.parametrize("asked", [{}, {"status": "done"}])
def test_a_poller_of_the_list_reaches_done_on_an_auto_clock(
    client: httpx.Client, fault: str, asked: dict[str, str]
) -> None:
    """The clock goes to where the list changes, also when all that happened is already past."""
    job_id, seen = submit(client), list[Any]()
    while len(seen) < 100 and not (seen and seen[-1]):
        seen.append([job["jobId"] for job in page(client, fault, **asked)["jobs"] if job["status"] == "done"])
    assert seen[-1] == [job_id]


def test_a_stale_list_is_filtered_by_the_status_that_it_shows(frozen: httpx.Client) -> None:
    """A job that is done is found among those it was one of, and not among the done."""
    job_id = submit(frozen)
    advance(frozen, 100)
    fault = "stale_read=99s"
    as_it_was = get(frozen, job_id, fault)["status"]
    found = {status: listed(frozen, fault, status=status) for status in ("queued", "running", "waiting", "done")}
    assert found == {status: [job_id] if status == as_it_was else [] for status in found}
    assert page(frozen, fault)["jobs"] == [get(frozen, job_id, fault)]


def test_a_stale_list_does_not_know_a_job_that_is_younger(frozen: httpx.Client) -> None:
    """Its submission has not reached the replica; GET by its id shows it as it began."""
    job_id = submit(frozen)
    advance(frozen, 4.999)
    before = listed(frozen, "stale_read=5s")
    began = get(frozen, job_id, "stale_read=5s")["status"]
    advance(frozen, 0.001)
    assert (before, began, listed(frozen, "stale_read=5s")) == ([], "queued", [job_id])


# Jobs that are missing.


def test_a_new_job_is_missing_from_the_list_for_a_while(frozen: httpx.Client) -> None:
    """GET finds it all the while, and the list shows what it shows as it is now."""
    job_id = submit(frozen)
    advance(frozen, 9.999)
    before = (listed(frozen, "missing_from_list=10s"), get(frozen, job_id, "missing_from_list=10s")["jobId"])
    advance(frozen, 0.001)
    assert before == ([], job_id)
    assert page(frozen, "missing_from_list=10s")["jobs"] == [get(frozen, job_id)]


@pytest.mark.parametrize("fault", ["missing_from_list=10s", "stale_read=10s"])
def test_pages_without_the_newest_jobs_fit_together(live_server: LiveServer, fault: str) -> None:
    """Every older job is on one page, in order; the last page says that it is the last."""
    with live_server.client(clock="frozen", plan="enterprise") as client:
        old = [submit(client) for _ in range(5)]
        advance(client, 10)
        for _ in range(3):
            submit(client)
        pages = [page(client, fault, limit=2)]
        while (cursor := pages[-1]["nextCursor"]) is not None:
            pages.append(page(client, fault, limit=2, cursor=cursor))
    assert [[job["jobId"] for job in each["jobs"]] for each in pages] == [old[:2:-1], old[2:0:-1], old[:1]]


def test_a_job_that_appears_while_paging_shifts_no_page(live_server: LiveServer) -> None:
    """The cursor stands behind an older one."""
    with live_server.client(clock="frozen", plan="enterprise") as client:
        old = [submit(client) for _ in range(3)]
        advance(client, 10)
        new = submit(client)
        first = page(client, "missing_from_list=10s", limit=2)
        advance(client, 10)
        rest = listed(client, "missing_from_list=10s", limit=2, cursor=first["nextCursor"])
        assert ([job["jobId"] for job in first["jobs"]], rest) == ([old[2], old[1]], [old[0]])
        assert listed(client, "missing_from_list=10s", limit=1) == [new]


@pytest.mark.parametrize("wanted", ["render", "render.movie", "agent"])
def test_what_is_missing_stays_so_under_a_filter_by_type(frozen: httpx.Client, wanted: str) -> None:
    """The filter takes away, and adds nothing."""
    old = submit(frozen)
    advance(frozen, 60)
    submit(frozen)
    expected = [old] if old in listed(frozen, "latency=0", type=wanted) else []
    assert listed(frozen, "missing_from_list=10s", type=wanted) == expected


def test_a_list_with_children_lags_as_a_whole(start_mock: Callable[[Settings], LiveServer], tmp_path: Path) -> None:
    """Where the profile lists children, they are filtered by what they show, and missing with their parent."""
    profile = tmp_path / "behaviour.yaml"
    profile.write_text(yaml.safe_dump({"list": {"includes_children": True}}), "utf-8")
    server = start_mock(Settings(behaviour=profile, clock=Mode.FROZEN))
    with server.client(clock="frozen") as client:
        submit(client, movie())
        advance(client, 100)
        submit(client, movie())
        shown = page(client, "stale_read=99s", status="queued")["jobs"]
        assert {job["status"] for job in shown} == {"queued"}
        assert len(listed(client, "missing_from_list=10s")) == len(listed(client, "latency=0")) / 2


# What a later version may bring.


def test_an_unknown_field_is_on_every_job_and_in_every_event(live_server: LiveServer) -> None:
    """On the 202, on GET and list, on each event; all else is as it was."""
    with live_server.client(clock="frozen") as client:
        headers = {"x-mock-fault": "unknown_field"}
        made = client.post("/v1/render/jobs", json=movie(), headers=headers).json()
        advance(client, 100)
        shown, listed_too = get(client, made["jobId"], "unknown_field"), page(client, "unknown_field")["jobs"]
        told = client.get(f"/v1/jobs/{made['jobId']}/progress", headers=headers).text
        usual = get(client, made["jobId"])
    assert {**usual, UNKNOWN_FIELD: made[UNKNOWN_FIELD]} == shown == listed_too[0]
    assert f'"{UNKNOWN_FIELD}":' in told


def test_an_unknown_status_stands_for_any_but_the_end(live_server: LiveServer) -> None:
    """GET, list and stream show it while the job runs; then they tell the truth. The 202 does so at once."""
    with live_server.client(clock="frozen") as client:
        headers = {"x-mock-fault": "unknown_status"}
        made = client.post("/v1/render/jobs", json=movie(), headers=headers).json()
        before = get(client, made["jobId"], "unknown_status"), *page(client, "unknown_status")["jobs"]
        advance(client, 100)
        after = get(client, made["jobId"], "unknown_status"), *page(client, "unknown_status")["jobs"]
    statuses = [made["status"], *(job["status"] for job in (*before, *after))]
    assert statuses == ["queued", UNKNOWN_STATUS, UNKNOWN_STATUS, "done", "done"]


def test_a_stream_with_an_unknown_status_reaches_its_end(client: httpx.Client) -> None:
    """Every event but the terminal has it, and the ids are those of the steps."""
    job_id = submit(client)
    answer = client.get(f"/v1/jobs/{job_id}/progress", headers={"x-mock-fault": "unknown_status"})
    told = [(each.data["status"], each.id) for each in parse(answer.text)[0]]
    statuses, ids = [status for status, _ in told], [int(number) for _, number in told]
    assert (set(statuses[:-1]), statuses[-1]) == ({UNKNOWN_STATUS}, "done")
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("fault", ["unknown_field", "unknown_status"])
@pytest.mark.parametrize("path", ["/v1/usage", "/v1/jobs/job_none"])
def test_what_tells_of_no_job_stays_as_it_is(frozen: httpx.Client, path: str, fault: str) -> None:
    """A refusal, or the account."""
    assert frozen.get(path, headers={"x-mock-fault": fault}).content == frozen.get(path).content
