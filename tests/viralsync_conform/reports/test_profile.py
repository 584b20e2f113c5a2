"""`learned-behaviour.yaml`: what the target does, for the mock to do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.results import call, learned, result, rich, spec, written

from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.reports import write_reports
from viralsync_conform.result import Result
from viralsync_mock.config.behaviour import BehaviourProfile, load_behaviour, parse_behaviour

NAME = "learned-behaviour.yaml"


def loaded(folder: Path, finished: Result) -> BehaviourProfile:
    write_reports(finished, folder)
    return load_behaviour(folder / NAME, spec().errors)


def behaviour(**switches: dict[str, Any]) -> BehaviourProfile:
    return parse_behaviour(switches, spec().errors)


@pytest.mark.parametrize(
    "profile",
    [
        BehaviourProfile(),
        behaviour(errors={"job_not_found": "NO_SUCH_JOB", "forbidden": "yes"}),
        behaviour(list={"key": "null", "includes_children": True}, sse={"keep_alive_seconds": None}),
        behaviour(list={"key": "on"}, webhook={"signature": "sha256=hex", "retry_seconds": 1e-07, "attempts": 7}),
        behaviour(list={"key": "e5"}, job={"children_counted": "scenes+assemble"}, plan_limit={"status": 403}),
    ],
)
def test_a_learned_profile_loads_back_equal(tmp_path: Path, profile: BehaviourProfile) -> None:
    """Words that YAML could take for something else, and renamed error codes, included."""
    assert loaded(tmp_path, result(learned_profile=profile)) == profile


def test_the_profile_of_a_run_loads_back_equal(tmp_path: Path) -> None:
    """As it was learned."""
    finished = rich()
    assert loaded(tmp_path, finished) == finished.learned_profile


@pytest.mark.parametrize(
    ("switch", "comment"),
    [
        ("type: render", "# seen in calls 1, 2"),
        ("key: items", "# seen in calls 1, 2, was believed to be jobs"),
        ("payload: webhook", "# in several positions: webhook in call 1, job in call 2"),
        ("status: 402", "# the target showed 418, which is no position of it (calls 1, 2)"),
        ("resume: replay", "# believed only: no call showed it"),
        ("attempts: 3", "# believed only, not observable, because no receiver was given: --webhook-url"),
        ("job_not_found: NO_SUCH_JOB", "# seen in calls 1, 2, was believed to be JOB_NOT_FOUND"),
    ],
)
def test_each_switch_says_what_it_rests_on(tmp_path: Path, switch: str, comment: str) -> None:
    """Above it stands whether it was seen and where, believed only, or not observable and why."""
    lines = [line.strip() for line in written(tmp_path, rich())[NAME].splitlines()]
    assert lines[lines.index(switch) - 1] == comment


def test_a_code_that_is_named_as_in_the_spec_is_a_comment(tmp_path: Path) -> None:
    """It was seen, and needs no switch."""
    seen = LearnedBehaviour()
    seen.learn("errors.forbidden", "FORBIDDEN", call(4))
    text = written(tmp_path, result(learned=seen))[NAME]
    assert text.endswith("\n# errors.forbidden: seen in call 4\nerrors: {}\n")


def test_no_text_of_a_target_leaves_its_comment(tmp_path: Path) -> None:
    """A reason or a value with breaks in it changes nothing in the profile."""
    seen = learned(call(1))
    seen.mark_unobservable("sse.resume", "odd\nsse:\n  resume: snapshot")
    seen.learn("webhook.signature", "x\u2028\nwebhook: {attempts: 9}", call(1))
    finished = result(learned=seen, target="http://x\njob: {}")
    assert loaded(tmp_path, finished) == BehaviourProfile()
