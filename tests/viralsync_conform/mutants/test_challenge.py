"""`challenge`: a team's own tests against wrong servers; what counts, what does not, and what is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from viralsync_conform import mutants
from viralsync_conform.clocks import monotonic
from viralsync_conform.mutants.catalogue import BEHAVIOUR_MUTANTS
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.traffic import Traffic, _first_difference, _first_event
from viralsync_mock.certify.program import GRACE_SECONDS
from viralsync_mock.cli import main

SUITE = """
import json, os, sys
from pathlib import Path

mutant, folder = os.environ["VIRALSYNC_MOCK_MUTANT"], Path(os.environ["VIRALSYNC_CHALLENGE_DIR"])
deviates = mutant not in {"none", "media-missing"}
line = {"test": "test_a.py::near", "where": "getJob", "place": "$.status", "sent": '"a"', "right": '"b"'}
deviation = "deviated " + json.dumps(line) + "\\n" if DETAILS else "deviated\\n"
(folder / "traffic.txt").write_text("getJob 200\\n" + deviation * deviates)
skipped = (folder / "skipped.txt").read_text().split()
runs = Path(__file__).with_name("runs.txt")
runs.write_text((runs.read_text() if runs.exists() else "") + mutant[:1])
broken = [] if not FLICKERS else ["fails"] + ["flickers"] * (len(runs.read_text()) == 2)
if mutant == "none" and broken and not skipped:
    (folder / "failed.txt").write_text("".join(f"test_a.py::{test}\\n" for test in broken))
    sys.exit(1)
if mutant == "get-another-job":
    (folder / "failed.txt").write_text("test_a.py::notices\\n")
    sys.exit(1)
if mutant == "get-enveloped":
    import threading
    threading.Event().wait()
"""
"""Stands for the tests of a team: it notices one wrong server, hangs on another, and never meets a third."""


def challenge(folder: Path, *options: str, suite: str = SUITE, flickers: bool = False, details: bool = False) -> Result:
    script = folder / "suite.py"
    script.write_text(suite.replace("FLICKERS", str(flickers)).replace("DETAILS", str(details)))
    return CliRunner().invoke(main, ["challenge", *options, "--", sys.executable, str(script)])


def only(*names: str) -> list[str]:
    return [part for name in names for part in ("--only", name)]


def test_what_is_noticed_what_survives_and_what_is_never_met(tmp_path: Path) -> None:
    """A failing test notices; a server that deviated without one survives; one that never deviated does not count."""
    report = tmp_path / "report.json"
    names = only("get-another-job", "get-in-snake-case", "media-missing")
    result = challenge(tmp_path, *names, "--report", str(report))
    assert result.exit_code == 0, result.output
    assert "your tests notice 1 of 2 wrong servers (50 %)" in result.output
    assert "not counted: 1 never deviate in what your tests do" in result.output
    assert "  job fields: get-in-snake-case: GET writes job_id for jobId." in result.output
    document = json.loads(report.read_text())
    assert (document["percent"], document["noticed"]) == (50.0, {"get-another-job": "test_a.py::notices"})


def test_of_a_survivor_it_is_told_what_it_did_and_what_a_test_would_assert(tmp_path: Path) -> None:
    """With the test that was nearest: it received the wrong response, and passed."""
    report = tmp_path / "report.json"
    result = challenge(tmp_path, *only("get-in-snake-case"), "--report", str(report), details=True)
    assert '      the server: getJob: $.status was "a", the mock says "b"\n' in result.output
    assert "      nearest: test_a.py::near\n" in result.output
    assert '      a test would assert: $.status of getJob is "b"\n' in result.output
    (survivor,) = json.loads(report.read_text())["survivors"]
    assert survivor["nearest"] == "test_a.py::near"


def test_the_most_telling_come_first_and_what_has_no_occasion_is_not_tried(tmp_path: Path) -> None:
    """The tests read jobs, and do nothing else: no stream, no list, no webhook."""
    challenge(tmp_path, "--budget", "1s", "--workers", "1", suite=SUITE.replace("mutant[:1]", 'mutant + " "'))
    tried = [name for name in (tmp_path / "runs.txt").read_text().split() if name != "none"]
    telling = Path(mutants.__file__).with_name("telling.txt").read_text().split("\n")
    assert tried[0] == "get-another-job"
    known = [name for name in tried if name in telling]
    assert known == sorted(known, key=telling.index)
    assert not any(name.startswith(("stream-", "webhook-", "cursor-")) for name in tried)


def test_every_telling_mutant_exists() -> None:
    """A name that is misspelt would be tried last."""
    lines = Path(mutants.__file__).with_name("telling.txt").read_text().splitlines()
    assert set(lines[1:]) <= {each.name for each in BEHAVIOUR_MUTANTS}


def test_tests_that_hang_have_noticed(tmp_path: Path) -> None:
    """They are stopped after twice the time that they took on the mock itself, and a little more."""
    result = challenge(tmp_path, *only("get-enveloped"))
    assert "your tests notice 1 of 1 wrong servers (100 %)" in result.output


def test_tests_that_flicker_on_the_mock_are_left_out(tmp_path: Path) -> None:
    """They are named, as those that always fail are, and do not run against wrong servers."""
    result = challenge(tmp_path, *only("get-another-job"), flickers=True)
    assert "left out, since it flickers there: test_a.py::flickers" in result.output
    assert "left out, since it fails there: test_a.py::fails" in result.output
    assert "your tests notice 1 of 1" in result.output


def test_what_the_budget_does_not_reach_is_not_counted(tmp_path: Path) -> None:
    """A budget of nothing tries nothing, not even the mock itself."""
    result = challenge(tmp_path, "--budget", "0s", *only("get-another-job"))
    assert "not counted: 1 were not tried within the budget" in result.output
    assert not (tmp_path / "runs.txt").exists()


def test_what_is_under_way_when_the_budget_is_used_up_is_broken_off(tmp_path: Path) -> None:
    """Tests that hang have not noticed then, and the command ends with its budget."""
    report = tmp_path / "report.json"
    started = monotonic()
    result = challenge(tmp_path, "--budget", "3s", *only("get-enveloped"), "--report", str(report))
    assert monotonic() - started < 3 + GRACE_SECONDS + 3
    assert "not counted: 1 were broken off when it was used up" in result.output
    assert json.loads(report.read_text())["broken_off"] == ["get-enveloped"]


def test_a_run_on_the_mock_itself_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    """Nothing is known then, and it says why."""
    hangs = SUITE + "import threading\nthreading.Event().wait()"
    result = challenge(tmp_path, "--budget", "1s", "--fail-under", "1", suite=hangs)
    assert result.exit_code == 1
    assert "nothing is known about your tests: the budget was used up by the runs on the mock itself" in result.output


@pytest.mark.parametrize(
    ("options", "suite", "text"),
    [
        (["--budget", "soon"], SUITE, "expected a whole number with s, m or h"),
        (["--only", "get-another-jobs"], SUITE, "Did you mean"),
        ([], "", "the tests never called the mock"),
        ([], SUITE + "sys.exit(3)", "the tests fail on the mock itself, with exit code 3"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(tmp_path: Path, options: list[str], suite: str, text: str) -> None:
    """What came, what was expected, what to do; and nothing is tried."""
    result = challenge(tmp_path, *options, suite=suite)
    assert (result.exit_code, text in result.output) == (2, True), result.output


def test_too_few_noticed_is_exit_code_1(tmp_path: Path) -> None:
    """For CI."""
    assert challenge(tmp_path, "--fail-under", "50", *only("get-in-snake-case")).exit_code == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--budget", "0s", *only("get-another-job")], "give more with --budget"),
        (only("media-missing"), "no wrong server deviated"),
    ],
)
def test_a_run_that_counts_no_server_does_not_pass(tmp_path: Path, options: list[str], text: str) -> None:
    """A budget that is used up before the first wrong server says nothing of the tests, not that they notice all."""
    report = tmp_path / "report.json"
    result = challenge(tmp_path, *options, "--fail-under", "50", "--report", str(report))
    assert (result.exit_code, text in result.output, "100 %" in result.output) == (1, True, False), result.output
    assert json.loads(report.read_text())["percent"] is None


@pytest.mark.slow
def test_a_real_suite_with_the_fixture(tmp_path: Path) -> None:
    """The fixture starts the wrong server; a stream of another job goes unnoticed by a test that never reads one."""
    (tmp_path / "test_team.py").write_text(
        "import urllib.request\n\n"
        "def test_me(viralsync):\n"
        "    request = urllib.request.Request(f'{viralsync.base_url}/v1/me', headers=viralsync.headers)\n"
        "    assert b'email' in urllib.request.urlopen(request).read()\n"
    )
    names = only("me-without-email", "me-email-null", "get-another-job", "me-plan-capital")
    command = [sys.executable, "-m", "viralsync_mock", "challenge", *names, "--", sys.executable, "-m", "pytest", "-q"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "VIRALSYNC_"))}
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "your tests notice 0 of 3 wrong servers (0 %)" in done.stdout
    assert "not counted: 1 never deviate in what your tests do" in done.stdout


SERVED = """
import json, os, subprocess, sys, urllib.request
server = subprocess.Popen(
    [sys.executable, "-m", "viralsync_mock", "serve", "--port", "0", "--auto"], stdout=subprocess.PIPE, text=True
)
try:
    base = server.stdout.readline().split()[-1]
    headers = {"x-api-key": "vs_prod_0123456789abcdefghijklmnopqrstuv"}
    me = json.load(urllib.request.urlopen(urllib.request.Request(base + "/v1/me", headers=headers)))
    sys.exit(me["plan"] != "pro")
finally:
    server.terminate()
    server.wait()
"""
"""The tests of a team that starts `viralsync-mock serve`, in whatever language."""


@pytest.mark.slow
def test_a_suite_that_starts_a_server_of_its_own(tmp_path: Path) -> None:
    """`serve` reads the variable; the exit code of the tests decides."""
    result = challenge(tmp_path, *only("me-plan-in-capitals", "me-without-email", "get-another-job"), suite=SERVED)
    assert result.exit_code == 0, result.output
    assert "your tests notice 1 of 2 wrong servers (50 %)" in result.output
    assert 'the server: getMe: $.email was "", the mock says' in result.output
    assert "nearest" not in result.output


def answer(document: object = None, status: int = 200, **headers: str) -> Answer:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Answer(status, lines, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("sent", "right", "told"),
    [
        (answer(status=500), answer(), ("the status", "500", "200")),
        (answer({"a": [1, {"b": 2}]}), answer({"a": [1, {"b": 3}]}), ("$.a[1].b", "2", "3")),
        (answer({"a": 1}), answer({"a": 1, "b": None}), ("$.b", "missing", "null")),
        (answer([1, 2]), answer([1]), ("$[1]", "2", "missing")),
        (answer("x" * 500), answer({}), ("$", '"' + "x" * 78 + "…", "{}")),
        (answer(retry="1"), answer(), ("the header retry", '"1"', "missing")),
        (answer(), answer(), ("the job behind it", "another", "the client's")),
    ],
)
def test_the_first_difference_of_two_responses_is_found(
    sent: Answer, right: Answer, told: tuple[str, str, str]
) -> None:
    """The status, then the place in the document, then headers."""
    assert _first_difference(sent, right) == told


def test_the_first_event_that_was_another_is_found() -> None:
    """By its number, and the place in its data."""
    one, two = b'id: 1\ndata: {"a": 1}\n\n', b'id: 2\ndata: {"a": 2}\n\n'
    assert _first_event(one + two.replace(b": 2}", b": 3}"), one + two) == ("event 2: $.a", "3", "2")
    assert _first_event(one, one + two)[:2] == ("event 2", '"none"')


def test_a_connection_that_the_tests_had_broken_off_is_no_deviation(tmp_path: Path) -> None:
    """A fault that a test arms breaks the mock's own response: that says nothing of the wrong server."""
    request = Request({"method": "GET", "path": "/v1/jobs", "query_string": b"", "headers": []}, operation="listJobs")
    with Traffic(tmp_path / "traffic.txt").watched(request):
        pass
    assert (tmp_path / "traffic.txt").read_text() == "listJobs None\n"
