"""A finding as text for people: what was expected, what came, the calls that show it, and how to make them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import indent

from viralsync_conform.calls import Exchange
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.har import curl
from viralsync_conform.reports.wording import MARKS, one_line
from viralsync_conform.reports.writing import safe, shown_headers, text_of

MAX_CALLS = 3
MAX_BODY = 1500
TITLES = {
    Category.FAILURE: "contract broken",
    Category.INCONCLUSIVE: "inconclusive",
    Category.WARNING: "warning",
    Category.DIFFERENCE: "mock wrong",
    Category.ADDITIVE: "additive drift",
}


def format_headline(finding: Finding) -> str:
    """Return a finding in one line."""
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
