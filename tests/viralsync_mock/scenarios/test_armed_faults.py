"""Faults that are armed in a sandbox: which of them strike a call or a webhook, how often, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.faults.http import Latency, ServerStatus
from viralsync_mock.faults.webhook import BadSignature, BeforeResponse, Drop, Duplicate
from viralsync_mock.randomness import random_fraction
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults, MatchedFaults
from viralsync_mock.scenarios.model import Match, RequestFacts, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.faults.http import Fault

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CALL = RequestFacts("submitRenderJob", {"x-try": "1"}, {"projectId": "proj_a"}, 0.0)
LATE, REFUSED, TWICE, LOST = Latency(1.0), ServerStatus("SERVICE_UNAVAILABLE"), Duplicate(), Drop()
DRAW = partial(random_fraction, "a seed")
SEEDS = st.text("abc", min_size=1, max_size=4)
MATCHES = st.builds(
    Match,
    operation=st.sampled_from([None, "submitRenderJob", "getJob"]),
    every=st.sampled_from([None, 2]),
    after=st.integers(0, 2),
    times=st.sampled_from([None, 1, 3]),
    probability=st.sampled_from([None, 0.0, 0.3, 0.7, 1.0]),
)


def armed(*faults: tuple[Match, Fault], since: datetime = SINCE) -> ArmedFaults:
    """Return armed faults, with ids from fault_1 on."""
    return ArmedFaults(
        since, tuple(armed_fault(number, match, fault) for number, (match, fault) in enumerate(faults, 1))
    )


def armed_fault(number: int, match: Match, *faults: Fault) -> ArmedFault:
    """Return one of them."""
    return ArmedFault(f"fault_{number}", Rule(match, None, faults), {})


def struck(held: ArmedFaults, calls: int, draw: Callable[..., float] = DRAW) -> list[list[str]]:
    """Return for each of this many calls, all alike, the ids of what struck it."""
    return [[each.id for each in held.match_request(CALL, draw)] for _ in range(calls)]


def at(seconds: float) -> datetime:
    """Return an instant so long after the faults were armed."""
    return SINCE + timedelta(seconds=seconds)


def test_all_that_speak_to_a_call_are_done_to_it() -> None:
    """Unlike rules, of which the first decides."""
    held = armed((Match(), LATE), (Match(operation="getJob"), REFUSED), (Match(operation="submitRenderJob"), REFUSED))
    assert (MatchedFaults("fault_1", (LATE,)), MatchedFaults("fault_3", (REFUSED,))) == held.match_request(CALL, DRAW)


def test_nothing_armed_strikes_nothing() -> None:
    """An empty list is no fault."""
    assert (armed().match_request(CALL, DRAW), armed().match_webhook(SINCE, DRAW), armed().status(SINCE)) == (
        (),
        (),
        [],
    )


@pytest.mark.parametrize(
    ("match", "calls"),
    [
        (Match(times=2), [1, 2]),
        (Match(nth=3), [3]),
        (Match(every=2), [2, 4, 6]),
        (Match(after=4), [5, 6]),
        (Match(after=1, times=1), [2]),
        (Match(probability=0.0), []),
        (Match(probability=1.0, times=2), [1, 2]),
    ],
    ids=str,
)
def test_counts_begin_when_a_fault_is_armed(match: Match, calls: list[int]) -> None:
    """They are those of a rule."""
    ids = struck(armed((match, LATE)), 6)
    assert calls == [number for number, each in enumerate(ids, 1) if each]


def test_for_and_after_run_from_when_a_fault_was_armed() -> None:
    """A fault that lasts ten seconds from the fifth on has healed at the fifteenth."""
    held = armed((Match(after_seconds=5.0, duration=10.0), LATE))
    ages = [0.0, 4.9, 5.0, 14.9, 15.0, 99.0]
    assert [bool(held.match_request(replace(CALL, age=age), DRAW)) for age in ages] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_age_is_counted_on_the_sandboxs_clock() -> None:
    """From the instant when they were armed."""
    assert armed(since=at(30)).age(at(72.5)) == 42.5


# Of calls, of webhooks


@pytest.mark.parametrize(
    ("match", "faults", "is_of_webhooks"),
    [
        (Match(), (TWICE,), True),
        (Match(times=1, probability=0.5, duration=3.0), (TWICE, LOST), True),
        (Match(operation="submitRenderJob"), (TWICE,), False),
        (Match(header={"x-try": "1"}), (TWICE,), False),
        (Match(body={"projectId": "proj_a"}), (TWICE,), False),
        (Match(), (LATE,), False),
        (Match(), (LATE, TWICE), False),
        (Match(), (BeforeResponse(),), False),
        (Match(), (TWICE, BeforeResponse()), False),
    ],
)
def test_a_fault_is_of_webhooks_when_nothing_in_it_is_of_calls(
    match: Match, faults: tuple[Fault, ...], is_of_webhooks: bool
) -> None:
    """Neither its match nor any of its kinds asks for a call."""
    assert armed_fault(1, match, *faults).is_of_webhooks is is_of_webhooks


def test_calls_and_webhooks_are_struck_and_counted_apart() -> None:
    """A call uses up no turn of a webhook, nor the other way round."""
    held = armed((Match(times=1), TWICE), (Match(times=1), LATE))
    assert struck(held, 2) == [["fault_2"], []]
    assert [held.match_webhook(SINCE, DRAW) for _ in range(2)] == [(TWICE,), ()]


def test_webhooks_get_all_that_speaks_in_the_order_of_the_kinds() -> None:
    """In whatever order they were armed."""
    held = armed((Match(), LOST), (Match(), BadSignature()), (Match(), TWICE), (Match(operation="getJob"), TWICE))
    assert (TWICE, BadSignature(), LOST) == held.match_webhook(SINCE, DRAW)


def test_webhooks_heal_as_calls_do() -> None:
    """`for` is on the sandbox's clock."""
    held = armed((Match(duration=10.0), LOST))
    assert [held.match_webhook(at(seconds), DRAW) for seconds in (0.0, 9.9, 10.0)] == [(LOST,), (LOST,), ()]


# How they stand


def test_the_status_tells_of_each_in_the_order_of_arming() -> None:
    """Those of webhooks stand between the others."""
    held = armed((Match(), LATE), (Match(times=2), LOST), (Match(times=1), REFUSED))
    struck(held, 3)
    held.match_webhook(SINCE, DRAW)
    told = [(each.id, times, is_live) for each, times, is_live in held.status(SINCE)]
    assert told == [("fault_1", 3, True), ("fault_2", 1, True), ("fault_3", 1, False)]


def test_more_than_nine_stand_in_the_order_of_arming() -> None:
    """The tenth comes last, not after the first."""
    held = armed(*[(Match(), LATE)] * 11)
    assert [each.id for each, _, _ in held.status(SINCE)] == [f"fault_{number}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("match", "calls", "seconds", "is_live"),
    [
        (Match(), 9, 9.0, True),
        (Match(times=2), 1, 0.0, True),
        (Match(times=2), 2, 0.0, False),
        (Match(nth=2), 1, 0.0, True),
        (Match(nth=2), 2, 0.0, False),
        (Match(nth=2, after=1), 2, 0.0, True),
        (Match(nth=2, after=1), 3, 0.0, False),
        (Match(nth=1, probability=0.0), 1, 0.0, False),
        (Match(duration=5.0), 0, 4.9, True),
        (Match(duration=5.0), 0, 5.0, False),
        (Match(after_seconds=5.0, duration=5.0), 0, 9.9, True),
        (Match(after_seconds=5.0, duration=5.0), 0, 10.0, False),
    ],
    ids=str,
)
def test_a_fault_is_live_until_it_can_strike_no_more(match: Match, calls: int, seconds: float, is_live: bool) -> None:
    """Its times are used up, its one call was there, or its time is over."""
    held = armed((match, LATE))
    struck(held, calls)
    assert held.status(at(seconds))[0][2] is is_live


@given(match=MATCHES, duration=st.sampled_from([None, 5.0]), ages=st.lists(st.floats(0, 10), max_size=12), seed=SEEDS)
def test_what_has_healed_strikes_no_more(match: Match, duration: float | None, ages: list[float], seed: str) -> None:
    """And it never comes back to life."""
    held, draw = armed((replace(match, duration=duration), LATE)), partial(random_fraction, seed)
    seen: list[tuple[bool, bool]] = []
    for age in sorted(ages):
        was_live = held.status(at(age))[0][2]
        seen.append((was_live, bool(held.match_request(replace(CALL, age=held.age(at(age))), draw))))
    lives = [is_live for is_live, _ in seen]
    assert (False, True) not in seen
    assert lives == sorted(lives, reverse=True)


# Laws


@given(matches=st.lists(MATCHES, min_size=1, max_size=3), calls=st.integers(0, 30), seed=SEEDS)
def test_nothing_strikes_more_often_than_times(matches: list[Match], calls: int, seed: str) -> None:
    """The status tells how often each has struck."""
    held = armed(*((match, LATE) for match in matches))
    ids = struck(held, calls, partial(random_fraction, seed))
    told = {each.id: times for each, times, _ in held.status(SINCE)}
    assert told == {name: sum(name in each for each in ids) for name in told}
    assert all(match.times is None or told[f"fault_{n}"] <= match.times for n, match in enumerate(matches, 1))


@given(share=st.floats(0, 1), seed=SEEDS)
def test_a_probability_strikes_that_share_of_many(share: float, seed: str) -> None:
    """Of 1,000 calls and of 1,000 webhooks, give or take five standard deviations."""
    held, draw = (
        armed((Match(probability=share), LATE), (Match(probability=share), LOST)),
        partial(random_fraction, seed),
    )
    calls = sum(map(len, struck(held, 1000, draw)))
    webhooks = sum(len(held.match_webhook(SINCE, draw)) for _ in range(1000))
    assert max(abs(calls / 1000 - share), abs(webhooks / 1000 - share)) <= 0.08


@given(matches=st.lists(MATCHES, min_size=1, max_size=3), more=MATCHES, seed=SEEDS)
def test_another_fault_shifts_no_draw_of_those_before_it(matches: list[Match], more: Match, seed: str) -> None:
    """What struck without it strikes with it, on the same calls."""
    draw = partial(random_fraction, seed)
    few: list[tuple[Match, Fault]] = [(match, LATE) for match in matches]
    alone, added = struck(armed(*few), 20, draw), struck(armed(*few, (more, REFUSED)), 20, draw)
    last = f"fault_{len(few) + 1}"
    assert alone == [[name for name in ids if name != last] for ids in added]


@given(match=MATCHES, is_first=st.booleans(), seed=SEEDS)
def test_a_fault_of_webhooks_shifts_no_draw_of_calls(match: Match, is_first: bool, seed: str) -> None:
    """Wherever in the list it stands, and however many webhooks leave in between."""
    draw = partial(random_fraction, seed)
    call: tuple[Match, Fault] = (match, LATE)
    webhook: tuple[Match, Fault] = (Match(probability=0.5), LOST)
    held, beside = armed(*((webhook, call) if is_first else (call, webhook))), []
    for _ in range(20):
        beside.append(bool(held.match_request(CALL, draw)))
        held.match_webhook(SINCE, draw)
    assert beside == [bool(ids) for ids in struck(armed(call), 20, draw)]


def test_two_faults_of_one_probability_strike_different_calls() -> None:
    """Each draws for itself."""
    ids = struck(armed((Match(probability=0.5), LATE), (Match(probability=0.5), REFUSED)), 100)
    assert {len(each) for each in ids} == {0, 1, 2}


@given(match=MATCHES, seed=SEEDS)
def test_the_same_seed_strikes_the_same_calls(match: Match, seed: str) -> None:
    """Armed anew, it counts and draws from the beginning."""
    draw = partial(random_fraction, seed)
    assert struck(armed((match, LATE)), 20, draw) == struck(armed((match, LATE)), 20, draw)
