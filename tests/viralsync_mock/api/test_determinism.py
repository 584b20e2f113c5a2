"""The same seed and the same calls bring the same about, byte for byte; one more draw shifts no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import MOVIE
from tests.support.in_process import CALL_KINDS, VALUES, Exchange, InProcess, arming, faults

from viralsync_mock.clock import Mode
from viralsync_mock.scenarios.loader import parse_scenario

HOOK = "http://127.0.0.1:9/hook"
SUBMISSION = {**MOVIE, "callbackUrl": HOOK}


class Deed(NamedTuple):
    """One call of a sequence; `{0}` in the target is the id of the first job."""

    method: str
    target: str
    body: Any = None
    fault: str | None = None


def deeds() -> st.SearchStrategy[list[Deed]]:
    """Return sequences of calls and orders."""
    calls = st.sampled_from(
        [
            ("POST", "/v1/render/jobs", SUBMISSION),
            ("POST", "/v1/render/jobs", {}),
            ("GET", "/v1/jobs/{0}", None),
            ("GET", "/v1/jobs?limit=2", None),
            ("GET", "/v1/jobs/{0}/progress", None),
            ("POST", "/v1/jobs/{0}/cancel", None),
            ("GET", "/v1/usage", None),
        ]
    )
    header = st.none() | st.sampled_from(
        [
            "latency=1s",
            '{"latency": {"mean": 2, "jitter": "1s"}}',
            "status=503",
            "truncated_body",
            "duplicate=2",
            "before_response",
        ]
    )
    orders = st.one_of(
        arming().map(lambda armed: Deed("PUT", "/__mock/faults", {"faults": armed})),
        st.sampled_from([0.5, 5, 60]).map(lambda s: Deed("POST", "/__mock/clock/advance", {"seconds": s})),
    )
    return st.lists(
        st.builds(lambda call, fault: Deed(call[0], call[1], call[2], fault), calls, header) | orders,
        min_size=1,
        max_size=10,
    )


async def _do(it: InProcess, deed: Deed) -> Exchange:
    first = next(iter([*it.sandbox.store.newest_first(it.sandbox.clock.now(), None, None)][-1:]), None)
    headers = {"x-mock-fault": deed.fault} if deed.fault else {}
    target = deed.target.replace("{0}", first.id if first else "job_000000000000")
    return await it.call(deed.method, target, deed.body, headers=headers)


async def _play(deeds: Iterable[Deed], seed: str, mode: Mode, rules: list[dict[str, Any]] | None = None) -> list[Any]:
    """Carry out a sequence on a mock of its own and return all that can be seen of it."""
    async with InProcess(mode, seed=seed) as it:
        if rules is not None:
            it.sandbox.scenario_override = parse_scenario(
                {"name": "odd", "description": "Odd.", "rules": rules}, it.mock.files.spec
            )
        await it.control("PATCH", "/account", {"plan": "enterprise"})
        made = [await _do(it, deed) for deed in deeds]
        await it.quiet()
        sandbox = it.sandbox
        assert it.bugs == []
        return [
            *((each.status, each.lines, each.content, each.was_cut, each.has_ended) for each in made),
            *(_seen(entry) for entry in sandbox.journal.oldest_first()),
            *(orjson.dumps(each.document()) for each in sandbox.deliveries.newest_first()),
            [(request, status) for request, status in it.receiver.got],
            sandbox.clock.now(),
        ]


def _seen(entry: Any) -> tuple[object, ...]:
    struck = [(each.id, each.faults) for each in entry.matched_faults]
    instants = (entry.at, entry.answered_at, entry.ended_at)
    return (entry.number, entry.operation, entry.status, entry.ending, *instants, struck, entry.events, entry.job_id)


def play(deeds: Iterable[Deed], seed: str = "0", mode: Mode = Mode.FROZEN, **how: Any) -> list[Any]:
    """Carry out a sequence in a loop of its own."""
    return asyncio.run(_play(deeds, seed, mode, **how))


@settings(max_examples=25)
@given(deeds=deeds(), seed=st.sampled_from(["0", "another"]), mode=st.sampled_from([Mode.FROZEN, Mode.AUTO]))
def test_law_the_same_seed_and_calls_bring_the_same_about(deeds: list[Deed], seed: str, mode: Mode) -> None:
    """Answers, headers, journal, webhooks and the clock: nothing depends on anything else."""
    assert play(deeds, seed, mode) == play(deeds, seed, mode)


def test_another_seed_brings_other_ids_and_other_draws() -> None:
    """It is the seed that they follow from."""
    half = [{"fault": {"status": 503}, "match": {"operation": "getUsage"}, "probability": 0.5}]
    calls = [Deed("PUT", "/__mock/faults", {"faults": half}), *[Deed("GET", "/v1/usage")] * 20]
    calls.append(Deed("POST", "/v1/render/jobs", MOVIE))
    (*first, id_1), (*second, id_2) = ([each[2] for each in play(calls, seed)[1:22]] for seed in ("1", "2"))
    assert first != second
    assert id_1 != id_2


LATENCIES = [Deed("GET", "/v1/usage", None, '{"latency": {"mean": 2, "jitter": "1s"}}')] * 3
HALF = {"fault": {"status": 503}, "match": {"operation": "getUsage"}, "probability": 0.5}
OTHER = {"fault": {"status": 500}, "match": {"operation": "cancelJob"}, "probability": 0.5}


def _statuses(seen: list[Any], number: int) -> list[int]:
    return [each[0] for each in seen[:number]]


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_one_more_armed_fault_shifts_no_draw_of_another(seed: str) -> None:
    """The share of calls that a fault strikes stays where it is, call by call."""
    calls = [Deed("GET", "/v1/usage")] * 20
    with_one, with_two = (
        _statuses(play([Deed("PUT", "/__mock/faults", {"faults": armed}), *calls], seed), 21)
        for armed in ([HALF], [HALF, OTHER])
    )
    assert with_one == with_two
    assert {200, 503} == set(with_one)


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_one_more_rule_shifts_no_draw_of_another(seed: str) -> None:
    """Neither does a rule of a scenario."""

    def rule(fault: dict[str, Any]) -> dict[str, Any]:
        return {"match": {**fault["match"], "probability": fault["probability"]}, "fault": fault["fault"]}

    calls = [Deed("GET", "/v1/usage")] * 20
    with_one = _statuses(play(calls, seed, rules=[rule(HALF)]), 20)
    assert with_one == _statuses(play(calls, seed, rules=[rule(HALF), rule(OTHER)]), 20)
    assert {200, 503} == set(with_one)


def test_one_more_jitter_shifts_no_draw_of_another_call() -> None:
    """Each call draws for itself; which of the others drew makes no difference."""
    quiet, first, second = Deed("GET", "/v1/usage"), LATENCIES[0], LATENCIES[1]
    drawn = [dict(each[1])["x-mock-fault"] for each in play([first, first, second])[:3]]
    assert len(set(drawn)) == 3
    assert drawn[2] == dict(play([quiet, quiet, second])[2][1])["x-mock-fault"]


@settings(max_examples=25)
@given(deeds=deeds(), mode=st.sampled_from([Mode.FROZEN, Mode.AUTO]))
def test_law_every_failure_says_how_to_bring_it_about_again(deeds: list[Deed], mode: Mode) -> None:
    """Its headers name the seed; those of a call that faults have struck name them, too."""
    seen = play(deeds, "a seed", mode)
    calls = [each for deed, each in zip(deeds, seen, strict=False) if deed.target.startswith("/v1/")]
    entries = [each for each in seen[len(deeds) :] if isinstance(each, tuple)][: len(calls)]
    for (status, lines, *_), entry in zip(calls, entries, strict=True):
        if status is None:
            continue
        headers, was_struck = dict(lines), bool(entry[7])
        assert ("x-mock-fault" in headers) == was_struck
        assert (headers.get("x-mock-seed") == "a seed") == (was_struck or status >= 400)


CALLS = [
    Deed("POST", "/v1/render/jobs", MOVIE),
    Deed("GET", "/v1/jobs/{0}"),
    Deed("GET", "/v1/jobs"),
    Deed("GET", "/v1/jobs/job_000000000000"),
    Deed("POST", "/v1/jobs/{0}/cancel"),
    Deed("GET", "/v1/usage"),
    Deed("GET", "/v1/me"),
]
BEFORE = [Deed("POST", "/v1/render/jobs", MOVIE), Deed("POST", "/__mock/clock/advance", {"seconds": 7})]


async def _answer(deed: Deed, armed: dict[str, Any] | None = None) -> tuple[tuple[object, ...], str]:
    """Make a call after the same few others; return what came of it, and the header that brings it about again."""
    async with InProcess(seed="7") as it:
        for each in BEFORE:
            await _do(it, each)
        if armed is not None:
            await it.control("PUT", "/faults", {"faults": [{"fault": armed}]})
        exchange = await _do(it, deed)
        entry = it.sandbox.journal.read(2)
        assert entry is not None
        told = dict(entry.answer_headers).get(b"x-mock-fault", b"").decode()
        came = (exchange.status, exchange.lines, exchange.content, exchange.was_cut, exchange.has_ended, entry.ending)
        return came, told


@pytest.mark.parametrize("kind", CALL_KINDS)
@settings(max_examples=10)
@given(call=st.sampled_from(CALLS), data=st.data())
def test_law_the_header_of_a_faulted_answer_brings_it_about_again(kind: str, call: Deed, data: st.DataObject) -> None:
    """Sent back with an equal call to a fresh mock of the same seed, it makes the same answer."""
    armed = {kind: data.draw(st.sampled_from(VALUES[kind]))} | data.draw(st.just({}) | faults(*CALL_KINDS))
    first, told = asyncio.run(_answer(call, armed))
    assert told
    again, told_again = asyncio.run(_answer(call._replace(fault=told)))
    assert first == again
    assert told == told_again
