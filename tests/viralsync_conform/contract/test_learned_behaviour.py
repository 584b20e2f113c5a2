"""What a run learns of the switches, and what it makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.results import call

from viralsync_conform.contract.learned_behaviour import LearnedBehaviour, all_switches, position_of
from viralsync_mock.config.behaviour import SWITCHES, BehaviourProfile

POSITIONS = [
    (switch, position)
    for switch, field in SWITCHES.items()
    for position in (field.metadata["one_of"] or (field.default,))
]


@pytest.mark.parametrize(("switch", "position"), POSITIONS)
def test_every_position_of_every_switch_can_be_learned(switch: str, position: object) -> None:
    """What was learned stands in the corrected profile, and differs from the default if it is another."""
    learned = LearnedBehaviour()
    learned.learn(switch, position, call(4), call(5))
    corrected = learned.applied_to(BehaviourProfile())
    assert position_of(corrected, switch) == position
    assert learned.seen[switch].calls == (4, 5)
    default = position_of(BehaviourProfile(), switch)
    assert learned.differences(BehaviourProfile()) == ({} if position == default else {switch: (default, position)})
    assert learned.differences(corrected) == {}


@given(st.sets(st.sampled_from(POSITIONS), max_size=8))
def test_what_was_not_seen_stays_as_it_was_believed(seen: set[tuple[str, Any]]) -> None:
    """Only the switches that were seen move; the profile that was believed is the base."""
    believed = BehaviourProfile(list_key="items", sse_resume="snapshot", errors={"not_found": "NOWHERE"})
    learned = LearnedBehaviour()
    for switch, position in seen:
        learned.learn(switch, position)
    corrected = learned.applied_to(believed)
    for switch in all_switches():
        source = corrected if switch in learned.seen else believed
        assert position_of(corrected, switch) == position_of(source, switch)
    assert corrected.code("NOT_FOUND") == "NOWHERE"


def test_a_switch_that_is_seen_in_two_positions_is_a_contradiction() -> None:
    """The first is kept, each other position is noted once with the calls that show it."""
    learned = LearnedBehaviour()
    for number, key in enumerate(["jobs", "items", "jobs", "items", "data"]):
        learned.learn("list.key", key, call(number + 1))
    assert learned.seen["list.key"].value == "jobs"
    assert [(each.value, each.calls) for each in learned.contradictions["list.key"]] == [
        ("jobs", (1,)), ("items", (2,)), ("data", (5,)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("switch", "value"),
    [("job.type", "movie"), ("plan_limit.status", 418), ("list.key", "no word"), ("webhook.attempts", 0),
     ("errors.job_not_found", 404), ("sse.keep_alive_seconds", -1), ("job.type", ["render"])],
)  # fmt: skip
def test_a_value_that_the_switch_does_not_have_is_foreign(switch: str, value: object) -> None:
    """The mock could not be set to it: it is told, and the profile stays loadable."""
    learned = LearnedBehaviour()
    learned.learn(switch, value, call(3))
    learned.learn(switch, "another odd one", call(4)) if switch == "job.type" else None
    assert (learned.seen, learned.foreign[switch].value, learned.foreign[switch].calls) == ({}, value, (3,))
    assert learned.applied_to(BehaviourProfile()) == BehaviourProfile()


def test_a_code_is_learned_by_the_name_of_the_spec() -> None:
    """`errors.<name>` renames a code in the corrected profile."""
    learned = LearnedBehaviour()
    learned.learn("errors.job_not_found", "NO_SUCH_JOB")
    learned.learn("errors.forbidden", "FORBIDDEN")
    assert learned.applied_to(BehaviourProfile()).code("JOB_NOT_FOUND") == "NO_SUCH_JOB"
    assert learned.differences(BehaviourProfile()) == {"errors.job_not_found": ("JOB_NOT_FOUND", "NO_SUCH_JOB")}


def test_what_was_seen_is_not_hidden() -> None:
    """A reason stands only as long as the switch was not seen, in whatever order."""
    learned = LearnedBehaviour()
    learned.mark_unobservable("list.key", "no list came")
    assert learned.hidden == {"list.key": "no list came"}
    learned.learn("list.key", "jobs")
    learned.mark_unobservable("list.key", "too late")
    assert learned.hidden == {}


def test_a_run_that_learned_nothing_believes_what_it_did() -> None:
    """The very same profile comes back, so that the contract need not be read anew."""
    believed = BehaviourProfile(list_key="items")
    assert LearnedBehaviour().applied_to(believed) is believed
