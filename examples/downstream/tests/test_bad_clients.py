"""Two bad clients get through a bad day all the same: only the verdict tells them from a good one."""

from __future__ import annotations

import pytest
from bad_clients import Careless, Impatient, careless_endpoint
from conftest import MOVIE, served
from viralsync_mock import Sandbox
from viralsync_mock.client import Rule

from viralsync_client import ViralSync

BRISK = {"per_output_second": 0, "at_least": 0}

BAD_DAY = {
    "name": "bad-day",
    "description": "The answer to the first submission is lost, and the first looks at a job are refused.",
    "job": {"queued": "150ms", "planning": 0, "dispatching": 0, "scene": BRISK, "assembling": 0, "uploading": 0},
    "limits": {"rate": "off"},
    "rules": [
        {"match": {"operation": "submitRenderJob", "nth": 1}, "fault": {"reset_peer": True}},
        {
            "match": {"operation": "getJob", "nth": 1},
            "respond": {"error": "RATE_LIMITED", "headers": {"retry-after": "30"}},
        },
        {"match": {"operation": "getJob", "after": 1, "times": 3}, "fault": {"status": 503}},
    ],
}

NEGLECT = {
    "name": "neglect",
    "description": "Jobs never end, the first stream breaks off, and webhooks are forged.",
    "job": {"uploading": "forever"},
    "rules": [{"match": {"operation": "streamJobProgress", "nth": 1}, "fault": {"drop_after_events": 2}}],
    "webhooks": {"deliver": {"bad_signature": True}},
}


def verdict(viralsync: Sandbox) -> pytest.LineMatcher:
    """Return the lines with which the assertion fails."""
    with pytest.raises(AssertionError) as caught:
        viralsync.assert_well_behaved()
    return pytest.LineMatcher(str(caught.value).splitlines())


@pytest.mark.viralsync(scenario=BAD_DAY, clock="real")
def test_the_impatient_client_is_found_out(viralsync: Sandbox) -> None:
    """It gets its video, and has made the API render two."""
    client = Impatient(viralsync.base_url, viralsync.api_key)
    assert client.render(MOVIE) == "done"
    client.close()
    verdict(viralsync).fnmatch_lines(
        [
            "the client is not well behaved, 4 rules failed:",
            "waits-out-retry-after: failed: the call was made again * s after a 429 with Retry-After: 30",
            "    <call_* GET /v1/jobs/job_* -> 429 RATE_LIMITED>",
            "    <call_* GET /v1/jobs/job_* -> 503 SERVICE_UNAVAILABLE>",
            "backs-off-after-5xx: failed: the call was made again at once after it failed *",
            "polls-no-faster-than: failed: job_* was read again after less than 1 s, * times in a row",
            "does-not-submit-twice: failed: the same body was submitted again after its answer was lost, *",
            "    <call_* POST /v1/render/jobs -> reset_peer>",
            "    <call_* POST /v1/render/jobs -> 202>",
        ]
    )


@pytest.mark.viralsync(scenario=NEGLECT)
def test_the_careless_client_is_found_out(viralsync: Sandbox) -> None:
    """It believes whatever it is sent, and leaves its jobs where they are."""
    client = Careless(viralsync.base_url, viralsync.api_key)
    with served(careless_endpoint()) as url:
        client.submit(MOVIE, callback_url=url)
        assert len(list(client.progress(client.submit(MOVIE)))) == 2
        viralsync.sleep(120)
    client.close()
    verdict(viralsync).fnmatch_lines(
        [
            "the client is not well behaved, 3 rules failed:",
            "resumes-dropped-streams: failed: the stream of job_* broke off, and nothing more was asked about the job",
            "    <call_* GET /v1/jobs/job_*/progress -> 200>",
            "refuses-bad-signatures: failed: a webhook of job_* with a bad signature was answered 2xx",
            "    <delivery_1 progress of job_* to http://127.0.0.1:*/: delivered (200)>",
            "cancels-what-it-abandons: failed: job_* is unfinished and was not cancelled: *",
        ]
    )


@pytest.mark.viralsync(scenario=BAD_DAY, clock="frozen")
def test_the_good_client_behaves_on_the_same_day(api: ViralSync, viralsync: Sandbox) -> None:
    """One job, one video, and every wait as long as it should be."""
    api.render(MOVIE)
    rules = viralsync.assert_well_behaved()
    waits: list[Rule] = ["waits-out-retry-after", "backs-off-after-5xx", "does-not-submit-twice"]
    assert [rules[name].outcome for name in waits] == ["passed"] * 3
    assert len(viralsync.jobs) == 1
