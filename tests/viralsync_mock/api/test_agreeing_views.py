"""Answers that agree: what an error says, and what the other views of the account and the job show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.conftest import LiveServer, movie

from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"


@pytest.mark.parametrize(
    ("durations", "status"),
    [([600.0004], 402), ([599.9999, 0.0002], 402), ([600], 202), ([0.1] * 6000, 202), ([200.2, 199.9, 199.9], 202)],
)
def test_a_movie_that_is_longer_by_a_fraction_is_too_long(
    live_server: LiveServer, durations: list[float], status: int
) -> None:
    """The sum is compared before it is rounded for display; sums that come out even are even."""
    scenes = [{"id": str(number), "duration": duration} for number, duration in enumerate(durations)]
    with live_server.client() as client:
        answer = client.post(SUBMIT, json=movie(movie={"scenes": scenes}))
    assert answer.status_code == status
    if status == 402:
        assert "the movie lasts 600.000" in answer.json()["error"]


def test_a_job_that_is_ordered_to_fail_has_the_failed_scene_of_its_error(live_server: LiveServer) -> None:
    """`children.failed` and the error tell one story."""
    with live_server.client(clock="frozen") as client:
        job = client.post(SUBMIT, json=movie()).json()["jobId"]
        client.post("/__mock/clock/advance", json={"until": {"jobId": job, "status": "waiting"}}).raise_for_status()
        client.patch(f"/__mock/jobs/{job}", json={"status": "failed"}).raise_for_status()
        failed = client.get(f"/v1/jobs/{job}").json()
        scene = client.get(f"/v1/jobs/scene_{job}_001").json()
    assert failed["error"].startswith("SCENE_RENDER_FAILED: ")
    assert (failed["children"]["failed"], scene["status"]) == (1, "failed")


def test_a_scripted_conflict_names_what_was_tried_and_where_the_job_stands(live_server: LiveServer) -> None:
    """As the API's own text would."""
    rule = {"match": {"operation": "cancelJob"}, "respond": {"error": "INVALID_STATE_TRANSITION"}}
    with live_server.client(clock="frozen") as client:
        client.put("/__mock/scenario", json={"rules": [rule]}).raise_for_status()
        job = client.post(SUBMIT, json=movie()).json()["jobId"]
        assert client.post(f"/v1/jobs/{job}/cancel").json()["error"] == f"Cannot cancel job {job} while it is queued."


def test_a_reset_brings_new_ids_where_the_seed_is_new(start_mock: Callable[[Settings], LiveServer]) -> None:
    """And the same ones where the seed was chosen."""
    found = {}
    for renews in (True, False):
        server = start_mock(Settings(clock=Mode.AUTO, renews_seed=renews))
        with server.client() as client:
            ids = []
            for _ in range(3):
                ids.append(client.post(SUBMIT, json=movie()).json()["jobId"])
                client.post("/__mock/reset").raise_for_status()
        found[renews] = len(set(ids))
    assert found == {True: 3, False: 1}
