"""The coverage of a whole test run, as somebody outside sees it: options, report, exit status; with workers too."""

from __future__ import annotations

import argparse
import re
from types import SimpleNamespace

import pytest

from viralsync_mock.control.app import read_control_spec
from viralsync_mock.journal.coverage import Coverage
from viralsync_mock.pytest_plugin.reporting import KINDS, NO_SANDBOX, CoverageSection, coverage_lines, percentage

pytest_plugins = ("pytester",)

TESTS = """
import httpx
import pytest

@pytest.mark.parametrize("path", ["/v1/me", "/v1/usage", "/v1/jobs", "/v1/jobs/job_000000000000"])
def test_reads(viralsync, path):
    assert httpx.get(viralsync.base_url + path, headers=viralsync.headers, trust_env=False).status_code in (200, 404)

def test_without_a_key(viralsync):
    assert httpx.get(viralsync.base_url + "/v1/me", trust_env=False).status_code == 401

def test_of_another_account(make_viralsync):
    other = make_viralsync("other")
    assert httpx.delete(other.base_url + "/v1/jobs/x", headers=other.headers, trust_env=False).status_code == 404
"""
OPERATIONS = """\
operation deleteJob
  met      404
  not met  200, 400, 401, 403, 409, 413, 429, 500, 503
operation getJob
  met      404
  not met  200, 400, 401, 403, 413, 429, 500, 503
operation getMe
  met      200, 401
  not met  400, 403, 413, 429, 500, 503
operation getUsage
  met      200
  not met  400, 401, 403, 413, 429, 500, 503
operation listJobs
  met      200
  not met  400, 401, 403, 413, 429, 500, 503
"""
END = "8 of 119 met: 6.7 %"

FLAGS = ("-p", "no:randomly", "-p", "no:cacheprovider")


def run(pytester: pytest.Pytester, *options: str, tests: str = TESTS) -> pytest.RunResult:
    """Run the tests in a process of their own."""
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess(*FLAGS, *options)


def reported(result: pytest.RunResult) -> str:
    """Return the section of the report."""
    section = re.search(r"=+ coverage of the ViralSync API =+\n(.*?\n)(?==)", result.stdout.str(), re.DOTALL)
    assert section, result.stdout.str()
    return section[1].rstrip("\n")


# ---------------------------------------------------------------- the report


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_the_report_tells_what_all_tests_together_met(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The same text with workers and without: each hands over what its own tests met."""
    result = run(pytester, "--viralsync-coverage", *workers)
    text = reported(result)
    assert result.ret == 0
    assert (text.startswith("operation cancelJob\n"), OPERATIONS in text, text.splitlines()[-1]) == (True, True, END)


def test_without_the_options_nothing_is_said_or_loaded(pytester: pytest.Pytester) -> None:
    """Whoever does not ask pays nothing."""
    result = run(
        pytester,
        tests="""
        def test_nothing_is_registered(request):
            assert request.config.pluginmanager.get_plugin("viralsync-coverage") is None
        """,
    )
    result.assert_outcomes(passed=1)
    assert "ViralSync" not in result.stdout.str()


def test_the_ini_file_can_ask_for_it(pytester: pytest.Pytester) -> None:
    """Both options have their line there."""
    pytester.makeini("[pytest]\nviralsync_coverage = true\nviralsync_cover_fail_under = 50\n")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert END in reported(result)


def test_a_run_that_uses_no_sandbox_says_so(pytester: pytest.Pytester) -> None:
    """The report is no error, and costs no server."""
    result = run(pytester, "--viralsync-coverage", tests="def test_else(): pass")
    assert (result.ret, reported(result)) == (0, NO_SANDBOX)


def test_a_failing_test_counts_too(pytester: pytest.Pytester) -> None:
    """Its sandbox was closed like any other, and its failure decides the exit status."""
    tests = TESTS + "\n    assert False\n"
    result = run(pytester, "--viralsync-coverage", "--viralsync-cover-fail-under=0", tests=tests)
    assert (result.ret, reported(result).splitlines()[-1]) == (1, END)


# ---------------------------------------------------------------- how much has to be met


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_too_little_fails_the_run(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Exit status 1, and one line that says why."""
    result = run(pytester, "--viralsync-cover-fail-under=6.8", *workers)
    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["FAIL --viralsync-cover-fail-under: 6.7 % of the API's states were met, 6.8 % have to be."]
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_enough_passes_without_a_word(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Exactly as much as has to be is enough; without the other option there is no report."""
    result = run(pytester, "--viralsync-cover-fail-under=6.7", *workers)
    assert result.ret == pytest.ExitCode.OK
    assert "ViralSync" not in result.stdout.str()


def test_no_sandbox_at_all_is_too_little(pytester: pytest.Pytester) -> None:
    """A run in which every test of the API was left out does not pass for one that covers it."""
    result = run(pytester, "--viralsync-cover-fail-under=1", tests="def test_else(): pass")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAIL --viralsync-cover-fail-under: 0.0 % * 1 % have to be. {NO_SANDBOX}"])


def test_a_run_that_only_collects_is_not_measured(pytester: pytest.Pytester) -> None:
    """Nothing ran, so nothing is missing."""
    result = run(pytester, "--viralsync-cover-fail-under=99", "--viralsync-coverage", "--collect-only")
    assert result.ret == pytest.ExitCode.OK
    assert "ViralSync API" not in result.stdout.str()


def test_a_run_without_tests_keeps_its_own_exit_status(pytester: pytest.Pytester) -> None:
    """Status 5 of pytest says more than our 1."""
    assert run(pytester, "--viralsync-cover-fail-under=99", tests="").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("wrong", ["101", "-1", "much", "nan"])
def test_what_is_no_percentage_is_refused(wrong: str) -> None:
    """The text names what came and what was expected."""
    with pytest.raises(argparse.ArgumentTypeError, match=f"^expected a number from 0 to 100, got '{wrong}'$"):
        percentage(wrong)


def test_a_wrong_line_of_the_ini_file_is_refused(pytester: pytest.Pytester) -> None:
    """As a usage error, before any test runs."""
    pytester.makeini("[pytest]\nviralsync_cover_fail_under = lots\n")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: viralsync_cover_fail_under: expected a number from 0 to 100, got 'lots'"])


# ---------------------------------------------------------------- workers that go missing


def test_a_worker_that_crashed_is_named(pytester: pytest.Pytester) -> None:
    """What its tests met is lost, and the report does not hide it."""
    tests = TESTS + "\ndef test_last(viralsync):\n    import os\n    os._exit(3)\n"
    result = run(pytester, "--viralsync-coverage", "-n", "1", tests=tests)
    result.stdout.fnmatch_lines(["--viralsync-coverage: gw0 crashed: what its tests met is not counted"])


def test_a_worker_that_has_nothing_to_hand_over_is_taken_for_crashed() -> None:
    """Such a node has no output at all."""
    section = CoverageSection(is_shown=True, least=None)
    section.pytest_testnodedown(SimpleNamespace(gateway=SimpleNamespace(id="gw1")))
    section.pytest_testnodedown(SimpleNamespace(workeroutput={"viralsync_coverage": [["code A"], ["code B"]]}))
    assert (section.coverage, section.crashed) == (Coverage(("code A",), ("code B",)), ["gw1"])


# ---------------------------------------------------------------- the text


def test_long_rows_are_broken_between_facts() -> None:
    """No line is longer than the terminal is wide, and continued lines are indented."""
    found = Coverage(("stream resumed",), ("stream ended terminal", "stream ended without terminal", "code A"))
    assert list(coverage_lines(found, 40)) == [
        "code",
        "  not met  A",
        "stream",
        "  met      resumed",
        "  not met  ended terminal,",
        "           ended without terminal",
        "1 of 4 met: 25.0 %",
    ]


def test_the_report_knows_every_kind_of_fact() -> None:
    """The kinds are those that the control API declares."""
    pattern = read_control_spec().document["components"]["schemas"]["Fact"]["pattern"]
    assert pattern == f"^({'|'.join(KINDS)}) "
