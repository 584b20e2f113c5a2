"""The matching logic of scenarios: which rule speaks to which call."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.json_subset import is_subset
from viralsync_mock.randomness import random_fraction
from viralsync_mock.scenarios.model import Match, NearMiss, RequestFacts, Respond, Rule, RuleMatch, RuleState

COUNTS = st.integers(1, 6)
SEEDS = st.text("abc", min_size=1, max_size=4)
SHARES = st.floats(0, 1)
DRAW = partial(random_fraction, "a seed")


def asked(operation: str = "getJob", age: float = 0.0, body: Any = None, **headers: str) -> RequestFacts:
    """Return what a rule sees of a call."""
    return RequestFacts(operation, headers, body, age)


def spoken(match: Match, calls: int = 12) -> list[int]:
    """Return the numbers of the calls, all alike, to which a rule speaks."""
    script = scripted(Rule(match))
    return [number for number in range(1, calls + 1) if script.first_match(asked(), DRAW).rule is not None]


def scripted(*rules: Rule) -> RuleState:
    """Return the script of these rules."""
    return RuleState("odd", rules)


def near_miss(call: RequestFacts, *matches: Match) -> NearMiss | None:
    """Return what came nearest to a call."""
    return scripted(*map(Rule, matches)).first_match(call, DRAW).near_miss


@pytest.mark.parametrize(
    ("match", "numbers"),
    [
        (Match(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (Match(nth=3), [3]),
        (Match(every=5), [5, 10]),
        (Match(times=2), [1, 2]),
        (Match(after=9), [10, 11, 12]),
        (Match(after=2, times=3), [3, 4, 5]),
        (Match(after=2, nth=3), [5]),
        (Match(after=1, every=4), [5, 9]),
        (Match(every=3, times=2), [3, 6]),
        (Match(after=2, every=3, times=2), [5, 8]),
    ],
    ids=str,
)
def test_counts_choose_among_calls_that_fit(match: Match, numbers: list[int]) -> None:
    """Calls are counted from 1; `after` moves where the counting begins."""
    assert spoken(match) == numbers


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(operation="getJob"), True),
        (Match(operation="listJobs"), False),
        (Match(header={"x-try": "2"}), True),
        (Match(header={"X-Try": "2"}), True),
        (Match(header={"x-try": "22"}), False),
        (Match(header={"x-other": "2"}), False),
        (Match(body={"movie": {"title": "One"}}), True),
        (Match(body={"movie": {"title": "Two"}}), False),
        (Match(after_seconds=30.0), True),
        (Match(after_seconds=30.5), False),
        (Match(duration=30.5), True),
        (Match(duration=30.0), False),
        (Match(after_seconds=29.0, duration=1.5), True),
        (Match(after_seconds=29.0, duration=1.0), False),
        (Match(operation="getJob", header={"x-try": "1"}), False),
    ],
    ids=str,
)
def test_a_rule_fits_when_all_that_is_given_holds(match: Match, fits: bool) -> None:
    """Operation, headers, body and age are looked at, and nothing that is not given."""
    call = RequestFacts("getJob", {"x-try": "2"}, {"movie": {"title": "One", "fps": 30}}, 30.0)
    assert match.matches(call) is fits


def test_a_body_is_not_in_a_call_without_one() -> None:
    """What is not there does not match, and does not break."""
    assert not Match(body={"movie": {}}).matches(asked(body=None))


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ([1, 2], [1, 2], True),
        ([1, 2], [1], False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([1], {"a": 1}, False),
        ("text", "text", True),
        ("text", "tex", False),
        (1, 1.0, True),
        (1, True, False),
        ({"a": False}, {"a": 0}, False),
        (True, True, True),
    ],
)
def test_a_part_is_looked_for_in_a_whole(whole: object, part: object, expected: bool) -> None:
    """Objects by their keys, lists item by item, all else by equality."""
    assert is_subset(whole, part) is expected


def test_the_first_rule_that_speaks_decides() -> None:
    """A rule that does not speak falls through to the next."""
    rules = (Rule(Match(nth=2), Respond(status=418)), Rule(Match(), Respond(status=201)), Rule(Match(), Respond()))
    script = scripted(*rules)
    choices = [script.first_match(asked(), DRAW)[:2] for _ in range(3)]
    assert [(rules[1], 2), (rules[0], 1), (rules[1], 2)] == choices


def test_a_call_that_no_rule_speaks_to_goes_its_usual_way() -> None:
    """The choice then names no rule."""
    assert scripted(Rule(Match(operation="getMe"))).first_match(asked("getJob"), DRAW)[:2] == (None, 0)


def test_a_script_without_rules_has_nothing_to_say() -> None:
    """There is no rule, and none that came near."""
    assert RuleMatch() == scripted().first_match(asked(), DRAW)


def test_a_rule_counts_the_calls_that_fit_it_whoever_decides() -> None:
    """The third submission is the third, also when another rule spoke to the first."""
    rules = (Rule(Match(nth=1)), Rule(Match(operation="submitRenderJob", nth=3)))
    script = scripted(*rules)
    calls = ["submitRenderJob", "getJob", "submitRenderJob", "getJob", "submitRenderJob"]
    assert [script.first_match(asked(call), DRAW).number for call in calls] == [1, 0, 0, 0, 2]


def test_calls_before_the_age_are_not_counted() -> None:
    """`times` counts from when the rule may speak."""
    script = scripted(Rule(Match(after_seconds=10.0, times=2)))
    ages = [0.0, 9.0, 10.0, 11.0, 12.0]
    assert [script.first_match(asked(age=age), DRAW).number for age in ages] == [0, 0, 1, 1, 0]


def test_two_scripts_of_a_scenario_count_apart() -> None:
    """What one sandbox met is nothing to another."""
    rule = Rule(Match(nth=1))
    first, second = scripted(rule), scripted(rule)
    first.first_match(asked(), DRAW)
    assert second.first_match(asked(), DRAW).rule is rule


@given(every=COUNTS, after=st.integers(0, 6), times=COUNTS)
def test_a_rule_never_speaks_more_often_than_times(every: int, after: int, times: int) -> None:
    """Of many calls it takes exactly this many, `every` apart, none of the first `after`."""
    numbers = spoken(Match(every=every, after=after, times=times), 60)
    assert numbers == [after + every * turn for turn in range(1, times + 1)]


@given(seed=SEEDS, share=SHARES, times=COUNTS)
def test_a_rule_by_chance_never_speaks_more_often_than_times(seed: str, share: float, times: int) -> None:
    """`times` counts the calls that were drawn, and ends it."""
    script = scripted(Rule(Match(probability=share, times=times)))
    numbers = [script.first_match(asked(), partial(random_fraction, seed)).number for _ in range(40)]
    assert sum(numbers) <= times


@given(begin=st.floats(0, 50), duration=st.floats(0, 50), ages=st.lists(st.floats(0, 120)))
def test_a_rule_speaks_only_from_after_until_it_has_healed(begin: float, duration: float, ages: list[float]) -> None:
    """`for` begins where `after` ends; from its end on, all is well again."""
    script = scripted(Rule(Match(after_seconds=begin, duration=duration)))
    spoke = [script.first_match(asked(age=age), DRAW).number == 1 for age in ages]
    assert [begin <= age < begin + duration for age in ages] == spoke


@given(seed=SEEDS)
def test_what_is_never_drawn_never_speaks_and_what_is_always_drawn_does(seed: str) -> None:
    """0 is never, 1 is always, whatever the seed."""
    script = scripted(Rule(Match(probability=0.0)), Rule(Match(probability=1.0)))
    assert {script.first_match(asked(), partial(random_fraction, seed)).number for _ in range(20)} == {2}


@given(seed=SEEDS, low=SHARES, high=SHARES)
def test_a_greater_probability_speaks_to_all_that_a_smaller_one_does(seed: str, low: float, high: float) -> None:
    """The draws are those of the seed: turning a share up takes no call away."""
    low, high = sorted((low, high))
    few, many = scripted(Rule(Match(probability=low))), scripted(Rule(Match(probability=high)))
    draw = partial(random_fraction, seed)
    pairs = [(few.first_match(asked(), draw).number, many.first_match(asked(), draw).number) for _ in range(20)]
    assert [pair for pair in pairs if pair[0] > pair[1]] == []


NEAR = [
    (Match(operation="getMe"), "operation: expected getMe, got getJob"),
    (Match(header={"X-Try": "2"}), "header X-Try: expected 2, got 1"),
    (Match(header={"x-else": "2"}), "header x-else: expected 2, got nothing"),
    (Match(body={"a": 2}), "body: $.a: expected 2, got 1"),
    (Match(after_seconds=30), "time: expected a call from 30 s on of the sandbox's life, got one at 10 s"),
    (
        Match(after_seconds=5, duration=2),
        "time: expected a call from 5 s to 7 s of the sandbox's life, got one at 10 s",
    ),
    (
        Match(after_seconds=5, duration=0),
        "time: expected a call from 5 s to 5 s of the sandbox's life, got one at 10 s",
    ),
    (Match(nth=3), "count: this is call 1 of those that fit, and not its turn"),
    (Match(probability=0.0), "probability: the draw for call 1 was not among the 0%"),
]
CALL = RequestFacts("getJob", {"x-try": "1"}, {"a": 1}, 10.0)


@pytest.mark.parametrize(("match", "reason"), NEAR, ids=[reason for _, reason in NEAR])
def test_a_near_miss_says_what_kept_the_rule_from_speaking(match: Match, reason: str) -> None:
    """What was expected, and what came."""
    assert NearMiss(1, (reason,)) == near_miss(CALL, match)


def test_a_rule_whose_times_are_used_up_says_so() -> None:
    """It fits, and would have spoken before."""
    script = scripted(Rule(Match(times=1)))
    assert [script.first_match(asked(), DRAW).near_miss for _ in range(2)] == [
        None,
        NearMiss(1, ("times: all 1 are used up",)),
    ]


@pytest.mark.parametrize(
    ("matches", "number"),
    [
        ((Match(operation="getMe"), Match(nth=3)), 2),
        ((Match(operation="getMe"), Match(header={"x-try": "2"}, body={"a": 2})), 2),
        ((Match(header={"x-try": "2"}), Match(nth=3)), 2),
        ((Match(header={"x-try": "2"}, body={"a": 2}), Match(header={"x-try": "2"})), 2),
        ((Match(nth=2), Match(nth=3)), 1),
    ],
)
def test_the_nearest_rule_is_the_one_that_asked_for_least_more(matches: tuple[Match, ...], number: int) -> None:
    """One for another operation is farthest, one that only waits for its turn nearest; of equals the first."""
    nearest = near_miss(CALL, *matches)
    assert nearest is not None
    assert nearest.number == number


MATCHES = st.builds(
    Match,
    operation=st.sampled_from([None, "getJob", "getMe"]),
    header=st.sampled_from([{}, {"x-try": "1"}, {"x-try": "2"}]),
    body=st.sampled_from([{}, {"a": 1}, {"a": 2}]),
    nth=st.sampled_from([None, 1, 2]),
    after_seconds=st.sampled_from([0.0, 10.0, 20.0]),
    duration=st.sampled_from([None, 0.0, 5.0]),
    probability=st.sampled_from([None, 0.0, 0.5, 1.0]),
)


@given(match=MATCHES)
def test_a_rule_speaks_or_says_why_not(match: Match) -> None:
    """There are reasons exactly when it is silent, and a rule that fits has no complaint about the call."""
    choice = scripted(Rule(match)).first_match(CALL, DRAW)
    assert (choice.rule is None) is (choice.near_miss is not None)
    assert match.matches(CALL) is (match.mismatches(CALL) == [])


@given(matches=st.lists(MATCHES, max_size=4), seed=SEEDS)
def test_the_rule_that_decides_is_the_first_of_those_that_speak(matches: list[Match], seed: str) -> None:
    """`choose` and `speaking` count and draw alike."""
    rules, draw = tuple(map(Rule, matches)), partial(random_fraction, seed)
    one, all_that_speak = scripted(*rules), scripted(*rules)
    for _ in range(3):
        speaking = list(all_that_speak.all_matches(CALL, draw))
        assert one.first_match(CALL, draw).number == (speaking[0] + 1 if speaking else 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(st.text(max_size=2), JSON), data=st.data())
def test_a_document_contains_itself_and_any_of_its_keys(document: dict[str, Any], data: st.DataObject) -> None:
    """Leaving keys out of the part never makes it match less."""
    keys = data.draw(st.sets(st.sampled_from(sorted(document)))) if document else set()
    assert is_subset(document, {key: document[key] for key in keys})
