"""The life of a job as a client sees it: submitted, polled, cancelled, deleted, alone and with its children."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie

from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"
LIFE = [
    ("running", "planning"),
    ("running", "dispatching"),
    ("waiting", "rendering"),
    ("running", "assembling"),
    ("running", "uploading"),
    ("done", None),
]
"""Status and phase of a job that goes well, after it was queued."""

MOMENTS = {
    "queued": (0.0, ("queued", None)),
    "planning": (1.2, ("running", "planning")),
    "dispatching": (1.6, ("running", "dispatching")),
    "rendering": (5.0, ("waiting", "rendering")),
    "assembling": (13.0, ("running", "assembling")),
    "uploading": (17.0, ("running", "uploading")),
}
"""When the job of `movie()` is in each step under `happy`: its three scenes render at once, for 6, 10.5 and 2 s."""

OVER = 18.3
"""When it is done: 1.8 s before rendering, 10.5 s for the longest scene, 4 s to assemble and 2 s to upload."""


def submitted(client: httpx.Client, document: dict[str, Any] | None = None) -> str:
    """Submit a movie and return the job's id."""
    answer = client.post(SUBMIT, json=document or movie())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def read(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Return a job as it stands."""
    answer = client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def polled(client: httpx.Client, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield what each poll tells until the job is terminal."""
    for _ in range(100):
        job = read(client, job_id)
        yield job
        if job["status"] in {"done", "failed", "cancelled"}:
            return
    pytest.fail("the job never ends")


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Poll a job to its end."""
    return list(polled(client, job_id))[-1]


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


Advance = Callable[[httpx.Client, float], None]


@pytest.fixture
def advance(live_server: LiveServer) -> Advance:
    """Return a function that moves the clock of a client's sandbox."""

    def move(client: httpx.Client, seconds: float) -> None:
        clock = live_server.app.mock.sandbox(client.headers["x-api-key"]).clock
        clock.set_time(clock.now() + timedelta(seconds=seconds))

    return move


# The life of a job


def test_a_submission_is_answered_with_an_id_and_nothing_else(client: httpx.Client) -> None:
    """202, the id, and that the job is queued."""
    answer = client.post(SUBMIT, json=movie())
    assert (answer.status_code, sorted(answer.json())) == (202, ["jobId", "status"])
    assert answer.json()["status"] == "queued"
    assert re.fullmatch("job_[0-9a-f]{12}", answer.json()["jobId"])


def test_polling_sees_every_step_of_a_job(client: httpx.Client) -> None:
    """On an auto clock each poll finds the next step, in the order of docs page /concepts/render-pipeline."""
    seen = [(job["status"], job["phase"]) for job in polled(client, submitted(client))]
    assert list(dict.fromkeys(seen)) == LIFE


def test_progress_never_goes_back_and_ends_at_one(client: httpx.Client) -> None:
    """Progress is between 0 and 1, grows, and is 1 only when the job is done."""
    progress = [job["progress"] for job in polled(client, submitted(client))]
    assert all(0 <= before <= after <= 1 for before, after in pairwise(progress))
    assert (progress[-1], 1 in progress[:-1]) == (1, False)


def test_the_clock_of_a_poll_never_goes_back(client: httpx.Client) -> None:
    """`createdAt` stays, `updatedAt` only grows."""
    jobs = list(polled(client, submitted(client)))
    updated = [job["updatedAt"] for job in jobs]
    assert {job["createdAt"] for job in jobs} == {"2026-01-01T00:00:00.000Z"}
    assert updated == sorted(updated)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_is_in_each_step_when_the_scenario_says(frozen: httpx.Client, advance: Advance, moment: str) -> None:
    """On a frozen clock nothing moves but by order."""
    seconds, expected = MOMENTS[moment]
    made = submitted(frozen)
    advance(frozen, seconds)
    assert [(job["status"], job["phase"]) for job in (read(frozen, made), read(frozen, made))] == [expected] * 2


def test_a_job_that_is_done_tells_its_output(client: httpx.Client) -> None:
    """The output has an address, a length, a frame, by default 1920x1080, and a plausible size."""
    made = submitted(client)
    job = finished(client, made)
    media = job["mediaData"]
    assert job["outputUrl"] == f"https://r2.viralsync.io/outputs/{made}/output.mp4"
    assert (media["duration"], media["width"], media["height"]) == (6.0, 1920, 1080)
    assert 100_000 < media["fileSize"] < 10_000_000


def test_a_job_that_is_not_done_has_no_output(frozen: httpx.Client) -> None:
    """What is not known yet is null, not missing."""
    job = read(frozen, submitted(frozen))
    assert [job[name] for name in ("outputUrl", "mediaData", "error", "parentJobId", "phase")] == [None] * 5
    assert (job["type"], job["progress"], job["createdAt"]) == ("render", 0, job["updatedAt"])


@pytest.mark.parametrize(("width", "height"), [(1080, 1920), (360, 360), (1280.0, 720.0), (None, 720), (1000.4, None)])
def test_the_output_has_the_frame_that_was_asked_for(
    client: httpx.Client, width: float | None, height: float | None
) -> None:
    """Null stands for the default, and pixels are whole."""
    made = submitted(client, movie(movie={**movie()["movie"], "width": width, "height": height}))
    media = finished(client, made)["mediaData"]
    assert (media["width"], media["height"]) == (round(width or 1920), round(height or 1080))


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (None, 10.5),
        ({"qualityPreset": "balanced"}, 10.5),
        ({"qualityPreset": None}, 10.5),
        ({"qualityPreset": "stable"}, 12.5),
        ({"qualityPreset": "turbo"}, 10.5),
        ({"requestedConcurrency": 1}, 18.5),
        ({"qualityPreset": "turbo", "requestedConcurrency": 2}, 12.5),
        ({"qualityPreset": "stable", "requestedConcurrency": 32}, 10.5),
    ],
)
def test_scenes_render_in_rounds_of_as_many_as_was_asked_for(
    client: httpx.Client, options: dict[str, Any] | None, seconds: float
) -> None:
    """Fewer workers take longer; a number goes before the preset."""
    jobs = list(polled(client, submitted(client, movie(renderOptions=options))))
    assert jobs[-1]["updatedAt"] == f"2026-01-01T00:00:{7.8 + seconds:06.3f}Z"


def test_a_failed_job_says_why_and_has_no_output(live_server: LiveServer) -> None:
    """The error is one plain text that begins with a code."""
    with live_server.client(scenario="scene-fails") as client:
        job = finished(client, submitted(client))
    assert (job["status"], job["phase"], job["outputUrl"], job["mediaData"]) == ("failed", None, None, None)
    assert job["error"].startswith("SCENE_RENDER_FAILED: ")
    assert job["children"] == {"total": 3, "succeeded": 2, "running": 0, "queued": 0, "failed": 1}


# Ids


def test_the_same_seed_and_key_give_the_same_jobs(start_mock: Callable[[Settings], LiveServer]) -> None:
    """A run can be repeated to the byte; another seed gives other ids."""
    key = "vs_prod_" + "5" * 32
    told = []
    for seed in ("7", "7", "8"):
        with start_mock(Settings(seed=seed, clock=Mode.AUTO, check_answers=True)).client(key) as client:
            told.append([list(polled(client, submitted(client))) for _ in range(3)])
    assert told[0] == told[1]
    assert {job["jobId"] for run in told[0] for job in run} & {job["jobId"] for run in told[2] for job in run} == set()


def test_two_keys_never_share_an_id(live_server: LiveServer) -> None:
    """Each key draws its own ids, and each submission a new one."""
    with live_server.client(plan="enterprise") as one, live_server.client(plan="enterprise") as other:
        ids = [submitted(client) for client in (one, other) for _ in range(20)]
    assert len(set(ids)) == 40


def test_a_refused_submission_uses_no_id_up(live_server: LiveServer) -> None:
    """The next job gets the id that it would have got anyway."""
    key = "vs_prod_" + "6" * 32
    ids = []
    for refused in (0, 3):
        live_server.app.mock.sandboxes.drop(key)
        with live_server.client(key) as client:
            answers = [client.post(SUBMIT, json=movie(kind="song")) for _ in range(refused)]
            ids.append([len(answers), submitted(client)])
    assert ids == [[0, ids[0][1]], [3, ids[0][1]]]


# The payload

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain_json = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client without a key."""
    with httpx.Client() as client:
        yield client


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1), st.dictionaries(st.text().map("x{}".format), plain_json, max_size=4))
def test_the_payload_comes_back_as_it_was_sent(
    live_server: LiveServer, http: httpx.Client, project: str, extra: dict[str, Any]
) -> None:
    """Project and movie are echoed byte for byte, known fields and unknown, in their order."""
    sent = {"projectId": f"p{project}", "movie": {**extra, **movie()["movie"], "z": extra}}
    headers = live_server.headers(live_server.new_key(clock="frozen"))
    made = http.post(live_server.base_url + SUBMIT, json={"kind": "movie", **sent}, headers=headers).json()["jobId"]
    answer = http.get(f"{live_server.base_url}/v1/jobs/{made}", headers=headers)
    assert b'"payload":' + orjson.dumps(sent) + b"," in answer.content


def test_the_payload_holds_nothing_else(client: httpx.Client) -> None:
    """Neither render options nor the callback are echoed."""
    made = submitted(client, movie(renderOptions={"qualityPreset": "fast"}, callbackUrl="https://studio.example/hook"))
    assert read(client, made)["payload"] == {"projectId": movie()["projectId"], "movie": movie()["movie"]}


# Children


def children(job_id: str) -> list[str]:
    """Return the ids of the children of a job with three scenes."""
    return [*(f"scene_{job_id}_{number:03}" for number in (1, 2, 3)), f"assemble_{job_id}"]


@pytest.mark.parametrize(
    ("seconds", "statuses", "counts"),
    [
        (0, ["queued", "queued", "queued", "queued"], (0, 0, 3)),
        (2, ["running", "running", "running", "queued"], (0, 3, 0)),
        (4, ["running", "running", "done", "queued"], (1, 2, 0)),
        (8, ["done", "running", "done", "queued"], (2, 1, 0)),
        (13, ["done", "done", "done", "running"], (3, 0, 0)),
        (17, ["done", "done", "done", "done"], (3, 0, 0)),
        (60, ["done", "done", "done", "done"], (3, 0, 0)),
    ],
)
def test_children_and_their_counts_agree(
    frozen: httpx.Client, advance: Advance, seconds: float, statuses: list[str], counts: tuple[int, int, int]
) -> None:
    """The parent counts its scenes as they stand when one reads them by their ids."""
    made = submitted(frozen)
    advance(frozen, seconds)
    told = read(frozen, made)["children"]
    assert [read(frozen, child)["status"] for child in children(made)] == statuses
    assert tuple(told[name] for name in ("succeeded", "running", "queued")) == counts
    assert (told["total"], told["failed"]) == (3, 0)


def test_a_child_tells_what_it_is_and_whose(frozen: httpx.Client) -> None:
    """Children have types of their own, name their parent, and have no children."""
    made = submitted(frozen)
    told = [read(frozen, child) for child in children(made)]
    assert [child["type"] for child in told] == ["render.scene"] * 3 + ["render.assemble"]
    assert {child["parentJobId"] for child in told} == {made}
    assert not [child for child in told if "children" in child]


def test_a_child_can_be_polled_to_its_end(client: httpx.Client) -> None:
    """A scene goes from queued through rendering to done, with the length of its own output."""
    made = submitted(client)
    told = list(polled(client, f"scene_{made}_002"))
    assert list(dict.fromkeys((child["status"], child["phase"]) for child in told)) == [
        ("running", "rendering"),
        ("done", None),
    ]
    assert (told[-1]["mediaData"]["duration"], told[-1]["progress"]) == (3.5, 1)
    assert read(client, made)["status"] == "running"


@pytest.mark.parametrize(
    "form",
    ["scene_{}_000", "scene_{}_004", "scene_{}_1", "scene_{}_0001", "scene_{}", "assemble_assemble_{}", "scene_{}_-01"],
)
def test_a_child_that_does_not_exist_is_not_found(client: httpx.Client, form: str) -> None:
    """Children are named in one way only."""
    assert code(client.get(f"/v1/jobs/{form.format(submitted(client))}")) == (404, "JOB_NOT_FOUND")


def test_children_are_neither_cancelled_nor_deleted_alone(client: httpx.Client) -> None:
    """Only the parent can be ended, and takes its children along."""
    made = submitted(client)
    answers = [client.post(f"/v1/jobs/{child}/cancel") for child in children(made)]
    finished(client, made)
    answers += [client.delete(f"/v1/jobs/{child}") for child in children(made)]
    assert {code(answer) for answer in answers} == {(409, "INVALID_STATE_TRANSITION")}


# Cancelling


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_can_be_cancelled_in_every_step(frozen: httpx.Client, advance: Advance, moment: str) -> None:
    """The answer is the job, cancelled, with the progress that it had; and so it stays."""
    made = submitted(frozen)
    advance(frozen, MOMENTS[moment][0])
    progress = read(frozen, made)["progress"]
    cancelled = frozen.post(f"/v1/jobs/{made}/cancel")
    advance(frozen, 3600)
    assert cancelled.status_code == 200
    assert [cancelled.json()[name] for name in ("status", "phase", "progress", "error")] == [
        *("cancelled", None, progress, None)
    ]
    assert read(frozen, made) == cancelled.json()


@pytest.mark.parametrize("moment", MOMENTS)
def test_cancelling_ends_the_children_that_had_not_ended(frozen: httpx.Client, advance: Advance, moment: str) -> None:
    """What was done stays done, everything else is cancelled, and the counts agree."""
    made = submitted(frozen)
    advance(frozen, MOMENTS[moment][0])
    before = [read(frozen, child)["status"] for child in children(made)]
    told = frozen.post(f"/v1/jobs/{made}/cancel").json()["children"]
    after = [read(frozen, child)["status"] for child in children(made)]
    assert after == ["done" if status == "done" else "cancelled" for status in before]
    assert told == {"total": 3, "succeeded": after[:3].count("done"), "running": 0, "queued": 0, "failed": 0}


@pytest.mark.parametrize(("scenario", "status"), [("happy", "done"), ("scene-fails", "failed"), ("stuck", "cancelled")])
def test_a_terminal_job_cannot_be_cancelled(live_server: LiveServer, scenario: str, status: str) -> None:
    """Whatever the job ended in, a second end is refused and changes nothing."""
    with live_server.client(scenario=scenario) as client:
        made = submitted(client)
        if status == "cancelled":
            client.post(f"/v1/jobs/{made}/cancel")
        job = finished(client, made)
        answer = client.post(f"/v1/jobs/{made}/cancel")
        assert (job["status"], read(client, made)) == (status, job)
    assert code(answer) == (409, "INVALID_STATE_TRANSITION")
    assert answer.json()["error"] == f"Cannot cancel job {made} while it is {status}."


# Deleting


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_cannot_be_deleted_before_its_end(frozen: httpx.Client, advance: Advance, moment: str) -> None:
    """It has to be cancelled first, and is still there."""
    made = submitted(frozen)
    seconds, (status, _) = MOMENTS[moment]
    advance(frozen, seconds)
    answer = frozen.delete(f"/v1/jobs/{made}")
    assert code(answer) == (409, "INVALID_STATE_TRANSITION")
    assert answer.json()["error"] == f"Cannot delete job {made} while it is {status}."
    assert read(frozen, made)["status"] == status


@pytest.mark.parametrize("scenario", ["happy", "scene-fails", "stuck"])
def test_a_terminal_job_is_deleted_with_its_children(live_server: LiveServer, scenario: str) -> None:
    """Done, failed or cancelled: afterwards nothing of it is found by any operation, and it is in no list."""
    with live_server.client(scenario=scenario) as client:
        made = submitted(client)
        if scenario == "stuck":
            client.post(f"/v1/jobs/{made}/cancel")
        finished(client, made)
        deleted = client.delete(f"/v1/jobs/{made}")
        gone = [client.get(f"/v1/jobs/{job}{rest}") for job in (made, *children(made)) for rest in ("", "/progress")]
        gone += [client.delete(f"/v1/jobs/{made}"), client.post(f"/v1/jobs/{made}/cancel")]
        assert client.get("/v1/jobs").json() == {"jobs": [], "nextCursor": None}
    assert (deleted.status_code, deleted.json()) == (200, {"jobId": made, "deleted": True})
    assert {code(answer) for answer in gone} == {(404, "JOB_NOT_FOUND")}


def test_deleting_a_job_leaves_the_others_alone(live_server: LiveServer) -> None:
    """A neighbour goes on as before."""
    with live_server.client(scenario="instant") as client:
        first, second = submitted(client), submitted(client)
        client.delete(f"/v1/jobs/{first}")
        assert read(client, second)["status"] == "done"


# Whose job it is


@pytest.mark.parametrize("form", ["{}", "scene_{}_001", "assemble_{}"])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("HEAD", ""), ("GET", "/progress"), ("POST", "/cancel"), ("DELETE", "")]
)
def test_the_job_of_another_key_is_not_found(live_server: LiveServer, form: str, method: str, rest: str) -> None:
    """Nobody learns whether a job of somebody else exists, and nothing happens to it."""
    with live_server.client() as owner, live_server.client() as other:
        made = submitted(owner)
        before = finished(owner, made)
        answer = other.request(method, f"/v1/jobs/{form.format(made)}{rest}")
        assert read(owner, made) == before
    assert answer.status_code == 404
    assert method == "HEAD" or answer.json()["code"] == "JOB_NOT_FOUND"


# Many at once


def test_many_threads_of_one_key_never_meet_a_5xx(start_mock: Callable[[Settings], LiveServer]) -> None:
    """Submitting, polling, listing, cancelling and deleting at once, on an auto clock that each of them moves."""
    server = start_mock(Settings(clock=Mode.AUTO, check_answers=True, is_rate_limited=False))
    statuses: list[int] = []
    ids: list[str] = []

    def work(key: str) -> None:
        with server.client(key) as client:
            for turn in range(8):
                made = submitted(client)
                ids.append(made)
                answers = [client.get(path) for path in (f"/v1/jobs/{made}", "/v1/jobs", f"/v1/jobs/{ids[0]}")]
                answers += [client.post(f"/v1/jobs/{ids[turn]}/cancel"), client.delete(f"/v1/jobs/{ids[-1]}")]
                statuses.extend(answer.status_code for answer in answers)

    key = server.new_key(plan="enterprise")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [key] * 6))
    assert len(set(ids)) == 48
    assert set(statuses) <= {200, 404, 409}
    assert server.bugs == []
