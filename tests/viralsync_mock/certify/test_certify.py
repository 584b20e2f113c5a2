"""Whole runs with small programs: what a program proves, what it fails by, and what is not its fault."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from viralsync_mock.certify import run
from viralsync_mock.cli import main

CALLS = """
import json, os, sys, time, urllib.request
def call(method, path, body=None):
    headers = {"x-api-key": os.environ["VIRALSYNC_API_KEY"], "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["VIRALSYNC_BASE_URL"] + path, data, headers, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)
movie = {"kind": "movie", "projectId": "proj_x", "movie": {"scenes": [{"id": "one", "duration": 1}]}}
"""
SUITE = """version: 1
name: mine
speed: 200
occasions: {stops-at-terminal: the end of a job, waits-out-retry-after: a 429}
scenarios:
  - {name: one, title: A render, task: poll, within: 20s, rules: [stops-at-terminal], scenario: happy}
"""
BOTH = SUITE.replace("[stops-at-terminal]", "[stops-at-terminal, answers-webhooks]")
POLLS = (
    CALLS
    + """
job = call("POST", "/v1/render/jobs", movie)["jobId"]
while call("GET", "/v1/jobs/" + job)["status"] != "done":
    time.sleep(1)
"""
)

HOOKED = POLLS.replace('movie)["jobId"]', 'movie | {"callbackUrl": os.environ["VIRALSYNC_CALLBACK_URL"]})["jobId"]')

Run = Callable[..., Result]


POLLS_ON_THE_CLOCK = POLLS.replace(
    "time.sleep(1)", 'call("POST", "/__mock/clock/sleep", {"seconds": 60, "allAsleep": True})'
)


@pytest.fixture
def certify(tmp_path: Path) -> Run:
    """Return a function that runs the command with a program and a suite."""

    def run_it(code: str, *arguments: str, suite: str = SUITE, expected: str = "") -> Result:
        (tmp_path / "suite.yaml").write_text(suite)
        (tmp_path / "client.py").write_text(code)
        if expected:
            (tmp_path / "expected.yaml").write_text(expected)
            arguments = (*arguments, "--expected-failures", str(tmp_path / "expected.yaml"))
        command = shlex.join([sys.executable, str(tmp_path / "client.py")])
        options = ["certify", "--command", command, "--suite", str(tmp_path / "suite.yaml"), *arguments]
        return CliRunner().invoke(main, options)

    return run_it


def test_a_client_that_does_it_right_is_certified(certify: Run, tmp_path: Path) -> None:
    """The reports are written, and hold no key."""
    done = certify(POLLS + "print(os.environ['VIRALSYNC_API_KEY'])", "--report-dir", str(tmp_path / "report"))
    assert (done.exit_code, "has proved it" in done.output) == (0, True), done.output
    files = {each.name: each.read_text() for each in (tmp_path / "report").iterdir()}
    assert files.keys() == {
        "badge.json", "certificate.json", "junit.xml", "report.html", "report.sarif", "summary.md"
    }  # fmt: skip
    document = json.loads(files["certificate.json"])
    assert document["scenarios"][0]["output"] == "vs_prod_***\n"
    assert document["rules"] == [
        {"rule": "stops-at-terminal", "passed": ["one"], "failed": [], "unproven": [], "sentence": "passed in one"}
    ]


def test_a_client_that_reads_on_fails_by_the_rule(certify: Run) -> None:
    """The calls are shown, with what their times mean on a clock that is faster than the client."""
    reads_on = "for _ in range(4): call('GET', '/v1/jobs/' + job)"
    done, on_jumping_clock = certify(POLLS + reads_on), certify(POLLS_ON_THE_CLOCK + reads_on, "--clock", "jump")
    for each in (done, on_jumping_clock):
        assert each.exit_code == 1
        assert "FAILED one: A render\n  stops-at-terminal: " in each.output
        assert "/v1/jobs/job_" in each.output
    assert "times as fast as real time" in done.output
    assert "times as fast as real time" not in on_jumping_clock.output


def test_a_failure_among_others_is_tried_again_by_itself(certify: Run) -> None:
    """The second result counts, and says so."""
    beside = "  - {name: two, title: A render, task: poll, within: 20s, rules: [stops-at-terminal], scenario: happy}\n"
    done = certify(POLLS + "for _ in range(4): call('GET', '/v1/jobs/' + job)", suite=SUITE + beside)
    assert done.exit_code == 1
    assert "FAILED one: A render, also when run alone\n  stops-at-terminal: " in done.output


def test_what_a_client_never_met_it_has_not_proved(certify: Run) -> None:
    """Nothing failed, and yet the result is not green."""
    suite = SUITE.replace("[stops-at-terminal]", "[stops-at-terminal, waits-out-retry-after]")
    done = certify(POLLS, suite=suite)
    assert done.exit_code == 3
    assert "waits-out-retry-after: never met a 429: proved nothing about it" in done.output
    accepted = certify(POLLS, suite=suite, expected="one/waits-out-retry-after: never more than one call")
    assert accepted.exit_code == 0


def test_an_expected_failure_that_passes_is_told(certify: Run) -> None:
    """The list shrinks as the client gets better."""
    done = certify(POLLS, expected="one: not yet")
    assert done.exit_code == 4
    assert "take it off the list of expected failures: one" in done.output


def test_a_program_that_ends_badly_or_not_at_all_fails(certify: Run) -> None:
    """Its output says why."""
    done = certify(POLLS + "raise SystemExit('no disk left')")
    assert (done.exit_code, "no disk left" in done.output) == (1, True)
    assert "exit-code: expected exit code 0, got 1" in done.output
    slow = certify(CALLS + "time.sleep(60)", "--jobs", "1", suite=SUITE.replace("20s", "1s"))
    assert (slow.exit_code, "ends-in-time: stopped after 1 s" in slow.output) == (1, True)


def test_a_program_that_was_stopped_is_not_accused_of_what_it_had_no_time_for(certify: Run) -> None:
    """It polls a job that never ends: who knows whether it would have cancelled it."""
    suite = SUITE.replace("20s", "5s").replace("happy", "stuck, ends: any")
    suite = suite.replace("[stops-at-terminal]", "[cancels-what-it-abandons]")
    done = certify(POLLS, "--jobs", "1", suite=suite)
    assert done.exit_code == 3
    assert "cancels-what-it-abandons: the program was stopped before it showed this" in done.output


def test_a_client_that_leaves_its_job_behind_fails_as_soon_as_it_has_ended(certify: Run) -> None:
    """No clock has to say so: the process is over."""
    left = CALLS + "call('POST', '/v1/render/jobs', movie)"
    done = certify(left, suite=SUITE.replace("happy", "stuck"))
    assert (done.exit_code, "was not cancelled when the client ended" in done.output) == (1, True)


def test_an_error_of_the_mock_is_not_the_clients_fault(certify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the run inconclusive, never red."""

    def broken(*_: object) -> None:
        raise RuntimeError("no such thing as a sandbox")

    monkeypatch.setattr(run._Runner, "_prepare", broken)
    done = certify(POLLS)
    assert done.exit_code == 3
    assert "ERROR one: A render" in done.output
    assert "mock: RuntimeError: no such thing as a sandbox" in done.output


def test_an_error_outside_of_every_scenario_is_no_verdict(
    certify: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its exit code is that of no verdict, and the details are in a file."""

    def broken(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(run, "create_app", broken)
    done = certify(POLLS, "--report-dir", str(tmp_path / "report"))
    assert done.exit_code == 70
    assert "RuntimeError: odd" in (tmp_path / "report" / "crash.txt").read_text()


def test_webhooks_prove_nothing_without_a_receiver_of_the_clients(certify: Run) -> None:
    """What our own receiver answers says nothing about the client."""
    webhooks = SUITE.replace("task: poll", "task: webhook").replace("stops-at-terminal]", "answers-webhooks]")
    assert "needs a receiver of the client's" in certify(POLLS, suite=webhooks).output
    assert "answers-webhooks: proved nothing" in certify(HOOKED, suite=BOTH).output


def test_a_receiver_that_does_not_listen_is_named(certify: Run) -> None:
    """Its address may be wrong: the mock itself only knows that no answer came."""
    output = certify(HOOKED, "--callback-to", "http://127.0.0.1:1/hooks", suite=BOTH).output
    assert "(nothing listened at http://127.0.0.1:1/hooks)" in output


def test_a_program_that_never_calls_the_mock_is_told_where_it_is(certify: Run) -> None:
    """It may take the address from elsewhere, and reach the real API."""
    assert "made no call to the mock, whose address is in VIRALSYNC_BASE_URL" in certify("").output


def test_on_a_jumping_clock_a_program_sleeps_through_the_control_api(certify: Run) -> None:
    """An hour in the queue takes no time."""
    suite = SUITE.replace("scenario: happy", "scenario: {job: {queued: 1h}}")
    done = certify(POLLS_ON_THE_CLOCK, "--clock", "jump", suite=suite)
    assert done.exit_code == 0, done.output


def test_the_clock_of_serve_is_another_variable(certify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team that sets it for its server does not change what its clients are held against."""
    monkeypatch.setenv("VIRALSYNC_MOCK_CLOCK", "auto")
    assert "has no such scenario" in certify("", "--only", "nothing-at-all").output
    monkeypatch.setenv("VIRALSYNC_MOCK_CERTIFY_CLOCK", "auto")
    assert "'--clock'" in certify("", "--only", "nothing-at-all").output


def test_files_that_cannot_be_used_are_wrong_use(certify: Run, tmp_path: Path) -> None:
    """One sentence, before anything has started."""
    below_a_file = str(tmp_path / "client.py" / "x")
    for arguments in (["--only", "two"], ["--callback-to", "nowhere"], ["--report-dir", below_a_file]):
        done = certify(POLLS, *arguments)
        assert (done.exit_code, "Traceback" in done.output) == (2, False)
