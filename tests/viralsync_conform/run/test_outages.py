"""Whether an odd answer says something of the contract, or only that the target was not well."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import httpx2
import pytest
from tests.support.fake_target import USAGE, Api, FakeClock, answer, found, html, refusal, trip_of
from tests.support.results import spec

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.run import outages
from viralsync_conform.run.context import RunContext, StopJourneyError, StopRunError
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, settle_budget, submission
from viralsync_conform.target import wire
from viralsync_conform.target.wire import MAX_READ

WELL = answer(200, {"jobs": [], "nextCursor": None})
BROKEN = refusal(500, "INTERNAL_ERROR")
AWAY = refusal(503, "SERVICE_UNAVAILABLE")
LIST = "GET /v1/jobs"
SUBMIT = "POST /v1/render/jobs"


def listed(*answers: httpx2.Response | Exception, **options: Any) -> tuple[JourneyContext, Api]:
    """Call the list, which is answered so; account and usage are well."""
    api = Api({LIST: list(answers)})
    context = trip_of(api, **options)
    context.call("listJobs", 200)
    return context, api


def waits(run: RunContext) -> list[float]:
    clock = run.target.main.clock
    assert isinstance(clock, FakeClock)
    return clock.waits


def test_a_request_that_makes_the_server_fail_again_and_again_is_a_failure() -> None:
    """Three times of three, while the account is read without trouble: the server fails for this request."""
    context, api = listed(BROKEN)
    (failure,) = [finding for finding in context.run.findings if finding.category == "failure"]
    assert (failure.check, failure.status, failure.place, failure.got) == (
        "server_error", 500, "listJobs", "500 INTERNAL_ERROR",
    )  # fmt: skip
    assert Counter(api.routes) == {LIST: outages.TRIES, "GET /v1/me": 1}
    assert facts.SERVER_ERROR in context.run.asserted


def test_a_failure_that_heals_is_inconclusive() -> None:
    """What succeeds when tried again was no word about the contract, but it is told."""
    context, api = listed(BROKEN, WELL)
    assert found(context.run) == [("inconclusive", "outage")]
    assert [finding.calls for finding in context.run.findings] == [(1,)]
    assert api.routes == [LIST, LIST]


def test_a_real_target_is_given_time_before_it_is_tried_again() -> None:
    """Real seconds pass between the tries, longer each time; on this machine none need to."""
    context, _ = listed(BROKEN)
    assert context.run.shared["pauses"] == list(outages.PAUSES)
    context, _ = listed(BROKEN, base_url="http://127.0.0.1:1")
    assert context.run.shared["pauses"] == []


def outage(length: int, **options: Any) -> JourneyContext:
    """Return a context whose target answers 503 to whatever comes, this many times."""
    return trip_of(Api(everywhere=[AWAY] * length), **options)


def test_an_outage_that_ends_lets_the_run_go_on() -> None:
    """Everything fails for a while: that is inconclusive, and the next call is judged again."""
    context = outage(outages.TRIES + 2)
    context.call("listJobs", 200)
    assert set(found(context.run)) == {("inconclusive", "outage")}
    assert context.run.shared["pauses"] == [*outages.PAUSES, *outages.RECOVERY[:2]]
    before = len(context.run.findings)
    assert context.call("listJobs", 200).is_success
    assert len(context.run.findings) == before


def test_a_target_that_stays_away_stops_the_run() -> None:
    """After all the time that it is given to come back, nothing more is asked; nothing of it is a failure."""
    context = outage(99)
    with pytest.raises(StopRunError, match="stays away"):
        context.call("listJobs", 200)
    assert set(found(context.run)) == {("inconclusive", "outage")}
    assert context.run.shared["pauses"] == [*outages.PAUSES, *outages.RECOVERY]


@pytest.mark.parametrize("odd", [html(502), html(504), httpx2.ReadTimeout("slow"), httpx2.ConnectError("refused")])
def test_what_a_proxy_or_the_network_says_is_inconclusive(odd: httpx2.Response | Exception) -> None:
    """Even when it comes for one request only: it is not the API's own word."""
    context, _ = listed(odd)
    assert set(found(context.run)) == {("inconclusive", "outage")}


def test_a_stream_in_the_place_of_an_answer_is_another_media_type() -> None:
    """Nobody waits for its end."""
    context, api = listed(httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"data: a\n\n"))
    assert ("failure", "content_type") in found(context.run)
    assert api.routes == [LIST]


def test_a_429_is_waited_out() -> None:
    """The run obeys `Retry-After` on the target's clock: somebody else may use the key."""
    context, api = listed(refusal(429, "RATE_LIMITED", retry_after="17"), WELL)
    assert waits(context.run) == [17.0]
    assert found(context.run) == []
    assert api.routes == [LIST, LIST]


@pytest.mark.parametrize(
    ("header", "seconds"), [("3600", outages.MAX_RETRY_AFTER), ("soon", 5.0), ("-1", 5.0), ("", 5.0)]
)
def test_no_target_keeps_a_run_waiting_for_ever(header: str, seconds: float) -> None:
    """A wait has an end, and one that is no number is a short one."""
    context, _ = listed(refusal(429, "RATE_LIMITED", retry_after=header), WELL)
    assert waits(context.run)[0] == seconds


def test_a_429_that_stays_is_inconclusive_and_no_failure() -> None:
    """Somebody else may use the key: the status says nothing of the operation."""
    context, api = listed(refusal(429, "RATE_LIMITED", retry_after="1"))
    assert {category for category, _ in found(context.run)} == {"inconclusive"}
    assert len(api.asked) == outages.TRIES


def test_a_run_that_meets_a_429_leaves_more_room_to_others() -> None:
    """Somebody else uses the key: half the pace, and half of that, until no more 429 comes."""
    context, _ = listed(refusal(429, "RATE_LIMITED", retry_after="1"), refusal(429, "RATE_LIMITED"), WELL)
    assert context.account.share == 0.8 / 4


def test_what_an_excused_answer_does_not_show_is_no_finding() -> None:
    """A check that rests on a call which was refused for no fault of the contract says nothing."""
    context, _ = listed(refusal(429, "RATE_LIMITED", retry_after="1"))
    context.check(facts.STAYS, False, context.run.calls[-1])
    assert ("failure", facts.STAYS.name) not in found(context.run)


def test_a_429_that_was_asked_for_is_not_waited_out() -> None:
    """The journey that fills the window wants to see it."""
    api = Api({LIST: [refusal(429, "RATE_LIMITED", retry_after="17")]})
    context = trip_of(api)
    context.is_paced = False
    context.call("listJobs", "RATE_LIMITED")
    assert (found(context.run), len(api.asked), waits(context.run)) == ([], 1, [])


def submitted(*answers: httpx2.Response | Exception, usage: object = USAGE) -> tuple[JourneyContext, Api]:
    api = Api({SUBMIT: list(answers), "GET /v1/usage": [answer(200, usage)]})
    context = trip_of(api)
    context.call("submitRenderJob", 202, body=submission("proj_1"), is_repeatable=False)
    return context, api


@pytest.mark.parametrize("odd", [BROKEN, AWAY, html(502), httpx2.ReadTimeout("slow")])
def test_a_submission_that_failed_is_never_repeated(odd: httpx2.Response | Exception) -> None:
    """It may have made a job all the same: a second one could be charged twice. Once is no proof either."""
    context, api = submitted(odd)
    assert api.routes.count(SUBMIT) == 1
    assert set(found(context.run)) == {("inconclusive", "outage")}


def test_an_invalid_submission_may_be_repeated() -> None:
    """What must be refused makes nothing, so that a server which fails for it can be told from an outage."""
    api = Api({SUBMIT: [BROKEN]})
    context = trip_of(api)
    context.call("submitRenderJob", "VALIDATION_ERROR", body={"kind": "movie"})
    assert api.routes.count(SUBMIT) == outages.TRIES
    assert ("failure", "server_error") in found(context.run)


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (401, "API_KEY_REVOKED"), (403, "FORBIDDEN")])
def test_our_own_key_being_refused_everywhere_is_inconclusive(status: int, code: str) -> None:
    """A wrong key, or a plan without REST, says nothing of the contract."""
    context = trip_of(Api(everywhere=[refusal(status, code)] * 9))
    context.call("listJobs", 200)
    context.call("getMe", 200)
    assert set(found(context.run)) == {("inconclusive", "outage")}


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "FORBIDDEN")])
def test_our_own_key_being_refused_by_one_operation_is_a_failure(status: int, code: str) -> None:
    """Where the same key reads the account, it must read the list."""
    context, _ = listed(refusal(status, code))
    assert found(context.run) == [("failure", "status")]


@pytest.mark.parametrize(("used", "category"), [(200.0, "inconclusive"), (1.0, "failure")])
def test_a_refused_submission_is_held_against_the_usage(used: float, category: str) -> None:
    """A spent quota is nobody's fault; a refusal without it breaks the contract."""
    minutes = {"used": used, "limit": 200, "remaining": 0}
    context, _ = submitted(refusal(402, "RENDER_QUOTA_EXCEEDED"), usage={**USAGE, "renderMinutes": minutes})
    assert [each for each, _ in found(context.run)] == [category]


@pytest.mark.parametrize(("used", "category"), [(199.99, "inconclusive"), (199.5, "failure")])
def test_a_submission_may_be_refused_by_what_it_would_cost(used: float, category: str) -> None:
    """Whether the quota is held against what is used or against the forecast is open: a movie of a second is 0.017."""
    minutes = {"used": used, "limit": 200, "remaining": 200 - used}
    context, _ = submitted(refusal(402, "RENDER_QUOTA_EXCEEDED"), usage={**USAGE, "renderMinutes": minutes})
    assert [each for each, _ in found(context.run)] == [category]


@pytest.mark.parametrize(("listed", "category"), [("queued", "inconclusive"), ("done", "failure")])
def test_a_slot_that_is_refused_is_held_against_the_list(listed: str, category: str) -> None:
    """Where another job of the account is under way it may take the slot; where none is, a slot must be free."""
    job = {**spec().document["components"]["examples"][f"{listed}Job"]["value"], "jobId": "job_00000000000f"}
    context = trip_of(Api({SUBMIT: [refusal(409, "CONCURRENCY_LIMIT_EXCEEDED")],
                           "GET /v1/jobs": [answer(200, {"jobs": [job], "nextCursor": None})]}))  # fmt: skip
    context.call("getMe", 200)
    context.call("submitRenderJob", 202, body=submission("proj_1"), is_repeatable=False)
    assert (category, {"inconclusive": "outage", "failure": "status"}[category]) in found(context.run)


@pytest.mark.parametrize("usage", [{}, {"renderMinutes": None, "concurrentJobs": 3}])
@pytest.mark.parametrize(("status", "code"), [(402, "RENDER_QUOTA_EXCEEDED")])
def test_an_account_that_does_not_say_what_it_used_is_believed(status: int, code: str, usage: object) -> None:
    """The shape of the usage is assumed as a whole: where it is another one, a refusal cannot be held against it."""
    context, _ = submitted(refusal(status, code), usage=usage)
    assert set(found(context.run)) == {("inconclusive", "outage"), ("difference", "schema")}


def test_when_the_account_itself_fails_the_usage_is_asked() -> None:
    """A probe must not be the operation in question: a server that fails for the account alone is noticed."""
    api = Api({"GET /v1/me": [BROKEN]})
    context = trip_of(api)
    context.call("getMe", 200)
    assert ("failure", "server_error") in found(context.run)
    assert api.routes[-1] != "GET /v1/me"


def test_probes_are_paid_for() -> None:
    """Looking whether the target is well costs a request like any other."""
    context, api = listed(BROKEN)
    assert context.run.budget.requests == len(api.asked) == len(context.run.calls) > outages.TRIES


@pytest.mark.parametrize(("drops", "category"), [(5, set()), (6, {"failure"})])
def test_connections_that_close_unanswered_again_and_again_are_a_failure(drops: int, category: set[str]) -> None:
    """A poor line loses an answer now and then; a server that hangs up on one request of ten is broken."""
    closed = httpx2.RemoteProtocolError("Server disconnected without sending a response.")
    context = trip_of(Api({LIST: [WELL, closed] * drops + [WELL]}))
    for _ in range(drops + 1):
        context.call("listJobs", 200)
    outages.check_stability(context.run)
    assert {each for each, check in found(context.run) if check == "server_error"} == category


LONG = httpx2.Response(200, headers={"content-type": "application/json"}, content=b" " * (MAX_READ + 1))
"""A body that is cut off here: it may have no end."""


@pytest.mark.parametrize("late", [False, True])
def test_a_body_that_never_ends_breaks_the_contract(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times of three, while the account is read without trouble: one finding, of a check that says so."""
    instants = itertools.count()
    if late:
        monkeypatch.setattr(wire, "monotonic", lambda: float(next(instants) * 1000))
    api = Api({"GET /v1/usage": [answer(200, USAGE) if late else LONG]})
    context = trip_of(api)
    context.call("getUsage", 200)
    assert found(context.run) == [("failure", "body_ends")]
    assert api.routes == ["GET /v1/usage"] * outages.TRIES + ["GET /v1/me"]


def test_a_body_that_is_known_to_have_no_end_is_not_read_three_times() -> None:
    """Each try takes as long as a call may; the next call of the operation joins the finding."""
    api = Api({"GET /v1/usage": [LONG]})
    context = trip_of(api)
    context.call("getUsage", 200)
    context.call("getUsage", 200)
    assert found(context.run) == [("failure", "body_ends")]
    assert api.routes.count("GET /v1/usage") == outages.TRIES + 1


def test_a_body_that_ends_when_it_is_asked_for_again_is_inconclusive() -> None:
    """What heals was an outage."""
    context = trip_of(Api({"GET /v1/usage": [LONG, answer(200, USAGE)]}))
    context.call("getUsage", 200)
    assert set(found(context.run)) == {("inconclusive", "outage")}


@pytest.mark.parametrize(("short", "expected"), [(WELL, ("inconclusive", "outage")), (LONG, ("failure", "body_ends"))])
def test_a_long_page_may_only_be_long(short: httpx2.Response, expected: tuple[str, str]) -> None:
    """A hundred jobs may echo large movies: only where a page of one job has no end either, the list has none."""
    context, api = listed(*[LONG] * outages.TRIES, short)
    assert found(context.run) == [expected]
    assert api.asked[-1].url.params["limit"] == "1"


@pytest.mark.parametrize(("hangs", "expected"), [(True, ["ends"]), (False, ["outage"])])
def test_a_job_that_hangs_and_the_slots_it_holds_are_one_finding(hangs: bool, expected: list[str]) -> None:
    """It takes a slot until it is gone: the submission that finds none is refused for that one cause."""
    context = trip_of(Api({SUBMIT: [refusal(409, "CONCURRENCY_LIMIT_EXCEEDED")]}))
    run, look = context.run, context.call("getMe", 200)
    run.jobs = {f"job_{number}": Job(f"job_{number}", {}, 0.0, look) for number in range(3)}
    if hangs:
        run.hung.add("job_0")
        context.check(facts.ENDS, False, look)
    settle_budget(context, run.jobs["job_0"], "running")
    refused = context.call("submitRenderJob", 202, body=submission("proj_1"), is_repeatable=False)
    assert [check for _, check in found(run)] == expected
    assert [finding.calls[-1] for finding in run.findings] == [refused.number]
    with pytest.raises(StopJourneyError):
        raise context.stop("no job was made", refused)
    assert [check for _, check in found(run)] == expected
