"""The matching logic of scenarios: which rule speaks to which call."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.scenario import Asked, Match, Respond, Rule, Scenario, Script, contains

COUNTS = st.integers(1, 6)


def asked(operation: str = "getJob", age: float = 0.0, body: Any = None, **headers: str) -> Asked:
    """Return what a rule sees of a call."""
    return Asked(operation, headers, body, age)


def spoken(match: Match, calls: int = 12) -> list[int]:
    """Return the numbers of the calls, all alike, to which a rule speaks."""
    script = Script(Scenario("odd", rules=(Rule(match),)))
    return [number for number in range(1, calls + 1) if script.rule_for(asked()) is not None]


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
        (Match(operation="getJob", header={"x-try": "1"}), False),
    ],
    ids=str,
)
def test_a_rule_fits_when_all_that_is_given_holds(match: Match, fits: bool) -> None:
    """Operation, headers, body and age are looked at, and nothing that is not given."""
    call = Asked("getJob", {"x-try": "2"}, {"movie": {"title": "One", "fps": 30}}, 30.0)
    assert match.fits(call) is fits


def test_a_body_is_not_in_a_call_without_one() -> None:
    """What is not there does not match, and does not break."""
    assert not Match(body={"movie": {}}).fits(asked(body=None))


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
    ],
)
def test_a_part_is_looked_for_in_a_whole(whole: object, part: object, expected: bool) -> None:
    """Objects by their keys, lists item by item, all else by equality."""
    assert contains(whole, part) is expected


def test_the_first_rule_that_speaks_decides() -> None:
    """A rule that does not speak falls through to the next."""
    rules = (Rule(Match(nth=2), Respond(status=418)), Rule(Match(), Respond(status=201)), Rule(Match(), Respond()))
    script = Script(Scenario("odd", rules=rules))
    assert [script.rule_for(asked()) for _ in range(3)] == [rules[1], rules[0], rules[1]]


def test_a_call_that_no_rule_speaks_to_goes_its_usual_way() -> None:
    """None means that nothing is scripted."""
    script = Script(Scenario("odd", rules=(Rule(Match(operation="getMe")),)))
    assert script.rule_for(asked("getJob")) is None


def test_a_rule_counts_the_calls_that_fit_it_whoever_decides() -> None:
    """The third submission is the third, also when another rule spoke to the first."""
    rules = (Rule(Match(nth=1)), Rule(Match(operation="submitRenderJob", nth=3)))
    script = Script(Scenario("odd", rules=rules))
    calls = ["submitRenderJob", "getJob", "submitRenderJob", "getJob", "submitRenderJob"]
    assert [script.rule_for(asked(call)) for call in calls] == [rules[0], None, None, None, rules[1]]


def test_calls_before_the_age_are_not_counted() -> None:
    """`times` counts from when the rule may speak."""
    script = Script(Scenario("odd", rules=(Rule(Match(after_seconds=10.0, times=2)),)))
    ages = [0.0, 9.0, 10.0, 11.0, 12.0]
    assert [script.rule_for(asked(age=age)) is not None for age in ages] == [False, False, True, True, False]


def test_two_scripts_of_a_scenario_count_apart() -> None:
    """What one sandbox met is nothing to another."""
    scenario = Scenario("odd", rules=(Rule(Match(nth=1)),))
    first, second = Script(scenario), Script(scenario)
    first.rule_for(asked())
    assert second.rule_for(asked()) is scenario.rules[0]


@given(every=COUNTS, after=st.integers(0, 6), times=COUNTS)
def test_a_rule_never_speaks_more_often_than_times(every: int, after: int, times: int) -> None:
    """Of many calls it takes exactly so many, `every` apart, none of the first `after`."""
    numbers = spoken(Match(every=every, after=after, times=times), 60)
    assert numbers == [after + every * turn for turn in range(1, times + 1)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(st.text(max_size=2), JSON), data=st.data())
def test_a_document_contains_itself_and_any_of_its_keys(document: dict[str, Any], data: st.DataObject) -> None:
    """Leaving keys out of the part never makes it match less."""
    keys = data.draw(st.sets(st.sampled_from(sorted(document)))) if document else set()
    assert contains(document, {key: document[key] for key in keys})
