"""The kit at a glance: an API for each test, 18 seconds of rendering in milliseconds, faults, limits, a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from viralsync_mock import Sandbox

from viralsync_client import QuotaExceeded, ViralSync

MOVIE = {"scenes": [{"id": "intro", "duration": 2}, {"id": "end", "duration": 4}]}


@pytest.fixture
def api(viralsync: Sandbox) -> Iterator[ViralSync]:
    """Yield the client under test; it sleeps on the sandbox's clock, so no time passes."""
    with ViralSync(viralsync.base_url, viralsync.api_key, sleep=viralsync.sleep) as api:
        yield api


def test_a_movie_is_rendered(api: ViralSync, viralsync: Sandbox) -> None:
    """Submitted once, waited for until it is done, and the API would have no reason to complain."""
    job = api.render(MOVIE)
    assert job.url == f"https://r2.viralsync.io/outputs/{job.id}/output.mp4"
    viralsync.assert_called("submitRenderJob", times=1, body={"movie": MOVIE})
    viralsync.assert_well_behaved()


def test_a_lost_answer_makes_no_second_job(api: ViralSync, viralsync: Sandbox) -> None:
    """The job was made, the connection reset: the client looks before it submits again."""
    viralsync.faults.arm("reset_peer", match="submitRenderJob", times=1)
    assert api.render(MOVIE).status == "done"
    assert len(viralsync.jobs) == 1


def test_a_used_up_quota_is_an_error_of_its_own(api: ViralSync, viralsync: Sandbox) -> None:
    """402, told at once."""
    viralsync.exhaust("quota")
    with pytest.raises(QuotaExceeded, match="RENDER_QUOTA_EXCEEDED"):
        api.render(MOVIE)
