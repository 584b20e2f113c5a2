"""The verdict on the code under test over a whole test run: how often each rule was kept, and which tests break one."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.client import Sandbox

SENT = "viralsync_verdict"
"""Under this name a worker of pytest-xdist hands over what it has collected."""

OUTCOMES = ("passed", "failed", "waived", "inconclusive")
NOT_APPLICABLE = "not_applicable"
WIDTH = 100
"""Of the line of rules that were not applicable."""

NOTHING = "No test has used a sandbox of the ViralSync mock."


class RuleOutcome(NamedTuple):
    """How the client in one sandbox kept one rule."""

    nodeid: str
    rule: str
    outcome: str
    reason: str


class VerdictSection:
    """Collects the verdicts of all sandboxes of the run, of all workers of pytest-xdist, and prints them at the end."""

    def __init__(self) -> None:
        self._judged: list[RuleOutcome] = []
        self._lost: list[str] = []

    def pytest_viralsync_closing(self, sandbox: Sandbox, nodeid: str) -> None:
        """Judge a sandbox before it is dropped."""
        rules = sandbox.verdict().rules
        self._judged += [RuleOutcome(nodeid, each.rule, each.outcome, each.reason) for each in rules]

    @pytest.hookimpl(trylast=True)  # fixtures of the session may end in this hook too
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to the controller, if there is one."""
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[SENT] = [list(each) for each in self._judged]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker has collected; one that crashed has handed over nothing."""
        sent = getattr(node, "workeroutput", {}).get(SENT)
        if sent is None:
            self._lost.append(node.gateway.id)
        else:
            self._judged += [RuleOutcome(*each) for each in sent]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print the section."""
        if config.getoption("collectonly", default=False):
            return
        terminalreporter.section("viralsync verdict")
        for line in report(self._judged):
            terminalreporter.line(line)
        for worker in self._lost:
            terminalreporter.line(f"Worker {worker} crashed: its tests are not judged.", yellow=True)


def report(judged: list[RuleOutcome]) -> Iterator[str]:
    """Yield the lines: a row of counts for each rule that was seen, those not seen, and each test that breaks one."""
    if not judged:
        yield NOTHING
        return
    counts: dict[str, Counter[str]] = {}
    for each in judged:
        counts.setdefault(each.rule, Counter())[each.outcome] += 1
    yield from _table({rule: count for rule, count in counts.items() if set(count) != {NOT_APPLICABLE}})
    if unseen := [rule for rule, count in counts.items() if set(count) == {NOT_APPLICABLE}]:
        yield from textwrap.wrap(f"{NOT_APPLICABLE}: {', '.join(unseen)}", WIDTH, break_on_hyphens=False)
    yield from _failed([each for each in judged if each.outcome == "failed"], len({each.nodeid for each in judged}))


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
