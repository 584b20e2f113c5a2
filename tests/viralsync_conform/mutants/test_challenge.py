"""`challenge`: a team's own tests against wrong servers; what counts, what does not, and what is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from viralsync_mock.cli import main

SUITE = """
import os, sys
from pathlib import Path

mutant, folder = os.environ["VIRALSYNC_MOCK_MUTANT"], Path(os.environ["VIRALSYNC_CHALLENGE_DIR"])
deviates = mutant not in {"none", "media-missing"}
(folder / "traffic.txt").write_text("getJob 200\\n" + "deviated\\n" * deviates)
skipped = (folder / "skipped.txt").read_text().split()
if mutant == "none" and FLICKERS and not skipped:
    (folder / "failed.txt").write_text("test_a.py::flickers\\n")
    sys.exit(1)
if mutant == "get-another-job":
    (folder / "failed.txt").write_text("test_a.py::notices\\n")
    sys.exit(1)
if mutant == "get-enveloped":
    import threading
    threading.Event().wait()
"""
"""Stands for the tests of a team: it notices one wrong server, hangs on another, and never meets a third."""


def challenge(folder: Path, *options: str, suite: str = SUITE, flickers: bool = False) -> Result:
    script = folder / "suite.py"
    script.write_text(suite.replace("FLICKERS", str(flickers)))
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


def test_tests_that_hang_have_noticed(tmp_path: Path) -> None:
    """They are stopped after twice the time that they took on the mock itself, and a little more."""
    result = challenge(tmp_path, *only("get-enveloped"))
    assert "your tests notice 1 of 1 wrong servers (100 %)" in result.output


def test_tests_that_flicker_on_the_mock_are_left_out(tmp_path: Path) -> None:
    """They are named, and do not run against wrong servers."""
    result = challenge(tmp_path, *only("get-another-job"), flickers=True)
    assert "left out, since it fails or flickers there: test_a.py::flickers" in result.output
    assert "your tests notice 1 of 1" in result.output


def test_what_the_budget_does_not_reach_is_not_counted(tmp_path: Path) -> None:
    """A budget of nothing tries nothing, after the runs on the mock itself."""
    result = challenge(tmp_path, "--budget", "0s", *only("get-another-job"))
    assert "not counted: 1 were not tried within the budget" in result.output


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
