"""The sections at the end of a run: coverage of the API's states, and the verdict on the code under test."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from viralsync_mock.client import Sandbox
    from viralsync_mock.journal.coverage import Coverage

NO_SANDBOX = "No test has used a sandbox of the ViralSync mock."


class RunSection:
    """Collects from every sandbox of a run; under pytest-xdist each worker hands its share to the controller."""

    key: str
    """Names the share of a worker in its `workeroutput`."""

    def __init__(self) -> None:
        self.crashed: list[str] = []

    def share(self) -> Any:
        """Return what this process has collected, as JSON values."""
        raise NotImplementedError

    def take(self, share: Any) -> None:
        """Add what a worker has collected."""
        raise NotImplementedError

    @pytest.hookimpl(trylast=True)  # fixtures of the session may end in this hook too
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to the controller, if there is one."""
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is None:
            self.finish(session)
        else:
            output[self.key] = self.share()

    def finish(self, session: pytest.Session) -> None:
        """Decide on the exit status, in the process that reports."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over the share of a worker; one that crashed has handed over nothing."""
        share = getattr(node, "workeroutput", {}).get(self.key)
        if share is None:
            self.crashed.append(node.gateway.id)
        else:
            self.take(share)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print the section, unless tests were only collected."""
        if not _only_collects(config):
            self.write(terminalreporter, config.get_terminal_writer().fullwidth)

    def write(self, reporter: pytest.TerminalReporter, width: int) -> None:
        """Print the section."""
        raise NotImplementedError


def _only_collects(config: pytest.Config) -> bool:
    return bool(config.getoption("collectonly", default=False))


# ---------------------------------------------------------------- coverage

KINDS = ("operation", "code", "status", "transition", "phase", "stream", "webhook", "pages")
"""The first words of the facts, in the order of the report."""

_SPACE = "\N{NO-BREAK SPACE}"


def add_options(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    """Add the options about reports to the command line and to the ini file."""
    group.addoption(
        "--viralsync-verdict", action="store_true", help="say at the end how well the code under test behaved"
    )
    group.addoption(
        "--viralsync-coverage",
        action="store_true",
        help="print at the end which states of the API the tests met, and which not",
    )
    group.addoption(
        "--viralsync-cover-fail-under",
        type=percentage,
        metavar="N",
        help="fail the run when the tests met less than N %% of the API's states",
    )
    parser.addini("viralsync_coverage", "the same as --viralsync-coverage", type="bool", default=False)
    parser.addini("viralsync_cover_fail_under", "the same as --viralsync-cover-fail-under", default="")
    parser.addini("viralsync_verdict", "the same as --viralsync-verdict", type="bool", default=False)


def configure(config: pytest.Config) -> None:
    """Begin to collect for the reports that are asked for; raises UsageError for an ini value that is no percentage."""
    is_shown = config.getoption("viralsync_coverage") or config.getini("viralsync_coverage")
    least = config.getoption("viralsync_cover_fail_under")
    if least is None and (text := config.getini("viralsync_cover_fail_under")):
        try:
            least = percentage(text)
        except argparse.ArgumentTypeError as problem:
            raise pytest.UsageError(f"viralsync_cover_fail_under: {problem}") from None
    if is_shown or least is not None:
        config.pluginmanager.register(CoverageSection(is_shown=is_shown, least=least), "viralsync-coverage")
    config.stash[WAITS] = WaitsSection()
    config.pluginmanager.register(config.stash[WAITS], "viralsync-waits")
    if config.getoption("viralsync_verdict") or config.getini("viralsync_verdict"):
        config.pluginmanager.register(VerdictSection(), "viralsync-verdict")


def percentage(text: str) -> float:
    """Read a number from 0 to 100; raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 100, got {text!r}")
    return number


class CoverageSection(RunSection):
    """The states of the API that the tests met; `least` is the percentage below which the run fails."""

    key = "viralsync_coverage"

    def __init__(self, *, is_shown: bool, least: float | None) -> None:
        super().__init__()
        self._is_shown, self._least = is_shown, least
        self._met: set[str] = set()
        self._reachable: set[str] = set()

    def share(self) -> tuple[list[str], list[str]]:
        """Return what was met and what not."""
        found = self.coverage
        return list(found.covered), list(found.uncovered)

    def take(self, share: tuple[Iterable[str], Iterable[str]]) -> None:
        """Add what was met and what not."""
        met, unmet = tuple(share[0]), share[1]
        self._met.update(met)
        self._reachable.update(met, unmet)

    @property
    def coverage(self) -> Coverage:
        """What was met up to now."""
        from viralsync_mock.journal.coverage import coverage

        return coverage(sorted(self._reachable, key=_sort_key), self._met)

    @property
    def is_too_little(self) -> bool:
        """Whether less was met than the run needs."""
        return self._least is not None and self.coverage.percent < self._least

    def pytest_viralsync_closing(self, sandbox: Sandbox) -> None:
        """Ask a sandbox before it is dropped."""
        found = sandbox.coverage(anonymous=True)
        self.take((found.met, found.unmet))

    def finish(self, session: pytest.Session) -> None:
        """Let the run fail when too little was met."""
        if self.is_too_little and session.exitstatus == pytest.ExitCode.OK and not _only_collects(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def write(self, reporter: pytest.TerminalReporter, width: int) -> None:
        """Print what was met, and whether it is enough."""
        found = self.coverage
        if self._is_shown:
            reporter.section("coverage of the ViralSync API")
            for line in coverage_lines(found, width):
                reporter.line(line)
        for worker in self.crashed:
            reporter.line(f"--viralsync-coverage: {worker} crashed: what its tests met is not counted", yellow=True)
        if self.is_too_little:
            why = "" if self._reachable else f" {NO_SANDBOX}"
            reporter.line(
                f"FAIL --viralsync-cover-fail-under: {found.percent} % of the API's states were met, "
                f"{self._least:g} % have to be.{why}",
                red=True,
                bold=True,
            )


def _sort_key(fact: str) -> tuple[int, str]:
    kind = fact.split(" ", 1)[0]
    return KINDS.index(kind) if kind in KINDS else len(KINDS), fact


def coverage_lines(found: Coverage, width: int) -> Iterator[str]:
    """Yield the lines of the report: for each operation, and each other kind of fact, what was met and what not."""
    if not (found.covered or found.uncovered):
        yield NO_SANDBOX
        return
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for fact in sorted((*found.covered, *found.uncovered), key=_sort_key):
        group, value = _parts(fact)
        groups.setdefault(group, ([], []))[fact not in found.covered].append(value)
    for group, (met, unmet) in groups.items():
        yield group
        yield from _row("met", met, width)
        yield from _row("not met", unmet, width)
    yield f"{len(found.covered)} of {len(found.covered) + len(found.uncovered)} met: {found.percent} %"


def _parts(fact: str) -> tuple[str, str]:
    """Divide `operation getJob 200` before the last word, any other fact after the first."""
    kind, _, rest = fact.partition(" ")
    if kind != "operation":
        return kind, rest
    name, _, status = rest.rpartition(" ")
    return f"{kind} {name}", status


def _row(title: str, values: list[str], width: int) -> list[str]:
    if not values:
        return []
    begin = f"  {title:<9}"
    lines = textwrap.wrap(
        ", ".join(value.replace(" ", _SPACE) for value in values),
        width,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_SPACE, " ") for line in lines]


# ---------------------------------------------------------------- real waiting

MAX_WAIT, MIN_GAP = 2.0, 0.1
"""Real seconds between a test's calls from which it is reported, counting gaps from this length on."""


class WaitsSection(RunSection):
    """The tests whose client waited in real time, which virtual time would save."""

    key = "viralsync_waits"

    def __init__(self) -> None:
        super().__init__()
        self._gaps: dict[str, tuple[float, float]] = {}
        self._slow: list[tuple[str, float]] = []

    def record(self, key: str, instant: float) -> None:
        """Count a call of an API key, made at an instant in real seconds."""
        last, total = self._gaps.get(key, (instant, 0.0))
        gap = instant - last
        self._gaps[key] = instant, total + (gap if gap >= MIN_GAP else 0)

    def end_test(self, nodeid: str, key: str) -> None:
        """Keep the test of this key if its client waited for long."""
        _, seconds = self._gaps.pop(key, (0, 0))
        if seconds > MAX_WAIT:
            self._slow.append((nodeid, seconds))

    def share(self) -> list[tuple[str, float]]:
        """Return the slow tests."""
        return self._slow

    def take(self, share: Iterable[tuple[str, float]]) -> None:
        """Add slow tests."""
        self._slow += [(nodeid, seconds) for nodeid, seconds in share]

    def write(self, reporter: pytest.TerminalReporter, width: int) -> None:  # noqa: ARG002 - short lines
        """Print the slow tests, and the option that saves the time."""
        if self._slow:
            reporter.section("viralsync: waiting in real time")
            for nodeid, seconds in sorted(self._slow):
                reporter.line(f"{nodeid}: {seconds:.0f} s between its calls")
            reporter.line(
                "No client has to wait: @pytest.mark.viralsync(sleeps='virtual'), or viralsync_sleeps = virtual in the "
                "ini file, lets it sleep on the sandbox's clock, unmodified."
            )


WAITS = pytest.StashKey[WaitsSection]()

# ---------------------------------------------------------------- verdict

OUTCOMES = ("passed", "failed", "waived", "inconclusive")
NOT_APPLICABLE = "not_applicable"
WIDTH = 100
"""Of the line of rules that were not applicable."""


class RuleOutcome(NamedTuple):
    """How the client in one sandbox kept one rule."""

    nodeid: str
    rule: str
    outcome: str
    reason: str


class VerdictSection(RunSection):
    """The verdicts on the client in all sandboxes of the run."""

    key = "viralsync_verdict"

    def __init__(self) -> None:
        super().__init__()
        self._outcomes: list[RuleOutcome] = []

    def pytest_viralsync_closing(self, sandbox: Sandbox, nodeid: str) -> None:
        """Ask a sandbox before it is dropped."""
        rules = sandbox.verdict().rules
        self._outcomes += [RuleOutcome(nodeid, each.rule, each.outcome, each.reason) for each in rules]

    def share(self) -> list[list[str]]:
        """Return the outcomes."""
        return [list(each) for each in self._outcomes]

    def take(self, share: Iterable[Iterable[str]]) -> None:
        """Add outcomes."""
        self._outcomes += [RuleOutcome(*each) for each in share]

    def write(self, reporter: pytest.TerminalReporter, width: int) -> None:  # noqa: ARG002 - its tables are narrow
        """Print how often each rule was kept, and which tests break one."""
        reporter.section("viralsync verdict")
        for line in verdict_lines(self._outcomes):
            reporter.line(line)
        for worker in self.crashed:
            reporter.line(f"Worker {worker} crashed: its tests are not judged.", yellow=True)


def verdict_lines(outcomes: list[RuleOutcome]) -> Iterator[str]:
    """Yield the lines: a row of counts for each rule that was seen, those not seen, and each test that breaks one."""
    if not outcomes:
        yield NO_SANDBOX
        return
    counts: dict[str, Counter[str]] = {}
    for each in outcomes:
        counts.setdefault(each.rule, Counter())[each.outcome] += 1
    yield from _table({rule: count for rule, count in counts.items() if set(count) != {NOT_APPLICABLE}})
    if unseen := [rule for rule, count in counts.items() if set(count) == {NOT_APPLICABLE}]:
        yield from textwrap.wrap(f"{NOT_APPLICABLE}: {', '.join(unseen)}", WIDTH, break_on_hyphens=False)
    yield from _failed([each for each in outcomes if each.outcome == "failed"], len({each.nodeid for each in outcomes}))


def _table(counts: dict[str, Counter[str]]) -> Iterator[str]:
    width = max(map(len, counts), default=0)
    if counts:
        yield " " * width + "".join(f"  {outcome:>12}" for outcome in OUTCOMES)
    for rule, count in counts.items():
        yield f"{rule:<{width}}" + "".join(f"  {count[outcome] or '-':>12}" for outcome in OUTCOMES)


def _failed(failed: list[RuleOutcome], sandboxes: int) -> Iterator[str]:
    if not failed:
        yield f"The client is well behaved in all of {sandboxes} sandboxes."
        return
    for rule in dict.fromkeys(each.rule for each in failed):
        yield f"{rule} failed in"
        yield from sorted(f"  {each.nodeid}: {each.reason}" for each in failed if each.rule == rule)
    count = len({each.nodeid for each in failed})
    yield f"The client is not well behaved in {count} of {sandboxes} sandboxes."
