"""Scenario files: what they say, what is refused and how, and the library of those that ship."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.scenario_documents import FILES, FOLDER, HEAD, JSON, KEY, complaint, parsed, plain, spec

from viralsync_mock.config.behaviour import parse_behaviour
from viralsync_mock.errors import ScenarioError
from viralsync_mock.faults.http import Latency, ServerStatus
from viralsync_mock.faults.webhook import Drop, Duplicate
from viralsync_mock.jobs.models import Phase
from viralsync_mock.jobs.timeline import Duration, Failure, JobTimings, SceneTimings
from viralsync_mock.openapi.spec import RateLimit
from viralsync_mock.scenarios.fault_syntax import KINDS, WEBHOOK_KINDS
from viralsync_mock.scenarios.loader import ScenarioLibrary, load_scenario, parse_armed, parse_scenario
from viralsync_mock.scenarios.model import Account, Limits, Match, Respond, Scenario, Webhooks

Load = Callable[[str], Scenario]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what loads a scenario from text."""

    def load_text(text: str) -> Scenario:
        path = tmp_path / "odd.yaml"
        path.write_text(text, "utf-8")
        return load_scenario(path, spec())

    return load_text


def refusal(load: Load, text: str) -> str:
    """Return the message that refuses a text, the folder cut off."""
    with pytest.raises(ScenarioError) as caught:
        load(text)
    return re.sub(r"^\S*/odd\.yaml", "odd.yaml", str(caught.value))


# What a file says


def test_a_name_and_a_description_are_enough(load: Load) -> None:
    """Everything else has a default."""
    scenario = load(HEAD)
    assert (scenario.name, scenario.description) == ("odd", "Something odd.")
    assert (Account(), None, JobTimings(), (), Limits()) == (
        scenario.account,
        scenario.clock_start,
        scenario.job,
        scenario.rules,
        scenario.limits,
    )


def test_the_account_and_those_of_single_keys_are_read(load: Load) -> None:
    """`account` is everybody's, `keys` are those of single keys, and neither inherits from the other."""
    scenario = load(
        f"{HEAD}account: {{plan: business, minutes_used: 12.5, minutes_used_today: 2, email: ada@example.com}}\n"
        f"keys: {{{KEY}: {{revoked: on}}}}\n"
    )
    assert Account("business", 12.5, 2, email="ada@example.com") == scenario.account
    assert {KEY: Account(revoked=True)} == scenario.keys


def test_every_step_of_a_job_is_read(load: Load) -> None:
    """Each key of `job` sets the step of that name."""
    scenario = load(
        HEAD + "job:\n  queued: 1\n  planning: 2s\n  dispatching: 3s\n  assembling: 4s\n  uploading: 5s\n"
        "  scene: {per_output_second: 6s, at_least: 7s, reports: 8}\n"
        "  fail: {phase: assembling, at: 25%, error: ASSEMBLE_FAILED}\n"
    )
    fail = Failure("ASSEMBLE_FAILED: The rendered scenes could not be assembled", phase=Phase.ASSEMBLING, at=0.25)
    queued, planning, dispatching, assembling, uploading = map(Duration, (1.0, 2.0, 3.0, 4.0, 5.0))
    scene = SceneTimings(Duration(6.0), 7.0, 8)
    assert scenario.job == JobTimings(queued, planning, dispatching, scene, assembling, uploading, fail)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", Duration(0.0)),
        ("1.5", Duration(1.5)),
        ("800ms", Duration(0.8)),
        ("300ms", Duration(0.3)),
        ("1s", Duration(1.0)),
        ("2m", Duration(120.0)),
        ("1.5h", Duration(5400.0)),
        ("720h", Duration(2_592_000.0)),
        ("forever", Duration(math.inf)),
        ("{mean: 1s}", Duration(1.0)),
        ("{mean: 1s, jitter: 250ms}", Duration(1.0, 0.25)),
    ],
)
def test_a_duration_is_a_number_a_text_or_drawn(load: Load, written: str, expected: Duration) -> None:
    """Seconds as a number, a unit, `forever`, or a mean with its jitter."""
    assert expected == load(f"{HEAD}job: {{queued: {written}}}").job.queued


@pytest.mark.parametrize(("written", "expected"), [("60%", 0.6), ("0.6", 0.6), ("0", 0.0), ("100%", 1.0), ("1", 1.0)])
def test_a_share_is_a_percentage_or_a_part_of_one(load: Load, written: str, expected: float) -> None:
    """60% and 0.6 are the same."""
    fail = load(f"{HEAD}job: {{fail: {{scene: 2, at: {written}, error: RENDER_TIMEOUT}}}}").job.fail
    assert fail == Failure("RENDER_TIMEOUT: The job took longer than it may", scene=2, at=expected)


@pytest.mark.parametrize("last", ["assembling", "uploading"])
def test_a_failure_may_come_before_a_step_that_lasts_forever(load: Load, last: str) -> None:
    """Only a step that the failure waits for must end."""
    job = load(f"{HEAD}job: {{{last}: forever, fail: {{scene: 1, error: RENDER_TIMEOUT}}}}").job
    assert (job.fail is not None, getattr(job, last)) == (True, Duration(math.inf))


def test_a_job_error_keeps_its_detail(load: Load) -> None:
    """What stands behind the code is what the job says."""
    fail = load(f'{HEAD}job: {{fail: {{scene: 1, error: "UPLOAD_FAILED: the disk: full"}}}}').job.fail
    assert Failure("UPLOAD_FAILED: the disk: full", scene=1) == fail


def test_a_match_is_read_with_all_its_conditions() -> None:
    """Each key of `match` sets the condition of that name; header names are not case-sensitive."""
    calls = {"operation": "getJob", "header": {"X-Try": "1"}, "body": {"a": [1]}}
    counts = {"every": 3, "after": 2, "for": "5m", "times": 4, "probability": "25%"}
    rule = parsed(rules=[{"match": {**calls, **counts}, "fault": {"status": 503}}]).rules[0]
    expected = Match("getJob", {"x-try": "1"}, {"a": [1]}, every=3, after=2, duration=300.0, times=4, probability=0.25)
    expected = replace(expected, is_from_first=True)
    assert expected == rule.match


def test_after_counts_calls_or_seconds(load: Load) -> None:
    """A whole number is calls, a time is the age of the sandbox."""
    rules = load(
        HEAD + "rules: [{match: {after: 3}, fault: {status: 500}}, {match: {after: 2m}, fault: {status: 500}}]"
    )
    assert [Match(after=3), Match(after_seconds=120.0)] == [rule.match for rule in rules.rules]


def test_a_rule_without_a_match_speaks_to_every_call(load: Load) -> None:
    """What is not said does not limit."""
    assert Match() == load(HEAD + "rules: [{fault: {status: 503}}]").rules[0].match


def test_a_rule_responds_with_an_error_of_the_spec() -> None:
    """The code brings the status; the text and headers may be the rule's."""
    respond = {"error": "RATE_LIMITED", "text": "Slow down.", "headers": {"Retry-After": "7"}}
    expected = Respond(error="RATE_LIMITED", text="Slow down.", headers={"retry-after": "7"})
    assert expected == parsed(rules=[{"respond": respond}]).rules[0].respond


def test_a_rule_responds_with_a_status_and_a_body() -> None:
    """Any JSON can take the place of the API's answer."""
    rule = parsed(rules=[{"respond": {"status": 418, "body": {"tea": [1, None, True]}}}]).rules[0]
    assert Respond(status=418, body={"tea": [1, None, True]}) == rule.respond


def test_a_body_alone_is_answered_with_200() -> None:
    """The status need not be written."""
    respond = parsed(rules=[{"respond": {"body": {}}}]).rules[0].respond
    assert respond is not None
    assert (respond.status, respond.body) == (200, {})


def test_latency_comes_before_the_status(load: Load) -> None:
    """A late 503 is late, and then a 503, in whatever order it is written."""
    rules = load(
        HEAD + "rules: [{fault: {status: 503, latency: {mean: 1s, jitter: 1s}}}, {fault: {status: 500}}]"
    ).rules
    assert (Latency(1.0, 1.0), ServerStatus("SERVICE_UNAVAILABLE")) == rules[0].faults
    assert (ServerStatus("INTERNAL_ERROR"),) == rules[1].faults


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{rate: 120/60s}", Limits(rate=RateLimit(120, 60.0))),
        ("{rate: 5/500ms}", Limits(rate=RateLimit(5, 0.5))),
        ("{rate: off}", Limits(is_rated=False)),
        ("{rate: false}", Limits(is_rated=False)),
        ("{rate: on, quota: on, concurrency: true}", Limits()),
        ("{quota: off, concurrency: false}", Limits(quota=False, concurrency=False)),
    ],
)
def test_limits_are_switched_or_set(load: Load, written: str, expected: Limits) -> None:
    """`on` is what the spec says."""
    assert expected == load(f"{HEAD}limits: {written}").limits


def test_the_clock_starts_at_an_instant_with_its_offset(load: Load) -> None:
    """Whatever the offset, the instant is UTC inside."""
    scenario = load(HEAD + "clock: {start: 2026-02-01T00:58:00+01:00}")
    assert datetime(2026, 1, 31, 23, 58, tzinfo=UTC) == scenario.clock_start


def test_switches_of_the_behaviour_profile_are_kept_as_written(load: Load) -> None:
    """They are laid over the server's profile later, so only what is written is kept."""
    scenario = load(HEAD + "behaviour: {sse: {resume: snapshot}, errors: {job_not_found: GONE}}")
    assert scenario.behaviour == {"sse": {"resume": "snapshot"}, "errors": {"job_not_found": "GONE"}}
    assert parse_behaviour(dict(scenario.behaviour), spec().errors).sse_resume == "snapshot"


def test_webhooks_have_a_secret_and_what_goes_wrong_with_them(load: Load) -> None:
    """The faults are those of webhooks, in the order in which they are applied."""
    scenario = load(HEAD + "webhooks: {secret: whsec_test, deliver: {drop: progress, duplicate: 2}}")
    assert Webhooks("whsec_test", (Duplicate(2), Drop("progress"))) == scenario.webhooks


def test_webhooks_have_a_secret_that_everyone_knows() -> None:
    """A receiver can check signatures without a scenario of its own."""
    assert Webhooks("whsec_viralsync_mock", ()) == parsed().webhooks


def test_a_scenario_keeps_what_was_written() -> None:
    """Whoever asks for it sees the file's own words."""
    document = {"name": "odd", "description": "x", "x-owner": "ada", "job": {"queued": "9s"}}
    assert document == parse_scenario(document, spec()).document


def test_an_armed_fault_is_a_rule() -> None:
    """How often, how likely and how long may stand beside the match or in it."""
    beside = {"fault": {"latency": "1s"}, "match": {"nth": 3}, "probability": "50%", "for": "10s"}
    inside = {"fault": {"status": 503}, "match": {"operation": "getMe", "times": 2}}
    first, second = parse_armed([beside, inside], spec())
    assert (Match(nth=3, probability=0.5, duration=10.0), (Latency(1.0),)) == (first.match, first.faults)
    assert (Match("getMe", times=2), (ServerStatus("SERVICE_UNAVAILABLE"),)) == (second.match, second.faults)


BAD_ARMED = [
    ({}, "$.faults: expected a list, got an object of 0"),
    ([{}], '$.faults[0]: expected "fault", or "job" for how the submitted job runs'),
    (
        [{"fault": {"drop": True}, "tims": 1}],
        '$.faults[0].tims: unknown key. Did you mean "times"? Known: fault, job, match, times, probability, for',
    ),
    (
        [{"fault": {"drop": True}, "probability": 2}],
        "$.faults[0].probability: expected a share from 0% to 100%, or 0 to 1, got 2",
    ),
    (
        [{"fault": {"drop": True}, "for": "1s", "match": {"for": "2s"}}],
        '$.faults[0].for: "match" has its own "for": keep one of the two',
    ),
    (
        [{"fault": {"drop": True}, "times": 2, "match": {"nth": 1}}],
        '$.faults[0].times: "nth" is one call alone: remove it, or "times"',
    ),
    (
        [{"fault": {"silence": 1}, "match": {"operation": "getMe"}}],
        "$.faults[0].fault.silence: getMe has no event stream: match an operation that has one",
    ),
]


@pytest.mark.parametrize(("document", "message"), BAD_ARMED, ids=[message for _, message in BAD_ARMED])
def test_a_bad_armed_fault_is_refused_with_its_place(document: object, message: str) -> None:
    """The place is named from where the list stands in what was sent."""
    assert message == complaint(lambda: parse_armed(document, spec(), ("faults",)))


def test_extensions_are_passed_over(load: Load) -> None:
    """A key that begins with x- is somebody else's."""
    assert load(HEAD + "x-owner: ada\njob: {x-note: slow, queued: 9s}").job == JobTimings(queued=Duration(9.0))


def test_json_reads_as_the_file_does() -> None:
    """The control API takes the same format."""
    for path in FILES:
        document = plain(path)
        assert repr(load_scenario(path, spec())) == repr(parse_scenario(document, spec()))


# What is refused, and how

WORDS = "Known: free, pro, business, enterprise"
TOP = "name, description, account, keys, clock, job, rules, webhooks, limits, behaviour"
STEPS = "queued, planning, dispatching, scene, assembling, uploading, fail, stall"
FAULT_WORDS = f"Known: {', '.join(KINDS)}"
LENGTHS = "expected seconds, or a time such as 800ms, 1s, 2m or 1h"

BAD = [
    ("", "odd.yaml:1: the file is empty"),
    ("[1]", "odd.yaml:1: $: expected an object, got a list of 1"),
    ("nam: odd", f'odd.yaml:1: $.nam: unknown key. Did you mean "name"? Known: {TOP}'),
    ("name: Odd One\ndescription: x", 'odd.yaml:1: $.name: expected lower-case words joined by -, got "Odd One"'),
    ("name: 7\ndescription: x", "odd.yaml:1: $.name: expected a text, got 7"),
    ("name: odd\ndescription: ' '", 'odd.yaml:2: $.description: expected a text that says something, got " "'),
    (f"{HEAD}name: odd", "odd.yaml:3: $.name: this key stands twice: keep one of them"),
    (f"{HEAD}job:", "odd.yaml:3: $.job: expected an object, got null"),
    (f"{HEAD}rules: {{}}", "odd.yaml:3: $.rules: expected a list, got an object of 0"),
    (
        f"{HEAD}account: {{plan: prof}}",
        'odd.yaml:3: $.account.plan: expected a plan of the spec, got "prof". Did you mean "pro"?',
    ),
    (f"{HEAD}account: {{plan: gold}}", f'odd.yaml:3: $.account.plan: expected a plan of the spec, got "gold". {WORDS}'),
    (f"{HEAD}account:\n  minutes_used: -1", "odd.yaml:4: $.account.minutes_used: expected 0 to 1e+06, got -1"),
    (
        f"{HEAD}account: {{minutes_used_today: 5}}",
        "odd.yaml:3: $.account.minutes_used_today: expected at most minutes_used (0), got 5: "
        "what is used today counts for the month too",
    ),
    (f"{HEAD}account: {{revoked: yes}}", 'odd.yaml:3: $.account.revoked: expected on or off, got "yes"'),
    (
        f"{HEAD}account: {{email: ada}}",
        'odd.yaml:3: $.account.email: expected an address such as ada@example.com, got "ada"',
    ),
    (
        f"{HEAD}keys:\n  mine: {{}}",
        'odd.yaml:4: $.keys.mine: expected an API key (^vs_prod_[a-z0-9]{32}$), got "mine"',
    ),
    (
        f"{HEAD}clock: {{start: 2026-01-31}}",
        'odd.yaml:3: $.clock.start: expected an instant such as 2026-01-31T23:58:00Z, got "2026-01-31"',
    ),
    (
        f"{HEAD}clock: {{start: 2026-02-30T00:00:00Z}}",
        'odd.yaml:3: $.clock.start: expected an instant such as 2026-01-31T23:58:00Z, got "2026-02-30T00:00:00Z"',
    ),
    (
        f"{HEAD}clock: {{start: 1969-12-31T23:59:59Z}}",
        'odd.yaml:3: $.clock.start: expected a year from 1970 to 2999, got "1969-12-31T23:59:59Z"',
    ),
    (
        f"{HEAD}clock: {{start: 3000-01-01T00:00:00Z}}",
        'odd.yaml:3: $.clock.start: expected a year from 1970 to 2999, got "3000-01-01T00:00:00Z"',
    ),
    (
        f"{HEAD}job:\n  queued: 1s\n  assemblin: 1s",
        f'odd.yaml:5: $.job.assemblin: unknown key. Did you mean "assembling"? Known: {STEPS}',
    ),
    (f"{HEAD}job: {{queued: soon}}", f'odd.yaml:3: $.job.queued: {LENGTHS}, or forever, got "soon"'),
    (f"{HEAD}job: {{queued: -1}}", "odd.yaml:3: $.job.queued: expected 0s to 720h, or forever, got -1"),
    (f"{HEAD}job: {{queued: 721h}}", 'odd.yaml:3: $.job.queued: expected 0s to 720h, or forever, got "721h"'),
    (f"{HEAD}job: {{queued: {{jitter: 1s}}}}", 'odd.yaml:3: $.job.queued: "mean" is missing: add it.'),
    (
        f"{HEAD}job: {{queued: {{mean: 1s, jitter: 2s}}}}",
        "odd.yaml:3: $.job.queued.jitter: expected at most the mean (1s), got 2s",
    ),
    (
        f"{HEAD}job: {{scene: {{per_output_second: 2h}}}}",
        'odd.yaml:3: $.job.scene.per_output_second: expected 0s to 1h, or forever, got "2h"',
    ),
    (f"{HEAD}job: {{scene: {{reports: 0}}}}", "odd.yaml:3: $.job.scene.reports: expected 1 to 100, got 0"),
    (f"{HEAD}job: {{scene: {{reports: 2.5}}}}", "odd.yaml:3: $.job.scene.reports: expected a whole number, got 2.5"),
    (
        f"{HEAD}job: {{fail: {{error: UPLOAD_FAILED}}}}",
        'odd.yaml:3: $.job.fail: expected either "scene" or "phase": say what fails',
    ),
    (
        f"{HEAD}job: {{fail: {{scene: 1, phase: uploading, error: UPLOAD_FAILED}}}}",
        'odd.yaml:3: $.job.fail: expected either "scene" or "phase": say what fails',
    ),
    (
        f"{HEAD}job: {{fail: {{phase: renderin, error: UPLOAD_FAILED}}}}",
        'odd.yaml:3: $.job.fail.phase: expected a phase of rendering, got "renderin". Did you mean "rendering"?',
    ),
    (
        f"{HEAD}job: {{fail: {{scene: 1, at: 101%, error: UPLOAD_FAILED}}}}",
        'odd.yaml:3: $.job.fail.at: expected a share from 0% to 100%, or 0 to 1, got "101%"',
    ),
    (
        f'{HEAD}job: {{fail: {{scene: 1, error: "SCENE_FAILED: boom"}}}}',
        'odd.yaml:3: $.job.fail.error: expected a job error of the spec, got "SCENE_FAILED". '
        'Did you mean "SCENE_RENDER_FAILED"?',
    ),
    (
        f'{HEAD}job: {{fail: {{scene: 1, error: "UPLOAD_FAILED:  "}}}}',
        'odd.yaml:3: $.job.fail.error: expected what went wrong after "UPLOAD_FAILED:", got nothing',
    ),
    (
        f"{HEAD}job:\n  planning: forever\n  fail: {{phase: uploading, error: UPLOAD_FAILED}}",
        'odd.yaml:5: $.job.fail: never comes: "planning" lasts forever',
    ),
    (
        f"{HEAD}job:\n  scene: {{at_least: forever}}\n  fail: {{scene: 1, error: RENDER_TIMEOUT}}",
        'odd.yaml:5: $.job.fail: never comes: "scene" lasts forever',
    ),
    (
        f"{HEAD}rules:\n  - match: {{operation: getJob}}",
        'odd.yaml:4: $.rules[0]: expected "respond", "fault" or "job": say what the rule does',
    ),
    (
        f"{HEAD}rules:\n  - match: {{}}\n    fault: {{status: 503}}\n  - match:\n      operation: getJobs\n",
        'odd.yaml:7: $.rules[1].match.operation: expected an operation of the spec, got "getJobs". '
        'Did you mean "getJob"?',
    ),
    (f"{HEAD}rules: [{{match: {{nth: 0}}}}]", "odd.yaml:3: $.rules[0].match.nth: expected 1 to 1000000, got 0"),
    (
        f"{HEAD}rules: [{{match: {{nth: 1, times: 1}}}}]",
        'odd.yaml:3: $.rules[0].match.times: "nth" is one call alone: remove it, or "times"',
    ),
    (
        f"{HEAD}rules: [{{match: {{after: 1.5}}}}]",
        "odd.yaml:3: $.rules[0].match.after: expected a whole number of calls, or a time such as 30s, got 1.5",
    ),
    (f"{HEAD}rules: [{{match: {{after: forever}}}}]", f'odd.yaml:3: $.rules[0].match.after: {LENGTHS}, got "forever"'),
    (
        f"{HEAD}rules: [{{match: {{header: {{x-try: 1}}}}}}]",
        "odd.yaml:3: $.rules[0].match.header.x-try: expected a text, got 1",
    ),
    (
        f'{HEAD}rules: [{{match: {{header: {{"x try": ""}}}}}}]',
        'odd.yaml:3: $.rules[0].match.header["x try"]: expected the name of a header, got "x try"',
    ),
    (
        f"{HEAD}rules: [{{match: {{header: {{a: x, A: y}}}}}}]",
        "odd.yaml:3: $.rules[0].match.header.A: this header stands twice: keep one of them",
    ),
    (
        f"{HEAD}rules: [{{match: {{body: [1]}}}}]",
        "odd.yaml:3: $.rules[0].match.body: expected an object, got a list of 1",
    ),
    (
        f"{HEAD}rules: [{{respond: {{error: RENDER_QUOTA_EXCEDED}}}}]",
        'odd.yaml:3: $.rules[0].respond.error: expected an error code of the spec, got "RENDER_QUOTA_EXCEDED". '
        'Did you mean "RENDER_QUOTA_EXCEEDED"?',
    ),
    (
        f"{HEAD}rules: [{{respond: {{error: FORBIDDEN, status: 404}}}}]",
        'odd.yaml:3: $.rules[0].respond.status: "error" brings its own status: remove one of the two',
    ),
    (
        f"{HEAD}rules: [{{respond: {{status: 404, text: No}}}}]",
        'odd.yaml:3: $.rules[0].respond.text: "text" is that of an "error": add its code',
    ),
    (
        f"{HEAD}rules: [{{respond: {{headers: {{}}}}}}]",
        'odd.yaml:3: $.rules[0].respond: expected "error", or "status" and "body": say what to respond',
    ),
    (
        f"{HEAD}rules: [{{respond: {{status: 99}}}}]",
        "odd.yaml:3: $.rules[0].respond.status: expected 200 to 599, got 99",
    ),
    (
        f"{HEAD}rules: [{{respond: {{status: 204, body: {{}}}}}}]",
        "odd.yaml:3: $.rules[0].respond.body: an answer 204 has no body: remove it",
    ),
    (
        f"{HEAD}rules: [{{respond: {{body: {10**30}}}}}]",
        "odd.yaml:3: $.rules[0].respond.body: cannot be written as JSON: Integer exceeds 64-bit range",
    ),
    (
        f"{HEAD}rules: [{{respond: {{status: 200, headers: {{Content-Length: '3'}}}}}}]",
        "odd.yaml:3: $.rules[0].respond.headers.Content-Length: the server sets this header itself: remove it",
    ),
    (
        f'{HEAD}rules: [{{respond: {{status: 200, headers: {{x-a: "1\\r\\nx-b: 2"}}}}}}]',
        "odd.yaml:3: $.rules[0].respond.headers.x-a: expected plain ASCII without line breaks",
    ),
    (f"{HEAD}rules: [{{match: {{for: soon}}}}]", f'odd.yaml:3: $.rules[0].match.for: {LENGTHS}, got "soon"'),
    (
        f"{HEAD}rules: [{{match: {{probability: 1.5}}}}]",
        "odd.yaml:3: $.rules[0].match.probability: expected a share from 0% to 100%, or 0 to 1, got 1.5",
    ),
    (f"{HEAD}rules: [{{fault: {{}}}}]", f"odd.yaml:3: $.rules[0].fault: expected a fault, got nothing. {FAULT_WORDS}"),
    (
        f"{HEAD}rules: [{{fault: {{latenzy: 1s}}}}]",
        f'odd.yaml:3: $.rules[0].fault.latenzy: unknown key. Did you mean "latency"? {FAULT_WORDS}',
    ),
    (
        f"{HEAD}rules: [{{match: {{operation: getJob}}, fault: {{never_end: true}}}}]",
        "odd.yaml:3: $.rules[0].fault.never_end: getJob has no event stream: match an operation that has one",
    ),
    (
        f"{HEAD}rules: [{{match: {{operation: getJob}}, fault: {{drop: all}}}}]",
        "odd.yaml:3: $.rules[0].fault.drop: getJob causes no webhooks: match an operation that does",
    ),
    (f"{HEAD}rules: [{{fault: {{status: 404}}}}]", "odd.yaml:3: $.rules[0].fault.status: expected 500 to 599, got 404"),
    (
        f"{HEAD}rules: [{{fault: {{latency: forever}}}}]",
        f'odd.yaml:3: $.rules[0].fault.latency: {LENGTHS}, got "forever"',
    ),
    (
        f"{HEAD}rules: [{{respond: {{error: FORBIDDEN}}, fault: {{status: 503}}}}]",
        'odd.yaml:3: $.rules[0].fault.status: this status is the answer: remove it, or "respond"',
    ),
    (f"{HEAD}webhooks: {{secret: 1}}", "odd.yaml:3: $.webhooks.secret: expected a text, got 1"),
    (
        f"{HEAD}webhooks:\n  deliver: {{latency: 1s}}",
        'odd.yaml:4: $.webhooks.deliver.latency: unknown key. Did you mean "duplicate"? '
        f"Known: {', '.join(WEBHOOK_KINDS)}",
    ),
    (
        f"{HEAD}webhooks: {{deliver: {{drop: terminl}}}}",
        'odd.yaml:3: $.webhooks.deliver.drop: expected all, progress or terminal, got "terminl". '
        'Did you mean "terminal"?',
    ),
    (
        f"{HEAD}limits: {{rate: 120 per minute}}",
        'odd.yaml:3: $.limits.rate: expected requests per window such as 120/60s, or on or off, got "120 per minute"',
    ),
    (
        f"{HEAD}limits: {{rate: 1/0s}}",
        'odd.yaml:3: $.limits.rate: expected a window of more than 0s, at most 24h, got "1/0s"',
    ),
    (f"{HEAD}limits: {{quota: 1}}", "odd.yaml:3: $.limits.quota: expected on or off, got 1"),
    (
        f"{HEAD}behaviour:\n  sse:\n    resume: snapshott",
        'odd.yaml:5: $.behaviour.sse.resume: expected "replay" or "snapshot", got "snapshott". '
        'Did you mean "snapshot"?',
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message for _, message in BAD])
def test_a_bad_file_is_refused_with_line_place_and_what_to_write(load: Load, text: str, message: str) -> None:
    """Every message says where, what was expected, what came, and the nearest valid word."""
    assert message == refusal(load, text)


def test_a_bad_document_is_named_by_its_source() -> None:
    """What came over the control API has places, but no lines."""
    with pytest.raises(ScenarioError) as caught:
        parsed(rules=[{"match": {"nth": "third"}}])
    assert str(caught.value) == 'the request body: $.rules[0].match.nth: expected a whole number, got "third"'


@pytest.mark.parametrize("value", [object(), {1: 2}, 2**70, "\ud800", None, "text", [[]]])
def test_a_document_that_is_no_object_of_json_is_refused(value: object) -> None:
    """Python callers may hand over anything."""
    with pytest.raises(ScenarioError, match=r"^here: \$: expected "):
        parse_scenario(value, spec(), "here")


def test_a_document_that_nests_without_end_is_refused() -> None:
    """No document can exhaust the stack."""
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ScenarioError, match="expected JSON values"):
        parsed(webhooks={"deliver": {"a": deep}})


# Laws

ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@ONCE
@given(text=st.text() | JSON.map(yaml.safe_dump) | st.text().map(lambda tail: HEAD + tail))
def test_any_text_loads_or_is_refused(load: Load, text: str) -> None:
    """No file whatever raises anything but a ScenarioError."""
    said = complaint(lambda: load(text.encode("utf-8", "replace").decode()))
    assert said is None or re.search(r"odd\.yaml:\d+: .", said)


# The library


def test_a_library_reads_a_file_when_it_is_asked_for(tmp_path: Path) -> None:
    """Starting a server reads no scenario but its own."""
    (tmp_path / "good.yaml").write_text("name: good\ndescription: Good.")
    (tmp_path / "bad.yaml").write_text("name: [")
    library = ScenarioLibrary(tmp_path, spec())
    assert library.names() == ("bad", "good")
    assert library.get("good") is library.get("good")
    with pytest.raises(ScenarioError, match=r"bad\.yaml:2: not YAML"):
        library.get("bad")


def test_an_underscore_stands_for_a_hyphen() -> None:
    """Where a hyphen is awkward to write, as in a projectId, an underscore does."""
    library = ScenarioLibrary(FOLDER, spec())
    assert library.get("scene_fails") is library.get("scene-fails")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hapy", 'there is no scenario "hapy". Did you mean "happy"?'),
        ("../happy", 'there is no scenario "../happy". Did you mean "happy"?'),
        ("zzz", 'there is no scenario "zzz". Known: ' + ", ".join(path.stem for path in FILES)),
    ],
)
def test_an_unknown_scenario_is_refused_with_the_nearest(name: str, message: str) -> None:
    """Only the files of the folder have names."""
    with pytest.raises(ScenarioError) as caught:
        ScenarioLibrary(FOLDER, spec()).get(name)
    assert message == str(caught.value)


def test_a_file_named_otherwise_than_its_scenario_is_refused(tmp_path: Path) -> None:
    """A scenario is found by the name of its file."""
    (tmp_path / "one.yaml").write_text("description: x\nname: two")
    with pytest.raises(ScenarioError, match=r'one\.yaml:2: \$\.name: expected "one", as the file is named, got "two"'):
        ScenarioLibrary(tmp_path, spec()).get("one")


def test_the_whole_library_is_read_by_name() -> None:
    """Every file has the name of its scenario."""
    library = ScenarioLibrary(FOLDER, spec())
    assert [path.stem for path in FILES] == [library.get(name).name for name in library.names()]
