"""`pytest contract_tests --target mock|URL`: options, the one run of a session, and the summary at its end.

What is inconclusive is never red and never green: its test is skipped, with the reason, and a session that is green
but for that ends with the exit status `INCONCLUSIVE`, so that a pipeline which looks at nothing else stops. Skipped,
since `xfail` counts as success everywhere, and a failure would name the target for what may be the network's fault.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from viralsync_conform.conformance import MOCK, Options
from viralsync_conform.findings import Category
from viralsync_conform.reports.text import format_headline
from viralsync_conform.suite.session import DEFAULT_PROFILES, INCONCLUSIVE, MARKERS, Suite, of, opened
from viralsync_conform.target.wire import TargetAwayError
from viralsync_mock.errors import UsageError

FILES = ("test_journeys", "test_schemathesis", "test_completeness", "test_volume")
"""The order of the suite: what was never seen can only be said when all journeys are made."""

SUITE = pytest.StashKey[Suite]()
MAX_SHOWN = {
    Category.INCONCLUSIVE: "inconclusive",
    Category.WARNING: "warnings: seen in a sample of the documentation only",
    Category.DIFFERENCE: "differences: the mock is wrong",
    Category.ADDITIVE: "additive drift: new and undocumented",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `conform`; those that pytest or its plugins know otherwise begin with `conform-`."""
    group = parser.getgroup("conformance of the ViralSync API")
    group.addoption("--target", default=MOCK, help="`mock`, which starts one, or the base URL of the server to test")
    group.addoption(
        "--conform-profile",
        choices=("quick", "nightly", "deep"),
        help="how much is tested; default: `deep` for a mock, else `nightly`",
    )
    group.addoption("--conform-strict", action="store_true", help="treat facts seen in samples as documented")
    group.addoption("--conform-seed", default="0", help="the same seed makes the same calls")
    group.addoption("--max-requests", type=int, help="budget of requests, instead of the profile's")
    group.addoption("--max-render-minutes", type=float, help="budget of render minutes, instead of the profile's")
    group.addoption("--behaviour", type=Path, help="behaviour profile that the target is compared with, YAML")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; raises UsageError for several processes, which would be several runs."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(
            "the contract tests are one run with one budget and one rate limit: call pytest without -n, or with -n 0"
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Restore the order of the suite, which a plugin may have shuffled: journeys use what others made before."""
    own = [item for item in items if item.path.parent == Path(__file__).parent and item.path.stem in FILES]
    own.sort(key=lambda item: (FILES.index(item.path.stem), _place(item)))
    items[:] = [item for item in items if item not in set(own)] + own


def _place(item: pytest.Item) -> tuple[int, int]:
    """Return where a test stands in its file: the line, then the number of its parameters."""
    callspec = getattr(item, "callspec", None)
    return (item.reportinfo()[1] or 0, min(callspec.indices.values(), default=0) if callspec else 0)


@pytest.fixture(scope="session")
def options(pytestconfig: pytest.Config) -> Options:
    """Return the options of this session; the key comes from VIRALSYNC_API_KEY, never from the command line."""
    target = pytestconfig.getoption("target")
    return Options(
        target=target,
        profile=pytestconfig.getoption("conform_profile") or DEFAULT_PROFILES[target == MOCK],
        key=os.environ.get("VIRALSYNC_API_KEY"),
        control_token=os.environ.get("VIRALSYNC_MOCK_CONTROL_TOKEN"),
        webhook_secret=os.environ.get("VIRALSYNC_WEBHOOK_SECRET"),
        max_render_minutes=pytestconfig.getoption("max_render_minutes"),
        max_requests=pytestconfig.getoption("max_requests"),
        is_strict=pytestconfig.getoption("conform_strict"),
        behaviour=pytestconfig.getoption("behaviour"),
        seed=pytestconfig.getoption("conform_seed"),
    )


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config, options: Options) -> Iterator[Suite]:
    """Yield the run of this session, and clean up what it made: also after a failure, and after Ctrl-C."""
    with ExitStack() as ending:
        try:
            suite = ending.enter_context(opened(options))
        except UsageError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        except TargetAwayError as away:
            pytest.exit(str(away), returncode=INCONCLUSIVE)
        pytestconfig.stash[SUITE] = suite
        yield suite


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hide keys in reports: tracebacks show values, and values hold accounts."""
    report = yield
    suite = item.config.stash.get(SUITE, None)
    text = str(report.longrepr) if report.failed and report.longrepr else ""
    if suite is not None and text and suite.hidden(text) != text:
        report.longrepr = suite.hidden(text)
    if suite is not None:
        report.sections = [(name, suite.hidden(content)) for name, content in report.sections]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Do not let a session be green in which something is inconclusive."""
    suite = session.config.stash.get(SUITE, None)
    if suite is None:
        return
    suite.conclude()
    if session.exitstatus == pytest.ExitCode.OK and of(Category.INCONCLUSIVE, list(suite.run.findings)):
        session.exitstatus = INCONCLUSIVE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the findings that fail no test, the jobs that could not be cleaned up, and the cost."""
    suite = terminalreporter.config.stash.get(SUITE, None)
    if suite is None:
        return
    for category, title in MAX_SHOWN.items():
        found = of(category, list(suite.run.findings))
        if found:
            terminalreporter.section(title)
            for finding in found:
                terminalreporter.line(format_headline(finding))
    budget = suite.run.budget
    terminalreporter.section("run")
    for job_id in suite.run.unclean:
        terminalreporter.line(f"still on the account: {job_id}")
    terminalreporter.line(
        f"{len(suite.run.asserted)} checks asserted {sum(suite.run.asserted.values())} times with {budget.requests} of "
        f"{budget.max_requests} requests and {budget.charged:.3f} of {budget.max_render_minutes:g} render minutes"
    )
