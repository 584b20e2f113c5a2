"""Faults that a test arms over a real socket: whom they strike, how often, how long, and in whose sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.viralsync_mock.control.test_control import advance, refusal, watched

from viralsync_mock.clock import Mode
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]

OUTAGE = {"fault": {"status": 503}}


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are checked."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def arm(client: httpx.Client, *faults: dict[str, Any]) -> dict[str, Any]:
    """Arm these faults; return the answer."""
    response = client.put("/__mock/faults", json={"faults": faults})
    assert response.status_code == 200, response.text
    return dict(response.json())


def armed(client: httpx.Client) -> list[tuple[str, int, bool]]:
    """Return id, strikes and whether it is live of each armed fault."""
    faults = client.get("/__mock/faults").json()["faults"]
    return [(each["id"], each["matched"], each["isRunning"]) for each in faults]


def statuses(client: httpx.Client, calls: int) -> list[int]:
    """Ask so often who one is; return how that was answered."""
    return [client.get("/v1/me").status_code for _ in range(calls)]


# ---------------------------------------------------------------- one by one


def add(client: httpx.Client, **fault: Any) -> str:
    """Arm one more fault; return its id."""
    response = client.post("/__mock/faults", json=fault)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def test_one_more_fault_leaves_the_others_counting(control: httpx.Client) -> None:
    """The first has used up one of its two times when the second comes, and keeps it."""
    arm(control, OUTAGE | {"times": 2})
    assert statuses(control, 1) == [503]
    assert add(control, fault={"status": 500}, match={"operation": "getUsage"}) == "fault_2"
    assert armed(control) == [("fault_1", 1, True), ("fault_2", 0, True)]
    assert statuses(control, 2) == [503, 200]
    assert control.get("/v1/usage").status_code == 500


def test_one_fault_is_disarmed_and_the_others_stay(control: httpx.Client) -> None:
    """Its id is not given again while others are armed; the others keep their counts."""
    arm(control, OUTAGE | {"match": {"operation": "listJobs"}}, OUTAGE | {"times": 3}, {"fault": {"duplicate": 1}})
    assert statuses(control, 1) == [503]
    assert control.delete("/__mock/faults/fault_1").json() == {"dropped": 1}
    assert armed(control) == [("fault_2", 1, True), ("fault_3", 0, True)]
    assert add(control, fault={"status": 500}) == "fault_4"
    assert control.get("/v1/jobs").status_code in (500, 503)
    assert refusal(control.delete("/__mock/faults/fault_1"))[:2] == (404, "FAULT_NOT_FOUND")


def test_the_last_fault_disarmed_leaves_none(control: httpx.Client) -> None:
    """As if all had been disarmed."""
    assert control.delete(f"/__mock/faults/{add(control, **OUTAGE)}").json() == {"dropped": 1}
    assert (armed(control), statuses(control, 1)) == ([], [200])


def test_the_time_of_an_added_fault_counts_from_when_it_was_added(control: httpx.Client) -> None:
    """`for` ends a minute later than that of the fault that was there before."""
    arm(control, OUTAGE | {"for": "10s", "match": {"operation": "listJobs"}})
    advance(control, seconds=60)
    add(control, **OUTAGE, **{"for": "10s"})
    assert statuses(control, 1) == [503]
    advance(control, seconds=10)
    assert statuses(control, 1) == [200]


def test_the_next_job_fails_by_an_armed_job(control: httpx.Client) -> None:
    """`job` in place of `fault` is for one submission; the retry works."""
    add(control, job={"fail": {"scene": 1, "at": "40%"}}, match={"operation": "submitRenderJob"}, times=1)
    jobs = [control.post("/v1/render/jobs", json=movie()).json()["jobId"] for _ in range(2)]
    advance(control, seconds=600)
    assert [control.get(f"/v1/jobs/{job}").json()["status"] for job in jobs] == ["failed", "done"]


def test_an_invalid_fault_is_not_added_and_its_place_is_named(control: httpx.Client) -> None:
    """The others stay as they are."""
    answer = control.post("/__mock/faults", json={"fault": {"latenzy": 1}})
    assert refusal(answer)[:2] == (400, "VALIDATION_ERROR")
    assert '$.fault.latenzy: unknown key. Did you mean "latency"?' in answer.json()["error"]
    assert armed(control) == []


# ---------------------------------------------------------------- what is shown


def test_nothing_is_armed_at_first(control: httpx.Client) -> None:
    """A new sandbox behaves."""
    assert control.get("/__mock/faults").json()["faults"] == []


def test_every_kind_is_told_with_what_it_is_done_to(control: httpx.Client) -> None:
    """Whoever writes a fault finds out what there is, in the order of application."""
    kinds = control.get("/__mock/faults").json()["kinds"]
    assert [each["name"] for each in kinds] == list(KINDS)
    assert {
        name: next(each["of"] for each in kinds if each["name"] == name)
        for name in ("latency", "status", "slow_body", "silence", "stale_read", "before_response")
    } == {
        "latency": "calls",
        "status": "calls",
        "slow_body": "bodies",
        "silence": "streams",
        "stale_read": "views",
        "before_response": "webhooks",
    }
    assert [each["name"] for each in kinds if not each["description"].endswith(".")] == []


def test_armed_faults_are_shown_as_they_were_written(control: httpx.Client) -> None:
    """With an id, how often each has struck, and whether it may strike again; arming and reading answer alike."""
    written = [
        {"fault": {"latency": "1ms"}, "match": {"operation": "getMe", "nth": 2}},
        {"fault": {"duplicate": True}, "times": 2, "probability": "50%", "for": "1m", "x-note": "why"},
    ]
    answer = arm(control, *written)
    assert answer["faults"] == [
        {"id": "fault_1", **written[0], "matched": 0, "isRunning": True},
        {"id": "fault_2", **written[1], "matched": 0, "isRunning": True},
    ]
    assert control.get("/__mock/faults").json() == answer


def test_many_faults_are_shown_in_the_order_of_arming(control: httpx.Client) -> None:
    """The tenth comes after the ninth, and those of webhooks stand among the others."""
    written: list[dict[str, Any]] = [{"fault": {"duplicate": 1}}, {"fault": {"latency": "0s"}}]
    arm(control, *(written * 6))
    assert [each[0] for each in armed(control)] == [f"fault_{number}" for number in range(1, 13)]


# ---------------------------------------------------------------- whom it strikes


def test_a_fault_strikes_from_when_it_is_armed(control: httpx.Client) -> None:
    """Calls before it went well; control calls are never struck."""
    before = statuses(control, 1)
    arm(control, OUTAGE)
    assert (before, statuses(control, 2)) == ([200], [503, 503])
    assert armed(control) == [("fault_1", 2, True)]


def test_a_fault_strikes_so_often_at_most(control: httpx.Client) -> None:
    """Then it is not live any more."""
    arm(control, OUTAGE | {"times": 2})
    assert statuses(control, 4) == [503, 503, 200, 200]
    assert armed(control) == [("fault_1", 2, False)]


def test_a_fault_strikes_what_it_matches(control: httpx.Client) -> None:
    """Other operations go well, and are not counted."""
    arm(control, OUTAGE | {"match": {"operation": "getUsage", "nth": 2}})
    asked = [control.get(f"/v1/{name}").status_code for name in ("usage", "me", "usage", "usage")]
    assert asked == [200, 200, 503, 200]
    assert armed(control) == [("fault_1", 1, False)]


def test_a_fault_heals_on_the_clock_of_the_sandbox(control: httpx.Client) -> None:
    """It counts from when it was armed, not from when the sandbox was opened."""
    advance(control, seconds=100)
    arm(control, OUTAGE | {"for": "30s"})
    advance(control, seconds=29.999)
    assert statuses(control, 1) == [503]
    advance(control, seconds=0.001)
    assert (statuses(control, 1), armed(control)) == ([200], [("fault_1", 1, False)])


def test_a_probable_fault_strikes_the_same_calls_in_each_run(start_mock: StartMock) -> None:
    """Two mocks with the same seed agree; about the share that was asked for is struck."""
    seen = []
    for _ in range(2):
        server = start_mock(Settings(clock=Mode.FROZEN, is_rate_limited=False))
        with watched(server.client(clock="frozen")) as client:
            arm(client, OUTAGE | {"probability": 0.4})
            seen.append(statuses(client, 100))
    assert seen[0] == seen[1]
    assert 25 <= seen[0].count(503) <= 55


def test_another_seed_strikes_other_calls(start_mock: StartMock) -> None:
    """The draws come from the seed of the server."""
    seen = []
    for seed in ("one", "two"):
        server = start_mock(Settings(clock=Mode.FROZEN, seed=seed))
        with watched(server.client(clock="frozen")) as client:
            arm(client, OUTAGE | {"probability": "50%"})
            seen.append(statuses(client, 30))
    assert seen[0] != seen[1]


def test_all_that_match_strike_together(control: httpx.Client) -> None:
    """Each counts its own strikes."""
    arm(
        control,
        {"fault": {"wrong_content_type": "text/plain"}},
        {"fault": {"malformed_json": True}, "times": 1},
        {"fault": {"status": 503}, "match": {"operation": "getUsage"}},
    )
    first, second = control.get("/v1/me"), control.get("/v1/me")
    assert [answer.headers["content-type"] for answer in (first, second)] == ["text/plain"] * 2
    assert [answer.text.endswith("}") for answer in (first, second)] == [False, True]
    assert armed(control) == [("fault_1", 2, True), ("fault_2", 1, False), ("fault_3", 0, True)]


def test_a_lost_connection_is_lost(control: httpx.Client) -> None:
    """The client sees no answer, and the next call goes well."""
    arm(control, {"fault": {"empty_response": True}, "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        control.get("/v1/me")
    assert statuses(control, 1) == [200]


def test_a_fault_that_needs_a_submission_strikes_calls(control: httpx.Client) -> None:
    """`before_response` cannot be done to a webhook that leaves, nor can a match of a call hold for one."""
    arm(control, {"fault": {"before_response": True}}, {"fault": {"duplicate": 1}, "match": {"header": {"x-a": "b"}}})
    control.post("/v1/render/jobs", json=movie(), headers={"x-a": "b"})
    assert [struck for _, struck, _ in armed(control)] == [1, 1]


# ---------------------------------------------------------------- arming anew, disarming


def test_arming_takes_the_place_of_what_was_armed(control: httpx.Client) -> None:
    """Ids and counts begin anew."""
    arm(control, OUTAGE, OUTAGE | {"times": 9})
    statuses(control, 1)
    arm(control, {"fault": {"status": 500}, "times": 1})
    assert statuses(control, 2) == [500, 200]
    assert armed(control) == [("fault_1", 1, False)]


def test_an_empty_list_disarms(control: httpx.Client) -> None:
    """Arming nothing is the end of it."""
    arm(control, OUTAGE)
    assert (arm(control)["faults"], statuses(control, 1)) == ([], [200])


def test_disarming_tells_how_many_were_armed(control: httpx.Client) -> None:
    """Nothing strikes any more, and there is nothing left to disarm."""
    arm(control, OUTAGE, OUTAGE)
    dropped = [control.delete("/__mock/faults").json() for _ in range(2)]
    assert (dropped, statuses(control, 1)) == ([{"dropped": 2}, {"dropped": 0}], [200])


def test_faults_strike_in_their_own_sandbox_only(live_server: LiveServer, control: httpx.Client) -> None:
    """Another key sees none of them."""
    arm(control, OUTAGE)
    with watched(live_server.client(clock="frozen")) as other:
        assert (statuses(other, 1), armed(other)) == ([200], [])
        assert other.delete("/__mock/faults").json() == {"dropped": 0}
    assert statuses(control, 1) == [503]


def test_a_reset_disarms(control: httpx.Client) -> None:
    """A new sandbox behaves again."""
    arm(control, OUTAGE)
    control.post("/__mock/reset")
    assert (armed(control), statuses(control, 1)) == ([], [200])


# ---------------------------------------------------------------- what cannot be armed


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"faults": [OUTAGE, {"fault": {"latenzy": 1}}]}, '$.faults[1].fault.latenzy: unknown key. Did you mean "lat'),
        ({"faults": [{"fault": {"status": 404}}]}, "$.faults[0].fault.status: expected 500 to 599, got 404"),
        ({"faults": [{"fault": {}}]}, "$.faults[0].fault: expected at least 1 property, got 0"),
        ({"faults": [{"fautl": {}}]}, '$.faults[0].fautl: unknown key. Did you mean "fault"?'),
        ({"faults": [OUTAGE | {"tmes": 1}]}, '$.faults[0].tmes: unknown key. Did you mean "times"?'),
        ({"faults": [OUTAGE | {"times": 0}]}, "$.faults[0].times: expected at least 1, got 0"),
        ({"faults": [OUTAGE | {"probability": 1.5}]}, "$.faults[0].probability: expected a share from 0% to 100%"),
        ({"faults": [OUTAGE | {"for": "soon"}]}, "$.faults[0].for: expected seconds, or a time such as 800ms"),
        (
            {"faults": [OUTAGE | {"match": {"operation": "getMee"}}]},
            '$.faults[0].match.operation: expected an operation of the spec, got "getMee". Did you mean "getMe"?',
        ),
        (
            {"faults": [OUTAGE | {"times": 1, "match": {"times": 2}}]},
            '$.faults[0].times: "match" has its own "times": keep one of the two',
        ),
        (
            {"faults": [{"fault": {"silence": 1}, "match": {"operation": "getMe"}}]},
            "$.faults[0].fault.silence: getMe has no event stream",
        ),
        ({"faults": [OUTAGE] * 101}, "$.faults: expected at most 100 items, got 101"),
        ({"faults": {}}, "$.faults: expected an array, got an object of 0"),
        ({"fault": []}, '$.fault: not a property that the spec knows. Did you mean "faults"?'),
        ({}, "$.faults: required, but missing"),
    ],
)
def test_a_fault_that_cannot_be_is_told_where(control: httpx.Client, document: dict[str, Any], text: str) -> None:
    """The place is named from the root of the body, and what was armed stays armed."""
    arm(control, OUTAGE)
    status, code, error = refusal(control.put("/__mock/faults", json=document))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert text in error
    assert armed(control) == [("fault_1", 0, True)]
