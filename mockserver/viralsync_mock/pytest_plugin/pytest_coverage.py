"""Coverage of the API's states over a whole test run: what the tests met of them, and what not."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from viralsync_mock.client import Sandbox
    from viralsync_mock.journal.coverage import Coverage

KINDS = ("operation", "code", "status", "transition", "phase", "stream", "webhook", "pages")
"""The first words of the facts, in the order of the report."""

SENT = "viralsync_coverage"
"""Under this name a worker of pytest-xdist hands over what its tests met."""

_SPACE = "\N{NO-BREAK SPACE}"

NOTHING = "No test has used a sandbox of the ViralSync mock."


def add_options(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    """Add the two options, and the same for the ini file."""
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


def configure(config: pytest.Config) -> None:
    """Begin to collect, if anybody wants to know; raises UsageError for an ini value that is no percentage."""
    is_shown = config.getoption("viralsync_coverage") or config.getini("viralsync_coverage")
    least = config.getoption("viralsync_cover_fail_under")
    if least is None and (text := config.getini("viralsync_cover_fail_under")):
        try:
            least = percentage(text)
        except argparse.ArgumentTypeError as problem:
            raise pytest.UsageError(f"viralsync_cover_fail_under: {problem}") from None
    if is_shown or least is not None:
        config.pluginmanager.register(RunCoverage(is_shown=is_shown, least=least), "viralsync-coverage")


def percentage(text: str) -> float:
    """Read a number from 0 to 100; raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 100, got {text!r}")
    return number


class RunCoverage:
    """Unites what every sandbox of the run has met; under pytest-xdist those of all workers.

    `least` is how much has to be met for the run to succeed, 0 to 100.
    """

    def __init__(self, *, is_shown: bool, least: float | None) -> None:
        self._is_shown, self._least = is_shown, least
        self._met: set[str] = set()
        self._reachable: set[str] = set()
        self._lost: list[str] = []

    def take(self, met: Iterable[str], unmet: Iterable[str]) -> None:
        """Add what a sandbox, or a worker, has met and what not."""
        met = tuple(met)
        self._met.update(met)
        self._reachable.update(met, unmet)

    @property
    def coverage(self) -> Coverage:
        """What was met up to now."""
        from viralsync_mock.journal.coverage import coverage

        return coverage(sorted(self._reachable, key=_place), self._met)

    @property
    def is_too_little(self) -> bool:
        """Whether less was met than has to be."""
        return self._least is not None and self.coverage.percent < self._least

    def pytest_viralsync_closing(self, sandbox: Sandbox) -> None:
        """Ask a sandbox before it is dropped."""
        found = sandbox.coverage(anonymous=True)
        self.take(found.met, found.unmet)

    @pytest.hookimpl(trylast=True)  # fixtures of the session may end in this hook too
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to the controller, or let the run fail."""
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            found = self.coverage
            output[SENT] = {"met": list(found.covered), "unmet": list(found.uncovered)}
        elif self.is_too_little and session.exitstatus == pytest.ExitCode.OK and not _only_collects(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of pytest-xdist has collected; one that crashed has handed over nothing."""
        sent = getattr(node, "workeroutput", {}).get(SENT)
        if sent is None:
            self._lost.append(node.gateway.id)
        else:
            self.take(**sent)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print what was met, and whether it is enough."""
        if _only_collects(config):
            return
        found, reporter = self.coverage, terminalreporter
        if self._is_shown:
            reporter.section("coverage of the ViralSync API")
            for line in report(found, config.get_terminal_writer().fullwidth):
                reporter.line(line)
        for worker in self._lost:
            reporter.line(f"--viralsync-coverage: {worker} crashed: what its tests met is not counted", yellow=True)
        if self.is_too_little:
            why = "" if self._reachable else f" {NOTHING}"
            reporter.line(
                f"FAIL --viralsync-cover-fail-under: {found.percent} % of the API's states were met, "
                f"{self._least:g} % have to be.{why}",
                red=True,
                bold=True,
            )


def _only_collects(config: pytest.Config) -> bool:
    return bool(config.getoption("collectonly", default=False))


def _place(fact: str) -> tuple[int, str]:
    kind = fact.split(" ", 1)[0]
    return KINDS.index(kind) if kind in KINDS else len(KINDS), fact


def report(found: Coverage, width: int) -> Iterator[str]:
    """Yield the lines of the report: for each operation, and each other kind of fact, what was met and what not."""
    if not (found.covered or found.uncovered):
        yield NOTHING
        return
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for fact in sorted((*found.covered, *found.uncovered), key=_place):
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
    text = ", ".join(value.replace(" ", _SPACE) for value in values)
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_SPACE, " ") for line in lines]
