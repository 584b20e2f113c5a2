"""The budget is a wall: nothing goes over it, and what cleans up is kept aside."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_conform.budget import CALLS_TO_CLEAN_A_JOB, UNKNOWN_SCENE_SECONDS, Budget, BudgetSpentError, worst_case

ORDERS = st.lists(st.sampled_from(["request", "submit", "reserve", "charge", "release", "clean"]), max_size=80)


@given(ORDERS, st.integers(0, 30), st.floats(0, 2), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_no_order_of_calls_gets_over_the_wall(orders: list[str], most: int, minutes: float, costs: list[float]) -> None:
    """Requests never exceed what is allowed, and neither do charged and reserved minutes together."""
    budget, open_jobs = Budget(most, minutes), list[float]()
    for number, order in enumerate(orders):
        cost = costs[number % len(costs)]
        with suppress(BudgetSpentError):
            if order == "request":
                budget.spend_request()
            elif order == "submit":
                budget.spend_request(CALLS_TO_CLEAN_A_JOB)
                budget.unclean_jobs += 1
            elif order == "reserve":
                budget.reserve(cost)
                open_jobs.append(cost)
            elif order == "clean":
                budget.is_cleaning = True
            elif open_jobs:
                {"charge": budget.charge, "release": budget.release}[order](open_jobs.pop())
        assert budget.requests <= most
        assert budget.charged + budget.reserved <= minutes + 1e-9


@given(st.integers(0, 40))
def test_every_job_that_was_made_can_be_cleaned(most: int) -> None:
    """However small the budget: a look, a cancel and a delete are left for each job when the rest is spent."""
    budget = Budget(most, 1)
    with suppress(BudgetSpentError):
        while True:
            budget.spend_request(CALLS_TO_CLEAN_A_JOB)
            budget.unclean_jobs += 1
            budget.spend_request()
    budget.is_cleaning = True
    assert budget.requests_left >= CALLS_TO_CLEAN_A_JOB * budget.unclean_jobs


def test_cleaning_may_use_what_was_kept_aside() -> None:
    """A journey is refused where the clean-up is not."""
    budget = Budget(4, 1, requests=1, unclean_jobs=1)
    with pytest.raises(BudgetSpentError, match=r"1 of 4 requests .* kept to clean up.* --max-requests"):
        budget.spend_request()
    budget.is_cleaning = True
    budget.spend_request()
    assert budget.requests == 2


def test_a_submission_is_reserved_before_it_is_made() -> None:
    """What could cost more than is left is refused with the sum, and reserves nothing."""
    budget = Budget(10, 0.1)
    budget.reserve(0.06)
    with pytest.raises(BudgetSpentError, match=r"0\.050 render minutes, and 0\.060 of 0\.1 .* --max-render-minutes"):
        budget.reserve(0.05)
    assert budget.reserved == 0.06


def test_a_job_that_is_done_turns_its_reservation_into_a_charge() -> None:
    """Minutes are either reserved or charged, never both; what was refused or cancelled is given back."""
    budget = Budget(10, 0.1)
    budget.reserve(0.05)
    budget.reserve(0.05)
    budget.charge(0.05)
    budget.release(0.05)
    assert (budget.reserved, budget.charged, budget.renders) == (0.0, 0.05, 1)


@pytest.mark.parametrize("minutes", [math.nan, math.inf])
def test_minutes_that_are_no_number_are_never_affordable(minutes: float) -> None:
    """A comparison with NaN is false: that must not open the wall."""
    assert not Budget(10, 30).can_afford(minutes)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (30, 30), (1.5, 1.5), (-10, 0), (None, UNKNOWN_SCENE_SECONDS), (True, UNKNOWN_SCENE_SECONDS),
        ([], UNKNOWN_SCENE_SECONDS), ("soon", UNKNOWN_SCENE_SECONDS), ("600", 600), ("0", UNKNOWN_SCENE_SECONDS),
        (math.nan, math.inf), (math.inf, math.inf), ("nan", math.inf), (10**400, math.inf),
    ],
)  # fmt: skip
def test_the_worst_case_of_a_duration(duration: object, seconds: float) -> None:
    """Numbers count as they are, texts as the number in them, and what is none as a minute or as unaffordable."""
    body = {"movie": {"scenes": [{"id": "a", "duration": duration}, {"id": "b", "duration": 6}]}}
    assert worst_case(body) == pytest.approx((seconds + 6) / 60)


@pytest.mark.parametrize("scene", [{}, {"id": "a"}, None, "scene", 3])
def test_a_scene_without_a_duration_counts_a_minute(scene: object) -> None:
    """A target that renders it all the same will not render for longer than it must."""
    assert worst_case({"movie": {"scenes": [scene]}}) == 1.0


@pytest.mark.parametrize("body", [None, [], "x", {}, {"movie": None}, {"movie": {}}, {"movie": {"scenes": {}}}])
def test_without_scenes_nothing_is_rendered(body: object) -> None:
    """A body that has no list of scenes costs nothing."""
    assert worst_case(body) == 0.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["duration", "id"]), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=4))
def test_the_worst_case_of_anything_is_a_number_of_minutes(scenes: list[object]) -> None:
    """No body makes it raise, turn negative or be no number: then the wall could not compare it."""
    assert worst_case({"movie": {"scenes": scenes}}) >= 0.0


def test_a_job_that_is_cancelled_at_once_may_be_longer_than_the_wall() -> None:
    """It is free; but until it is known to be cancelled nothing else fits beside it."""
    budget = Budget(9, 0.1)
    budget.reserve(10, is_free=True)
    assert not budget.can_afford(0.01)
    budget.release(10)
    assert budget.can_afford(0.1)
