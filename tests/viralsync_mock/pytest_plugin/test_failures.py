"""What the plugin says by itself: of a test that failed, of faults that nobody met, of waiting in real time."""

from __future__ import annotations

import pytest
from tests.support.pytester_runs import Run, passed, run

from viralsync_mock.pytest_plugin.reporting import WaitsSection

pytest_plugins = ["pytester"]
__all__ = ["run"]


def test_a_failure_shows_what_happened_in_the_sandbox(run: Run) -> None:
    """Calls with reason and place, limits, jobs, clock, faults that were not met and deliveries that were refused."""
    source = """
@pytest.mark.viralsync(clock="frozen")
def test_inside(viralsync, viralsync_webhooks):
    viralsync.faults.arm(status=503, match="cancelJob", times=2)
    viralsync_webhooks.respond_with(500)
    job = submit(viralsync, callbackUrl=viralsync_webhooks.url)
    with api(viralsync) as client:
        client.post("/v1/render/jobs", json={"kind": "movie"})
    viralsync.clock.run_until(job, "done")
    assert False
"""
    result = run(source)
    result.stdout.fnmatch_lines(
        [
            "*- viralsync -*",
            "scenario happy, <clock 2026-* frozen>",
            "calls:",
            "  <call_* POST /v1/render/jobs -> 202>",
            "  <call_* POST /v1/render/jobs -> 400 VALIDATION_ERROR>",
            "    400 VALIDATION_ERROR: $.projectId: required, but missing, and 1 more.",
            "    $.movie: required, but missing",
            "plan pro, * render minutes used this month",
            "rate limit: 2 of 120 calls in 60 s, the next slot frees at 2026-*",
            "jobs:",
            "  <job_* is done*",
            "fault armed and never met: fault={'status': 503}, match={'operation': 'cancelJob'}, times=2",
            "delivery not taken: <delivery_1 progress of *: failed (500)>",
        ]
    )


def test_a_failure_without_a_call_says_where_the_client_has_to_go(run: Run) -> None:
    """The usual mistake is a client that calls the real API."""
    run("def test_inside(viralsync):\n    assert False").stdout.fnmatch_lines(
        ["no call has come: the client has to use http://127.0.0.1:* and the key vs_prod_*VIRALSYNC_BASE_URL*"]
    )


def test_a_test_that_passes_shows_nothing(run: Run) -> None:
    """Not with -rA either."""
    run("def test_inside(viralsync):\n    submit(viralsync)", "-rA").stdout.no_fnmatch_line("*- viralsync -*")


def test_a_counted_fault_that_nobody_meets_fails_a_strict_test(run: Run) -> None:
    """One without `times` does not: it is there for whatever comes."""
    source = """
@pytest.mark.viralsync(strict=True)
def test_inside(viralsync):
    viralsync.faults.arm(status=503, match="cancelJob", times=2)
    viralsync.faults.arm(status=503, match="deleteJob")
"""
    result = run(source)
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["viralsync, strict: no call has met these armed faults:", "*cancelJob*"])
    result.stdout.no_fnmatch_line("*deleteJob*fault*")


WAITING = """
@pytest.mark.viralsync(clock="frozen")
def test_frozen(viralsync, viralsync_webhooks):
    submit(viralsync, callbackUrl=viralsync_webhooks.url)
    viralsync_webhooks.wait_for("done", timeout=0)

def test_no_url(viralsync, viralsync_webhooks):
    submit(viralsync)
    viralsync_webhooks.wait_for("done", timeout=0)

def test_no_job(viralsync, viralsync_webhooks):
    viralsync_webhooks.wait_for("done", timeout=0)
"""


def test_a_webhook_that_does_not_come_has_its_reason(run: Run) -> None:
    """The clock stands still, no job has a `callbackUrl`, or there is no job."""
    run(WAITING).stdout.fnmatch_lines(
        [
            "E * got none at all. The clock is frozen: move it, as in viralsync.clock.run_until(job_id).",
            "E * got none at all. No job was submitted with a callbackUrl.",
            "E * got none at all. No job was submitted.",
        ]
    )


SLOW = """
def pytest_configure(config):
    from viralsync_mock.pytest_plugin import reporting
    reporting.MAX_WAIT, reporting.MIN_GAP = 0, 0
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "a worker"])
def test_waiting_in_real_time_is_reported_with_the_option_that_saves_it(
    run: Run, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """A test with virtual sleeps is not reported."""
    pytester.makeconftest(SLOW)
    source = """
def test_real(viralsync):
    get(viralsync, "/v1/me"), get(viralsync, "/v1/me")

@pytest.mark.viralsync(sleeps="virtual")
def test_virtual(viralsync):
    get(viralsync, "/v1/me"), get(viralsync, "/v1/me")
"""
    result = run(source, *workers, subprocess=True)
    result.stdout.fnmatch_lines(
        ["*= viralsync: waiting in real time =*", "test_inner.py::test_real: 0 s *", "No client has to wait: *"]
    )
    result.stdout.no_fnmatch_line("test_inner.py::test_virtual: *")


def test_short_gaps_are_work_and_not_counted() -> None:
    """Three gaps of a second are more than two seconds, thirty of 0.09 s are not."""
    section = WaitsSection()
    for number in range(31):
        section.record("busy", number * 0.09)
    for number in range(4):
        section.record("waiting", float(number))
    section.end_test("a", "busy")
    section.end_test("b", "waiting")
    assert section.share() == [("b", 3.0)]


@pytest.mark.parametrize("option", ["--disable-socket", "--allow-hosts=10.0.0.1"])
def test_blocked_sockets_get_a_sentence(run: Run, option: str) -> None:
    """pytest-socket forbids them to all tests: neither a traceback nor an internal error."""
    result = run("def test_inside(viralsync):\n    submit(viralsync)", option, subprocess=True)
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["viralsync: pytest-socket blocks the sockets of the mock: *--allow-hosts=127.0.0.1*"])


def test_allowed_sockets_are_enough(run: Run) -> None:
    """Those of this machine."""
    arguments = ("--disable-socket", "--allow-hosts=127.0.0.1")
    passed(run("def test_inside(viralsync):\n    submit(viralsync)", *arguments, subprocess=True), 1)
