"""The result as text for people: what `conform` prints, and a finding with its evidence for a failed test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import indent

from viralsync_conform.baseline import is_folded
from viralsync_conform.calls import Exchange
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.har import curl
from viralsync_conform.reports.json_report import SKIPPED
from viralsync_conform.reports.wording import MARKS, counting, known_for, news, sentence, wrong
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import one_line, safe, shown_headers, text_of

MAX_LINE = 300
MAX_CALLS = 3
MAX_BODY = 1500
TITLES = {
    Category.FAILURE: "contract broken",
    Category.INCONCLUSIVE: "inconclusive",
    Category.WARNING: "warning",
    Category.DIFFERENCE: "mock wrong",
    Category.ADDITIVE: "additive drift",
}


def format_result(result: Result) -> Iterator[str]:
    """Yield the lines that `conform` prints: what is new, what was found, what was skipped, the verdict."""
    for line in _result_lines(result):
        yield safe(one_line(line, MAX_LINE))


def format_headline(finding: Finding) -> str:
    where = " ".join(str(part) for part in (finding.operation, finding.status, finding.place) if part)
    parts = (TITLES[finding.category], finding.check, where, finding.message)
    return safe(one_line(": ".join(part for part in parts if part), 300))


def format_findings(findings: Iterable[Finding], calls: Sequence[Exchange], base: str) -> str:
    """Return findings one after the other, each with its evidence; without any key."""
    return safe("\n\n".join("\n".join(_lines(finding, calls, base)) for finding in findings))


def _lines(finding: Finding, calls: Sequence[Exchange], base: str) -> Iterator[str]:
    yield format_headline(finding)
    if finding.expected or finding.got:
        yield f"  expected  {one_line(finding.expected, 500) or 'nothing'}"
        yield f"  got       {one_line(finding.got, 500) or 'nothing'}"
    if wrong(finding):
        yield f"  wrong     the {wrong(finding)}"
    if finding.mark is not None:
        yield f"  known     {MARKS[finding.mark]}{f', page {finding.source}' if finding.source else ''}"
    shown = [calls[number - 1] for number in finding.calls[:MAX_CALLS] if number <= len(calls)]
    for call in shown:
        yield indent("\n".join(_evidence(call, base)), "  ")
    if len(finding.calls) > len(shown):
        yield f"  also in calls {', '.join(map(str, finding.calls[len(shown) : len(shown) + 12]))}"


def _evidence(call: Exchange, base: str) -> Iterator[str]:
    yield f"call {call.number}, step {call.step!r} of {call.journey}, account {call.account}"
    yield from _message(">", f"{call.method} {call.url}", call.request_headers, call.request_body)
    yield from _message("<", str(call.status or f"no answer: {call.problem}"), call.headers, call.body)
    yield f"again: {curl(call, base)}"


def _message(mark: str, first: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Iterator[str]:
    yield f"{mark} {first}"
    for name, value in shown_headers(headers):
        yield f"{mark} {name}: {value}"
    if body:
        text = text_of(body)
        yield f"{mark} {text if len(text) <= MAX_BODY else f'{text[:MAX_BODY]}…'}"


def _result_lines(result: Result) -> Iterator[str]:
    if result.nights is not None:
        yield news(result)
    for category, title in TITLES.items():
        found = counting(result, category)
        yield from (_line(result, title, finding) for finding in found if not is_folded(result, finding))
        if folded := [finding for finding in found if is_folded(result, finding)]:
            yield f"{title}: {len(folded)} known from the last night: see report.html"
    yield from _skipped(result)
    if result.baseline and result.baseline.known:
        yield f"known from the baseline: {len(result.baseline.known)}"
    budget = result.budget
    yield (
        f"{len(result.asserted)} checks asserted {sum(result.asserted.values())} times with {budget.requests} requests "
        f"and {budget.charged:.3f} render minutes in {result.seconds:.1f} s"
    )
    if result.fidelity is not None:
        yield f"fidelity: the mock does {result.fidelity.percent:.1f} % of {result.fidelity.steps} steps alike"
    if result.canary is not None:
        yield f"canary: {result.canary.mutant}: {'noticed' if result.canary.is_caught else 'NOT NOTICED'}"
    yield f"{result.verdict.name.lower()} ({int(result.verdict)}): {sentence(result)}"


def _line(result: Result, title: str, finding: Finding) -> str:
    place = " ".join(str(part) for part in (finding.operation, finding.status, finding.place) if part)
    values = f" expected {finding.expected}, got {finding.got}" if finding.expected or finding.got else ""
    calls = f"calls {', '.join(map(str, finding.calls[:3]))}" if finding.calls else ""
    notes = "; ".join(part for part in (calls, known_for(result, finding)) if part)
    head = ": ".join(part for part in (title, finding.check, place, finding.message) if part)
    return f"{head}{values}{f' ({notes})' if notes else ''}"


def _skipped(result: Result) -> Iterator[str]:
    """Yield each reason with the journeys that were skipped for it."""
    reasons: dict[str, list[str]] = {}
    for journey in result.journeys:
        if journey.outcome == SKIPPED:
            reasons.setdefault(journey.reason, []).append(journey.name)
    for reason, names in reasons.items():
        yield f"skipped: {reason}: {', '.join(names)}"
