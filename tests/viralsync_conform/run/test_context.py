"""Everything that one run knows: its findings, its reading, and what it may spend."""

from __future__ import annotations

import pytest
from tests.support.fake_target import Api, found, run_of
from tests.support.results import call

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Category
from viralsync_conform.profiles import PROFILES
from viralsync_mock.config.behaviour import SWITCHES, BehaviourProfile


@pytest.mark.parametrize(
    ("check", "category"), [(facts.PROGRESS, "failure"), (facts.ECHO, "warning"), (facts.SNAPSHOT, "difference")]
)
def test_what_does_not_hold_goes_where_its_mark_says(check: facts.Check, category: str) -> None:
    """The finding tells the statement, the page and the calls that show it; the check is counted either way."""
    run = run_of(Api())
    assert run.check(check, True, call(1)) is True
    assert run.check(check, False, call(2), call(3, "listJobs"), expected=1, got=None, name="x") is False
    (finding,) = run.findings
    assert (finding.category, finding.message, finding.source) == (category, check.statement, check.source)
    assert (finding.operation, finding.calls, finding.expected, finding.got) == ("listJobs", (2, 3), "1", "None")
    assert run.asserted[check] == 2


def test_a_category_can_be_given() -> None:
    """Where more is known than the mark, whoever holds the check decides."""
    run = run_of(Api())
    run.check(facts.PROGRESS, False, category=Category.ADDITIVE)
    assert found(run) == [("additive", "progress")]


def test_what_cannot_be_told_is_inconclusive() -> None:
    """With its reason and its calls; without a call it is about the run."""
    run = run_of(Api())
    run.mark_inconclusive("outage", "away", call(4, status=503))
    run.mark_inconclusive("interrupt", "cut short")
    assert [(each.check, each.message, each.status, each.calls) for each in run.findings] == [
        ("outage", "away", 503, (4,)), ("interrupt", "cut short", None, ()),
    ]  # fmt: skip
    assert {category for category, _ in found(run)} == {"inconclusive"}


def test_the_contract_is_read_as_it_was_learned() -> None:
    """What was learned feeds the reading, and what was believed stays to be compared with."""
    run = run_of(Api())
    run.learned.learn("list.key", "items")
    assert run.contract.behaviour == BehaviourProfile(list_key="items")
    assert run.assumed.behaviour == BehaviourProfile()


@pytest.mark.parametrize(
    ("profile", "has_control", "reason"),
    [
        ("quick", True, "profile quick only reads"),
        ("nightly", False, "whose limits may be used up, or whose clock can be moved"),
        ("nightly", True, "not made to their end"),
    ],
)
def test_a_switch_that_was_not_seen_has_a_reason(profile: str, has_control: bool, reason: str) -> None:
    """Whoever reads the profile is told why a switch is not in it."""
    run = run_of(Api(), profile=profile)
    run.target.has_control = has_control
    assert reason in run.hidden_because("quota.check")
    assert all(run.hidden_because(switch) for switch in SWITCHES)


def test_webhooks_that_cannot_arrive_say_what_would_let_them() -> None:
    """Without a receiver the switches of webhooks are hidden, and submissions name none."""
    run = run_of(Api())
    assert "--webhook-url" in run.hidden_because("webhook.attempts")
    assert "in real time" in run.hidden_because("webhook.timeout_seconds")
    assert run.callback() == {}


def test_profiles_cost_what_was_promised() -> None:
    """`quick` renders nothing in under 60 requests, `nightly` stays under 400 and a few seconds of rendering."""
    assert (PROFILES["quick"].max_requests, PROFILES["quick"].renders, PROFILES["quick"].max_render_minutes) == (
        59, False, 0.0,
    )  # fmt: skip
    assert PROFILES["nightly"].max_requests < 500
    assert PROFILES["nightly"].max_render_minutes * 60 <= 6.0
    assert {name for name, profile in PROFILES.items() if profile.has_canary} == {"nightly", "deep"}
