"""The findings on the page: by category, in a category by operation, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.evidence import Evidence
from viralsync_conform.reports.markup import Markup, code, escaped, joined, listing, section, tag
from viralsync_conform.reports.wording import MARKS, MEANINGS, TITLES, counting, known_keys, where
from viralsync_conform.result import Result


def findings_of(result: Result) -> Iterator[Markup]:
    """Yield a section for each category that has something in it, the gravest first."""
    evidence = Evidence.of(result)
    for category in TITLES:
        findings = counting(result, category)
        if findings:
            groups = [_group(place, part, evidence) for place, part in _by_place(findings)]
            title = f"{TITLES[category]} ({len(findings)})"
            yield section(title, category.value, *groups, lead=MEANINGS[category], class_=f"category {category.value}")


def known_of(result: Result) -> Markup | None:
    """Return what the baseline knows already, in short."""
    known = known_keys(result)
    findings = [finding for finding in result.findings if finding.key in known]
    if not findings:
        return None
    told = [joined((code(where(each)), f" {each.category.value}: {each.message}")) for each in findings]
    summary = tag("summary", f"Known from the baseline, and not counted: {len(findings)}")
    return tag("details", summary, listing(*told, class_="plain"))


def _by_place(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        places.setdefault(where(finding), []).append(finding)
    return list(places.items())


def _group(place: str, findings: Sequence[Finding], evidence: Evidence) -> Markup:
    return tag("div", tag("h3", code(place)), *(_finding(each, evidence) for each in findings), class_="group")


def _finding(finding: Finding, evidence: Evidence) -> Markup:
    return tag(
        "article",
        tag("h4", _sentence(finding.message)),
        _facts(finding),
        _comparison(finding),
        evidence.of_finding(finding),
    )


def _sentence(message: str) -> Markup:
    """Return a message with what stands between backticks in the type of code."""
    text = message[:1].upper() + message[1:]
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    return joined(code(part) if number % 2 else part for number, part in enumerate(parts))


def _facts(finding: Finding) -> Markup:
    """Return where it is and how well the fact is known, in one line."""
    parts = [tag("span", "check ", code(finding.check))]
    if finding.status is not None:
        parts.append(tag("span", "status ", code(str(finding.status))))
    if finding.place:
        parts.append(tag("span", "at ", code(finding.place)))
    if finding.mark is not None:
        letter = tag("b", finding.mark.value, class_=f"mark {finding.mark.value.lower()}")
        page = (" on ", code(finding.source)) if finding.source else ()
        parts.append(tag("span", letter, " ", MARKS[finding.mark], *page))
    if finding.journey and finding.operation:
        parts.append(tag("span", "journey ", code(finding.journey)))
    return tag("p", *parts, class_="facts")


def _comparison(finding: Finding) -> Markup | None:
    if not finding.expected and not finding.got:
        return None
    sides = [
        tag("div", tag("dt", term), tag("dd", code(value)), class_=term)
        for term, value in (("expected", finding.expected or "nothing"), ("got", finding.got or "nothing"))
    ]
    return tag("dl", *sides, class_="comparison")


def is_empty(result: Result) -> bool:
    """Say whether no category holds anything that counts."""
    return not any(counting(result, category) for category in Category)
