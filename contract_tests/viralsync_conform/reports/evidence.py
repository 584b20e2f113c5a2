"""The evidence of a finding on the page: each call with request, response and a command that repeats it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from viralsync_conform.calls import Exchange, Headers
from viralsync_conform.findings import Finding
from viralsync_conform.reports.har import curl
from viralsync_conform.reports.markup import Markup, code, joined, tag
from viralsync_conform.reports.wording import base_url, one_line
from viralsync_conform.reports.writing import shown_headers, text_of
from viralsync_conform.result import Result

MAX_CALLS = 3
"""Of each finding; the others are in the archive."""

MAX_LINES, MAX_LINE = 60, 400


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
        """Return what shows that a finding is true."""
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
