"""Scenario files: what they say, what is refused and how, and what ships."""

import json
import math
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.behaviour import Behaviour, as_document, parse_behaviour
from mockserver.document import read_yaml
from mockserver.errors import ScenarioError
from mockserver.faults import Latency, ServerStatus
from mockserver.models import Phase
from mockserver.scenario import Account, Limits, Match, Respond, Scenario
from mockserver.scenario_file import Library, load_library, load_scenario, parse_scenario
from mockserver.spec import RateLimit, Spec, load_spec
from mockserver.timeline import Duration, Failure, Pace, ScenePace

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "fixtures" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))
REFERENCE = ROOT / "docs" / "scenarios.md"
KEY = "vs_prod_" + "a1" * 16
HEAD = "name: odd\ndescription: Something odd.\n"

Node = dict[str, Any]
Load = Callable[[str], Scenario]


@cache
def spec() -> Spec:
    """Return the shipped spec, read once."""
    return load_spec(ROOT / "openapi.yaml")


@cache
def schema() -> Node:
    """Return the JSON Schema for editors."""
    document: Node = json.loads((ROOT / "fixtures" / "scenario.schema.json").read_text("utf-8"))
    return document


@cache
def validator() -> jsonschema_rs.Draft202012Validator:
    """Return its validator."""
    return jsonschema_rs.Draft202012Validator(schema())


def plain(path: Path) -> Node:
    """Return a shipped scenario as JSON values."""
    document: Node = read_yaml(path, ScenarioError).value
    return document


def parsed(**parts: object) -> Scenario:
    """Return the scenario with these parts."""
    return parse_scenario({"name": "odd", "description": "Something odd.", **parts}, spec())


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
    assert (Account(), None, Pace(), (), Limits()) == (
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
    scene = ScenePace(Duration(6.0), 7.0, 8)
    assert scenario.job == Pace(queued, planning, dispatching, scene, assembling, uploading, fail)


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
    match = {"operation": "getJob", "header": {"X-Try": "1"}, "body": {"a": [1]}, "every": 3, "after": 2, "times": 4}
    rule = parsed(rules=[{"match": match, "fault": {"status": 503}}]).rules[0]
    assert Match("getJob", {"x-try": "1"}, {"a": [1]}, every=3, after=2, times=4) == rule.match


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


def test_webhooks_are_kept_as_written(load: Load) -> None:
    """The secret is a text, deliveries are read where they are made."""
    scenario = load(HEAD + "webhooks: {secret: whsec_test, deliver: {duplicate: 1}}")
    assert scenario.webhooks == {"secret": "whsec_test", "deliver": {"duplicate": 1}}


BOUNDS: list[Node] = [
    {"name": "odd-09"},
    {"clock": {"start": "1970-01-01T00:00:00Z"}},
    {"account": {"minutes_used": 1_000_000, "minutes_used_today": 1_000_000}},
    {"job": {"queued": "720h", "scene": {"per_output_second": "1h", "at_least": 0, "reports": 100}}},
    {"job": {"queued": {"mean": 0, "jitter": 0}, "scene": {"reports": 1}}},
    {"rules": [{"match": {"after": 0, "header": {"x-09": ""}}, "fault": {"latency": "1h"}}]},
    {"rules": [{"match": {"nth": 1_000_000, "after": 1_000_000}, "respond": {"status": 200}}]},
    {"rules": [{"respond": {"status": 599}}, {"respond": {"status": 204}}]},
    {"limits": {"rate": "999999/24h"}},
    {"limits": {"rate": "1/1ms"}},
]


@pytest.mark.parametrize("parts", BOUNDS, ids=json.dumps)
def test_the_bounds_themselves_are_allowed(parts: Node) -> None:
    """`0 to 720h` means both ends, for the loader and for editors."""
    document = {"name": "odd", "description": "Something odd.", **parts}
    assert isinstance(parse_scenario(document, spec()), Scenario)
    assert validator().is_valid(document)


def test_extensions_are_passed_over(load: Load) -> None:
    """A key that begins with x- is somebody else's."""
    assert load(HEAD + "x-owner: ada\njob: {x-note: slow, queued: 9s}").job == Pace(queued=Duration(9.0))


def test_json_reads_as_the_file_does() -> None:
    """The control API takes the same format."""
    for path in FILES:
        document = plain(path)
        assert repr(load_scenario(path, spec())) == repr(parse_scenario(document, spec()))


# What is refused, and how

WORDS = "Known: free, pro, business, enterprise"
TOP = "name, description, account, keys, clock, job, rules, webhooks, limits, behaviour"
STEPS = "queued, planning, dispatching, scene, assembling, uploading, fail"
LENGTHS = "expected seconds, or a time such as 800ms, 1s, 2m or 1h"

BAD = [
    ("", "odd.yaml:1: the file is empty"),
    ("[1]", "odd.yaml:1: $: expected an object, got a list of 1"),
    ("name: odd", 'odd.yaml:1: $: "description" is missing: add it.'),
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
    (f"{HEAD}job: {{fail: {{scene: 1}}}}", 'odd.yaml:3: $.job.fail: "error" is missing: add it.'),
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
        'odd.yaml:4: $.rules[0]: expected "respond" or "fault": say what the rule does',
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
    (f"{HEAD}rules: [{{fault: {{}}}}]", 'odd.yaml:3: $.rules[0].fault: expected "latency" or "status", got nothing'),
    (
        f"{HEAD}rules: [{{fault: {{latenzy: 1s}}}}]",
        'odd.yaml:3: $.rules[0].fault.latenzy: unknown key. Did you mean "latency"? Known: latency, status',
    ),
    (f"{HEAD}rules: [{{fault: {{status: 404}}}}]", "odd.yaml:3: $.rules[0].fault.status: expected 500 or 503, got 404"),
    (
        f"{HEAD}rules: [{{fault: {{latency: forever}}}}]",
        "odd.yaml:3: $.rules[0].fault.latency: expected a latency that ends, got forever",
    ),
    (
        f"{HEAD}rules: [{{respond: {{error: FORBIDDEN}}, fault: {{status: 503}}}}]",
        'odd.yaml:3: $.rules[0].fault.status: this status is the answer: remove it, or "respond"',
    ),
    (f"{HEAD}webhooks: {{secret: 1}}", "odd.yaml:3: $.webhooks.secret: expected a text, got 1"),
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
    (f"{HEAD}job: &a {{}}\nx-b: *a", "odd.yaml:4: $.x-b: YAML aliases (*name) are not supported: write the value out"),
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

WORDS_OF_THE_FORMAT = ["on", "forever", "1s", "60%", "120/60s", "getJob", "FORBIDDEN", "UPLOAD_FAILED: x", "pro"]
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(WORDS_OF_THE_FORMAT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def complaint(read: Callable[[], object]) -> str | None:
    """Return the message of the ScenarioError that a reading raises, or None when it succeeds."""
    try:
        read()
    except ScenarioError as error:
        return str(error)
    return None


@ONCE
@given(text=st.text() | JSON.map(yaml.safe_dump) | st.text().map(lambda tail: HEAD + tail))
def test_any_text_loads_or_is_refused(load: Load, text: str) -> None:
    """No file whatever raises anything but a ScenarioError."""
    said = complaint(lambda: load(text.encode("utf-8", "replace").decode()))
    assert said is None or re.search(r"odd\.yaml:\d+: .", said)


def places(value: object, trail: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the trail of every part of a document."""
    yield trail
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*trail, key))


def full() -> Node:
    """Return a document that uses every key of the format that can stand beside the others."""
    return {
        "name": "odd",
        "description": "Something odd.",
        "account": {"plan": "pro", "minutes_used": 9, "minutes_used_today": 1, "revoked": False, "email": "a@b.c"},
        "keys": {KEY: {"plan": "free"}},
        "clock": {"start": "2026-01-31T23:58:00Z"},
        "job": {
            **dict.fromkeys(("queued", "planning", "dispatching", "assembling", "uploading"), "1s"),
            "scene": {"per_output_second": {"mean": 3, "jitter": "1s"}, "at_least": "2s", "reports": 4},
            "fail": {"scene": 2, "at": "60%", "error": "RENDER_TIMEOUT"},
        },
        "rules": [
            {
                "match": {"operation": "getJob", "header": {"a": "b"}, "every": 2, "after": 1, "times": 3},
                "fault": {"status": 500},
            },
            {
                "match": {"body": {"c": 1}, "nth": 3},
                "respond": {"error": "FORBIDDEN", "text": "No.", "headers": {"a": "b"}},
            },
            {"respond": {"status": 200, "body": {"a": 1}}, "fault": {"latency": "1s"}},
            {"fault": {"latency": {"mean": 1}, "status": 503}},
        ],
        "webhooks": {"secret": "s", "deliver": {"reorder": True}},
        "limits": {"rate": "120/60s", "quota": "on", "concurrency": "off"},
        "behaviour": {**as_document(Behaviour()), "errors": {"forbidden": "NO"}},
    }


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_structure_loads_or_is_refused_and_the_schema_refuses_no_more(data: st.DataObject) -> None:
    """A document with any part replaced is read or refused with a place; what is read, the schema allows too."""
    document = full()
    trail = data.draw(st.sampled_from([trail for trail in places(document) if trail]))
    part: Any = document
    for key in trail[:-1]:
        part = part[key]
    part[trail[-1]] = data.draw(JSON)
    said = complaint(lambda: parse_scenario(document, spec()))
    assert re.match(r"the request body: \$", said) if said else validator().is_valid(json.loads(json.dumps(document)))


# The JSON Schema for editors


def test_the_document_with_every_key_is_read_and_allowed() -> None:
    """It is the ground that the property tests stand on."""
    document = full()
    assert validator().is_valid(document)
    assert isinstance(parse_scenario(document, spec()), Scenario)


def test_the_schema_is_a_schema_with_a_description_for_every_key() -> None:
    """An editor shows the description where the cursor is."""
    jsonschema_rs.meta.validate(schema())
    bare = [
        trail
        for trail in places(schema())
        if len(trail) > 1 and trail[-2] == "properties" and isinstance(node := at(schema(), trail), dict)
        if not {"description", "$ref", "properties"} & node.keys()
    ]
    assert bare == []


def at(value: Any, trail: tuple[str | int, ...]) -> Any:
    """Return the part of a document at a trail."""
    for key in trail:
        value = value[key]
    return value


REFUSED: list[Node] = [
    {"name": "Odd"},
    {"description": ""},
    {"jobs": {}},
    {"account": {"plan": "gold"}},
    {"account": {"minutes_used": -1}},
    {"account": {"revoked": "yes"}},
    {"account": {"email": "ada"}},
    {"keys": {"mine": {}}},
    {"clock": {"start": "2026-01-31"}},
    {"clock": {"starts": "2026-01-31T00:00:00Z"}},
    {"job": {"queued": "soon"}},
    {"job": {"queued": -1}},
    {"job": {"queued": {"jitter": 1}}},
    {"job": {"queued": {"mean": "forever"}}},
    {"job": {"scene": {"reports": 0}}},
    {"job": {"scene": {"at_least": {"mean": 1}}}},
    {"job": {"fail": {"error": "UPLOAD_FAILED"}}},
    {"job": {"fail": {"scene": 1}}},
    {"job": {"fail": {"scene": 1, "phase": "planning", "error": "UPLOAD_FAILED"}}},
    {"job": {"fail": {"phase": "waiting", "error": "UPLOAD_FAILED"}}},
    {"job": {"fail": {"scene": 1, "error": "BOOM: x"}}},
    {"job": {"fail": {"scene": 1, "at": 1.5, "error": "UPLOAD_FAILED"}}},
    {"rules": {}},
    {"rules": [{"match": {}}]},
    {"rules": [{"match": {"operation": "getJobs"}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"nth": 1, "every": 1}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"after": "1 s"}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"header": {"a": 1}}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"header": {"a b": ""}}, "fault": {"status": 500}}]},
    {"rules": [{"respond": {}}]},
    {"rules": [{"respond": {"error": "OOPS"}}]},
    {"rules": [{"respond": {"error": "FORBIDDEN", "status": 403}}]},
    {"rules": [{"respond": {"status": 404, "text": "No."}}]},
    {"rules": [{"respond": {"status": 199}}]},
    {"rules": [{"fault": {}}]},
    {"rules": [{"fault": {"status": 404}}]},
    {"rules": [{"fault": {"latency": "forever"}}]},
    {"webhooks": {"secret": ""}},
    {"webhooks": {"deliver": []}},
    {"limits": {"rate": "120/60"}},
    {"limits": {"rate": 120}},
    {"limits": {"quota": 1}},
    {"behaviour": {"sse": {"resume": "never"}}},
    {"behaviour": {"sse.resume": "replay"}},
    {"behaviour": {"errors": {"oops": "X"}}},
]


@pytest.mark.parametrize("parts", REFUSED, ids=json.dumps)
def test_schema_and_loader_refuse_the_same(parts: Node) -> None:
    """An editor marks what the loader would refuse."""
    assert not validator().is_valid({"name": "odd", "description": "x", **parts})
    with pytest.raises(ScenarioError):
        parsed(**parts)


KEYED = [
    trail
    for trail in places(full())
    if isinstance(at(full(), trail), dict)
    and not {"keys", "header", "headers", "body", "deliver", "behaviour"} & {trail[-1] if trail else ""}
    and "behaviour" not in trail
]


def keys_of_loader(trail: tuple[str | int, ...]) -> set[str]:
    """Return the keys that the loader says it knows, when it meets one that it does not."""
    document = full()
    at(document, trail)["zzz"] = 1
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(document, spec())
    return set(str(caught.value).partition("Known: ")[2].split(", "))


def keys_of_schema(trail: tuple[str | int, ...]) -> set[str]:
    """Return the keys of the schema's object at the same place."""
    node = schema()
    for key in trail:
        node = node["items"] if isinstance(key, int) else node["properties"].get(key) or node["additionalProperties"]
        while "properties" not in node and "items" not in node and "additionalProperties" not in node:
            node = at(schema(), ("$defs", node["$ref"].split("/")[-1])) if "$ref" in node else node["anyOf"][-1]
    return set(node["properties"])


@pytest.mark.parametrize("trail", [trail for trail in KEYED if trail[:1] != ("keys",)], ids=str)
def test_schema_and_loader_know_the_same_keys(trail: tuple[str | int, ...]) -> None:
    """What one has and the other has not would be hidden, or a false promise."""
    assert keys_of_schema(trail) == keys_of_loader(trail)


def test_the_schema_names_the_words_of_the_shipped_spec() -> None:
    """Editors complete operations, codes and plans; they are the spec's, in its order."""
    defs = schema()["$defs"]
    assert list(spec().plans) == defs["account"]["properties"]["plan"]["enum"]
    assert (list(spec().operations), list(spec().errors)) == (
        defs["match"]["properties"]["operation"]["enum"],
        defs["respond"]["properties"]["error"]["enum"],
    )
    assert f"^({'|'.join(spec().job_errors)})($|: )" == defs["fail"]["properties"]["error"]["pattern"]


def test_the_schema_names_every_switch_with_its_default() -> None:
    """The switches are those of the behaviour profile."""
    sections = deepcopy(schema()["$defs"]["behaviour"]["properties"])
    del sections["errors"]
    defaults = {
        section: {name: switch["default"] for name, switch in part["properties"].items()}
        for section, part in sections.items()
    }
    assert as_document(Behaviour()) == defaults


def test_the_schema_names_the_defaults_of_a_job() -> None:
    """What an editor shows as default is what an empty file gets."""
    job = schema()["$defs"]["job"]["properties"]
    defaults = {step: part["default"] for step, part in job.items() if "default" in part}
    scene = {key: part["default"] for key, part in job["scene"]["properties"].items()}
    assert Pace() == parsed(job={**defaults, "scene": scene}).job


# What ships


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_fits_the_schema(path: Path) -> None:
    """Shipped data is code."""
    assert path.stem == load_scenario(path, spec()).name
    assert [str(error) for error in validator().iter_errors(plain(path))] == []
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=../scenario.schema.json\n")


def test_happy_is_what_a_scenario_is_without_a_word() -> None:
    """Its durations are written out, and are the defaults."""
    happy = load_scenario(FOLDER / "happy.yaml", spec())
    assert (Pace(), Account(), ()) == (happy.job, happy.account, happy.rules)


def test_every_shipped_scenario_differs_from_happy() -> None:
    """Each one shows something that the others do not."""
    said = [
        json.dumps({key: part for key, part in plain(path).items() if key not in {"name", "description"}})
        for path in FILES
    ]
    assert len(FILES) == len(set(said))


def test_a_description_is_one_sentence() -> None:
    """It stands in a list of one line each."""
    descriptions = [plain(path)["description"] for path in FILES]
    assert [text for text in descriptions if not re.fullmatch(r"[A-Z][^\n]{20,118}\.", text) or ". " in text] == []


# The library


def test_a_library_reads_a_file_when_it_is_asked_for(tmp_path: Path) -> None:
    """Starting a server reads no scenario but its own."""
    (tmp_path / "good.yaml").write_text("name: good\ndescription: Good.")
    (tmp_path / "bad.yaml").write_text("name: [")
    library = Library(tmp_path, spec())
    assert library.names() == ("bad", "good")
    assert library.get("good") is library.get("good")
    with pytest.raises(ScenarioError, match=r"bad\.yaml:2: not YAML"):
        library.get("bad")


def test_an_underscore_stands_for_a_hyphen() -> None:
    """Where a hyphen is awkward to write, as in a projectId, an underscore does."""
    library = Library(FOLDER, spec())
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
        Library(FOLDER, spec()).get(name)
    assert message == str(caught.value)


def test_a_file_named_otherwise_than_its_scenario_is_refused(tmp_path: Path) -> None:
    """A scenario is found by the name of its file."""
    (tmp_path / "one.yaml").write_text("description: x\nname: two")
    with pytest.raises(ScenarioError, match=r'one\.yaml:2: \$\.name: expected "one", as the file is named, got "two"'):
        Library(tmp_path, spec()).get("one")


def test_the_whole_library_is_read_by_name() -> None:
    """`load_library` is the one way to see every file checked."""
    assert [path.stem for path in FILES] == [scenario.name for scenario in load_library(FOLDER, spec()).values()]


# The reference


def test_the_reference_lists_every_shipped_scenario_with_its_description() -> None:
    """The table is the files' own words."""
    rows = re.findall(
        r"(?m)^\| \[`([a-z-]+)`\]\(\.\./fixtures/scenarios/\1\.yaml\) \| (.+) \|$", REFERENCE.read_text("utf-8")
    )
    assert [(path.stem, plain(path)["description"]) for path in FILES] == sorted(rows)


def test_the_reference_names_every_key() -> None:
    """A key that is not in the reference is not in the format."""
    text = REFERENCE.read_text("utf-8")
    keys = {key for trail in KEYED if "keys" not in trail for key in keys_of_schema(trail)}
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def examples() -> list[str]:
    """Return the YAML examples of the reference."""
    return re.findall(r"(?ms)^```yaml\n(.*?)^```$", REFERENCE.read_text("utf-8"))


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_reference_loads(load: Load, example: str) -> None:
    """What people copy works."""
    head = "" if example.startswith("name:") else HEAD
    assert isinstance(load(head + example), Scenario)
