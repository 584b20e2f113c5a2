"""What a journey sees: calls held against what was expected, and what is said when it cannot go on."""

from __future__ import annotations

import pytest
from tests.support.fake_target import Api, answer, events, found, html, refusal, run_of, stream, trip_of
from tests.support.results import spec

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.target.event_stream import Stream
from viralsync_mock.config.behaviour import BehaviourProfile

JOB = "job_0123456789ab"
DONE = spec().document["components"]["examples"]["doneJob"]["value"]
GET, CANCEL, DELETE = f"GET /v1/jobs/{JOB}", f"POST /v1/jobs/{JOB}/cancel", f"DELETE /v1/jobs/{JOB}"
PROGRESS = f"{GET}/progress"
PATH = {"jobId": JOB}


def test_an_answer_as_expected_is_counted_under_its_fact() -> None:
    """What held is told as well as what did not."""
    context = trip_of(Api())
    context.call("getMe", 200, fact=facts.BEARER, auth="bearer")
    assert found(context.run) == []
    assert context.run.asserted[facts.BEARER] == 1


@pytest.mark.parametrize(
    ("operation", "expect", "answered", "category"),
    [
        ("getJob", 200, refusal(404, "JOB_NOT_FOUND"), "failure"),
        ("getJob", "JOB_NOT_FOUND", answer(200, DONE), "failure"),
        ("getJob", "VALIDATION_ERROR", refusal(404, "JOB_NOT_FOUND"), "failure"),
        ("listJobs", "PAYLOAD_TOO_LARGE", refusal(400, "VALIDATION_ERROR"), "difference"),
    ],
)
def test_another_status_goes_where_the_mark_of_the_expected_one_says(
    operation: str, expect: int | str, answered: object, category: str
) -> None:
    """An error in the place of a success fails; of a refusal the mark of its status decides."""
    context = trip_of(Api({GET: [answered], "GET /v1/jobs": [answered]}))  # type: ignore[list-item]
    context.call(operation, expect, path=PATH if operation == "getJob" else {})
    assert found(context.run) == [(category, "status")]


def test_the_fact_decides_where_there_is_one() -> None:
    """A status that breaks an assumption is a difference, though the status itself is documented."""
    context = trip_of(Api({GET: [refusal(404, "JOB_NOT_FOUND")]}))
    context.call("getJob", 200, fact=facts.CHILD_READ, path=PATH, step="read a child")
    (finding,) = context.run.findings
    assert (finding.category, finding.check, finding.place, finding.got) == (
        "warning", "child_read", "read a child", "404 JOB_NOT_FOUND",
    )  # fmt: skip


def test_an_unknown_path_is_only_assumed_to_be_a_404() -> None:
    """No page says what a path answers that the API does not have."""
    context = trip_of(Api({"GET /v2/jobs": [refusal(400, "VALIDATION_ERROR")]}))
    context.request("GET", "/v2/jobs", "NOT_FOUND", step="unknown")
    assert found(context.run) == [("difference", "status")]


def test_a_documented_code_must_be_that_one() -> None:
    """`UNAUTHORIZED` is documented: another code breaks the contract."""
    context = trip_of(Api({"GET /v1/me": [refusal(401, "NO_KEY")]}))
    context.call("getMe", "UNAUTHORIZED", auth="none")
    assert found(context.run) == [("failure", "error_code")]


def test_an_assumed_code_is_learned() -> None:
    """Where the name is a guess, the target's own is learned and differs from what is believed, not from a page."""
    context = trip_of(Api({GET: [refusal(404, "NO_SUCH_JOB")]}))
    context.call("getJob", "JOB_NOT_FOUND", path=PATH)
    assert found(context.run) == []
    assert context.run.learned.differences(BehaviourProfile()) == {
        "errors.job_not_found": ("JOB_NOT_FOUND", "NO_SUCH_JOB")
    }


def test_an_assumed_code_with_two_names_is_a_contradiction() -> None:
    """A target that names the same refusal in two ways is told so: no profile could do both."""
    context = trip_of(Api({GET: [refusal(404, "NO_SUCH_JOB")], PROGRESS: [refusal(404, "JOB_NOT_FOUND")]}))
    context.call("getJob", "JOB_NOT_FOUND", path=PATH)
    context.call("streamJobProgress", "JOB_NOT_FOUND", path=PATH)
    assert [each.value for each in context.run.learned.contradictions["errors.job_not_found"]] == [
        "NO_SUCH_JOB",
        "JOB_NOT_FOUND",
    ]


def test_what_is_learned_is_believed_from_then_on() -> None:
    """A 204 in the place of a job teaches `cancel.response`, and so is no failure, now and later."""
    context = trip_of(Api({CANCEL: [answer(204)], DELETE: [answer(204)]}))
    context.run.guard.own(JOB)
    for _ in range(2):
        context.call("cancelJob", 200, path=PATH)
        context.call("deleteJob", 200, path=PATH)
    assert found(context.run) == []
    behaviour = context.run.contract.behaviour
    assert (behaviour.cancel_response, behaviour.delete_response) == ("empty", "empty")


def test_a_204_where_no_switch_allows_it_fails() -> None:
    """An empty answer is another reading of cancel and delete only."""
    context = trip_of(Api({GET: [answer(204)]}))
    context.call("getJob", 200, path=PATH)
    assert {category for category, _ in found(context.run)} >= {"failure"}


def test_a_stream_is_judged_when_it_is_left() -> None:
    """Its events are held against the schema and teach their switches, also when the journey breaks off."""
    told = [{"jobId": JOB, "status": "done"}, {"jobId": JOB, "status": "done"}]
    context = trip_of(Api({PROGRESS: [stream([events(*told)])]}))
    streams: list[Stream] = []

    def broken_off() -> None:
        with context.stream(JOB, step="watch", last_event_id="3") as opened:
            streams.append(opened)
            opened.wait_closed(5)
            raise context.stop("enough")

    with pytest.raises(StopJourneyError, match="enough"):
        broken_off()
    (call,) = [opened.call for opened in streams]
    assert call is not None
    assert len(call.events) == 2
    assert {finding.name for finding in context.run.findings} >= {"mediaData", "timestamp"}
    assert "sse.payload" in context.run.learned.seen


def test_where_no_stream_opens_the_journey_stops() -> None:
    """The refusal is found, and stopping says nothing twice."""
    context = trip_of(Api({PROGRESS: [refusal(404, "JOB_NOT_FOUND")]}))
    with pytest.raises(StopJourneyError, match="no stream was opened"), context.stream(JOB, step="watch"):
        pass
    assert found(context.run) == [("failure", "status")]


def test_stopping_tells_what_nothing_else_tells() -> None:
    """A journey never ends silently: what no finding explains is inconclusive."""
    context = trip_of(Api())
    call = context.call("getMe", 200)
    assert isinstance(context.stop("nothing there", call), StopJourneyError)
    (finding,) = context.run.findings
    assert (finding.category, finding.name, finding.calls) == ("inconclusive", "journey", (call.number,))
    assert "could not go on: nothing there" in finding.message


def test_another_account_travels_the_same_journey() -> None:
    """The context on a throwaway account writes to the same run under the same name, and leaves the first as it was."""
    context = trip_of(Api())
    other = run_of(Api()).target.main
    copy = context.as_account(other)
    assert (copy.account, copy.journey, copy.run) == (other, context.journey, context.run)
    assert context.account is context.run.target.main


def test_an_outage_is_not_held_against_the_operation() -> None:
    """A 502 says nothing of what was expected."""
    context = trip_of(Api({GET: [html(502)]}))
    context.call("getJob", 200, path=PATH)
    assert {category for category, _ in found(context.run)} == {"inconclusive"}
