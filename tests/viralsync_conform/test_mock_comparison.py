"""How alike mock and target are: the same journeys, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.results import JOB, call

from viralsync_conform.calls import Event, Exchange
from viralsync_conform.mock_comparison import compared, trace_of
from viralsync_conform.result import Fidelity, StepDifference
from viralsync_mock.clock import EPOCH

PAGE = {"jobs": [{"jobId": JOB, "status": "done"}], "nextCursor": None}


def fidelity(
    target: Exchange | list[Exchange], mock: Exchange | list[Exchange], *, with_lists: bool = True
) -> Fidelity:
    traces = [
        trace_of(calls if isinstance(calls, list) else [calls], with_lists=with_lists) for calls in (target, mock)
    ]
    return compared(*traces)


def answered(answer: object, **rest: Any) -> Exchange:
    return call(1, "getJob", answer, headers=(), **rest)


@pytest.mark.parametrize(
    ("target", "mock"),
    [
        (answered({"jobId": "job_a", "n": 1}), answered({"jobId": "job_b", "n": 2.5})),
        (answered({"status": "done"}), answered({"status": "done"})),
        (answered({"movie": {"any": 1}}), answered({"movie": {"other": "x"}})),
        (call(1, status=None, problem="time-out: no answer"), call(1, status=None, problem="time-out: nothing")),
        (call(1, headers=(("Content-Type", "application/json; charset=utf-8"),)),
         call(1, headers=(("content-type", "application/json"),))),
        (call(1, headers=(("Retry-After", "3"),)), call(1, headers=(("retry-after", "59"),))),
        (call(1, headers=(("allow", "DELETE, GET"),)), call(1, headers=(("allow", "GET,HEAD, DELETE, OPTIONS"),))),
        (call(1, headers=(("date", "x"), ("server", "y"))), call(1, headers=())),
    ],
)  # fmt: skip
def test_what_differs_in_values_only_is_the_same(target: Exchange, mock: Exchange) -> None:
    """Ids, instants and amounts differ in any two runs: of them the type counts."""
    assert fidelity(target, mock) == Fidelity(1, 1, ())
    assert fidelity(target, mock).percent == 100.0


@pytest.mark.parametrize(
    ("target", "mock", "told"),
    [
        (answered({}, status=204), answered({}), "204"),
        (answered({"etag": "x"}), answered({}), "200 /etag: string"),
        (answered({"n": None}), answered({"n": 1}), "200 /n: null"),
        (answered({"n": True}), answered({"n": 1}), "200 /n: boolean"),
        (answered({"status": "running"}), answered({"status": "waiting"}), "200 /status = running"),
        (answered({"code": "NO_JOB"}, status=404), answered({"code": "JOB_NOT_FOUND"}, status=404),
         "404 /code = NO_JOB"),
        (answered({"list": [1]}), answered({"list": []}), "200 /list/*: number"),
        (answered({"list": []}), answered({"list": [1]}), "200 /list: an empty list"),
        (call(1, headers=(("allow", "GET"),)), call(1, headers=(("allow", "GET, DELETE"),)), "200 allow: GET"),
        (call(1, headers=(("retry-after", "soon"),)), call(1, headers=(("retry-after", "3"),)),
         "200 retry-after: soon"),
    ],
)  # fmt: skip
def test_what_the_mock_does_not_show_is_a_difference(target: Exchange, mock: Exchange, told: str) -> None:
    """Status, headers of the contract, fields, their types, and the words that are contract."""
    found = fidelity(target, mock)
    assert (found.same, found.percent) == (0, 0.0)
    assert told in found.differences[0].target


def test_the_target_may_show_less_than_the_mock() -> None:
    """A step is alike when the mock shows all of it: a slow target shows fewer phases in as many polls."""
    polls = [answered({"phase": phase}) for phase in ("planning", "rendering", "uploading")]
    assert fidelity(polls[:1], polls).same == 1
    assert fidelity(polls, polls[:2]).differences == (
        StepDifference("life_by_polling", "poll", "200 /phase = uploading", "200"),
    )


def test_where_a_job_stood_may_show_in_another_step() -> None:
    """How far a job is when a step meets it is a matter of time; that the mock never shows it is not."""
    target, mock = answered({"status": "running"}, step="cancel"), answered({"status": "queued"}, step="cancel")
    elsewhere = answered({"status": "running"}, step="poll")
    assert fidelity(target, [mock, elsewhere]).same == 1
    assert fidelity(target, mock).same == 0
    code = answered({"code": "NO"}, step="cancel")
    assert fidelity(code, [mock, answered({"code": "NO"}, step="poll")]).same == 0


def test_steps_are_told_apart_by_journey_and_name() -> None:
    """Steps that only one of both came to are not compared: how many pages there are depends on what is listed."""
    one, other = answered({"a": 1}, step="one"), answered({"b": 1}, step="other")
    assert fidelity([one, other], [one]) == fidelity([one], [one, other]) == Fidelity(1, 1, ())
    assert fidelity(answered({"a": 1}, journey="another"), one).steps == 0
    assert fidelity(one, answered({"b": 1}, step="one")).differences[0].step == "one"


def test_a_second_try_is_the_same_step() -> None:
    """What was repeated after an outage is compared with what needed no repeating."""
    assert fidelity([answered({}, step="poll again")], [answered({}, step="poll")]).same == 1


def test_cleaning_and_probes_are_not_compared() -> None:
    """They depend on what went wrong, not on how the target behaves."""
    odd = [answered({}, journey="cleaning"), answered({}, step="probe")]
    assert trace_of(odd, with_lists=True) == {}
    assert fidelity(odd, []).percent == 0.0


def test_the_jobs_of_others_are_not_compared() -> None:
    """On an account that others use, pages hold jobs that this run knows nothing of; the page itself is compared."""
    target, mock = (call(1, "listJobs", {**PAGE, "jobs": jobs}, headers=()) for jobs in ([{"odd": 1}], []))
    assert fidelity(target, mock, with_lists=False).same == 1
    assert fidelity(target, mock, with_lists=True).same == 0
    other = call(1, "listJobs", {"items": [], "nextCursor": None}, headers=())
    assert fidelity(other, mock, with_lists=False).same == 0


def streamed(*events: tuple[str | None, str], is_closed: bool = True) -> Exchange:
    told = tuple(Event("1", name, data, EPOCH) for name, data in events)
    return call(1, "streamJobProgress", headers=(), events=told, is_closed=is_closed)


def test_streams_are_compared_by_their_events() -> None:
    """Names, fields and the end of a stream are compared, the number of its events is not."""
    one = streamed((None, '{"status": "done"}'))
    assert fidelity(one, streamed(*[(None, '{"status": "done"}')] * 3)).same == 1
    for other in (
        streamed(("done", '{"status": "done"}')),
        streamed((None, '{"status": "done", "eta": 1}')),
        streamed((None, '{"status": "done"}'), is_closed=False),
    ):
        assert fidelity(other, one).same == 0


def test_a_long_difference_is_cut() -> None:
    """A page of the report shows three of them and says how many more there are."""
    (found,) = fidelity(answered(dict.fromkeys("abcdef", 1)), answered({})).differences
    assert found.target == "200 /a: number | 200 /b: number | 200 /c: number | and 3 more"
