"""The findings on the page, by category and operation: each with its calls and commands that repeat them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from viralsync_conform.baseline import is_folded
from viralsync_conform.calls import Exchange, Headers
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.har import curl
from viralsync_conform.reports.wording import (
    MARKS,
    MEANINGS,
    TITLES,
    base_url,
    counting,
    known_for,
    known_keys,
    where,
    wrong,
)
from viralsync_conform.result import Result
from viralsync_mock.artefacts.markup import Markup, code, escaped, joined, listing, section, tag
from viralsync_mock.artefacts.writing import one_line, shown_headers, text_of

MAX_CALLS = 3
"""Of each finding; the others are in the archive."""

MAX_LINES, MAX_LINE = 60, 400


def findings_of(result: Result) -> Iterator[Markup]:
    """Yield a section for each category that has something in it, the gravest first."""
    evidence = Evidence.of(result)
    for category in TITLES:
        findings = counting(result, category)
        if findings:
            folded = [finding for finding in findings if is_folded(result, finding)]
            open_ = [finding for finding in findings if finding not in folded]
            groups = [_group(result, place, part, evidence) for place, part in _by_place(open_)]
            if folded:
                known = [_group(result, place, part, evidence) for place, part in _by_place(folded)]
                groups.append(tag("details", tag("summary", f"{len(folded)} known from the last night"), *known))
            title = f"{TITLES[category]} ({len(findings)})"
            yield section(title, category.value, *groups, lead=MEANINGS[category], class_=f"category {category.value}")


def known_of(result: Result) -> Markup | None:
    """Return the findings that the baseline knows, in short; None if there are none."""
    known = known_keys(result)
    findings = [finding for finding in result.findings if finding.key in known]
    if not findings:
        return None
    items = [joined((code(where(each)), f" {each.category.value}: {each.message}")) for each in findings]
    summary = tag("summary", f"Known from the baseline, and not counted: {len(findings)}")
    return tag("details", summary, listing(*items, class_="plain"))


def _by_place(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        places.setdefault(where(finding), []).append(finding)
    return list(places.items())


def _group(result: Result, place: str, findings: Sequence[Finding], evidence: Evidence) -> Markup:
    return tag("div", tag("h3", code(place)), *(_finding(result, each, evidence) for each in findings), class_="group")


def _finding(result: Result, finding: Finding, evidence: Evidence) -> Markup:
    return tag(
        "article",
        tag("h4", _sentence(finding.message)),
        _facts(result, finding),
        _comparison(finding),
        evidence.of_finding(finding),
    )


def _sentence(message: str) -> Markup:
    """Return a message; what is between backticks becomes code."""
    text = message[:1].upper() + message[1:]
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    return joined(code(part) if number % 2 else part for number, part in enumerate(parts))


def _facts(result: Result, finding: Finding) -> Markup:
    """Return in one line where it is, who is wrong, how well the fact is known, and since when it is so."""
    parts = [tag("span", "check ", code(finding.check))]
    if wrong(finding):
        parts.append(tag("span", "wrong: the ", tag("b", wrong(finding))))
    if known := known_for(result, finding):
        parts.append(tag("span", known))
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
    return not any(counting(result, category) for category in Category)


@dataclass
class Evidence:
    """The calls that are shown; each is shown once, and named where it comes again."""

    calls: dict[int, Exchange]
    base: str
    shown: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, result: Result) -> Evidence:
        """Return the evidence of a run, none of it shown yet."""
        return cls({call.number: call for call in result.calls}, base_url(result))

    def of_finding(self, finding: Finding) -> Markup:
        parts = [self._call(self.calls[number]) for number in finding.calls[:MAX_CALLS] if number in self.calls]
        rest = len(finding.calls) - MAX_CALLS
        if rest > 0:
            more = ", ".join(map(str, finding.calls[MAX_CALLS : MAX_CALLS + 12]))
            parts.append(tag("p", f"Also in calls {more}{' …' if rest > 12 else ''} of traffic.har.", class_="quiet"))
        return joined(parts)

    def _call(self, call: Exchange) -> Markup:
        if call.number in self.shown:
            again = tag("a", f"call {call.number}", href=f"#call-{call.number}")
            return tag("p", "Shown above: ", again, f", {call.method} ", code(one_line(call.url, 80)), class_="quiet")
        self.shown.add(call.number)
        summary = tag("summary", tag("span", f"Call {call.number}", class_="number"), " ", _headline(call))
        return tag("details", summary, *self._parts(call), id=f"call-{call.number}", class_="call")

    def _parts(self, call: Exchange) -> Iterator[Markup]:
        yield tag("p", _circumstances(call), class_="quiet")
        yield tag("h5", "Request")
        yield _message(f"{call.method} {call.url}", call.request_headers, call.request_body)
        yield tag("h5", "Response")
        if call.status is None:
            yield tag("p", f"None came: {call.problem}")
        else:
            yield _message(f"{call.status}", call.headers, call.body)
            if call.problem:
                yield tag("p", f"It broke off: {call.problem}")
        yield tag("h5", "Make it again")
        yield tag("pre", code(curl(call, self.base)))


def _headline(call: Exchange) -> Markup:
    status = str(call.status) if call.status is not None else "no answer"
    kind = "good" if call.is_success else "bad"
    return joined(
        (code(f"{call.method} {one_line(call.url, 80)}"), " ", tag("span", f"→ {status}", class_=f"status {kind}"))
    )


def _circumstances(call: Exchange) -> str:
    parts = [f"Step {call.step} of {call.journey}", f"account {call.account}", f"{call.seconds * 1000:.0f} ms"]
    parts.append(f"{call.at:%Y-%m-%d %H:%M:%S} UTC by the target's clock")
    if call.expected:
        parts.insert(1, f"expected {call.expected}")
    return " · ".join(parts)


def _message(first: str, headers: Headers, body: bytes) -> Markup:
    head = "\n".join((first, *(f"{name}: {value}" for name, value in shown_headers(headers))))
    content = f"{head}\n\n{pretty(body)}" if body else head
    return tag("pre", code(content))


def pretty(body: bytes) -> str:
    """Return a body for people: JSON with a line for each value, all shortened."""
    text = text_of(body)
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = text.replace("\r\n", "\n")
    lines = [line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in text.split("\n")]
    if len(lines) > MAX_LINES:
        return "\n".join((*lines[:MAX_LINES], f"… {len(lines) - MAX_LINES} more lines"))
    return "\n".join(lines)
