"""`junit.xml`: one test case for each journey and each check, for the test pages of CI systems.

A finding of the category *failure* is a `<failure>`. One that is *inconclusive* is `<skipped>`: an outage must turn CI
neither red, as an `<error>` would, nor green. Everything else, and whatever the baseline knows, is in the
`<system-out>` of a case that passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.json_report import SKIPPED
from viralsync_conform.reports.wording import MARKS, calls_in_words, counting, known_keys, where
from viralsync_conform.result import JourneyOutcome, Result
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.redaction import sanitised

EVERYWHERE = "every operation"
"""The class of a check that held wherever it was made."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: what fails it, why it is skipped, and other findings."""

    suite: str
    classname: str
    name: str
    seconds: float = 0.0
    failures: tuple[Finding, ...] = ()
    skipped: str = ""
    notes: tuple[Finding, ...] = field(default=())


def junit_of(result: Result) -> str:
    root = Element("testsuites", name="conform")
    cases = [*_journey_cases(result), *_check_cases(result)]
    for suite in ("journeys", "checks"):
        _suite(root, result, suite, [case for case in cases if case.suite == suite])
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(each.get(name, "0")) for each in root)))
    root.set("time", f"{result.seconds:.3f}")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _journey_cases(result: Result) -> Iterable[Case]:
    failed, unknown = counting(result, Category.FAILURE), counting(result, Category.INCONCLUSIVE)
    for outcome in result.journeys:
        failures = tuple(finding for finding in failed if finding.journey == outcome.name)
        reasons = [finding.message for finding in unknown if finding.journey == outcome.name]
        skipped = "" if failures else _why_skipped(outcome, reasons)
        yield Case("journeys", "journey", outcome.name, outcome.seconds, failures, skipped)


def _why_skipped(outcome: JourneyOutcome, reasons: Sequence[str]) -> str:
    if outcome.outcome in {SKIPPED, "stopped"}:
        return f"{outcome.outcome}: {outcome.reason or '; '.join(reasons)}"
    return f"inconclusive: {'; '.join(reasons)}" if reasons else ""


def _check_cases(result: Result) -> Iterable[Case]:
    """Yield a case for each check that held everywhere, and one for each place where it did not."""
    known = known_keys(result)
    places: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.findings:
        places.setdefault((finding.check, where(finding)), []).append(finding)
    found = {check for check, _ in places}
    for name in sorted({check.name for check in result.asserted} - found):
        yield Case("checks", EVERYWHERE, name)
    for (check, place), findings in places.items():
        new = [finding for finding in findings if finding.key not in known]
        failures = tuple(finding for finding in new if finding.category is Category.FAILURE)
        unknown = [finding.message for finding in new if finding.category is Category.INCONCLUSIVE]
        skipped = f"inconclusive: {'; '.join(unknown)}" if unknown and not failures else ""
        notes = tuple(finding for finding in findings if finding not in failures)
        yield Case("checks", place, check, failures=failures, skipped=skipped, notes=notes)


def _suite(root: Element, result: Result, name: str, cases: Sequence[Case]) -> None:
    suite = SubElement(root, "testsuite", name=name, timestamp=result.started_at.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(bool(case.failures) for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(bool(case.skipped) for case in cases)))
    suite.set("time", f"{sum(case.seconds for case in cases):.3f}")
    properties = SubElement(suite, "properties")
    for key, value in _properties(result):
        SubElement(properties, "property", name=key, value=sanitised(value))
    for case in cases:
        _case(suite, case)


def _properties(result: Result) -> Iterable[tuple[str, str]]:
    yield "verdict", result.verdict.name.lower()
    yield "target", result.target
    yield "profile", result.profile
    yield "seed", result.seed
    yield "requests", str(result.budget.requests)
    yield "render minutes", f"{result.budget.charged:g}"


def _case(suite: Element, case: Case) -> None:
    element = SubElement(suite, "testcase", classname=sanitised(case.classname), name=sanitised(case.name))
    element.set("time", f"{case.seconds:.3f}")
    if case.failures:
        message = "; ".join(dict.fromkeys(finding.message for finding in case.failures))
        failure = SubElement(element, "failure", type="contract broken", message=sanitised(one_line(message)))
        failure.text = sanitised("\n\n".join(map(_in_words, case.failures)))
    if case.skipped:
        SubElement(element, "skipped", message=sanitised(one_line(case.skipped, longest=400)))
    if case.notes:
        notes = "\n\n".join(f"{finding.category.value}: {_in_words(finding)}" for finding in case.notes)
        SubElement(element, "system-out").text = sanitised(notes)


def _in_words(finding: Finding) -> str:
    place = " ".join(part for part in (finding.operation, str(finding.status or ""), finding.place) if part)
    lines = [finding.message, f"at {place}" if place else ""]
    lines += [f"expected {finding.expected}" if finding.expected else "", f"got {finding.got}" if finding.got else ""]
    if finding.mark:
        lines.append(f"{MARKS[finding.mark]}{f' on {finding.source}' if finding.source else ''}")
    return "\n".join(line for line in (*lines, f"seen in {calls_in_words(finding.calls)}") if line)
